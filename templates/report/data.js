// --- From the document to traces ---------------------------------------------------------------------
//
// src/report/page/{numbers,series}.rs describe the encoding. A trace is a run indexed by the chosen x axis: the
// increasing positions `x`, and the values, bucket sizes and line breaks at each.

/** Decodes a list of numbers. */
function decodeNumbers(list) {
  if (list.stretches) {
    const values = new Float64Array(list.stretches.reduce((sum, stretch) => sum + stretch[2], 0));
    let at = 0;
    for (const [first, stride, count] of list.stretches) {
      for (let i = 0; i < count; i++) values[at++] = first + stride * i;
    }
    return values;
  }
  const bytes = bytesOf(list.deltas ?? list.f32 ?? list.f64);
  if (list.deltas !== undefined) return fromDeltas(bytes, 10 ** list.decimals);
  if (IS_LITTLE_ENDIAN) return list.f32 === undefined ? new Float64Array(bytes.buffer) : new Float64Array(new Float32Array(bytes.buffer));
  const [view, size] = [new DataView(bytes.buffer), list.f32 === undefined ? 8 : 4];
  return Float64Array.from({ length: bytes.length / size }, (_, i) => (size === 8 ? view.getFloat64(i * 8, true) : view.getFloat32(i * 4, true)));
}

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The bytes of a text in base64. */
function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** Decodes zigzag LEB128 differences; sums stay below 2^53. */
function fromDeltas(bytes, divisor) {
  const values = new Float64Array(bytes.length);
  let [whole, rest, unit, length] = [0, 0, 1, 0];
  for (let i = 0; i < bytes.length; i++) {
    rest += (bytes[i] & 0x7f) * unit;
    unit *= 128;
    if (bytes[i] & 0x80) continue;
    whole += rest % 2 === 0 ? rest / 2 : -(rest + 1) / 2;
    values[length++] = whole / divisor;
    rest = 0;
    unit = 1;
  }
  return values.slice(0, length);
}

/** Defines a property that is computed when it is first read. */
function lazily(object, key, compute) {
  Object.defineProperty(object, key, { configurable: true, get() {
    const value = compute();
    Object.defineProperty(object, key, { value });
    return value;
  } });
}

/** A run with its points decoded. `identity` has what does not depend on the series, `start` the first step of its entropy. */
function decodeSeries(series, grids, identity, start) {
  const exact = series.values !== undefined;
  const y = decodeNumbers(exact ? series.values : series.mean);
  const breaks = new Uint8Array(y.length);
  for (const at of series.gaps) breaks[at] = 1;
  const from = grids[exact ? series.steps : series.from];
  const to = grids[exact ? series.steps : series.to];
  const run = {
    ...identity, exact, y, breaks, from, to,
    start: start ?? from[0],
    steps: exact ? from : from.map((step, i) => (step + to[i]) / 2),
    counts: exact ? null : decodeNumbers(series.counts),
    ticks: series.time ? decodeNumbers(series.time.ticks) : null,
    tick: series.time ? series.time.unit : null,
    traces: {},
  };
  // Of many runs, only the means are drawn.
  for (const end of ['low', 'high']) lazily(run, end, () => (exact ? y : decodeNumbers(series[end])));
  return run;
}

/**
 * What the charts of a document show: the entropy, whose name is empty, and the panels of other quantities. Each has its runs and
 * its groups; a run has the same label, index and style in all.
 */
function decodePanels(data) {
  const grids = data.grids.map(decodeNumbers);
  const runs = data.runs.map((entry, index) => decodeSeries(entry.series, grids, {
    index, stats: entry.stats, label: entry.stats.label, name: entry.name, quantity: entry.quantity,
    style: entry.style === null ? 'unstyled' : `s${entry.style}`,
  }, null));
  const entropy = { name: '', title: 'entropy', keys: '', unit: 'nats', points: data.points, bands: data.bands, runs };
  const others = (data.panels ?? []).map((panel) => ({
    ...panel,
    title: panel.keys === panel.name || /[*?[]/.test(panel.name) ? panel.keys : panel.name,
    runs: panel.runs.map((entry) => {
      const { index, label, name, quantity, style, start, stats } = runs[entry.run];
      const own = { ...stats, last: entry.last, state_step: null, joints: [] };
      return decodeSeries(entry.series, grids, { index, label, name, quantity, style, stats: own }, start);
    }),
  }));
  return [entropy, ...others].map((panel) => ({ ...panel, groups: decodeGroups(panel.bands, panel.runs) }));
}

const UNITS = [['d', 'days', 86400, 259200], ['h', 'hours', 3600, 10800], ['min', 'minutes', 60, 180], ['s', 'seconds', 1, 0]];

/** The unit for the duration of the longest run: symbol, name, seconds. */
function unitOf(runs) {
  const longest = Math.max(0, ...runs.filter((run) => run.ticks).map((run) => run.tick * run.ticks.reduce((a, b) => Math.max(a, b), 0)));
  return UNITS.find(([, , , from]) => longest >= from);
}

/** The trace of a run over steps, steps since its first, or time; null if it has no clock. */
function traceOf(run, axis, unit) {
  const known = run.traces[axis];
  if (known !== undefined) return known;
  let trace;
  if (axis === 'time') {
    trace = run.ticks ? byTime(run, unit[2]) : null;
  } else {
    const first = axis === 'relative' ? run.start : 0;
    const x = first === 0 ? run.steps : run.steps.map((step) => step - first);
    trace = { run, x, y: run.y, counts: run.counts, breaks: run.breaks, indices: null };
    for (const end of ['low', 'high']) lazily(trace, end, () => run[end]);
  }
  if (trace) trace.smooth = new Map();
  run.traces[axis] = trace;
  return trace;
}

const UNKNOWN_TICK = -1e9; // of a point without a known time

/** The trace over time; of points with equal times only the last is kept, points without a time are dropped. */
function byTime(run, seconds) {
  const timed = [];
  for (let i = 0; i < run.y.length; i++) if (run.ticks[i] > UNKNOWN_TICK) timed.push(i);
  if (timed.length === 0) return null;
  const broken = new Set();
  let next = 0;
  for (const index of timed) {
    for (let i = next; i <= index; i++) if (run.breaks[i]) broken.add(index);
    next = index + 1;
  }
  timed.sort((a, b) => run.ticks[a] - run.ticks[b] || a - b);
  const indices = timed.filter((index, i) => i + 1 === timed.length || run.ticks[index] !== run.ticks[timed[i + 1]]);
  const take = (list) => Float64Array.from(indices, (index) => list[index]);
  return {
    run, indices,
    x: Float64Array.from(indices, (index) => (run.ticks[index] * run.tick) / seconds),
    y: take(run.y), low: take(run.low), high: take(run.high),
    counts: run.counts ? take(run.counts) : null,
    breaks: Uint8Array.from(indices, (index) => (broken.has(index) ? 1 : 0)),
  };
}

/** The values of a trace that are drawn for a weight: a moving average, or the mean of a group. */
function smoothed(trace, weight) {
  if (trace.lineAt) return trace.lineAt(weight).mean;
  if (weight === 0) return trace.y;
  return remembered(trace.smooth, weight, () => movingAverage(trace.y, trace.counts, weight));
}

/** The value of a small cache; dragging the slider tries many weights. */
function remembered(cache, key, compute) {
  if (!cache.has(key)) {
    if (cache.size > 2) cache.clear();
    cache.set(key, compute());
  }
  return cache.get(key);
}

/**
 * TensorBoard's debiased exponential moving average, as in smooth.rs of entropy-history: last = w·last + (1 − w)·y,
 * divided by 1 − w^n; a constant series is unchanged. A bucket of n steps counts as n steps at its mean.
 */
function movingAverage(y, counts, weight) {
  const values = new Float64Array(y.length);
  if (weight === 0 || y.every((value) => value === y[0])) {
    values.set(y);
    return values;
  }
  let [last, left] = [0, 1];
  let [count, kept] = [1, weight];
  for (let i = 0; i < y.length; i++) {
    if (counts && counts[i] !== count) {
      count = counts[i];
      kept = weight ** count;
    }
    last = kept * last + (1 - kept) * y[i];
    left *= kept;
    values[i] = last / (1 - left);
  }
  return values;
}

/** The first index whose value is at least `x`; the length if there is none. */
function lowerBound(values, x) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of the value nearest to `x`. */
function nearestIndex(values, x) {
  const at = lowerBound(values, x);
  if (at === values.length) return at - 1;
  return at > 0 && x - values[at - 1] <= values[at] - x ? at - 1 : at;
}

