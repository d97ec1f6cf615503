// --- Axes -----------------------------------------------------------------------------------------------

const AXES = [['step', 'Step'], ['relative', 'Relative'], ['time', 'Time']];

/** The ticks of an axis as text. */
const yTickTexts = (ticks, log) => (log ? ticks.map((tick) => tickText(tick)) : equalDecimals(tickTexts(ticks)));
const xTickTexts = (ticks, axis) => tickTexts(ticks).map((text, i) => (Number.isInteger(ticks[i]) || axis === 'time' ? text : ''));

/** The title of an x axis. */
function axisTitle(axis, unit) {
  if (axis === 'time') return `${unit[1]} since the run’s first step`;
  return axis === 'relative' ? 'steps since the run’s first' : 'training step';
}

/** Functions from values to pixels: x is linear, y linear or logarithmic. `line` has the numbers that make them up. */
function scales(box, [x0, x1], [y0, y1], log) {
  const of = log ? (y) => (y > 0 ? Math.log10(y) : NaN) : (y) => y;
  const kx = box.width / (x1 - x0);
  const [low, ky] = [of(y0), box.height / (of(y1) - of(y0))];
  const base = box.top + box.height;
  return { x: (x) => box.left + (x - x0) * kx, y: (y) => base - (of(y) - low) * ky, line: { left: box.left, x0, kx, base, low, ky, log } };
}

/** The first and the last index (exclusive) of a trace in a range of x, with one more point on each side. */
function indexRange(trace, [x0, x1]) {
  const from = Math.max(lowerBound(trace.x, x0) - 1, 0);
  let to = lowerBound(trace.x, x1);
  while (to < trace.x.length && trace.x[to] <= x1) to++;
  return [from, Math.min(to + 1, trace.x.length)];
}

/** The range of x that all runs cover. */
function fullRange(runs, axis, unit) {
  let [low, high] = [Infinity, -Infinity];
  for (const run of runs) {
    const trace = traceOf(run, axis, unit);
    if (!trace) continue;
    // A bucket is drawn in the middle of its steps.
    const half = (at) => (axis === 'time' ? 0 : (run.to.at(at) - run.from.at(at)) / 2);
    low = Math.min(low, trace.x[0] - half(0));
    high = Math.max(high, trace.x[trace.x.length - 1] + half(-1));
  }
  if (low > high) return [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
}

/** The smallest and the largest drawn value in a range of x; a logarithmic axis shows only values above 0. */
function valueExtent(traces, range, log, valuesOf) {
  let [low, high] = [Infinity, -Infinity];
  for (const trace of traces) {
    const from = lowerBound(trace.x, range[0]);
    for (const values of valuesOf(trace)) {
      for (let i = from; i < values.length && trace.x[i] <= range[1]; i++) {
        const value = values[i];
        if (log && !(value > 0)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
  }
  return low <= high ? [low, high] : null;
}

/** The range of the y axis for an extent: it includes 0 unless that would waste two thirds of the height. */
function valueRange(extent, log) {
  if (!extent) return log ? [0.1, 10] : [0, 1];
  const [low, high] = extent;
  if (log) {
    if (low === high) return [low / 2, high * 2];
    const margin = (high / low) ** 0.04;
    return [low / margin, high * margin];
  }
  if (low === high) {
    const margin = Math.abs(low) / 2 || 0.5;
    return low > 0 ? [0, low + margin] : [low - margin, high + margin];
  }
  const margin = 0.05 * (high - low);
  const fromZero = low >= 0 && low <= (2 / 3) * high;
  const toZero = high <= 0 && high >= (2 / 3) * low;
  return [fromZero ? 0 : low - margin, toZero ? 0 : high + margin];
}

/** A tick as text; `largest` is the largest of its axis, so that all ticks have the same thousands. */
function tickText(value, largest = Math.abs(value)) {
  const size = Math.abs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return minus(value.toExponential());
  const [divisor, suffix] = largest >= 1e6 ? [1e6, 'M'] : largest >= 1e4 ? [1e3, 'k'] : [1, ''];
  return minus(`${Number((value / divisor).toPrecision(6))}${size > 0 ? suffix : ''}`);
}

const tickTexts = (ticks) => ticks.map((tick) => tickText(tick, Math.max(...ticks.map(Math.abs))));

/** The labels of a linear axis with equal decimals, unless that needs more than four. */
function equalDecimals(texts) {
  const decimals = Math.max(...texts.map((text) => (/^−?[\d.]+$/.test(text) ? (text.split('.')[1] ?? '').length : 9)));
  if (decimals === 0 || decimals > 4) return texts;
  return texts.map((text) => (text === '0' ? text : minus(Number(text.replace('−', '-')).toFixed(decimals))));
}

/** The multiples of 1, 2 or 5 times a power of ten in a range, with at most `most` steps between them. */
function linearTicks([low, high], most) {
  const least = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(least));
  const digit = [1, 2, 5, 10].find((step) => step * power >= least * (1 - 1e-9));
  const decimals = Math.max(0, -Math.floor(Math.log10(digit * power) + 1e-9));
  const step = digit * power;
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++) ticks.push(decimals <= 15 ? Number((n * step).toFixed(decimals)) : n * step);
  return ticks;
}

/**
 * 1, 2 and 5 times the powers of ten in a range; the powers alone if these are more than `most`, and of a narrow range
 * the ticks of a linear axis.
 */
function logTicks([low, high], most) {
  const decades = Math.log10(high / low);
  const ticks = [];
  const digits = 3 * decades > most ? [1] : [1, 2, 5];
  const stride = Math.max(1, Math.ceil(decades / most));
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += stride) {
    for (const digit of digits) {
      const tick = Number((digit * 10 ** power).toPrecision(3));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks.length >= 3 ? ticks : linearTicks([low, high], 6);
}
