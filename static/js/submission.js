// submission: one image on its way to an answer.
//
//   waiting -> reading -> asking -> uploading -> computing -> succeeded
//                                                          -> failed
//   any of them -> paused (with resumeAt) -> waiting, by itself
//
// It asks by the image's hash first, so that a repeat is never uploaded, unless
// the service keeps to itself how it names images. What the service asks to be
// tried later is tried later, and said so. Every change is a 'change' event; the
// card draws what it finds.
//
// One that is recalled from the tab's history has no file, but an id to ask for.

import { getPrediction, postImage, Problem, problemFrom } from './api.js';
import { fileType } from './filetype.js';
import { sha256 } from './hash.js';
import { imageLimit, learnRefused, learnTaken } from './limit.js';

const WAIT = 10; // seconds that the service may hold an answer
const UPLOAD_MAX = 64 * 2 ** 20; // bytes; nginx takes no larger request
const PATIENCE = { busy: 20, network: 3 }; // automatic tries in a row
const PAUSE = { least: 1000, first: 2000, most: 30_000 }; // ms

const sleep = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    reject(new DOMException('', 'AbortError'));
  });
});

const isBusy = (problem) => problem.status === 429 || problem.status === 503;

export class Submission extends EventTarget {
  state = 'waiting';
  since = Date.now(); // when it came to that
  progress = 0; // of the upload, 0..1
  problem = null; // while paused or failed
  resumeAt = 0; // while paused, ms as of Date.now()
  prediction = null;
  source = 'computed'; // or 'cache', 'joined'
  uploaded = false;
  recalled = false;
  elapsed = 0; // ms, as seen from here

  #models;
  #lanes;
  #control = new AbortController();
  #sha = null;
  #type = null;
  #id = null; // once the service has named it
  #askFirst = true;
  #insists = false; // the file goes out, however large
  #tries = 0;
  #wake = null;

  constructor(file, model, { models, lanes }) {
    super();
    this.file = file;
    this.model = model; // name, or null for the service's default
    this.#models = models;
    this.#lanes = lanes;
  }

  // record: what such a getter gave before the page went away.
  static recalled({ id, name, ...fields }, tools) {
    const submission = new Submission({ name }, fields.model, tools);
    const { source, uploaded, elapsed } = fields;
    Object.assign(submission, { source, uploaded, elapsed, recalled: true });
    submission.#id = id;
    return submission;
  }

  // What to recall it by; null as long as the service has not named it.
  get record() {
    const { source, uploaded, elapsed, model, file: { name } } = this;
    const id = this.prediction?.id ?? this.#id;
    return id && { id, name, model, source, uploaded, elapsed };
  }

  // Its file would be lost with the page.
  get unsent() {
    return !this.ended && !this.record;
  }

  // Recalled in vain: the service has forgotten it.
  get lost() {
    return this.recalled && this.state === 'failed' && this.problem.status === 404;
  }

  // Asking again needs an id, sending again the file.
  get repeatable() {
    return !this.recalled || !this.prediction;
  }

  get ended() {
    return this.state === 'succeeded' || this.state === 'failed';
  }

  // Resolves when there is an answer, a failure, or the card was removed.
  async run() {
    for (;;) {
      this.#set('waiting', { problem: null, progress: 0 });
      try {
        await this.#lanes.run(() => this.#attempt());
        return;
      } catch (error) {
        if (this.#control.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem('page-error', { detail: String(error) });
        learnRefused(problem);
        if (!this.#mayRetry(problem)) {
          this.#set('failed', { problem });
          return;
        }
        await this.#pause(problem);
        if (this.#control.signal.aborted) return;
      }
    }
  }

  retry() {
    this.#tries = 0;
    this.#insists = this.problem?.slug === 'over-limit';
    this.#askFirst = this.state !== 'failed' || !this.prediction;
    this.prediction = null;
    return this.run();
  }

  // The model that can say where this one looked, or null.
  get explainer() {
    if (this.recalled || !this.prediction) return null;
    return this.#models.explainer(this.prediction.model.name);
  }

  // Asks that model instead.
  explain() {
    this.model = this.explainer;
    this.#id = null;
    return this.retry();
  }

  // Ends a pause before its time.
  resume() {
    this.#wake?.();
  }

  replaceFile(file) {
    this.file = file;
    this.#sha = this.#type = this.#id = null;
    return this.retry();
  }

  cancel() {
    this.#control.abort();
    this.#wake?.();
  }

  #set(state, fields = {}) {
    if (state !== this.state) this.since = Date.now();
    Object.assign(this, fields, { state });
    this.dispatchEvent(new Event('change'));
  }

  async #attempt() {
    if (this.#control.signal.aborted) return;
    const started = performance.now();
    if (!this.#type && !this.recalled) await this.#read();
    const answer = (await this.#ask()) ?? (await this.#upload());
    const prediction = await this.#follow(answer);
    const elapsed = this.recalled ? this.elapsed : performance.now() - started;
    const fields = { prediction, source: answer.source, elapsed };
    if (prediction.status === 'succeeded') this.#set('succeeded', fields);
    else this.#set('failed', { ...fields, problem: problemFrom(prediction.error) });
  }

  async #read() {
    this.#set('reading');
    if (this.file.size > UPLOAD_MAX) throw new Problem('too-large', { status: 413 });
    if (this.file.size > imageLimit() && !this.#insists) throw new Problem('over-limit', { status: 413 });
    let bytes;
    try {
      bytes = new Uint8Array(await this.file.arrayBuffer());
    } catch {
      throw new Problem('unreadable-file');
    }
    if (bytes.length === 0) throw new Problem('empty-file');
    const { type, served } = fileType(bytes);
    if (served === false) {
      throw new Problem(type === 'image/heic' ? 'heic' : 'unsupported-image-type', { status: 415 });
    }
    this.#sha = this.#models.foreseeable ? await sha256(bytes) : null;
    this.#type = type;
  }

  // The answer, if the service knows this image already; else null.
  async #ask() {
    const version = this.#models.version(this.model);
    const id = this.#id ?? (this.#sha && version && this.#models.foreseeable ? `${this.#sha}-${version}` : null);
    if (!id || !this.#askFirst) return null;
    this.#set('asking');
    try {
      const answer = await getPrediction(id, { signal: this.#control.signal });
      const finished = answer.prediction.status === 'succeeded' || answer.prediction.status === 'failed';
      const ours = this.#id !== null; // asked again after a pause
      const again = answer.prediction.status === 'failed' && problemFrom(answer.prediction.error).slug === 'worker-failed';
      if (again && !ours) return null; // no answer: it is worth another try
      answer.source = ours ? this.source : finished ? 'cache' : 'joined';
      return answer;
    } catch (problem) {
      if (problem.status !== 404 || this.recalled) throw problem;
      this.#id = null;
      return null;
    }
  }

  async #upload() {
    this.#set('uploading', { progress: 0 });
    const answer = await postImage(this.file, {
      type: this.#type,
      model: this.model,
      wait: WAIT,
      signal: this.#control.signal,
      onProgress: (share) => this.#set(share < 1 ? 'uploading' : 'computing', { progress: share }),
    });
    this.uploaded = true;
    learnTaken(this.file.size);
    this.source = answer.source;
    this.#id = answer.prediction.id;
    this.#askFirst = true;
    return answer;
  }

  async #follow(answer) {
    let { prediction, pollAfter } = answer;
    while (prediction.status === 'queued' || prediction.status === 'processing') {
      this.#set('computing', { prediction });
      await sleep(pollAfter, this.#control.signal);
      ({ prediction, pollAfter } =
        await getPrediction(prediction.id, { wait: WAIT, signal: this.#control.signal }));
    }
    return prediction;
  }

  #mayRetry(problem) {
    this.#tries++;
    if (problem.slug === 'network') return this.#tries <= PATIENCE.network;
    return isBusy(problem) && this.#tries <= PATIENCE.busy;
  }

  async #pause(problem) {
    const doubled = PAUSE.first * 2 ** (this.#tries - 1);
    const pause = problem.retryAfter ?? Math.min(doubled, PAUSE.most);
    const ms = Math.max(pause, PAUSE.least);
    this.#set('paused', { problem, resumeAt: Date.now() + ms });
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}
