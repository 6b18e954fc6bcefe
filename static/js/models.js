// models: what the service can answer with, asked again while it is not there.
//
//     await models.refresh();
//     models.list, models.version(name), models.problem
//     models.addEventListener('change', draw);

import { getModels } from './api.js';

const FRESH = 60_000; // ms; a service takes new models in without a restart
const AGAIN = 3000; // ms, where it does not say

export class Models extends EventTarget {
  list = [];
  foreseeable = true; // ids can be told from the file, so ask before uploading
  problem = null; // why the list is not there
  loaded = false;
  #asked = 0;
  #timer = 0;

  get default() {
    return this.list.find((model) => model.default) ?? this.list[0] ?? null;
  }

  // What a visitor may choose from: not the variants that explain others.
  get choices() {
    return this.list.filter((model) => !model.explains);
  }

  // Name of the model that finds maps for one that has none, or null.
  explainer(name) {
    return this.list.find((model) => model.explains === name)?.name ?? null;
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
    if (this.problem || this.list.length === 0) {
      this.#timer = setTimeout(() => this.refresh(), this.problem?.retryAfter ?? AGAIN);
    }
    this.dispatchEvent(new Event('change'));
  }

  refreshIfStale() {
    if (Date.now() - this.#asked > FRESH) this.refresh();
  }
}
