// app: the admin page. It asks every two seconds while somebody looks.

import { Announcer } from '../announcer.js';
import { formatTime, startLanguage, t } from '../i18n.js';
import { problemWords } from '../words.js';
import { forget, getRecent, getState } from './api.js';
import { redraw } from './dom.js';
import { Feed } from './feed.js';
import { makeModels, makePredictions, makeRefusals, makeWorkers } from './lists.js';
import { Rates } from './rates.js';
import { makeTiles } from './tiles.js';

const EVERY = 2000; // ms
const SURE_FOR = 6000; // ms in which the second press must come

const node = (id) => document.getElementById(id);
const rates = new Rates();
const announcer = new Announcer(node('announcer'));
const state = new Feed(getState);
const predictions = new Feed(getRecent); // the state is there without Redis, these are not
let refusal = null; // why the last press did nothing
let doomed = null; // the id whose button was pressed once
let timer = 0;

function draw() {
  const problem = refusal ?? state.problem ?? predictions.problem;
  say('notice', problem && problemWords(problem));
  say('state-old', state.old && t('admin-old', { time: formatTime(state.old) }));
  say('predictions-old', predictions.old && t('admin-old', { time: formatTime(predictions.old) }));
  if (state.value) drawState(state.value);
  if (predictions.value) redraw(node('predictions'), makePredictions(predictions.value, doomed));
}

// Said once, however often it is drawn: the notice is read out.
function say(id, words) {
  node(id).hidden = !words;
  if (node(id).textContent !== (words ?? '')) node(id).textContent = words ?? '';
}

function drawState(now) {
  say('since', t('admin-since', { version: now.version, since: formatTime(now.started_at) }));
  node('tiles').replaceChildren(...makeTiles(now, rates));
  redraw(node('workers'), makeWorkers(now));
  redraw(node('models'), makeModels(now));
  redraw(node('refusals'), makeRefusals(now));
}

async function refresh() {
  clearTimeout(timer);
  await Promise.all([state.refresh(), predictions.refresh()]);
  if (!state.problem) rates.add(state.value);
  refusal = null;
  draw();
  clearTimeout(timer);
  const pause = Math.max(EVERY, state.problem?.retryAfter ?? 0);
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
    predictions.value = predictions.value.filter((prediction) => prediction.id !== id);
    announcer.say(t('admin-forgotten'));
  } catch (error) {
    refusal = error;
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
