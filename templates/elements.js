// --- Elements and numbers as text --------------------------------------------------------------------
//
// All text is added as text nodes. Attributes are set one by one; none is a style or an event handler.

/** An element with attributes; `on…` attributes are event listeners, children are elements, texts or null. */
function make(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
function makeSvg(name, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
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

/** A table whose first column has the row headings; one row may be marked. */
function plainTable(heads, rows, marked = null) {
  return make('table', {},
    make('thead', {}, make('tr', {}, heads.map((head, i) => make('th', { scope: 'col', class: i === 0 ? 'words' : null }, head)))),
    make('tbody', {}, rows.map((row, i) => make('tr', { class: i === marked ? 'marked' : null, 'aria-current': i === marked ? 'true' : null },
      row.map((cell, j) => make(j === 0 ? 'th' : 'td', { scope: j === 0 ? 'row' : null }, cell))))));
}

const thousands = new Intl.NumberFormat('en-US');
const count = (n) => thousands.format(n);
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
const minus = (text) => text.replace(/^-/, '−').replace('e-', 'e−');

/** A number with at least four significant digits, but at most four decimals. */
function decimalText(value) {
  const size = Math.abs(value);
  return minus(value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4));
}

