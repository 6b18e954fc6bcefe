// models: what the service can answer with, asked again while that is nothing.
//
//     await models.refresh();
//     models.ready, models.choices, models.version(name), models.problem
//     models.addEventListener('change', draw);

import { getModels } from './api.js';

const FRESH = 60_000; // ms; a service takes new models in without a restart
const AGAIN = 3000; // ms, where it does not say

const isServed = (model) => model.workers > 0;

export class Models extends EventTarget {
  list = [];
  foreseeable = true; // ids can be told from the file, so ask before uploading
  problem = null; // why the list is not there
  loaded = false;
  #asked = 0;
  #timer = 0;

  // What a visitor may choose from: what workers serve, or all while none does;
  // not the variants that explain others.
  get choices() {
    const models = this.list.filter((model) => !model.explains);
    const served = models.filter(isServed);
    return served.length ? served : models;
  }

  // The one to ask where nothing was chosen.
  get default() {
    return this.choices.find((model) => model.default) ?? this.choices[0] ?? null;
  }

  get ready() {
    return this.choices.some(isServed);
  }

  // Name of the model that finds maps for one that has none, or null.
  explainer(name) {
    return this.list.find((model) => model.explains === name && isServed(model))?.name ?? null;
  }

  find(name) {
    return this.list.find((model) => model.name === name) ?? this.default;
  }

  version(name) {
    return this.find(name)?.version ?? null;
  }

  async refresh() {
    clearTimeout(this.#timer);
    this.#asked = Date.now();
    try {
      ({ models: this.list, foreseeable: this.foreseeable } = await getModels());
      this.problem = null;
      this.loaded = true;
    } catch (problem) {
      this.problem = problem;
    }
    if (this.problem || !this.ready) {
      this.#timer = setTimeout(() => this.refresh(), this.problem?.retryAfter ?? AGAIN);
    }
    this.dispatchEvent(new Event('change'));
  }

  refreshIfStale() {
    if (Date.now() - this.#asked > FRESH) this.refresh();
  }
}
