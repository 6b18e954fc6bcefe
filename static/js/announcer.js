// announcer: says what happened to whoever listens instead of looking.

const KEEP = 6; // lines; a screen reader has read them by then

export class Announcer {
  #region;

  constructor(region) {
    this.#region = region; // with role="log": additions are read out
  }

  say(text) {
    const line = document.createElement('p');
    line.textContent = text;
    this.#region.append(line);
    while (this.#region.childElementCount > KEEP) this.#region.firstElementChild.remove();
  }
}
