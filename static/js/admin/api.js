// api: what the admin page asks of the service. What goes wrong is a Problem,
// see ../api.js.

import { parseRetryAfter, Problem, problemFrom } from '../api.js';

const TIMEOUT = 10_000; // ms

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { signal: AbortSignal.timeout(TIMEOUT), ...options });
  } catch {
    throw new Problem(navigator.onLine ? 'network' : 'offline');
  }
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok) return body;
  throw problemFrom(body, response.status, parseRetryAfter(response.headers.get('Retry-After')));
}

export const getState = () => ask('/admin/state');
export const getRecent = async () => (await ask('/admin/predictions')).predictions;

// One that is gone already is as good as forgotten.
export async function forget(id) {
  try {
    await ask(`/predictions/${id}`, { method: 'DELETE' });
  } catch (problem) {
    if (problem.status !== 404) throw problem;
  }
}
