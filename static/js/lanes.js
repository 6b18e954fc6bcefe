// lanes: at most so many tasks at once; the others wait their turn.
//
//     const lanes = new Lanes(4);
//     await lanes.run(() => upload(file));

export class Lanes {
  #free;
  #queue = [];

  constructor(count) {
    this.#free = count;
  }

  async run(task) {
    if (this.#free === 0) await new Promise((turn) => this.#queue.push(turn));
    else this.#free--;
    try {
      return await task();
    } finally {
      const turn = this.#queue.shift();
      if (turn) turn();
      else this.#free++;
    }
  }
}
