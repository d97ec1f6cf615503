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

const thousands = new Intl.NumberFormat('en-US');
const count = (n) => thousands.format(n);
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
const minus = (text) => text.replace(/^-/, '−').replace('e-', 'e−');

/** A number with at least four significant digits, but at most four decimals. */
function decimalText(value) {
  const size = Math.abs(value);
  return minus(value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4));
}

