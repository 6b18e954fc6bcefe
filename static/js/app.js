// app: puts the page together.

import { Announcer } from './announcer.js';
import { Card } from './card.js';
import { recall, remember } from './history.js';
import { formatBytes, startLanguage, t } from './i18n.js';
import { startIntake } from './intake.js';
import { Knowledge } from './knowledge.js';
import { Lanes } from './lanes.js';
import { imageLimit } from './limit.js';
import { Models } from './models.js';
import { Submission } from './submission.js';
import { outcomeWords, problemWords } from './words.js';

const LANES = 4; // of the six connections that a browser opens to one host

const byId = (id) => document.getElementById(id);

const models = new Models();
const lanes = new Lanes(LANES);
let cards = []; // in the order of the page
const touch = matchMedia('(pointer: coarse)'); // nothing to drop with
const opacity = { value: 60 }; // per cent, of the activation map
let announcer, knowledge;

function showFilled() {
  document.body.classList.toggle('filled', cards.length > 0);
  byId('results').hidden = cards.length === 0;
  byId('clear').hidden = cards.length < 2;
  byId('skip').href = cards.length ? '#results' : '#choose';
  byId('skip').textContent = t(cards.length ? 'skip' : 'skip-to-choose');
  byId('drop-title').textContent = t(cards.length ? 'drop-more' : touch.matches ? 'touch-title' : 'drop-here');
}

function showLimit() {
  byId('formats').textContent = t('formats', { limit: formatBytes(imageLimit()) });
}

function removeCard(card) {
  const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
  const hadFocus = card.element.contains(document.activeElement);
  cards = cards.filter((other) => other !== card);
  card.remove();
  showFilled();
  prepareToLeave();
  if (hadFocus) (next?.querySelector('[data-part=remove]') ?? byId('choose')).focus();
}

const askToStay = (event) => event.preventDefault();

// What the service has named is remembered; for what has not gone out to it,
// whoever leaves is asked.
function prepareToLeave() {
  remember(cards.map((card) => card.record).filter(Boolean));
  if (cards.some(({ submission }) => submission.unsent)) addEventListener('beforeunload', askToStay);
  else removeEventListener('beforeunload', askToStay);
}

function announce(submission) {
  const { state, problem, file } = submission;
  if (submission.ended) announcer.say(outcomeWords(submission));
  else if (state === 'paused') {
    announcer.say(t('said-failed', { name: file.name, problem: problemWords(problem) }));
  }
}

// thumbnail: of one that is recalled.
function makeCard(submission, thumbnail) {
  const card = new Card(submission, byId('card'), { opacity, recalled: thumbnail, onRemove: removeCard });
  let said = null;
  let isNews = !submission.recalled; // what was known before the page was left is none
  submission.addEventListener('change', () => {
    if (submission.lost) return removeCard(card);
    const { state } = submission;
    isNews ||= state === 'computing';
    if (isNews && said !== state) announce(submission);
    if (state !== 'uploading') prepareToLeave(); // that is said many times
    said = state;
  });
  card.element.addEventListener('load', prepareToLeave, true); // its picture
  return card;
}

function addCards(added) {
  cards = [...added, ...cards];
  byId('cards').prepend(...added.map((card) => card.element));
  for (const { submission } of added) submission.run();
  showFilled();
}

function addFiles(files) {
  byId('notice').hidden = true;
  models.refreshIfStale();
  addCards(files.map((file) => makeCard(new Submission(file, knowledge.chosen, { models, lanes }))));
  announcer.say(t('said-added', { n: files.length }));
}

function addRecalled() {
  addCards(recall().map(({ thumbnail, ...record }) =>
    makeCard(Submission.recalled(record, { models, lanes }), thumbnail)));
}

function showNoFiles() {
  const notice = byId('notice');
  notice.textContent = t('no-files');
  notice.hidden = false;
}

function startExample() {
  const command = `curl -H 'Prefer: wait=10' \\\n     -F image=@photo.jpg \\\n     ${location.origin}/api/v1/predictions`;
  const parts = command.split(/(?<=[^:/])(?=\/)/); // a long address is broken before a slash
  byId('example').replaceChildren(...parts.flatMap((part) => [document.createElement('wbr'), part]));
  const copy = byId('copy');
  copy.hidden = !navigator.clipboard;
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(command);
    copy.textContent = t('copied');
    announcer.say(t('copied'));
    setTimeout(() => { copy.textContent = t('copy'); }, 2000);
  });
}

function goOnOnline() {
  for (const { submission } of cards) {
    if (['offline', 'network'].includes(submission.problem?.slug)) {
      if (submission.state === 'paused') submission.resume();
      else if (submission.state === 'failed') submission.retry();
    }
  }
}

announcer = new Announcer(byId('announcer'));
document.addEventListener('limitchange', showLimit);
document.addEventListener('languagechange', () => {
  showFilled();
  showLimit();
  for (const card of cards) card.draw();
});
startLanguage();
knowledge = new Knowledge(models, {
  sentence: byId('knows'), labels: byId('labels'), more: byId('more'), all: byId('all-labels'),
  chooser: byId('chooser'), select: byId('model'),
});
startIntake({
  choose: byId('choose'), photograph: byId('photograph'),
  picker: byId('picker'), camera: byId('camera'),
}, { onFiles: addFiles, onNothing: showNoFiles });
startExample();
byId('clear').addEventListener('click', () => {
  [...cards].forEach(removeCard);
  byId('choose').focus();
});
window.addEventListener('online', goOnOnline);
window.addEventListener('pageshow', goOnOnline); // kept by the browser, its connections not
addRecalled();
models.refresh();
