// feed: something that is asked again and again. Where the service does not
// answer, what it said last stays, and is old.
//
//     await feed.refresh();
//     feed.value, feed.problem, feed.old (when it was said, or null)

export class Feed {
  value = null; // not known yet
  problem = null;
  #ask;
  #at = null;

  constructor(ask) {
    this.#ask = ask;
  }

  get old() {
    return this.problem && this.#at;
  }

  async refresh() {
    try {
      this.value = await this.#ask();
      this.#at = new Date();
      this.problem = null;
    } catch (problem) {
      this.problem = problem;
    }
  }
}
