// words: what a card says about its submission, in the visitor's language.

import { formatBytes, formatDuration, formatPercent, labelName, t } from './i18n.js';
import { imageLimit } from './limit.js';

const CERTAIN = 0.9;
const PROBABLE = 0.55;
const LONG = 3000; // ms; from then on a wait is told

export function problemWords(problem) {
  const limit = formatBytes(imageLimit());
  return t(`problem.${problem.slug}`, { limit }) ?? (problem.detail || t('problem.internal-error'));
}

export function stateWords(submission) {
  const { progress, prediction, since } = submission;
  const state = submission.state === 'computing' && prediction?.status === 'queued' ? 'queued' : submission.state;
  const words = t(state, { percent: formatPercent(progress) });
  const waited = Date.now() - since;
  return waited < LONG ? words : `${words}, ${formatDuration(Math.floor(waited / 1000) * 1000)}`;
}

// The first name of a label such as "tench, Tinca tinca".
export function shortLabel(label) {
  return labelName(label.split(',')[0]);
}

// confident: what the model's own threshold says, where it names one.
export function confidenceWords(score, confident) {
  if (confident === false) return t('unsure');
  return t(score >= CERTAIN ? 'certain' : score >= PROBABLE ? 'probable' : 'unsure');
}

// One line for who listens.
export function outcomeWords(submission) {
  const { file, problem, prediction } = submission;
  if (problem) return t('said-failed', { name: file.name, problem: problemWords(problem) });
  const best = prediction.predictions[0];
  return t(prediction.confident === false ? 'said-unsure' : 'said-answer', {
    name: file.name, label: shortLabel(best.label), percent: formatPercent(best.score),
  });
}
