// i18n: the page's words in the visitor's language.
//
//     t('uploading', { percent: 43 })    words with the gaps filled
//     setLanguage('ru')                  remembered; 'languagechange' on document
//
// HTML carries the English words and names its key: data-i18n="key", and
// data-i18n-label for an aria-label, data-title at the root for the title. A
// button with data-language="ru" chooses that one.

import en from './locales/en.js';
import ru from './locales/ru.js';

const LOCALES = { en, ru };
const KEY = 'convoy.language';
const KIB = 2 ** 10;
const MIB = 2 ** 20;

let language = 'en';

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage may be forbidden
  }
}

function remember(value) {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // then it lasts as long as the page
  }
}

export function currentLanguage() {
  return language;
}

// A value is words, or words by plural form of the parameter n.
export function t(key, params = {}) {
  let words = LOCALES[language][key] ?? en[key];
  if (words === undefined) return null;
  if (typeof words === 'object') {
    words = words[new Intl.PluralRules(language).select(params.n)] ?? words.other;
  }
  return words.replace(/\{(\w+)\}/g, (gap, name) =>
    typeof params[name] === 'number' ? formatNumber(params[name]) : params[name] ?? gap);
}

// A label in the visitor's language, where the locale knows it.
export function labelName(label) {
  return LOCALES[language].labels?.[label] ?? label;
}

export function formatNumber(value, digits = 0) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

export function formatPercent(share) {
  if (share > 0 && share < 0.0005) return '< ' + formatPercent(0.001);
  if (share < 1 && share >= 0.9995) return '> ' + formatPercent(0.999);
  const digits = share === 0 || share === 1 ? 0 : 1;
  return new Intl.NumberFormat(language, {
    style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits,
  }).format(share);
}

export function formatBytes(bytes) {
  const [unit, divisor] = bytes < MIB ? ['kib', KIB] : ['mib', MIB];
  const value = bytes / divisor;
  return t(unit, { value: formatNumber(value, value < 10 ? 1 : 0) });
}

export function formatDuration(ms) {
  const [unit, value] = ms < 1000 ? ['millisecond', ms] : ['second', ms / 1000];
  return new Intl.NumberFormat(language, {
    style: 'unit', unit, maximumFractionDigits: value < 10 ? 1 : 0,
  }).format(value);
}

// at: a Date or what makes one.
export function formatTime(at, timeStyle = 'medium') {
  return new Date(at).toLocaleString(language, { dateStyle: 'medium', timeStyle });
}

export function translate(root) {
  for (const node of root.querySelectorAll('[data-i18n]')) {
    node.textContent = t(node.dataset.i18n);
  }
  for (const node of root.querySelectorAll('[data-i18n-label]')) {
    node.setAttribute('aria-label', t(node.dataset.i18nLabel));
  }
}

const languageButtons = () => document.querySelectorAll('[data-language]');

function apply(value) {
  language = value;
  document.documentElement.lang = language;
  document.title = t(document.documentElement.dataset.title ?? 'page-title');
  translate(document);
  for (const button of languageButtons()) {
    button.setAttribute('aria-pressed', String(button.dataset.language === language));
  }
  document.dispatchEvent(new Event('languagechange'));
}

export function setLanguage(value) {
  remember(value);
  apply(value);
}

export function startLanguage() {
  const wishes = [remembered(), ...(navigator.languages ?? [navigator.language])];
  const known = wishes.map((wish) => wish?.slice(0, 2)).find((wish) => LOCALES[wish]);
  for (const button of languageButtons()) {
    button.addEventListener('click', () => setLanguage(button.dataset.language));
  }
  apply(known ?? 'en');
}
