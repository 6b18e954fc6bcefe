// rates: from totals, which only grow, to what happens a second.
//
//     rates.add(state);
//     rates.perSecond('succeeded')     over the last few samples
//     rates.series('succeeded')        [0, 3.5, ...], oldest first

const KEPT = 60; // samples
const RECENT = 5; // samples that a figure is made of

export class Rates {
  #samples = [];
  #started = null;

  add({ now, started_at: started, totals }) {
    if (started !== this.#started) this.#samples = []; // another front, or anew
    this.#started = started;
    this.#samples.push({ at: Date.parse(now), totals });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  #between(first, last, key) {
    const seconds = (last.at - first.at) / 1000;
    return seconds > 0 ? Math.max(0, last.totals[key] - first.totals[key]) / seconds : 0;
  }

  perSecond(key) {
    const recent = this.#samples.slice(-RECENT);
    return recent.length < 2 ? null : this.#between(recent[0], recent.at(-1), key);
  }

  series(key) {
    return this.#samples.slice(1).map((sample, i) => this.#between(this.#samples[i], sample, key));
  }
}
