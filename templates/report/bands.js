// --- Groups of runs: a mean and a band ------------------------------------------------------------------
//
// The program computes the lines of the groups (band.rs of entropy-history) for the smoothing that the page opens
// with, and without smoothing. For another weight they are computed here by the same rules: runs are smoothed first
// and averaged where every run that covers a step has a value. If the page does not have every point of the runs,
// the mean and the ends of its band are smoothed instead.

/** The groups of a panel as entries like runs: they have `members`, and their trace has `lineAt(weight)`. */
function decodeGroups(bands, runs) {
  if (!bands) return [];
  const { factors, interpolated } = bands;
  return bands.groups.map((group, index) => {
    const lines = group.lines.map((line) => ({ ...joinSegments(line.segments), weight: line.weight, every: line.every }));
    const [base] = lines;
    const members = group.members.map((at) => runs[at]);
    const entry = {
      index, members, label: group.name, name: group.name, quantity: members[0].quantity, style: group.style === null ? 'unstyled' : `s${group.style}`,
      exact: true, from: base.x, to: base.x, steps: base.x, y: base.mean, ticks: null,
      runsAt: base.runsAt, stats: { last: base.mean.at(-1) ?? null, state_step: null, joints: [] },
    };
    const isComputable = members.every((run) => run.exact) && base.every === 1;
    const traces = members.map((run) => traceOf(run, 'step', null));
    const cache = new Map();
    const compute = (weight) => {
      if (isComputable) return meanLine(traces, (trace) => smoothed(trace, weight), group.has_band ? factors : [], interpolated);
      const counts = new Float64Array(base.x.length).fill(base.every);
      return { mean: movingAverage(base.mean, counts, weight), low: movingAverage(base.low, counts, weight), high: movingAverage(base.high, counts, weight) };
    };
    const trace = {
      run: entry, x: base.x, y: base.mean, breaks: base.breaks, segments: base.segments, runsAt: base.runsAt, counts: null, indices: null, traces, isComputable, every: base.every,
      lineAt: (weight) => lines.find((line) => line.weight === weight) ?? remembered(cache, weight, () => compute(weight)),
      computeAt: compute,
    };
    entry.traces = { step: base.x.length > 0 ? trace : null, relative: null, time: null };
    return entry;
  });
}

/** The segments of a line in one list of positions, with NaN where there is no band. */
function joinSegments(segments) {
  const parts = segments.map((segment) => {
    const [x, mean] = [decodeNumbers(segment.steps), decodeNumbers(segment.mean)];
    const end = (list) => (list ? decodeNumbers(list) : new Float64Array(x.length).fill(NaN));
    return { runs: segment.runs, x, mean, low: end(segment.low), high: end(segment.high) };
  });
  const all = (key) => Float64Array.from(parts.flatMap((part) => [...part[key]]));
  return { ...segmentBounds(parts.map(({ runs, x }) => [runs, x.length])), x: all('x'), mean: all('mean'), low: all('low'), high: all('high') };
}

/** Where segments with these numbers of runs and points begin and end. */
function segmentBounds(counts) {
  const total = counts.reduce((sum, [, length]) => sum + length, 0);
  const [breaks, runsAt, segments] = [new Uint8Array(total), new Uint32Array(total), []];
  let from = 0;
  for (const [runs, length] of counts) {
    segments.push({ runs, from, to: from + length });
    breaks[from] = 1;
    runsAt.fill(runs, from, from + length);
    from += length;
  }
  return { breaks, runsAt, segments };
}

/**
 * The mean of some traces and its band: `factors[n]` standard deviations of n runs to either side, or the extremes
 * if it is null. A segment ends where other runs cover the steps.
 */
function meanLine(traces, valuesOf, factors, interpolated) {
  const steps = Float64Array.from(new Set(traces.flatMap(({ x }) => [...x]))).sort();
  const cursors = traces.map((trace) => ({ trace, values: valuesOf(trace), at: 0, segment: 0 }));
  const segments = [];
  let covered = null;
  for (const step of steps) {
    const [indices, values] = [[], []];
    for (const cursor of cursors) {
      const { trace: { x, breaks }, values: y } = cursor;
      while (cursor.at < x.length && x[cursor.at] < step) cursor.segment += breaks[++cursor.at] ?? 0;
      const { at } = cursor;
      const isLogged = x[at] === step;
      const isBetween = !isLogged && at > 0 && at < x.length && breaks[at] !== 1;
      indices.push(isLogged || isBetween ? cursor.segment : -1);
      if (isLogged) values.push(y[at]);
      else if (isBetween) values.push(interpolated ? y[at - 1] + (y[at] - y[at - 1]) * ((step - x[at - 1]) / (x[at] - x[at - 1])) : NaN);
    }
    const key = indices.join();
    if (key !== covered) segments.push({ runs: values.length, x: [], rows: [] });
    covered = key;
    if (values.length > 0 && !values.some(Number.isNaN)) {
      segments.at(-1).x.push(step);
      segments.at(-1).rows.push(values);
    }
  }
  const kept = segments.filter(({ runs, x }) => runs >= Math.min(traces.length, 2) && x.length > 0);
  const rows = kept.flatMap((segment) => segment.rows);
  const mean = rows.map((values) => values.reduce((sum, value) => sum + value / values.length, 0));
  const half = rows.map((values, i) => {
    const squares = values.reduce((sum, value) => sum + (value - mean[i]) ** 2, 0);
    return (factors?.[values.length] ?? NaN) * Math.sqrt(squares / (values.length - 1));
  });
  const end = (sign, extreme) => Float64Array.from(rows, (values, i) => (factors ? mean[i] + sign * half[i] : values.length > 1 ? extreme(...values) : NaN));
  return { x: Float64Array.from(kept.flatMap(({ x }) => x)), mean: Float64Array.from(mean), low: end(-1, Math.min), high: end(1, Math.max) };
}
