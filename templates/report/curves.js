// --- The section of curves: controls, chart, list of runs and cursor -------------------------------------

const MAX_WEIGHT = 0.999;
const NARROW = 420; // of the plot in CSS pixels: with less, the values at the cursor stand below it
const BOX = 30; // a drag selects a box if it goes further than this along both axes
const MIN_HEIGHT = 260; // of the chart in CSS pixels
const MARGIN_BELOW = 36; // below it: room for the line of keys

/** Creates the section in `root`; `view` has the reader's choices and is kept when the data change. */
function curveSection(root, view) {
  let [data, runs, groups, unit] = [null, [], [], null];
  const entries = () => (view.grouped ? groups : runs);
  let [plot, overlayCanvas, styleOf, frameRequest] = [null, null, null, 0];
  const [raster, overlayRaster] = [makeRaster(), makeRaster()];
  const ranges = { x: [0, 1], y: [0, 1] };

  // --- Elements

  const axes = make('fieldset', { class: 'segments' }, make('legend', { class: 'visually-hidden' }, 'x axis'));
  const log = make('input', { type: 'checkbox', id: 'log-y', onchange: () => { view.log = log.checked; rebuild(); } });
  const slider = make('input', { type: 'range', id: 'smoothing', min: 0, max: 0.99, step: 0.01, oninput: () => smooth(slider.value) });
  const weight = make('input', {
    type: 'number', min: 0, max: 0.999, step: 'any', 'aria-label': 'Weight of the moving average', onchange: () => smooth(weight.value),
  });
  const reset = smallButton('Reset', 'Show all', () => zoom(null, null));
  const kinds = make('fieldset', { class: 'segments', hidden: true }, make('legend', { class: 'visually-hidden' }, 'lines'));
  const controls = make('div', { class: 'controls' }, kinds, axes,
    make('span', { class: 'control' }, log, make('label', { for: 'log-y' }, 'Log y')),
    make('span', { class: 'control' }, make('label', { for: 'smoothing' }, 'Smoothing'), slider, weight),
    make('span', { class: 'control zoom' }, smallButton('−', 'Zoom out', () => zoomBy(2)), smallButton('+', 'Zoom in', () => zoomBy(0.5)), reset));

  const frame = make('div', {
    class: 'chart', id: 'chart', tabindex: '0', role: 'application', 'aria-roledescription': 'chart', 'aria-describedby': 'chart-words chart-keys',
  });
  const tip = make('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
  const empty = make('p', { class: 'empty', hidden: true });
  const spoken = make('p', { class: 'visually-hidden', 'aria-live': 'polite', id: 'chart-told' });
  const description = make('p', { class: 'muted', id: 'chart-words' });
  const keys = make('p', { class: 'muted keys', id: 'chart-keys' },
    'Zoom: drag, or Ctrl/⌘ + wheel; double-click: all. Click: exact values. Keys: ← → Home End Enter + − 0 Esc.');
  const list = runList(view, () => { scheduleRedraw(); view.changed(); }, () => view.noted(), (run) => { view.pointed = run; drawOverlay(); });
  const files = {
    PNG: () => new Promise((resolve) => { pictureCanvas().toBlob(resolve, 'image/png'); }),
    SVG: () => new Blob([pictureSvg()], { type: 'image/svg+xml' }),
    CSV: () => new Blob([csvOf(shownRows(visibleTraces(), ranges.x, view, unit))], { type: 'text/csv' }),
  };
  const downloads = downloadRow(files, () => data.title);
  root.replaceChildren(description, controls, make('div', { class: 'split' }, make('div', { class: 'main' }, frame, keys, downloads.element, spoken), list.element));

  // --- Visible range

  const isVisible = (entry) => isShown(view, entry);
  const visibleTraces = () => entries().filter(isVisible).map((entry) => traceOf(entry, view.axis, unit)).filter((trace) => trace !== null);
  const fontFamily = () => getComputedStyle(frame).fontFamily;
  const scene = () => ({
    traces: visibleTraces(), ranges, log: view.log, weight: view.weight, colours: pageColours(frame), styleOf, font: fontFamily(),
  });

  function updateRanges() {
    const all = fullRange(runs, view.axis, unit);
    // A range from an address may be of other data.
    if (view.range && (view.range[1] <= all[0] || view.range[0] >= all[1])) view.range = null;
    if (view.valueRange && view.log && view.valueRange[0] <= 0) view.valueRange = null;
    ranges.x = view.range ?? all;
    ranges.y = view.valueRange ?? fittingValueRange(visibleTraces(), ranges.x, view.log, view.weight);
  }

  function smooth(text) {
    const number = Number(text);
    view.weight = Number.isFinite(number) ? Math.min(Math.max(number, 0), MAX_WEIGHT) : 0;
    scheduleRedraw();
  }

  /** Shows a range of x, and a range of values or all of them; null for everything. */
  function zoom(range, values) {
    [view.range, view.valueRange] = [range, values];
    scheduleRedraw();
  }

  /** Zooms around a position, or the cursor, or the middle. */
  function zoomBy(factor, position = view.cursor) {
    const [first, last] = fullRange(runs, view.axis, unit);
    const [from, to] = view.range ?? [first, last]; // several turns of the wheel may come before the next frame
    const centre = position ?? (from + to) / 2;
    const width = Math.min((to - from) * factor, last - first);
    if (width >= last - first) return zoom(null, null);
    if (width < (last - first) * 1e-7) return undefined;
    const start = Math.min(Math.max(centre - (centre - from) * factor, first), last - width);
    return zoom([start, start + width], view.valueRange);
  }

  function chooseAxis(name) {
    if (view.axis === name) return;
    [view.axis, view.range, view.cursor, view.isFixed] = [name, null, null, false];
    rebuild();
  }

  function chooseKind(grouped) {
    [view.grouped, view.cursor, view.isFixed, view.pointed] = [grouped, null, false, null];
    if (grouped && view.axis !== 'step') [view.axis, view.range] = ['step', null];
    list.show(colouredFirst(entries()));
    rebuild();
  }

  function setCursor(position) {
    view.cursor = position;
    drawOverlay();
  }

  /** Fixes the cursor where it is, with exact values; at the same place again, or without a cursor, frees it. */
  function fix(position) {
    view.isFixed = position !== null && !(view.isFixed && position === view.cursor);
    setCursor(position);
  }

  // --- The chart

  function build() {
    plot?.destroy();
    [plot, overlayCanvas] = [null, null];
    styleOf = styleLookup(frame);
    updateRanges();
    const font = `12px ${fontFamily()}`;
    const axisOf = (more) => ({ stroke: () => pageColours(frame).muted, font, ticks: { show: false }, ...more });
    const options = {
      ...size(),
      padding: [10, 12, 0, 0],
      legend: { show: false },
      scales: { x: { time: false, range: () => ranges.x }, y: { distr: view.log ? 3 : 1, range: () => ranges.y } },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axisOf({ grid: { show: false }, gap: 8, size: 30, space: 68, label: axisTitle(view.axis, unit), labelSize: 22, labelFont: font, labelGap: 0,
          splits: () => xTicks(plot?.width ?? size().width), filter: (_, splits) => splits, values: (_, splits) => xTickTexts(splits, view.axis) }),
        axisOf({ grid: { stroke: () => pageColours(frame).hairline, width: 1 }, gap: 6, space: 42,
          size: (_, values) => 16 + 7.2 * Math.max(1, ...(values ?? []).map((value) => value.length)),
          splits: () => yTicks(plot?.height ?? size().height), filter: (_, splits) => splits, values: (_, splits) => yTickTexts(splits, view.log) }),
      ],
      cursor: {
        x: false, y: false, points: { show: false }, drag: { x: true, y: true, uni: BOX, setScale: false, dist: 4 },
        bind: { dblclick: () => () => { zoom(null, null); return null; } },
      },
      hooks: {
        draw: [
          (u) => drawCurves(u.ctx, u.bbox, uPlot.pxRatio, raster, scene()),
          () => { if (overlayCanvas) drawOverlay(); },
        ],
        setSelect: [(u) => {
          const { left, top, width, height } = u.select;
          if (width < 3 && height < 3) return;
          const isWhole = (length, all) => length >= all - 1; // a drag along one axis selects all of the other
          const xs = isWhole(width, u.over.clientWidth) ? view.range : [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')];
          const ys = isWhole(height, u.over.clientHeight) ? view.valueRange : [u.posToVal(top + height, 'y'), u.posToVal(top, 'y')];
          zoom(xs, ys);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [({ cursor: { left, top } }) => { if (left !== undefined && left >= 0 && !view.isFixed) pointTo(left, top); }],
      },
    };
    plot = new uPlot(options, plotData(), frame);
    overlayCanvas = make('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    plot.over.append(overlayCanvas);
    frame.append(tip, empty);
    let pressed = [0, 0];
    plot.over.addEventListener('pointerdown', (event) => { pressed = [event.clientX, event.clientY]; });
    plot.over.addEventListener('click', (event) => {
      if (Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4) return; // the end of a drag
      const { left, top } = plot.over.getBoundingClientRect();
      view.height = event.clientY - top;
      fix(snapToPoint(visibleTraces(), plot.posToVal(event.clientX - left, 'x'), ranges.x));
    });
    // A finger that leaves does not take the values with it.
    plot.over.addEventListener('pointerleave', (event) => { if (!view.isFixed && event.pointerType !== 'touch') setCursor(null); });
    // Without a key the wheel scrolls the page. A pinch on a touch pad comes as a wheel with Ctrl.
    plot.over.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoomBy(Math.exp(Math.min(Math.max(event.deltaY, -60), 60) / 100), plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, 'x'));
    }, { passive: false });
  }

  /** The ticks of the axes of a chart of this size. */
  const xTicks = (width) => linearTicks(ranges.x, Math.max(width / 68, 2));
  const yTicks = (height) => (view.log ? logTicks(ranges.y, Math.max(height / 30, 3)) : linearTicks(ranges.y, Math.min(Math.max(height / 42, 2), 9)));

  /** The data for uPlot: the range of x, and no values. */
  const plotData = () => [ranges.x, [null, null]];

  /** The size of the chart: it ends above the lower edge of the window if the texts above it leave room. */
  function size() {
    const width = Math.max(view.width ?? frame.clientWidth, 240);
    const wanted = Math.min(Math.max(0.52 * width, MIN_HEIGHT), 440);
    const room = innerHeight - (frame.getBoundingClientRect().top + scrollY) - MARGIN_BELOW;
    return { width, height: Math.round(view.width === null && room >= MIN_HEIGHT ? Math.min(wanted, room) : wanted) };
  }

  /** Redraws before the next frame, once for any number of calls. */
  function scheduleRedraw() {
    cancelAnimationFrame(frameRequest);
    frameRequest = requestAnimationFrame(redraw);
  }

  function redraw() {
    updateRanges();
    plot.setData(plotData(), true);
    updateTexts();
  }

  function rebuild() {
    build();
    updateTexts();
  }

  // --- Pictures to download

  function drawPicture(context, raster, pixel) {
    const shown = colouredFirst(entries().filter(isVisible));
    const ticks = (positions, texts) => positions.map((position, i) => [position, texts[i]]);
    const [xs, ys] = [xTicks(FIGURE.width - FIGURE.legend), yTicks(FIGURE.height - 150)];
    drawFigure(context, raster, pixel, scene(), { title: data.title, words: description.textContent, axis: axisTitle(view.axis, unit) },
      shown, { x: ticks(xs, xTickTexts(xs, view.axis)), y: ticks(ys, yTickTexts(ys, view.log)) });
  }

  function pictureCanvas() {
    const pixel = 2;
    const canvas = make('canvas', { width: FIGURE.width * pixel, height: FIGURE.height * pixel });
    drawPicture(canvas.getContext('2d'), makeRaster(), pixel);
    return canvas;
  }

  function pictureSvg() {
    const context = svgContext(FIGURE.width, FIGURE.height);
    drawPicture(context, svgLines(), 1);
    return context.document();
  }

  // --- Texts

  function updateTexts() {
    log.checked = view.log;
    slider.value = view.weight;
    const weightText = Number(view.weight.toFixed(4));
    if (document.activeElement !== weight) weight.value = weightText;
    slider.setAttribute('aria-valuetext', view.weight === 0 ? 'none' : `weight ${view.weight}`);
    reset.disabled = view.range === null && view.valueRange === null;
    for (const input of axes.querySelectorAll('input')) {
      input.checked = input.value === view.axis;
      input.parentElement.hidden = view.grouped && input.value !== 'step'; // means are over steps
    }
    axes.hidden = view.grouped;
    for (const input of kinds.querySelectorAll('input')) input.checked = (input.value === 'groups') === view.grouped;
    const visible = entries().filter(isVisible);
    empty.hidden = visible.length > 0;
    empty.textContent = view.onlyMatches && entries().every((entry) => !isMatch(view, entry)) ? 'No run matches the search.' : view.grouped ? 'All groups are hidden.' : 'All runs are hidden.';
    description.textContent = describe(visible, weightText).join(' · ');
    const [from, to] = ranges.x;
    const span = view.axis === 'time' ? `${short(from)} to ${short(to)} ${unit[1]}` : `${stepText(Math.round(from))} to ${stepText(Math.round(to))} steps`;
    const all = view.grouped ? plural(groups.length, 'group', 'groups') : plural(runs.length, 'run', 'runs');
    frame.setAttribute('aria-label', `Entropy of ${visible.length} of ${all}, ${span}, ` +
      `${short(ranges.y[0])} to ${short(ranges.y[1])} nats. The table of ${view.grouped ? 'groups' : 'runs'} has the numbers.`);
    downloads.showCommand(data.terminal, view);
    view.noted();
  }

  /** The description of the chart, in parts. */
  function describe(visible, weightText) {
    const isReduced = visible.some((run) => !run.exact);
    const few = visible.length <= MANY;
    const parts = [];
    if (data.quantity) parts.push(data.quantity);
    if (view.grouped) return [...parts, ...describeGroups(visible, weightText)];
    if (view.weight > 0) parts.push(`line: moving average (EMA) with weight ${weightText}` + (few ? `, faint: ${isReduced ? 'range of logged values' : 'logged values'}` : ''));
    else if (isReduced && few) parts.push('faint: range from min to max');
    if (isReduced) parts.push(`${count(data.points)} points are too many for one page: each shown point is the mean, min and max of neighbouring steps`);
    const unstyled = visible.filter(isUnstyled).length;
    if (unstyled > 0) parts.push(`${visible.length - unstyled} of ${plural(visible.length, 'run', 'runs')} in colour: collapsed, exploded, highest and lowest; grey: the others`);
    const withoutClock = visible.length - visibleTraces().length;
    if (withoutClock > 0) parts.push(`${plural(withoutClock, 'run has', 'runs have')} no clock and cannot be shown over time`);
    if (data.names_note) parts.push(data.names_note);
    return parts;
  }

  /** The description of means and bands, in parts. */
  function describeGroups(visible, weightText) {
    const traces = visibleTraces();
    const parts = [];
    const first = traces.every((trace) => trace.isComputable || trace.lineAt(view.weight).weight !== undefined);
    const how = first ? `, each smoothed by EMA with weight ${weightText} first` : `, smoothed by EMA with weight ${weightText} after averaging`;
    parts.push(`line: mean over runs${view.weight > 0 ? how : ''}`);
    if (traces.some((trace) => trace.lineAt(view.weight).low.some((low) => !Number.isNaN(low)))) parts.push(`band: ${data.bands.words}`);
    if (isWithMembers(traces) && (view.weight > 0 || traces.some((trace) => trace.traces.length > 1))) parts.push('faint: runs as logged');
    if (data.bands.interpolated) parts.push('interpolated between logged points');
    if (traces.some((trace) => trace.segments.some((segment) => segment.runs < trace.traces.length))) parts.push('dashed, lighter: fewer runs than n');
    const every = Math.max(1, ...traces.map((trace) => trace.every));
    if (every > 1) parts.push(`up to ${count(every - 1)} steps are left out between two points`);
    const without = visible.length - traces.length;
    if (without > 0) parts.push(`${plural(without, 'group has', 'groups have')} no mean: the runs share no step`);
    const alone = runs.filter((run) => !groups.some((group) => group.members.includes(run))).length;
    if (alone > 0) parts.push(`${plural(alone, 'run is', 'runs are')} in no group or not recorded`);
    return parts;
  }

  // --- The cursor

  /** Moves the cursor to a position in the plot area, in CSS pixels. */
  function pointTo(left, top) {
    view.height = top;
    setCursor(snapToPoint(visibleTraces(), plot.posToVal(left, 'x'), ranges.x));
  }

  function drawOverlay() {
    const pixel = uPlot.pxRatio;
    const { clientWidth, clientHeight } = plot.over;
    if (clientWidth === 0) return; // not laid out yet: the chart calls again
    const [width, height] = [Math.round(clientWidth * pixel), Math.round(clientHeight * pixel)];
    if (overlayCanvas.width !== width) overlayCanvas.width = width;
    if (overlayCanvas.height !== height) overlayCanvas.height = height;
    const context = overlayCanvas.getContext('2d');
    context.clearRect(0, 0, width, height);
    const shown = scene();
    const scale = scales({ left: 0, top: 0, width, height }, ranges.x, ranges.y, view.log);
    const readings = readingsAt(shown.traces, view.cursor, view.weight);
    const distance = (reading) => Math.abs(scale.y(reading.value) - view.height * pixel);
    const nearest = [...readings].sort((a, b) => distance(a) - distance(b));
    const nearPointer = nearest.length > 1 && distance(nearest[0]) < 24 * pixel ? nearest[0].run : null;
    const highlighted = view.pointed ?? nearPointer;
    const trace = shown.traces.find((other) => other.run === highlighted);
    if (trace) drawHighlight(context, pixel, overlayRaster, scale, trace, shown);
    if (readings.length > 0) drawCursor(context, pixel, scale, view.cursor, readings.length <= MAX_LABELLED ? readings : nearest.slice(0, MAX_READINGS), shown);
    showListValues(readings);
    showTip(readings, nearest, highlighted);
  }

  /** Says of how many runs the mean of a group is at a point, if these are not all. */
  function partOfGroup(run, point) {
    return run.members && run.runsAt[point] < run.members.length ? ` (${plural(run.runsAt[point], 'run', 'runs')})` : '';
  }

  /** Shows the values at the cursor in the list; the last values without a cursor. */
  function showListValues(readings) {
    if (view.cursor === null) {
      list.showValues(`at the last step of each ${view.grouped ? 'mean' : 'run'}`, (run) => (run.stats.last === null ? 'no mean' : brief(run.stats.last) + partOfGroup(run, run.y.length - 1)));
      return;
    }
    const known = new Map(readings.map((reading) => [reading.run, reading]));
    const format = view.isFixed ? exactly : brief;
    list.showValues(`at ${cursorText(view.cursor, view.axis, unit, readings)}`, (run) => {
      const reading = known.get(run);
      if (!reading) return '';
      if (run.members) return format(reading.value) + partOfGroup(run, reading.point);
      return (run.exact ? format : brief)(run.y[reading.point]);
    });
  }

  function showTip(readings, nearest, highlighted) {
    tip.hidden = readings.length === 0;
    if (tip.hidden) return;
    tip.replaceChildren(...tooltipContent(cursorText(view.cursor, view.axis, unit, readings), nearest, highlighted, view));
    const width = plot.over.clientWidth;
    const isStrip = width < NARROW; // below the chart, where a third of it has no room for names
    tip.classList.toggle('strip', isStrip);
    tip.classList.toggle('exact', view.isFixed);
    tip.style.maxWidth = isStrip ? 'none' : `${Math.floor(width / 3)}px`;
    if (isStrip) return;
    const [x, room] = [plot.over.offsetLeft + plot.valToPos(view.cursor, 'x'), frame.clientWidth];
    const left = x + 14 + tip.offsetWidth <= room ? x + 14 : Math.max(x - 14 - tip.offsetWidth, 0);
    tip.style.left = `${Math.min(left, Math.max(room - tip.offsetWidth, 0))}px`;
    tip.style.top = `${plot.over.offsetTop + 4}px`;
  }

  /** Moves the cursor to the next point in a direction, or to the end, and announces the values there. */
  function moveCursor(direction, far = false) {
    const next = nextPosition(visibleTraces(), view.cursor, ranges.x, direction, far);
    if (next === null) return;
    view.isFixed = false;
    setCursor(next);
    const readings = readingsAt(visibleTraces(), next, view.weight);
    speak(readings, short);
  }

  function speak(readings, format) {
    const values = readings.slice(0, MAX_READINGS).map((reading) => `${reading.run.name} ${format(reading.value)}`);
    const more = readings.length - values.length;
    spoken.textContent = `${cursorText(view.cursor, view.axis, unit, readings)}: ${values.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  }

  /** Fixes the cursor of the keyboard and announces exact values. */
  function fixByKey() {
    if (view.cursor === null) return;
    fix(view.cursor);
    speak(readingsAt(visibleTraces(), view.cursor, view.weight), view.isFixed ? exactly : short);
  }

  frame.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = {
      ArrowRight: () => moveCursor(1), ArrowLeft: () => moveCursor(-1), Home: () => moveCursor(1, true), End: () => moveCursor(-1, true),
      '+': () => zoomBy(0.5), '=': () => zoomBy(0.5), '-': () => zoomBy(2), 0: () => zoom(null, null), Enter: fixByKey, Escape: () => fix(null),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  frame.addEventListener('blur', () => { if (!view.isFixed) setCursor(null); });
  // Touch has no hover: dragging a finger moves the cursor.
  frame.addEventListener('pointermove', (event) => {
    if (event.pointerType !== 'touch' || view.isFixed) return;
    const box = plot.over.getBoundingClientRect();
    pointTo(event.clientX - box.left, event.clientY - box.top);
  });
  new ResizeObserver(() => {
    if (!plot || view.width !== null) return;
    const { width, height } = size();
    if (width !== plot.width) plot.setSize({ width, height });
  }).observe(frame);

  return {
    /** Shows a document, its decoded runs and its groups with the reader's choices. */
    show(document, decoded, decodedGroups) {
      [data, runs, groups] = [document, decoded, decodedGroups];
      view.grouped &&= groups.length > 0;
      unit = unitOf(runs);
      view.pointed = null;
      const hasClock = runs.some((run) => run.ticks);
      if (view.axis === 'time' && !hasClock) view.axis = 'step';
      axes.replaceChildren(axes.firstChild, ...AXES.filter(([name]) => name !== 'time' || hasClock).map(([name, text]) =>
        make('label', {}, make('input', { type: 'radio', name: 'axis', value: name, onchange: () => chooseAxis(name) }), make('span', {}, text))));
      kinds.hidden = groups.length === 0;
      kinds.replaceChildren(kinds.firstChild, ...['groups', 'runs'].map((kind) =>
        make('label', {}, make('input', { type: 'radio', name: 'kind', value: kind, onchange: () => chooseKind(kind === 'groups') }), make('span', {}, kind === 'groups' ? 'Groups' : 'Runs'))));
      rebuild(); // before the list has rows: the chart asks for its size
      list.show(colouredFirst(entries()));
    },
    /** The drawn points of a run: positions on the x axis and values. */
    values(label) {
      const trace = traceOf(runs.find((run) => run.label === label), view.axis, unit);
      return trace && { x: [...trace.x], y: [...smoothed(trace, view.weight)] };
    },
    /** The drawn mean of a group and its band, and the same computed here. */
    group(name) {
      const trace = traceOf(groups.find((group) => group.label === name), 'step', unit);
      if (!trace) return null;
      const numbers = ({ mean, low, high }) => ({ mean: [...mean], low: [...low], high: [...high] });
      return { x: [...trace.x], runs: [...trace.runsAt], drawn: numbers(trace.lineAt(view.weight)), computed: numbers(trace.computeAt(view.weight)) };
    },
    /** Rebuilds the chart, after the colours changed or for a given width; null for the available width. */
    rebuild(width = null) {
      view.width = width;
      rebuild();
    },
  };
}

