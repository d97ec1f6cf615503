/*
 * Lines: numbers over steps, and entropies by position.
 */

/**
 * Draws lines with their names at the ends. `lines` are `{name, points, style, faint}`, a point is `[x, y, low, high]` with
 * a null for a number that does not exist; equal x of all lines are one place of the pointer. Options: `xTitle`, `format` of
 * a value, `heading` of a place in the tooltip, `mark` an x to mark, `choose` what a click on a place does, `base` what the axis
 * holds: `zero` begins at 0, `notNegative` does not go below it, `aroundZero` holds 0 and the whole of each band.
 */
function drawLines(target, caption, lines, options) {
  const { xTitle, format, heading, mark = null, choose = null, base = 'data' } = options;
  const drawn = lines.filter((line) => line.points.some((point) => point[1] !== null));
  const named = drawn.filter((line) => !line.faint && line.name);
  const points = drawn.flatMap((line) => line.points).filter((point) => point[1] !== null);
  if (points.length === 0) {
    clearChart(target);
    target.moveMark = null;
    return;
  }
  const xs = [...new Set(points.map((point) => point[0]))].sort((a, b) => a - b);
  const [low, high, reach] = valueAxis(drawn, base);
  const isCut = reach !== null && (reach[0] < low || reach[1] > high);
  const words = isCut ? `${caption}; bands reach ${figure(reach[0])} to ${figure(reach[1])}, beyond the axis` : caption;
  target.hidden = false;
  const room = named.length > 1 ? Math.min(Math.max(...named.map((line) => boldWidth(line.name))) + 10, 140, (target.clientWidth || 480) * 0.32) : 8;
  const ticks = roundTicks(low, high, 5);
  drawChart(target, words, (plot, svg) => {
    const edge = xs.length > 1 ? xs[xs.length - 1] - xs[0] : 1;
    const x = (value) => plot.left + ((plot.right - plot.left) * (value - xs[0])) / edge;
    const y = (value) => plot.bottom - ((plot.bottom - plot.top) * (Math.min(Math.max(value, low), high) - low)) / (high - low);
    const path = (line) => line.points.map((point, i) =>
      point[1] === null ? '' : `${i > 0 && line.points[i - 1][1] !== null ? 'L' : 'M'}${x(point[0])} ${y(point[1])}`).join('');
    const bands = drawn.filter((line) => !line.faint).flatMap((line) => runsOf(line.points).map((run) => makeSvg('path', {
      class: `band ${line.style}`,
      d: `M${run.map((point) => `${x(point[0])} ${y(point[3])}`).join('L')}L${run.toReversed().map((point) => `${x(point[0])} ${y(point[2])}`).join('L')}Z`,
    })));
    // Of many points, only those that no line reaches.
    const isAlone = (line, i) => [line.points[i - 1], line.points[i + 1]].every((point) => !point || point[1] === null);
    const dots = drawn.filter((line) => !line.faint).flatMap((line) => line.points.map((point, i) =>
      point[1] === null || (line.points.length >= 30 && !isAlone(line, i)) ? null : makeSvg('circle', { class: `dot ${line.style}`, cx: x(point[0]), cy: y(point[1]), r: 2.6 })));
    const now = mark === null ? null : makeSvg('path', { class: 'now' });
    target.moveMark = (at) => now?.setAttribute('d', `M${x(at)} ${plot.top - 6}V${plot.bottom}`);
    target.moveMark(mark);
    pointer(svg, plot, xs, x, (at) => [heading(at), ...named.map((line) => ({ line, point: line.points.find((point) => point[0] === at) }))
      .filter(({ point }) => point && point[1] !== null)
      .sort((a, b) => b.point[1] - a.point[1])
      .map(({ line, point }) => `${line.name || 'value'}: ${format(point[1])}${point[3] === null || point[3] === undefined ? '' : ` [${format(point[2])}, ${format(point[3])}]`}`)], choose);
    return [
      ...ticks.flatMap((value) => gridLine(plot, y(value), tickText(value))),
      now,
      ...bands,
      ...drawn.map((line) => makeSvg('path', { class: line.faint ? 'line faint' : `line ${line.style}`, d: path(line) })),
      ...dots,
      ...xTicks(xs, x, plot),
      xName(plot, xTitle),
      ...(named.length > 1 ? endNames(named, x, y, plot, room - 10) : []),
    ];
  }, { top: 12, right: room + 6, left: Math.max(...ticks.map((value) => widthOf(tickText(value))), 24) + 14 });
}

/** How far beyond the lines the axis holds bands, as a multiple of the span of the lines or of half of the largest value; as in the pictures of `tokens`. */
const MAX_BAND = 1.5;

/** The ends of the value axis, and the lowest and the highest end of the drawn bands; null without bands. */
function valueAxis(lines, base) {
  const values = lines.flatMap((line) => line.points).map((point) => point[1]).filter((value) => value !== null);
  const bands = lines.filter((line) => !line.faint).flatMap((line) => runsOf(line.points)).flat();
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const room = base === 'aroundZero' ? Infinity : MAX_BAND * Math.max(high - low, 0.5 * Math.max(Math.abs(high), Math.abs(low)));
  const reach = bands.length === 0 ? null : [Math.min(...bands.map((point) => point[2])), Math.max(...bands.map((point) => point[3]))];
  if (reach) [low, high] = [Math.min(low, Math.max(reach[0], low - room)), Math.max(high, Math.min(reach[1], high + room))];
  if (base === 'zero') low = Math.min(0, ...values);
  else if (base === 'notNegative') low = Math.max(low, 0);
  else if (base === 'aroundZero') [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  if (base !== 'zero' && low > 0 && low < 0.34 * high) low = 0;
  const half = (Math.abs(high) || 1) / 2;
  return high === low ? [low - half, high + half, reach] : [low, high, reach];
}

/** Runs of points with an interval. */
function runsOf(points) {
  const runs = [[]];
  for (const point of points) {
    if (point[1] !== null && point[2] !== null && point[2] !== undefined) runs[runs.length - 1].push(point);
    else runs.push([]);
  }
  return runs.filter((run) => run.length > 1);
}

/** Labels of x values: of the values themselves if they are few, else round numbers. */
function xTicks(xs, x, plot) {
  const few = xs.length <= 12;
  const ticks = few ? xs : roundTicks(xs[0], xs[xs.length - 1], Math.max((plot.right - plot.left) / 70, 2));
  let last = -Infinity;
  return ticks.map((value) => {
    const words = tickText(value);
    if (x(value) - last < widthOf(words) + 12) return null;
    last = x(value);
    return text(x(value), plot.bottom + 15, 'middle', words);
  });
}

/** The names of lines at their ends, pushed apart. */
function endNames(lines, x, y, plot, width) {
  const ends = lines.map((line) => {
    const point = line.points.findLast((point) => point[1] !== null);
    return { line, from: [x(point[0]), y(point[1])], at: y(point[1]) };
  }).sort((a, b) => a.at - b.at);
  for (let round = 0; round < 60; round += 1) {
    for (let i = 1; i < ends.length; i += 1) {
      const overlap = 14 - (ends[i].at - ends[i - 1].at);
      if (overlap > 0) [ends[i - 1].at, ends[i].at] = [ends[i - 1].at - overlap / 2, ends[i].at + overlap / 2];
    }
    for (const end of ends) end.at = Math.min(Math.max(end.at, plot.top), plot.bottom);
  }
  return ends.map(({ line, at }) => text(plot.right + 8, at + 4, 'start', shortText(line.name, width / 1.2), `name-of ${line.style}`));
}

/** Shows a tooltip at the place nearest to the pointer, and calls `choose` with it on a click. */
function pointer(svg, plot, xs, x, words, choose) {
  const nearest = (event) => {
    const [at] = pointIn(svg, event);
    return xs.reduce((best, value) => (Math.abs(x(value) - at) < Math.abs(x(best) - at) ? value : best), xs[0]);
  };
  svg.addEventListener('mousemove', (event) => {
    const at = nearest(event);
    svg.querySelector('.here')?.remove();
    svg.prepend(makeSvg('path', { class: 'here', d: `M${x(at)} ${plot.top}V${plot.bottom}` }));
    showTip(svg, x(at), (plot.top + plot.bottom) / 2, words(at));
  });
  svg.addEventListener('mouseleave', () => {
    svg.querySelector('.here')?.remove();
    hideTip(svg);
  });
  if (choose) {
    svg.classList.add('clickable');
    svg.addEventListener('click', (event) => choose(nearest(event)));
  }
}

/** Lines over the steps of the chosen source: `of` gives `[value, low, high]` of a step, or null. */
function overSteps(target, caption, series, format, base = 'data') {
  const places = ofSource();
  if (places.length < 2) {
    clearChart(target);
    return;
  }
  if (!isStale(target)) {
    target.moveMark?.(chosenStep().step);
    return;
  }
  const lines = series.map(({ name, style, of }, i) => ({
    name, style: style ?? `c${i % 8}`,
    points: places.map((place) => {
      const found = of(steps[place]);
      const [value, low, high] = found === null || found === undefined ? [null] : [found].flat();
      return [steps[place].step, value ?? null, low ?? null, high ?? null];
    }),
  }));
  drawLines(target, caption, lines, {
    xTitle: 'step', format, base, heading: (at) => `step ${at}`, mark: chosenStep().step,
    choose: (at) => choose(places.find((place) => steps[place].step === at)),
  });
}

/** Mean entropy by position in the responses of the chosen step; faint: the other steps. */
function drawProfile(target) {
  const bins = (step) => sliceOf(step)?.[view.positions] ?? [];
  const width = view.positions === 'tenths' ? 10 : settings.position_width;
  const unit = view.positions === 'tenths' ? 5 : (settings.position_width - 1) / 2;
  // Positions of fewer than three responses are left out: their intervals span the picture.
  const points = (step) => bins(step).map(([, n, mean, low, high], i) => [i * width + unit, n < 3 && bins(step)[0][1] >= 3 ? null : mean, low, high]);
  const others = ofSource().filter((place) => place !== view.step);
  const lines = [
    ...others.map((place) => ({ name: '', style: '', faint: true, points: points(steps[place]) })),
    { name: stepName(chosenStep()), style: 'c0', points: points(chosenStep()) },
  ];
  const what = view.positions === 'tenths' ? 'by tenth of the response' : width === 1 ? 'by token of the response' : `by position, in bins of ${width} tokens`;
  drawLines(target, `Mean entropy ${what} (nats)${others.length > 0 ? '; faint: other steps' : ''}`, lines, {
    xTitle: view.positions === 'tenths' ? 'position in the response (%)' : 'token of the response', format: nats,
    heading: (at) => binName(Math.round((at - unit) / width)), base: 'zero',
    choose: (at) => chooseCell(view.step, Math.round((at - unit) / width)),
  });
}

