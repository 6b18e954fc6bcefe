// tiles: the figures at the top of the admin page.

import { formatDuration, formatNumber, formatPercent, t } from '../i18n.js';
import { el, svg } from './dom.js';

const WIDTH = 100; // of a sparkline's own coordinates
const HEIGHT = 30;

function sparkline(series) {
  const top = Math.max(...series, 1);
  const step = WIDTH / Math.max(series.length - 1, 1);
  const points = series.map((value, i) =>
    `${(i * step).toFixed(1)} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(1)}`);
  return svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('path', { d: points.length > 1 ? `M${points.join('L')}` : '' }));
}

function tile(title, figure, more, { bad = false, series = null } = {}) {
  return el('div', { className: bad ? 'tile bad' : 'tile' },
    el('dt', {}, title),
    el('dd', { className: 'figure' }, figure),
    el('dd', { className: 'more' }, more, series ? sparkline(series) : null));
}

const rate = (value) => (value === null ? '…' : t('admin-per-second', { n: formatNumber(value, value < 10 ? 1 : 0) }));

export function makeTiles(state, rates) {
  const { queue, totals, workers } = state;
  const taken = totals.hits + totals.misses + totals.joins;
  const hands = workers.reduce((sum, worker) => sum + worker.hands, 0);
  const ended = totals.succeeded + totals.failed;
  return [
    tile(t('admin-answers'), rate(rates.perSecond('succeeded')),
      t('admin-of-all', { n: totals.succeeded }), { series: rates.series('succeeded') }),
    tile(t('admin-cache'), taken ? formatPercent((totals.hits + totals.joins) / taken) : '–',
      t('admin-cache-parts', { hits: totals.hits, joins: totals.joins, misses: totals.misses })),
    tile(t('admin-queue'), formatNumber(queue.queued),
      queue.queued ? t('admin-oldest', { time: formatDuration(queue.oldest_ms) })
        : t('admin-in-flight', { n: queue.in_flight }),
      { bad: queue.oldest_ms > 10_000 }),
    tile(t('admin-owed'), state.redis ? formatNumber(queue.owed) : '–',
      t(state.redis ? 'admin-owed-more' : 'admin-no-redis'), { bad: !state.redis }),
    tile(t('admin-hands'), formatNumber(hands), t('admin-workers-n', { n: workers.length }),
      { bad: workers.length === 0 }),
    tile(t('admin-failures'), formatNumber(totals.failed),
      [ended ? t('admin-of-ended', { share: formatPercent(totals.failed / ended) }) : '', t('admin-retries', { n: totals.retries })]
        .filter(Boolean).join('; ')),
  ];
}
