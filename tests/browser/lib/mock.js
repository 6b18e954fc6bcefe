// mock: the service, as far as the page can tell: the files of static/ under
// the strictest Content-Security-Policy, and the API with answers from memory.
//
//     const mock = await startMock();
//     mock.next('POST /api/v1/predictions', (request, response) => ...);
//     mock.requests     what was asked: { method, path, headers, bytes }
//     await mock.close();
//
// A handler queued by next() answers one request in the place of the usual one.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { png } from './png.js';

const STATIC = fileURLToPath(new URL('../../../static', import.meta.url));
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; " +
  "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript',
  '.svg': 'image/svg+xml', '.yaml': 'application/yaml',
};

export const MODEL = {
  name: 'cifar10-resnet9', version: '3f2a9c1b7d4e', default: true,
  labels: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
  input: { width: 32, height: 32 }, explainable: true, workers: 2,
};

export const SCORES = [['cat', 3, 0.9731], ['dog', 5, 0.0184], ['deer', 4, 0.0052], ['frog', 6, 0.0021], ['bird', 2, 0.0004]];

// The ramp of the service's own maps (inferno), at fifths.
const RAMP = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

function heat(share) {
  const at = Math.min(share * 4, 3.999);
  const [low, high] = [RAMP[Math.floor(at)], RAMP[Math.floor(at) + 1]];
  return low.map((value, i) => value + (high[i] - value) * (at % 1));
}

// A warm spot; each label has its own place.
function heatmap(label) {
  const [cx, cy] = [0.35 + 0.06 * (label % 5), 0.4 + 0.05 * (label % 3)];
  return png(64, 48, (x, y) => {
    const share = Math.exp(-(((x / 64 - cx) ** 2 + (y / 48 - cy) ** 2) / 0.05));
    return [...heat(share), 255 * 0.85 * share];
  });
}

export function send(response, status, body, headers = {}) {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'Content-Type': type, ...headers });
  response.end(JSON.stringify(body));
}

export function problem(response, status, slug, detail = '', headers = {}) {
  send(response, status, { type: `/problems/${slug}`, title: slug, status, detail }, headers);
}

export function makePrediction(sha, { model = MODEL, scores = SCORES, bytes = 1234 } = {}) {
  const id = `${sha}-${model.version}`;
  const self = `/api/v1/predictions/${id}`;
  return {
    id, status: 'succeeded', model: { name: model.name, version: model.version },
    image: { sha256: sha, format: 'png', width: 64, height: 48, bytes },
    predictions: scores.map(([label, index, score]) => ({ label, index, score })),
    timings: { queue_ms: 0.4, decode_ms: 11.2, infer_ms: 3.9, total_ms: 16.1 },
    created_at: '2026-11-24T10:00:00.123Z', completed_at: '2026-11-24T10:00:00.139Z',
    links: { self, ...(model.explainable && { heatmap: `${self}/heatmap.png` }) },
  };
}

export function failed(prediction, slug, detail) {
  const { predictions, timings, ...rest } = prediction;
  return { ...rest, status: 'failed', error: { type: `/problems/${slug}`, title: slug, detail } };
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

// What the admin page asks for.
export function makeState({ now = Date.now(), succeeded = 40, ...fields } = {}) {
  return {
    now: new Date(now).toISOString(), started_at: '2026-11-24T09:00:00.000Z', version: '0.1.0', redis: true,
    queue: { queued: 3, in_flight: 8, pending: 11, oldest_ms: 250, owed: 12 },
    totals: { requests: 100, hits: 30, misses: 60, joins: 10, refused: 2, succeeded, failed: 1, retries: 4 },
    workers: [
      { name: 'alpha.1', hands: 2, batch: 8, credits: 30, in_flight: 2, draining: false, silent_ms: 120,
        models: [{ name: MODEL.name, version: MODEL.version }],
        report: { busy: 1, done: 38, failed: 0, hand_deaths: 0, refusals: [{ model: 'resnet50', reason: 'Einsum is not supported' }] } },
      { name: 'beta.2', hands: 4, batch: 8, credits: 0, in_flight: 6, draining: true, silent_ms: 90, models: [] },
    ],
    models: [{ name: MODEL.name, version: MODEL.version, default: true, current: true, labels: 10, workers: 2 }],
    ...fields,
  };
}

class Mock {
  models = [MODEL];
  ids = 'sha256'; // or 'secret'
  state = makeState; // what /api/v1/admin/state answers
  requests = [];
  known = new Map(); // id -> prediction
  #next = new Map(); // 'METHOD /path' -> handlers
  #server = createServer((request, response) => this.#answer(request, response));

  async listen() {
    await new Promise((ready) => this.#server.listen(0, '127.0.0.1', ready));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  // path: exactly, or its beginning if it ends in *
  next(route, handler, times = 1) {
    const queue = this.#next.get(route) ?? [];
    queue.push(...Array(times).fill(handler));
    this.#next.set(route, queue);
  }

  count(method, pattern) {
    return this.requests.filter((r) => r.method === method && pattern.test(r.path)).length;
  }

  #queued(method, path) {
    for (const [route, queue] of this.#next) {
      const [wanted, where] = route.split(' ');
      const fits = where.endsWith('*') ? path.startsWith(where.slice(0, -1)) : path === where;
      if (wanted === method && fits && queue.length) return queue.shift();
    }
    return null;
  }

  async #answer(request, response) {
    const { pathname: path, searchParams: query } = new URL(request.url, this.url);
    const bytes = await body(request).catch(() => null);
    if (!bytes) return; // gone in the middle of its upload
    const asked = { method: request.method, path: path + new URL(request.url, this.url).search, headers: request.headers, bytes };
    this.requests.push(asked);
    const queued = this.#queued(request.method, path);
    if (queued) queued(asked, response);
    else if (!path.startsWith('/api/')) await this.#file(path, request, response);
    else if (path === '/api/v1/models') send(response, 200, { models: this.models, ids: this.ids });
    else if (path === '/api/v1/admin/state') send(response, 200, this.state());
    else if (path === '/api/v1/admin/predictions') send(response, 200, { predictions: [...this.known.values()].reverse() });
    else if (request.method === 'DELETE') this.#delete(path, response);
    else if (request.method === 'POST') this.#post(asked, query, response);
    else this.#get(path, query, response);
  }

  #post({ bytes }, query, response) {
    const name = query.get('model');
    const model = this.models.find((each) => (name ? each.name === name : each.default));
    if (!model) return problem(response, 404, 'unknown-model');
    const sha = createHash('sha256').update(bytes).digest('hex');
    const id = `${sha}-${model.version}`;
    const hit = this.known.has(id);
    if (!hit) this.known.set(id, makePrediction(sha, { model, bytes: bytes.length }));
    return send(response, 200, this.known.get(id), {
      'Cache-Status': hit ? 'convoy; hit' : 'convoy; fwd=miss; stored', 'Preference-Applied': 'wait=10',
    });
  }

  #delete(path, response) {
    if (!this.known.delete(path.split('/').pop())) return problem(response, 404, 'unknown-prediction');
    response.writeHead(204);
    return response.end();
  }

  #get(path, query, response) {
    const [, id, picture] = path.match(/^\/api\/v1\/predictions\/([^/]+)(\/heatmap\.png)?$/) ?? [];
    const prediction = this.known.get(id);
    if (!prediction) return problem(response, 404, 'not-found', 'No such prediction.');
    if (!picture) return send(response, 200, prediction, { 'Cache-Status': 'convoy; hit' });
    const label = Number(query.get('label') ?? prediction.predictions[0].index);
    response.writeHead(200, { 'Content-Type': 'image/png' });
    return response.end(heatmap(label));
  }

  // As nginx does: $uri, $uri/index.html, $uri.html, then error.html.
  async #file(path, request, response) {
    const base = join(STATIC, normalize(path));
    for (const file of [base, join(base, 'index.html'), `${base}.html`]) {
      const bytes = await readFile(file).catch(() => null);
      if (!bytes) continue;
      response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP });
      return response.end(bytes);
    }
    response.writeHead(404, { 'Content-Type': TYPES['.html'], 'Content-Security-Policy': CSP });
    return response.end(await readFile(join(STATIC, 'error.html')).catch(() => 'not found'));
  }
}

export function startMock() {
  return new Mock().listen();
}
