// --- Elements and numbers as text --------------------------------------------------------------------
//
// Every text reaches the page as a text node. Attributes are set one by one; none is a style or a handler.

const SVG = 'http://www.w3.org/2000/svg';

/** An element with attributes, and children that are elements, texts or null. */
function make(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for drawings. */
function draw(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

const thousands = new Intl.NumberFormat('en-US');
const count = (n) => thousands.format(n);
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
const minus = (text) => text.replace(/^-/, '−').replace('e-', 'e−');

/** Four digits that matter; nothing is a dash. */
function short(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return minus(value.toExponential(3));
  const decimals = size >= 1000 ? 1 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
  return minus(value.toFixed(decimals));
}

/** The value itself: the shortest decimal that is read as the same double. */
const exactly = (value) => minus(String(value));

/** A step: whole numbers with their thousands apart. */
const stepText = (step) =>
  step === null || step === undefined ? '–' : minus(Number.isInteger(step) ? count(step) : String(Number(step.toPrecision(12))));

const percent = (share) => (share === null || share === undefined ? '–' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);

/** How a run's line looks, as a small drawing. */
function swatch(run) {
  return draw('svg', { class: `swatch ${run.style}`, viewBox: '0 0 22 8', width: 22, height: 8, 'aria-hidden': 'true' },
    draw('line', { x1: 1, x2: 21, y1: 4, y2: 4 }));
}

/** A table in a frame that scrolls when it is too wide, or too long. */
function scrolling(label, table) {
  return make('div', { class: table.rows.length > 40 ? 'scroll long' : 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, table);
}

/** A table whose columns sort it: `{head, value, cell, words}` each, words being sorted as such. */
function sortable(label, columns, rows, sort) {
  const body = make('tbody');
  const heads = columns.map((column, i) => {
    const button = make('button', { type: 'button', class: 'sort', onclick: () => by(i) }, column.head);
    return make('th', { scope: 'col', class: column.words ? 'words' : null }, button);
  });
  const lines = rows.map((row) => make('tr', { class: row.hidden ? 'off' : null }, columns.map((column, i) =>
    i === 0 ? make('th', { scope: 'row' }, column.cell(row)) : make('td', { class: column.words ? 'words' : null }, column.cell(row)))));
  function by(column) {
    sort.falling = sort.column === column ? !sort.falling : !columns[column].words;
    sort.column = column;
    show();
  }
  function show() {
    const order = rows.map((_, i) => i);
    if (sort.column !== null) {
      const key = rows.map((row) => columns[sort.column].value(row));
      // What has no value stands last, whichever way.
      const compare = (a, b) => (a === null) - (b === null) ||
        (a === null ? 0 : (typeof a === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : a - b) * (sort.falling ? -1 : 1));
      order.sort((a, b) => compare(key[a], key[b]) || a - b);
    }
    heads.forEach((head, i) => {
      if (i === sort.column) head.setAttribute('aria-sort', sort.falling ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
    body.replaceChildren(...order.map((i) => lines[i]));
  }
  show();
  return scrolling(label, make('table', {}, make('thead', {}, make('tr', {}, heads)), body));
}

