// bars: the best answers as bars. Where there are maps, each bar is a radio
// button: arrow keys go from one to the next, and screen readers count them.

import { formatPercent, t } from './i18n.js';
import { shortLabel } from './words.js';

let count = 0; // groups of radio buttons need names of their own

function makeBar({ label, index, score }, { group, checked, selectable }) {
  const bar = document.createElement(selectable ? 'label' : 'div');
  bar.className = 'bar';
  bar.title = label;
  if (selectable) {
    const radio = document.createElement('input');
    Object.assign(radio, { type: 'radio', name: group, value: index, checked });
    radio.className = 'bar-radio';
    bar.append(radio);
  }
  const name = document.createElement('span');
  name.className = 'bar-name';
  name.textContent = shortLabel(label);
  const percent = document.createElement('span');
  percent.className = 'bar-percent';
  percent.textContent = formatPercent(score);
  const track = document.createElement('span');
  track.className = 'bar-track';
  const fill = document.createElement('span');
  fill.className = 'bar-fill';
  fill.style.setProperty('--score', score);
  track.append(fill);
  bar.append(name, percent, track);
  return bar;
}

// onChoose(index of a label), or null where there are no maps.
export function makeBars(predictions, chosen, onChoose) {
  const bars = document.createElement('fieldset');
  bars.className = 'bars';
  const legend = document.createElement('legend');
  legend.className = 'unseen';
  legend.textContent = t(onChoose ? 'bars' : 'bars-plain');
  const group = `bars-${++count}`;
  bars.append(legend, ...predictions.map((prediction) => makeBar(prediction, {
    group, checked: prediction.index === chosen, selectable: Boolean(onChoose),
  })));
  if (onChoose) bars.addEventListener('change', (event) => onChoose(Number(event.target.value)));
  return bars;
}
