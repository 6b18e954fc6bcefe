// api: what the admin page asks of the service. What goes wrong is a Problem,
// see ../api.js.

import { fetchBody } from '../api.js';

const TIMEOUT = 10_000; // ms

const ask = (path, options) => fetchBody(`/api/v1${path}`, { timeout: TIMEOUT, ...options });
const askJson = async (path) => JSON.parse(await (await ask(path)).text());

export const getState = () => askJson('/admin/state');
export const getRecent = async () => (await askJson('/admin/predictions')).predictions;

// One that is gone already is as good as forgotten.
export async function forget(id) {
  try {
    await ask(`/predictions/${id}`, { method: 'DELETE' });
  } catch (problem) {
    if (problem.status !== 404) throw problem;
  }
}
