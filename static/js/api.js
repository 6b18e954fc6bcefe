// api: the service's HTTP, as promises. What goes wrong is thrown as a Problem,
// whether the service said it (RFC 9457) or the network did.
//
//     const answer = await getPrediction(id, { wait: 10 });
//     answer.prediction.status, answer.pollAfter (ms), answer.source

const BASE = '/api/v1';
const ANSWER_TIMEOUT = 20_000; // ms beyond the wait that was asked for
const STALL_TIMEOUT = 60_000; // ms an upload may go without moving

export class Problem extends Error {
  // slug names the words that a person reads (locales/*.js); detail is what
  // the service added, in English; retryAfter in ms, or null.
  constructor(slug, { status = 0, detail = '', retryAfter = null } = {}) {
    super(detail || slug);
    this.slug = slug;
    this.status = status;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

// What an HTTP status means where the body does not say it.
const SLUG_OF_STATUS = {
  400: 'bad-request', 404: 'not-found', 405: 'method-not-allowed',
  408: 'request-timeout', 409: 'not-finished', 413: 'too-large',
  415: 'unsupported-image-type', 429: 'rate-limited', 502: 'front-unavailable',
  503: 'front-unavailable', 504: 'front-unavailable',
};

// Retry-After: seconds or a date (RFC 9110, 10.2.3) -> ms, or null.
export function parseRetryAfter(text, now = Date.now()) {
  if (!text) return null;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

// Cache-Status (RFC 9211) -> where the answer came from.
function parseSource(text) {
  if (/;\s*hit\b/.test(text ?? '')) return 'cache';
  return /;\s*collapsed\b/.test(text ?? '') ? 'joined' : 'computed';
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// A problem object, alone or inside of a failed prediction.
export function problemFrom(body, status = 0, retryAfter = null) {
  const type = typeof body?.type === 'string' ? body.type : '';
  const named = type.split('/').filter(Boolean).pop();
  const slug = named && named !== 'about:blank' ? named
    : SLUG_OF_STATUS[status] ?? 'internal-error';
  return new Problem(slug, { status, detail: body?.detail ?? '', retryAfter });
}

// header: a function from a name to its value or null.
function readAnswer(status, header, text) {
  const body = parseJson(text);
  const retryAfter = parseRetryAfter(header('Retry-After'));
  if (status < 200 || status > 299) throw problemFrom(body, status, retryAfter);
  if (!body) throw new Problem('internal-error', { status });
  return {
    prediction: body,
    pollAfter: body.poll_after_ms ?? retryAfter ?? 500,
    source: parseSource(header('Cache-Status')),
  };
}

async function request(path, { method, headers, signal, timeout = ANSWER_TIMEOUT } = {}) {
  const control = new AbortController();
  const abort = () => control.abort();
  signal?.addEventListener('abort', abort);
  const timer = setTimeout(abort, timeout);
  try {
    const response = await fetch(path, { method, headers, signal: control.signal });
    return { response, body: await response.blob() };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(navigator.onLine ? 'network' : 'offline');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

// The models, and whether the id of an image can be told from the file.
export async function getModels(signal) {
  const { response, body } = await request(`${BASE}/models`, { signal });
  const header = (name) => response.headers.get(name);
  const answer = readAnswer(response.status, header, await body.text());
  const { models = [], ids } = answer.prediction;
  return { models, foreseeable: ids !== 'secret' };
}

// wait: seconds that the service may hold the answer back until it is there.
export async function getPrediction(id, { wait = 0, signal } = {}) {
  const headers = wait ? { Prefer: `wait=${wait}` } : {};
  const timeout = ANSWER_TIMEOUT + wait * 1000;
  const { response, body } =
    await request(`${BASE}/predictions/${id}`, { headers, signal, timeout });
  const header = (name) => response.headers.get(name);
  return readAnswer(response.status, header, await body.text());
}

// The body of an answer, a blob; options: method, headers, signal, timeout.
export async function fetchBody(path, options) {
  const { response, body } = await request(path, options);
  if (response.ok) return body;
  const retryAfter = parseRetryAfter(response.headers.get('Retry-After'));
  throw problemFrom(parseJson(await body.text()), response.status, retryAfter);
}

// An activation map; path from a prediction's links.
export const getPicture = (path, signal) => fetchBody(path, { signal });

// XMLHttpRequest, as fetch does not tell how far an upload has come.
// onProgress(share): 0..1.
export function postImage(file, { type, model, wait, signal, onProgress }) {
  const query = model ? `?model=${encodeURIComponent(model)}` : '';
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let timer = 0;
    const lost = () =>
      reject(new Problem(navigator.onLine ? 'network' : 'offline'));
    const stillAlive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => xhr.abort(), STALL_TIMEOUT);
    };
    xhr.open('POST', `${BASE}/predictions${query}`);
    xhr.setRequestHeader('Content-Type', type);
    xhr.setRequestHeader('Prefer', `wait=${wait}`);
    xhr.upload.onprogress = (event) => {
      stillAlive();
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    xhr.upload.onload = () => onProgress(1);
    xhr.onload = () => {
      try {
        const header = (name) => xhr.getResponseHeader(name);
        resolve(readAnswer(xhr.status, header, xhr.responseText));
      } catch (problem) {
        reject(problem);
      }
    };
    xhr.onerror = lost;
    xhr.onabort = () =>
      signal.aborted ? reject(new DOMException('', 'AbortError')) : lost();
    xhr.onloadend = () => clearTimeout(timer);
    signal.addEventListener('abort', () => xhr.abort());
    stillAlive();
    xhr.send(file);
  });
}
