// heatmap: activation maps over a photo, one at a time, kept once fetched.
//
//     const heatmap = new Heatmap(img);
//     await heatmap.show(prediction.links.heatmap, 3);
//     heatmap.opacity = 0.6;

import { getPicture } from './api.js';

export class Heatmap {
  #img;
  #pictures = new Map(); // path -> object URL
  #control = new AbortController();
  #wanted = null;

  constructor(img) {
    this.#img = img;
  }

  set opacity(share) {
    this.#img.style.opacity = String(share);
  }

  // Throws a Problem where there is no map. True if this map is shown now;
  // false where another one was asked for in the meantime.
  async show(path, label) {
    const wanted = `${path}?label=${label}`;
    this.#wanted = wanted;
    if (!this.#pictures.has(wanted)) {
      const picture = await getPicture(wanted, this.#control.signal);
      this.#pictures.set(wanted, URL.createObjectURL(picture));
    }
    if (this.#wanted !== wanted) return false;
    this.#img.src = this.#pictures.get(wanted);
    this.#img.hidden = false;
    return true;
  }

  hide() {
    this.#wanted = null;
    this.#img.hidden = true;
  }

  free() {
    this.#control.abort();
    for (const url of this.#pictures.values()) URL.revokeObjectURL(url);
    this.#pictures.clear();
  }
}
