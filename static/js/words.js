// words: what a card says about its submission, in the visitor's language.

import { formatPercent, labelName, t } from './i18n.js';

const CERTAIN = 0.9;
const PROBABLE = 0.55;

export function problemWords(problem) {
  return t(`problem.${problem.slug}`) ?? (problem.detail || t('problem.internal-error'));
}

export function stateWords(submission) {
  return t(submission.state, { percent: formatPercent(submission.progress) });
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
