// lists: workers, models and recent predictions as tables.

import { formatBytes, formatDuration, formatNumber, formatPercent, formatTime, t } from '../i18n.js';
import { problemWords, shortLabel } from '../words.js';
import { problemFrom } from '../api.js';
import { el, table } from './dom.js';

const SILENT = 3000; // ms; a worker says something every second

const empty = (key) => el('p', {}, t(key));
const mark = (words, kind = '') => el('span', { className: `mark ${kind}` }, words);
const version = (text) => el('span', { className: 'version' }, text);

// ---- workers ----

function workerState({ draining, silent_ms: silent }) {
  if (draining) return mark(t('admin-draining'));
  return silent > SILENT ? mark(t('admin-silent'), 'bad') : mark(t('admin-ready'), 'good');
}

function workerModels({ models }) {
  return models.flatMap(({ name, version: of }, i) => [i ? ', ' : '', `${name} `, version(of)]);
}

const reported = (key) => ({ report }) => (report?.[key] === undefined ? '–' : formatNumber(report[key]));

export function makeWorkers({ workers }) {
  if (workers.length === 0) return empty('admin-no-workers');
  return table(t('admin-workers'), [
    { title: t('admin-name'), cell: (worker) => [`${worker.name} `, workerState(worker)] },
    { title: t('admin-models'), cell: workerModels, className: 'wide' },
    { title: t('admin-hands'), className: 'number', cell: ({ hands, report }) => (report ? `${report.busy} / ${hands}` : `${hands}`) },
    { title: t('admin-at-work'), className: 'number', cell: (worker) => formatNumber(worker.in_flight) },
    { title: t('admin-credits'), className: 'number', cell: (worker) => formatNumber(worker.credits) },
    { title: t('admin-done'), className: 'number', cell: reported('done') },
    { title: t('admin-failed'), className: 'number', cell: reported('failed') },
    { title: t('admin-deaths'), className: 'number', cell: reported('hand_deaths') },
  ], workers);
}

// ---- models ----

export function makeModels({ models }) {
  if (models.length === 0) return empty('models-none');
  return table(t('admin-models'), [
    { title: t('admin-name'), cell: (model) => [`${model.name} `, model.default ? mark(t('admin-default')) : ''] },
    { title: t('admin-version'), cell: (model) => [version(model.version), ' ', model.current ? '' : mark(t('admin-former'))] },
    { title: t('admin-labels'), className: 'number', cell: ({ labels }) => formatNumber(labels) },
    { title: t('admin-workers'), className: 'number', cell: ({ workers }) => (workers ? formatNumber(workers) : mark(t('admin-unserved'), 'bad')) },
  ], models);
}

// What workers would not load, and why.
export function makeRefusals({ workers }) {
  const refusals = workers.flatMap(({ name, report }) =>
    (report?.refusals ?? []).map((refusal) => ({ worker: name, ...refusal })));
  return el('div', {}, ...refusals.map(({ worker, model, reason }) =>
    el('p', {}, t('admin-refused', { worker, model: model ?? '?', reason: reason ?? '?' }))));
}

// ---- predictions ----

function answerWords({ status, error, predictions }) {
  return status === 'succeeded' ? shortLabel(predictions[0].label) : problemWords(problemFrom(error));
}

function answer(prediction) {
  if (prediction.status !== 'succeeded') return mark(answerWords(prediction), 'bad');
  const { score } = prediction.predictions[0];
  const bar = el('i');
  bar.style.setProperty('--score', score);
  return el('div', { className: 'score' }, el('span', {}, answerWords(prediction)), el('span', {}, formatPercent(score)), bar);
}

function image({ image: { format, width, height, bytes } }) {
  const parts = [format?.toUpperCase(), width && `${width} × ${height}`, formatBytes(bytes)];
  return parts.filter(Boolean).join(', ');
}

// Two presses, so that none is forgotten by mistake.
function forgetButton(prediction, sure) {
  const { id, completed_at: at } = prediction;
  const words = t(sure ? 'admin-forget-sure' : 'admin-forget');
  return el('button', {
    type: 'button', className: sure ? 'secondary sure' : 'quiet', 'data-key': id, 'data-forget': id,
    'aria-label': `${words} ${answerWords(prediction)}, ${formatTime(at)}`,
  }, words);
}

export function makePredictions(predictions, doomed) {
  if (predictions.length === 0) return empty('admin-no-predictions');
  return table(t('admin-recent'), [
    { title: t('admin-answer'), cell: answer },
    { title: t('admin-time'), cell: ({ completed_at: at }) => formatTime(at, 'short') },
    { title: t('image'), cell: image },
    { title: t('model'), cell: (prediction) => prediction.model.name },
    { title: t('took'), className: 'number', cell: ({ timings }) => formatDuration(timings.total_ms) },
    { hidden: t('admin-forget'), className: 'forget', cell: (prediction) => forgetButton(prediction, prediction.id === doomed) },
  ], predictions);
}
