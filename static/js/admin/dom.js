// dom: elements in one line, and tables that are drawn anew without taking
// the focus away.
//
//     el('td', { className: 'number' }, '42')

export function el(name, fields = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(fields)) {
    if (key.startsWith('data-') || key.startsWith('aria-')) node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(name, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// columns: [{ title, className, cell(row) }]. Where rows are cards each cell shows
// its title; one with `hidden` in its place is for who listens alone.
export function table(label, columns, rows) {
  const head = columns.map(({ title, hidden, className = '' }) =>
    el('th', { scope: 'col', className }, title ?? el('span', { className: 'unseen' }, hidden)));
  const body = rows.map((row) => el('tr', {}, ...columns.map(({ title, className = '', cell }) =>
    el('td', { className, ...(title && { 'data-name': title }) }, ...[cell(row)].flat()))));
  return el('table', { 'aria-label': label },
    el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...body));
}

// Replaces what is in the region where that has changed, so that what a person
// reads, marks or tabs through stays. Where a button has gone that had the focus,
// what is in its place has it now.
export function redraw(region, node) {
  if (region.childElementCount === 1 && region.firstElementChild.isEqualNode(node)) return;
  const keyed = () => [...region.querySelectorAll('[data-key]')];
  const at = keyed().indexOf(document.activeElement);
  const key = document.activeElement.dataset.key;
  region.replaceChildren(node);
  if (at < 0) return;
  const now = keyed();
  const heir = now.find((each) => each.dataset.key === key) ?? now[Math.min(at, now.length - 1)];
  (heir ?? region.closest('[tabindex]'))?.focus();
}
