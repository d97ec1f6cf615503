// --- From the document to curves ---------------------------------------------------------------------
//
// src/report/page/{numbers,series}.rs say how points are embedded. A track is a run over what the x axis
// counts: places in increasing order, with what stands at each.

/** The numbers of a list. */
function numbers(list) {
  if (list.stretches) {
    const values = new Float64Array(list.stretches.reduce((sum, stretch) => sum + stretch[2], 0));
    let at = 0;
    for (const [first, stride, count] of list.stretches) {
      for (let i = 0; i < count; i++) values[at++] = first + stride * i;
    }
    return values;
  }
  const text = atob(list.deltas ?? list.f32 ?? list.f64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  if (list.deltas !== undefined) return fromDeltas(bytes, 10 ** list.decimals);
  const view = new DataView(bytes.buffer);
  const size = list.f32 === undefined ? 8 : 4;
  return Float64Array.from({ length: bytes.length / size }, (_, i) =>
    size === 8 ? view.getFloat64(i * 8, true) : view.getFloat32(i * 4, true));
}

/** LEB128 of zigzagged differences; sums stay below 2^53. */
function fromDeltas(bytes, divisor) {
  const values = [];
  let [whole, rest, unit] = [0, 0, 1];
  for (const byte of bytes) {
    rest += (byte & 0x7f) * unit;
    unit *= 128;
    if (byte & 0x80) continue;
    whole += rest % 2 === 0 ? rest / 2 : -(rest + 1) / 2;
    values.push(whole / divisor);
    [rest, unit] = [0, 1];
  }
  return Float64Array.from(values);
}

/** The runs of a document, decoded. */
function decode(data) {
  const grids = data.grids.map(numbers);
  return data.runs.map((entry, index) => {
    const { series, stats } = entry;
    const exact = series.values !== undefined;
    const y = numbers(exact ? series.values : series.mean);
    const breaks = new Uint8Array(y.length);
    for (const at of series.gaps) breaks[at] = 1;
    const from = grids[exact ? series.steps : series.from];
    const to = grids[exact ? series.steps : series.to];
    return {
      index, stats, exact, y, breaks, from, to,
      label: stats.label,
      name: stats.label.slice(data.prefix.length),
      quantity: entry.quantity,
      style: entry.style === null ? 'crowd' : `s${entry.style}`,
      steps: exact ? from : from.map((step, i) => (step + to[i]) / 2),
      counts: exact ? null : numbers(series.counts),
      low: exact ? y : numbers(series.low),
      high: exact ? y : numbers(series.high),
      ticks: series.time ? numbers(series.time.ticks) : null,
      tick: series.time ? series.time.unit : null,
      tracks: {},
    };
  });
}

const UNITS = [['d', 'days', 86400, 259200], ['h', 'hours', 3600, 10800], ['min', 'minutes', 60, 180], ['s', 'seconds', 1, 0]];

/** The unit that the longest of the runs is best told in: symbol, name, seconds. */
function unitOf(runs) {
  const longest = Math.max(0, ...runs.filter((run) => run.ticks).map((run) => run.tick * run.ticks.reduce((a, b) => Math.max(a, b), 0)));
  return UNITS.find(([, , , from]) => longest >= from);
}

/** The run over steps, steps since its first, or time; null if it has no place there. */
function trackOf(run, axis, unit) {
  const known = run.tracks[axis];
  if (known !== undefined) return known;
  let track;
  if (axis === 'time') {
    track = run.ticks ? inTime(run, unit[2]) : null;
  } else {
    const first = axis === 'relative' ? run.from[0] : 0;
    const x = first === 0 ? run.steps : run.steps.map((step) => step - first);
    track = { run, x, y: run.y, low: run.low, high: run.high, counts: run.counts, breaks: run.breaks, places: null };
  }
  if (track) track.smooth = new Map();
  run.tracks[axis] = track;
  return track;
}

/** Sorted by time; of places with one time the later counts, and what has no time is left out. */
function inTime(run, seconds) {
  const places = [];
  for (let i = 0; i < run.y.length; i++) if (run.ticks[i] >= 0) places.push(i);
  if (places.length === 0) return null;
  const broken = new Set();
  let before = 0;
  for (const place of places) {
    for (let i = before; i <= place; i++) if (run.breaks[i]) broken.add(place);
    before = place + 1;
  }
  places.sort((a, b) => run.ticks[a] - run.ticks[b] || a - b);
  const kept = places.filter((place, i) => i + 1 === places.length || run.ticks[place] !== run.ticks[places[i + 1]]);
  const take = (list) => Float64Array.from(kept, (place) => list[place]);
  return {
    run, places: kept,
    x: Float64Array.from(kept, (place) => (run.ticks[place] * run.tick) / seconds),
    y: take(run.y), low: take(run.low), high: take(run.high),
    counts: run.counts ? take(run.counts) : null,
    breaks: Uint8Array.from(kept, (place) => (broken.has(place) ? 1 : 0)),
  };
}

/**
 * TensorBoard's exponential moving average, as src/stats/smooth.rs has it: last = w·last + (1 − w)·y, shown
 * divided by 1 − w^n; a constant series is left alone. A bucket of n steps counts as n steps of its mean.
 */
function smoothed(track, weight) {
  if (weight === 0) return track.y;
  const known = track.smooth.get(weight);
  if (known) return known;
  const { y, counts } = track;
  const values = new Float64Array(y.length);
  if (y.every((value) => value === y[0])) {
    values.set(y);
  } else {
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
  }
  if (track.smooth.size > 2) track.smooth.clear(); // the slider passes many weights
  track.smooth.set(weight, values);
  return values;
}

/** The first index whose value is not below `x`. */
function firstFrom(values, x) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of the value nearest to `x`. */
function nearest(values, x) {
  const at = firstFrom(values, x);
  if (at === values.length) return at - 1;
  return at > 0 && x - values[at - 1] <= values[at] - x ? at - 1 : at;
}

