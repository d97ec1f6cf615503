// --- Numbers and runs as text ---------------------------------------------------------------------------

/** Four significant digits; a dash for a missing value. */
function short(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e6) ? minus(value.toExponential(3)) : decimalText(value);
}

/** Four significant digits, for values that stand beside each other for a moment. */
function brief(value) {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1e-4 || size >= 1e6) return minus(value.toExponential(3));
  return minus(size >= 9999.5 ? value.toFixed(0) : value.toPrecision(4));
}

/** The exact value: the shortest decimal that parses to the same double. */
const exactly = (value) => minus(String(value));

/** A step; integers have thousands separators. */
const stepText = (step) =>
  step === null || step === undefined ? '–' : minus(Number.isInteger(step) ? count(step) : String(Number(step.toPrecision(12))));

const percent = (share, decimals = share < 0.1 ? 1 : 0) => (share === null || share === undefined ? '–' : `${(100 * share).toFixed(decimals)} %`);

/**
 * A function that writes the numbers of a column, all with the same decimals: four digits of the largest, and at least
 * two of the smallest, but at most six decimals. If the largest needs an exponent, all have one.
 */
function columnFormat(values) {
  const sizes = values.filter((value) => typeof value === 'number' && value !== 0).map(Math.abs);
  const [low, high] = [sizes.reduce((a, b) => Math.min(a, b), Infinity), sizes.reduce((a, b) => Math.max(a, b), 0)];
  const order = (size) => Math.floor(Math.log10(size));
  const decimals = sizes.length === 0 ? 0 : Math.min(Math.max(3 - order(high), 1 - order(low), 0), 6);
  return (value) => {
    if (value === null || value === undefined) return '–';
    if (high >= 1e6) return minus(value.toExponential(3));
    if (value !== 0 && Math.abs(value) < 0.5 / 10 ** decimals) return `${value < 0 ? '> −' : '< '}${(1 / 10 ** decimals).toFixed(decimals)}`;
    return minus(value.toFixed(decimals));
  };
}

/** The same for shares. */
function percentFormat(shares) {
  const decimals = shares.some((share) => typeof share === 'number' && share < 0.1) ? 1 : 0;
  return (share) => percent(share, decimals);
}

/** A small drawing of a run's line style. */
function swatch(run) {
  return makeSvg('svg', { class: `swatch ${run.style}`, viewBox: '0 0 22 8', width: 22, height: 8, 'aria-hidden': 'true' },
    makeSvg('line', { x1: 1, x2: 21, y1: 4, y2: 4 }));
}

/** A name of one line, which is shortened in its middle where it does not fit: names differ in their last characters. */
function fittedName(name) {
  const letters = [...name];
  const head = letters.length > 2 * NAME_TAIL ? letters.length - NAME_TAIL : letters.length;
  return make('span', { class: 'name fitted' }, make('span', {}, letters.slice(0, head).join('')), make('span', {}, letters.slice(head).join('')));
}

const NAME_TAIL = 10;
const LONG_NAME = 16;
const LONG_PAIR = 44;

/** A name in a table, or the two names of a pair; a long name may wrap, preferably after a separator. */
function wrappedName(name) {
  if (name.length <= LONG_NAME) return make('span', { class: 'name' }, name);
  const afterMinus = name.length > LONG_PAIR ? 'br' : 'wbr';
  const parts = name.split(/(?<=[_./=]| − )/).flatMap((part) => [part, make(part.endsWith(' − ') ? afterMinus : 'wbr')]);
  return make('span', { class: 'name wrapped' }, parts);
}

/** A run's line style and name. */
const runName = (run) => make('span', { class: 'run', title: run.label }, swatch(run), wrappedName(run.name));

