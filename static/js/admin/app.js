// app: the admin page. It asks every two seconds while somebody looks.

import { Announcer } from '../announcer.js';
import { currentLanguage, startLanguage, t } from '../i18n.js';
import { problemWords } from '../words.js';
import { forget, getRecent, getState } from './api.js';
import { redraw } from './dom.js';
import { makeModels, makePredictions, makeRefusals, makeWorkers } from './lists.js';
import { Rates } from './rates.js';
import { makeTiles } from './tiles.js';

const EVERY = 2000; // ms
const SURE_FOR = 6000; // ms in which the second press must come

const node = (id) => document.getElementById(id);
const rates = new Rates();
const announcer = new Announcer(node('announcer'));
let state = null;
let predictions = null; // null: not known yet
let problem = null;
let doomed = null; // the id whose button was pressed once
let timer = 0;

function draw() {
  document.querySelector('main').classList.toggle('stale', Boolean(problem && state));
  node('notice').hidden = !problem;
  if (problem) node('notice').textContent = problemWords(problem);
  if (!state) return;
  const since = new Date(state.started_at).toLocaleString(currentLanguage());
  node('since').textContent = t('admin-since', { version: state.version, since });
  node('tiles').replaceChildren(...makeTiles(state, rates));
  redraw(node('workers'), makeWorkers(state));
  redraw(node('models'), makeModels(state));
  redraw(node('refusals'), makeRefusals(state));
  if (predictions) redraw(node('predictions'), makePredictions(predictions, doomed));
}

// The state is there without Redis, too; the predictions are not.
async function refresh() {
  clearTimeout(timer);
  try {
    state = await getState();
    rates.add(state);
    predictions = await getRecent();
    problem = null;
  } catch (error) {
    problem = error;
  }
  draw();
  clearTimeout(timer);
  const pause = Math.max(EVERY, problem?.retryAfter ?? 0);
  if (!document.hidden) timer = setTimeout(refresh, pause);
}

async function press(id) {
  if (doomed !== id) {
    doomed = id;
    draw();
    setTimeout(() => {
      if (doomed !== id) return;
      doomed = null;
      draw();
    }, SURE_FOR);
    return;
  }
  doomed = null;
  try {
    await forget(id);
    predictions = predictions.filter((prediction) => prediction.id !== id);
    announcer.say(t('admin-forgotten'));
  } catch (error) {
    problem = error;
  }
  draw();
}

node('predictions').addEventListener('click', (event) => {
  const id = event.target.closest('[data-forget]')?.dataset.forget;
  if (id) press(id);
});
document.addEventListener('languagechange', draw);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refresh();
});

startLanguage();
refresh();
