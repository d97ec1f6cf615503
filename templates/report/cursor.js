// --- The values at the cursor ---------------------------------------------------------------------------
//
// A reading is the value of one trace at the cursor: its index in the trace (`at`), its index in the run (`point`),
// and whether it is exactly at the cursor.

const MAX_READINGS = 8; // in the tooltip

/** The position nearest to `x`, within a range, where a trace has a point; null if there is none. */
function snapToPoint(traces, x, [low, high]) {
  let best = null;
  for (const trace of traces) {
    const position = trace.x[nearestIndex(trace.x, x)];
    if (position < low || position > high) continue;
    if (best === null || Math.abs(position - x) < Math.abs(best - x)) best = position;
  }
  return best;
}

/** The next position after `cursor` in a direction (1 or -1) where a trace has a point, or the last one if `far`. */
function nextPosition(traces, cursor, [low, high], direction, far) {
  const forward = direction > 0;
  let next = null;
  for (const { x } of traces) {
    let at;
    if (far) at = forward ? lowerBound(x, low) : lowerBound(x, high + 1e-12) - 1;
    else if (cursor === null) at = lowerBound(x, low);
    else at = forward ? lowerBound(x, cursor + Math.abs(cursor) * 1e-12 + 1e-12) : lowerBound(x, cursor) - 1;
    if (at < 0 || at >= x.length || x[at] > high || x[at] < low) continue;
    if (next === null || (x[at] < next) === forward) next = x[at];
  }
  return next;
}

/** The readings at `x`: for each trace the nearest point that is at most half a step of the trace away. */
function readingsAt(traces, x, weight) {
  if (x === null) return [];
  const readings = traces.map((trace) => {
    const at = nearestIndex(trace.x, x);
    const distance = Math.abs(trace.x[at] - x);
    const stride = Math.max(at > 0 ? trace.x[at] - trace.x[at - 1] : 0, at + 1 < trace.x.length ? trace.x[at + 1] - trace.x[at] : 0);
    if (distance > 0.5001 * stride) return null;
    const point = trace.indices ? trace.indices[at] : at;
    return { run: trace.run, trace, at, point, value: smoothed(trace, weight)[at], isExact: distance === 0 };
  });
  return readings.filter((reading) => reading !== null);
}

/** The step of a reading, or the steps of its bucket. */
const stepsOf = ({ run, point }) =>
  run.from[point] === run.to[point] ? `step ${stepText(run.from[point])}` : `steps ${stepText(run.from[point])}–${stepText(run.to[point])}`;

/** The exact logged value of a reading; of a bucket the numbers that stand for it. */
function loggedText({ run, point }) {
  if (run.exact) return exactly(run.y[point]);
  const n = run.counts[point];
  return n === 1 ? short(run.y[point]) : `${short(run.y[point])} mean of ${plural(n, 'step', 'steps')}, ${short(run.low[point])}–${short(run.high[point])}`;
}

/** The band of a group, and how many runs it is of if these are not all. */
function bandText(trace, at, weight, format) {
  const { low, high } = trace.lineAt(weight);
  const few = trace.runsAt[at] < trace.traces.length ? [plural(trace.runsAt[at], 'run', 'runs')] : [];
  return [...(Number.isNaN(low[at]) ? [] : [`${format(low[at])}–${format(high[at])}`]), ...few].join(', ');
}

/** The position of the cursor as text. */
function cursorText(cursor, axis, unit, readings) {
  if (axis === 'time') return `${short(cursor)} ${unit[0]}`;
  if (axis === 'relative') return `${stepText(cursor)} steps in`;
  const first = readings.find((reading) => reading.isExact) ?? readings[0];
  return first ? stepsOf(first) : `step ${stepText(cursor)}`;
}

/**
 * The content of the tooltip: the readings nearest to the pointer, the highest value first. Values have four
 * significant digits; those of a cursor that a click fixed are exact.
 */
function tooltipContent(title, nearest, highlighted, { axis, weight, isFixed }) {
  const shown = nearest.slice(0, MAX_READINGS).sort((a, b) => b.value - a.value || a.run.index - b.run.index);
  const rows = shown.map((reading) => {
    const { run, trace, at, point } = reading;
    const details = [];
    if (run.members) details.push(bandText(trace, at, weight, isFixed ? exactly : brief));
    else if (isFixed && (weight > 0 || !run.exact)) details.push(weight > 0 ? `logged ${loggedText(reading)}` : loggedText(reading).replace(/^\S+ /, ''));
    else if (weight > 0) details.push(`(${brief(run.y[point])})`);
    else if (!run.exact && run.counts[point] > 1) details.push(`${brief(run.low[point])}–${brief(run.high[point])}`);
    if (axis !== 'step' || !reading.isExact) details.push(stepsOf(reading));
    const value = isFixed && run.exact ? exactly(reading.value) : brief(reading.value);
    return make('li', { class: run.label === highlighted ? 'highlighted' : null }, swatch(run), fittedName(run.name),
      make('span', { class: 'numbers' }, make('b', {}, value), ...details.flatMap((detail) => [' ', make('span', { class: 'muted' }, detail)])));
  });
  const more = nearest.length - shown.length;
  return [
    make('p', { class: 'at' }, isFixed || weight === 0 || shown.some(({ run }) => run.members) ? title : `${title}: smoothed (logged)`), make('ul', {}, rows),
    ...(more > 0 ? [make('p', { class: 'muted' }, `and ${more} more, in the list`)] : []),
  ];
}
