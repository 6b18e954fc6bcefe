// knowledge: what the chosen network can tell apart, and the chooser itself
// where the service holds several.

import { t } from './i18n.js';
import { shortLabel } from './words.js';

const SHOWN = 12; // labels before "show all"

function chips(labels) {
  return labels.map((label) => {
    const chip = document.createElement('li');
    chip.textContent = shortLabel(label);
    return chip;
  });
}

export class Knowledge {
  #models;
  #nodes;

  // nodes: { sentence, labels, more, all, chooser, select }
  constructor(models, nodes) {
    this.#models = models;
    this.#nodes = nodes;
    const draw = () => this.draw();
    models.addEventListener('change', draw);
    document.addEventListener('languagechange', draw);
    nodes.select.addEventListener('change', draw);
    draw();
  }

  // Name of the model to ask, or null for the service's default.
  get chosen() {
    if (!this.#nodes.chooser.hidden) return this.#nodes.select.value;
    const model = this.#models.default;
    return model && !model.default ? model.name : null;
  }

  draw() {
    const { sentence, labels, more, all } = this.#nodes;
    this.#drawChooser();
    const model = this.#models.ready ? this.#models.find(this.chosen) : null;
    const names = model?.labels ?? [];
    const few = names.length <= SHOWN;
    sentence.textContent = model ? t('knows', { n: names.length }) : this.#excuse();
    sentence.hidden = Boolean(model) && names.length === 0;
    labels.replaceChildren(...chips(few ? names : names.slice(0, SHOWN)));
    more.hidden = few;
    more.firstElementChild.textContent = t('knows-more', { n: names.length });
    all.replaceChildren(...(few ? [] : chips(names)));
  }

  #excuse() {
    const { loaded, problem } = this.#models;
    if (!problem) return t(loaded ? 'models-none' : 'models-loading');
    return t(problem.slug === 'no-worker' ? 'models-none' : 'models-lost');
  }

  #drawChooser() {
    const { chooser, select } = this.#nodes;
    const { choices } = this.#models;
    const kept = choices.some(({ name }) => name === select.value);
    const wanted = kept ? select.value : this.#models.default?.name;
    const options = choices.map(({ name }) => new Option(name, name, false, name === wanted));
    select.replaceChildren(...options);
    chooser.hidden = choices.length < 2;
  }
}
