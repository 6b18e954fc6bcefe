// card: a submission as the visitor sees it. The skeleton is the template in
// index.html; draw() fills in what the submission's state calls for.

import { makeBars } from './bars.js';
import { Heatmap } from './heatmap.js';
import { formatBytes, formatDuration, formatPercent, t, translate } from './i18n.js';
import { remedies } from './remedies.js';
import { canShrink, shrink, thumbnail } from './shrink.js';
import { confidenceWords, problemWords, shortLabel, stateWords } from './words.js';

const TINY = 128; // pixels; below it, a picture is shown with its pixels square
const TICK = 250; // ms; what counts seconds is looked at so often

let count = 0; // cards are named by an element with an id

export class Card {
  #submission;
  #parts = {};
  #photoUrl;
  #thumbnail = ''; // data URL
  #heatmap;
  #chosen = null; // index of the label whose map is wanted
  #mapped = null; // the label whose map is shown
  #mapTrouble = null; // key of the words
  #ticker = 0;
  #shrinkable = false;
  #drawn = null; // prediction that the bars show, and the language

  // opacity: { value } shared by all cards, so that a new one starts where
  // the visitor left the last. recalled: data URL of a thumbnail, in the place of
  // the file.
  constructor(submission, template, { opacity, recalled, onRemove }) {
    this.#submission = submission;
    this.element = template.content.firstElementChild.cloneNode(true);
    for (const node of this.element.querySelectorAll('[data-part]')) {
      this.#parts[node.dataset.part] = node;
    }
    this.#parts.name.id = `card-${++count}`;
    this.element.setAttribute('aria-labelledby', this.#parts.name.id);
    this.#heatmap = new Heatmap(this.#parts.map);
    this.#thumbnail = recalled ?? '';
    this.#photoUrl = recalled ?? URL.createObjectURL(submission.file);
    this.#showPhoto();
    this.#listen(opacity, onRemove);
    this.draw();
  }

  get submission() {
    return this.#submission;
  }

  // What to recall it by, or null.
  get record() {
    const { record } = this.#submission;
    if (record) this.#thumbnail ||= thumbnail(this.#parts.picture);
    return record && { ...record, thumbnail: this.#thumbnail };
  }

  remove() {
    clearInterval(this.#ticker);
    this.#submission.cancel();
    this.#heatmap.free();
    URL.revokeObjectURL(this.#photoUrl);
    this.element.remove();
  }

  #listen(opacity, onRemove) {
    const { explain, fade, remove, retry, shrink: smaller } = this.#parts;
    this.#submission.addEventListener('change', () => this.draw());
    fade.value = opacity.value;
    this.#heatmap.opacity = opacity.value / 100;
    fade.addEventListener('input', () => {
      opacity.value = fade.value;
      this.#heatmap.opacity = fade.value / 100;
      this.#drawFade();
    });
    remove.addEventListener('click', () => onRemove(this));
    retry.addEventListener('click', () => {
      if (this.#submission.state === 'paused') this.#submission.resume();
      else this.#submission.retry();
    });
    smaller.addEventListener('click', () => this.#sendSmaller());
    explain.addEventListener('click', () => this.#submission.explain());
  }

  // ---- the photo ----

  #showPhoto() {
    const { stage, photo, picture, nopreview } = this.#parts;
    picture.addEventListener('load', () => {
      const { naturalWidth: width, naturalHeight: height } = picture;
      stage.style.setProperty('--ratio', width / height || 1);
      stage.style.setProperty('--backdrop', `url("${picture.src}")`);
      photo.classList.toggle('tiny', Math.max(width, height) < TINY);
    });
    picture.addEventListener('error', () => {
      photo.hidden = true;
      nopreview.hidden = false;
    });
    picture.src = this.#photoUrl;
  }

  async #sendSmaller() {
    const { picture, photo, nopreview } = this.#parts;
    const smaller = await shrink(this.#submission.file);
    URL.revokeObjectURL(this.#photoUrl);
    this.#thumbnail = '';
    this.#photoUrl = URL.createObjectURL(smaller);
    picture.src = this.#photoUrl;
    photo.hidden = false;
    nopreview.hidden = true;
    this.#submission.replaceFile(smaller);
  }

  // ---- drawing ----

  draw() {
    const at = document.activeElement;
    const inside = this.element.contains(at);
    this.#drawParts();
    if (inside && at.getClientRects().length === 0) this.element.focus();
  }

  #drawParts() {
    const { state, file } = this.#submission;
    const { name, remove, fadename } = this.#parts;
    const running = !this.#submission.ended && state !== 'paused';
    translate(this.element);
    this.element.dataset.state = running ? 'running' : state;
    name.textContent = file.name || t('pasted-name');
    remove.setAttribute('aria-label', t('remove', { name: name.textContent }));
    fadename.textContent = t('activation-map', { name: name.textContent });
    clearInterval(this.#ticker);
    this.#drawProgress(running);
    this.#drawTrouble(state);
    this.#drawAnswer(state === 'succeeded');
  }

  #drawProgress(running) {
    const { running: box, state, progress } = this.#parts;
    box.hidden = !running;
    if (!running) return;
    this.#tick(() => { state.textContent = stateWords(this.#submission); });
    if (this.#submission.state === 'uploading') progress.value = this.#submission.progress;
    else progress.removeAttribute('value');
  }

  #drawTrouble(state) {
    const { trouble, words, detail, retry, shrink: smaller, countdown } = this.#parts;
    const { problem } = this.#submission;
    const paused = state === 'paused';
    trouble.hidden = !paused && state !== 'failed';
    if (trouble.hidden) return;
    const help = remedies(problem);
    words.textContent = problemWords(problem);
    detail.textContent = help.detailed && !paused ? problem.detail : '';
    detail.hidden = !detail.textContent;
    countdown.hidden = !paused;
    retry.textContent = t(paused ? 'retry-now' : problem.slug === 'over-limit' ? 'send-anyway' : 'retry');
    retry.hidden = !paused && !(help.retry && this.#submission.repeatable);
    smaller.textContent = t('shrink');
    smaller.hidden = paused || !this.#shrinkable;
    if (paused) this.#tick(() => this.#drawCountdown());
    else this.#offerShrinking(help.shrink);
  }

  // Until the next drawing.
  #tick(show) {
    show();
    this.#ticker = setInterval(show, TICK);
  }

  #drawCountdown() {
    const seconds = Math.ceil((this.#submission.resumeAt - Date.now()) / 1000);
    this.#parts.countdown.textContent = t('retry-in', { n: Math.max(0, seconds) });
  }

  async #offerShrinking(wanted) {
    const possible = wanted && await canShrink(this.#submission.file);
    if (possible === this.#shrinkable) return;
    this.#shrinkable = possible;
    this.draw();
  }

  #drawAnswer(succeeded) {
    const { answer, explain, fading, mapnote } = this.#parts;
    const { prediction } = this.#submission;
    answer.hidden = !succeeded;
    fading.hidden = !succeeded || !prediction.links?.heatmap;
    explain.hidden = !succeeded || prediction.links?.heatmap || !this.#submission.explainer;
    if (!succeeded) {
      mapnote.hidden = true;
      this.#drawn = null;
      this.#heatmap.hide();
      return;
    }
    if (this.#drawn !== prediction) this.#drawFirstTime(prediction);
    this.#drawVerdict(prediction);
    this.#drawBars(prediction);
    this.#drawFacts(prediction);
    this.#drawFade();
    this.#drawMapAlt();
    mapnote.textContent = this.#mapTrouble ? t(this.#mapTrouble) : '';
    mapnote.hidden = !this.#mapTrouble;
  }

  #drawFirstTime(prediction) {
    this.#drawn = prediction;
    this.#chosen = prediction.predictions[0].index;
    this.#mapTrouble = prediction.links?.heatmap ? null : 'no-map-model';
    if (prediction.links?.heatmap) this.#showMap(this.#chosen);
  }

  #drawVerdict({ predictions: [best], confident }) {
    const { confidence, label, percent } = this.#parts;
    confidence.textContent = confidenceWords(best.score, confident);
    label.textContent = shortLabel(best.label);
    percent.textContent = formatPercent(best.score);
  }

  #drawBars(prediction) {
    const choose = prediction.links?.heatmap ? (index) => this.#choose(index) : null;
    const bars = makeBars(prediction.predictions, this.#chosen, choose);
    this.#parts.bars.replaceChildren(bars);
  }

  #drawFacts(prediction) {
    const { badge, took, parts, image, json } = this.#parts;
    const { source, uploaded, elapsed } = this.#submission;
    const { timings, image: picture } = prediction;
    const cached = source === 'cache';
    badge.textContent = t(cached ? 'from-cache' : source);
    badge.title = source === 'computed' ? '' : t(cached ? 'from-cache-title' : 'joined-title');
    badge.dataset.source = source;
    took.textContent = formatDuration(cached ? elapsed : timings?.total_ms ?? elapsed);
    parts.textContent = cached
      ? uploaded ? '' : t('not-uploaded')
      : timings ? t('took-parts', {
        infer: formatDuration(timings.infer_ms),
        decode: formatDuration(timings.decode_ms),
        queue: formatDuration(timings.queue_ms),
      }) : '';
    image.textContent = `${picture.width} × ${picture.height}, ` +
      `${picture.format.toUpperCase()}, ${formatBytes(picture.bytes)}`;
    json.href = prediction.links?.self ?? `/api/v1/predictions/${prediction.id}`;
    this.#parts.model.textContent = prediction.model.name;
  }

  // ---- the map ----

  #drawFade() {
    const { fade } = this.#parts;
    fade.setAttribute('aria-valuetext', formatPercent(fade.value / 100));
  }

  #drawMapAlt() {
    this.#parts.map.alt = this.#mapped ? t('map-alt', { label: shortLabel(this.#mapped) }) : '';
  }

  #choose(index) {
    this.#chosen = index;
    if (Number(this.#parts.fade.value) === 0) { // or nothing would be seen
      this.#parts.fade.value = 60;
      this.#parts.fade.dispatchEvent(new Event('input'));
    }
    this.#showMap(index);
  }

  async #showMap(index) {
    const { mapnote } = this.#parts;
    const { links, predictions } = this.#submission.prediction;
    const { label } = predictions.find((prediction) => prediction.index === index);
    this.#mapTrouble = null;
    try {
      if (!await this.#heatmap.show(links.heatmap, index)) return;
      this.#mapped = label;
      this.#drawMapAlt();
    } catch (problem) {
      if (problem.name === 'AbortError' || index !== this.#chosen) return;
      this.#heatmap.hide();
      this.#mapTrouble = problem.slug === 'no-heatmap' ? 'no-map-label' : 'map-failed';
    }
    mapnote.textContent = this.#mapTrouble ? t(this.#mapTrouble) : '';
    mapnote.hidden = !this.#mapTrouble;
  }
}
