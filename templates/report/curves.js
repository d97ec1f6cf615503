// --- The section of curves: controls, chart, list of runs and cursor -------------------------------------

/** Creates the section in `root`; `view` has the reader's choices and is kept when the data change. */
function curveSection(root, view) {
  let [data, runs, unit] = [null, [], null];
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
  const reset = smallButton('Reset', 'Show the whole width', () => zoom(null));
  const controls = make('div', { class: 'controls' }, axes,
    make('span', { class: 'control' }, log, make('label', { for: 'log-y' }, 'Log y')),
    make('span', { class: 'control' }, make('label', { for: 'smoothing' }, 'Smoothing'), slider, weight),
    make('span', { class: 'control zoom' }, smallButton('−', 'Zoom out', () => zoomBy(2)), smallButton('+', 'Zoom in', () => zoomBy(0.5)), reset));

  const frame = make('div', {
    class: 'chart', id: 'chart', tabindex: '0', role: 'application', 'aria-roledescription': 'chart', 'aria-describedby': 'chart-words chart-keys',
  });
  const tip = make('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
  const empty = make('p', { class: 'empty', hidden: true }, 'All runs are hidden.');
  const spoken = make('p', { class: 'visually-hidden', 'aria-live': 'polite', id: 'chart-told' });
  const description = make('p', { class: 'muted', id: 'chart-words' });
  const keys = make('p', { class: 'muted keys', id: 'chart-keys' },
    'Drag to zoom, double-click to show all. Keys: ← → move the cursor, + − zoom, 0 resets.');
  const list = runList(view, () => { scheduleRedraw(); view.changed(); }, (run) => { view.pointed = run; drawOverlay(); });
  root.replaceChildren(description, controls, make('div', { class: 'split' }, make('div', { class: 'main' }, frame, keys, spoken), list.element));

  // --- Visible range

  const isVisible = (run) => !view.hidden.has(run.label);
  const visibleTraces = () => runs.filter(isVisible).map((run) => traceOf(run, view.axis, unit)).filter((trace) => trace !== null);
  const fontFamily = () => getComputedStyle(frame).fontFamily;
  const scene = () => ({
    traces: visibleTraces(), ranges, log: view.log, weight: view.weight, colours: pageColours(frame), styleOf, font: fontFamily(),
  });

  function updateRanges() {
    ranges.x = view.range ?? fullRange(runs, view.axis, unit);
    ranges.y = fittingValueRange(visibleTraces(), ranges.x, view.log, view.weight);
  }

  function smooth(text) {
    const number = Number(text);
    view.weight = Number.isFinite(number) ? Math.min(Math.max(number, 0), 0.999) : 0;
    scheduleRedraw();
  }

  function zoom(range) {
    view.range = range;
    scheduleRedraw();
  }

  /** Zooms around the cursor, or the middle. */
  function zoomBy(factor) {
    const [first, last] = fullRange(runs, view.axis, unit);
    const [from, to] = ranges.x;
    const centre = view.cursor ?? (from + to) / 2;
    const width = Math.min((to - from) * factor, last - first);
    if (width >= last - first) return zoom(null);
    if (width < (last - first) * 1e-7) return undefined;
    const start = Math.min(Math.max(centre - (centre - from) * factor, first), last - width);
    return zoom([start, start + width]);
  }

  function chooseAxis(name) {
    if (view.axis === name) return;
    [view.axis, view.range, view.cursor] = [name, null, null];
    rebuild();
  }

  function setCursor(position) {
    view.cursor = position;
    drawOverlay();
  }

  // --- The chart

  function build() {
    plot?.destroy();
    overlayCanvas = null;
    styleOf = styleLookup(frame);
    updateRanges();
    const font = `12px ${fontFamily()}`;
    const axisOf = (more) => ({ stroke: () => pageColours(frame).muted, font, ticks: { show: false }, ...more });
    const yLabels = (splits) => (view.log ? splits.map(tickText) : equalDecimals(splits.map(tickText)));
    const options = {
      ...size(),
      padding: [10, 12, 0, 0],
      legend: { show: false },
      scales: { x: { time: false, range: () => ranges.x }, y: { distr: view.log ? 3 : 1, range: () => ranges.y } },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axisOf({ grid: { show: false }, gap: 8, size: 30, space: 68, label: axisTitle(view.axis, unit), labelSize: 22, labelFont: font, labelGap: 0,
          values: (_, splits) => splits.map((split) => (Number.isInteger(split) || view.axis === 'time' ? tickText(split) : '')) }),
        axisOf({ grid: { stroke: () => pageColours(frame).hairline, width: 1 }, gap: 6, space: 42,
          size: (_, values) => 16 + 7.2 * Math.max(1, ...(values ?? []).map((value) => value.length)),
          values: (_, splits) => yLabels(splits),
          ...(view.log ? { splits: () => logTicks(ranges.y), filter: (_, splits) => splits } : {}) }),
      ],
      cursor: {
        x: false, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 4 },
        bind: { dblclick: () => () => { zoom(null); return null; } },
      },
      hooks: {
        draw: [
          (u) => drawCurves(u.ctx, u.bbox, uPlot.pxRatio, raster, scene()),
          () => { if (overlayCanvas) drawOverlay(); },
        ],
        setSelect: [(u) => {
          if (u.select.width < 3) return;
          zoom([u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')]);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [({ cursor: { left, top } }) => { if (left !== undefined && left >= 0) pointTo(left, top); }],
      },
    };
    plot = new uPlot(options, plotData(), frame);
    overlayCanvas = make('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    plot.over.append(overlayCanvas);
    frame.append(tip, empty);
    plot.over.addEventListener('pointerleave', () => setCursor(null));
  }

  /** The data for uPlot: the range of x, and no values. */
  const plotData = () => [ranges.x, [null, null]];

  function size() {
    const width = Math.max(view.width ?? frame.clientWidth, 240);
    return { width, height: Math.round(Math.min(Math.max(0.52 * width, 260), 440)) };
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

  // --- Texts

  function updateTexts() {
    log.checked = view.log;
    slider.value = view.weight;
    const weightText = Number(view.weight.toFixed(4));
    if (document.activeElement !== weight) weight.value = weightText;
    slider.setAttribute('aria-valuetext', view.weight === 0 ? 'none' : `weight ${view.weight}`);
    reset.disabled = view.range === null;
    for (const input of axes.querySelectorAll('input')) input.checked = input.value === view.axis;
    const visible = runs.filter(isVisible);
    empty.hidden = visible.length > 0;
    description.textContent = describe(visible, weightText).join(' · ');
    const [from, to] = ranges.x;
    const span = view.axis === 'time' ? `${short(from)} to ${short(to)} ${unit[1]}` : `${stepText(Math.round(from))} to ${stepText(Math.round(to))} steps`;
    frame.setAttribute('aria-label', `Entropy of ${visible.length} of ${plural(runs.length, 'run', 'runs')}, ${span}, ` +
      `${short(ranges.y[0])} to ${short(ranges.y[1])} nats. The table of runs has the numbers.`);
  }

  /** The description of the chart, in parts. */
  function describe(visible, weightText) {
    const isReduced = visible.some((run) => !run.exact);
    const few = visible.length <= MANY;
    const parts = [];
    if (data.quantity) parts.push(data.quantity);
    if (view.weight > 0) parts.push(`line: moving average (EMA) with weight ${weightText}` + (few ? `, faint: ${isReduced ? 'range of logged values' : 'logged values'}` : ''));
    else if (isReduced && few) parts.push('faint: range from min to max');
    if (isReduced) parts.push(`${count(data.points)} points are too many for one page: each shown point is the mean, min and max of neighbouring steps`);
    const unstyled = visible.filter(isUnstyled).length;
    if (unstyled > 0) parts.push(`grey: ${plural(unstyled, 'run', 'runs')} with smaller spread`);
    const withoutClock = visible.length - visibleTraces().length;
    if (withoutClock > 0) parts.push(`${plural(withoutClock, 'run has', 'runs have')} no clock and cannot be shown over time`);
    if (data.names_note) parts.push(data.names_note);
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
    if (readings.length > 0) drawCursor(context, pixel, scale, view.cursor, readings.length <= MANY ? readings : nearest.slice(0, MAX_READINGS), shown);
    showListValues(readings);
    showTip(readings, nearest, highlighted);
  }

  /** Shows the values at the cursor in the list of runs; the last values without a cursor. */
  function showListValues(readings) {
    if (view.cursor === null) {
      list.showValues('at the last step of each run', (run) => short(run.stats.last));
      return;
    }
    const points = new Map(readings.map(({ run, point }) => [run, point]));
    list.showValues(`at ${cursorText(view.cursor, view.axis, unit, readings)}`,
      (run) => (points.has(run) ? (run.exact ? exactly : short)(run.y[points.get(run)]) : ''));
  }

  function showTip(readings, nearest, highlighted) {
    tip.hidden = readings.length === 0;
    if (tip.hidden) return;
    tip.replaceChildren(...tooltipContent(cursorText(view.cursor, view.axis, unit, readings), nearest, highlighted, view));
    const [x, room] = [plot.over.offsetLeft + plot.valToPos(view.cursor, 'x'), frame.clientWidth];
    const left = x + 14 + tip.offsetWidth <= room ? x + 14 : Math.max(x - 14 - tip.offsetWidth, 0);
    tip.style.left = `${Math.min(left, Math.max(room - tip.offsetWidth, 0))}px`;
    tip.style.top = `${plot.over.offsetTop + 4}px`;
  }

  /** Moves the cursor to the next point in a direction, or to the end, and announces the values there. */
  function moveCursor(direction, far = false) {
    const next = nextPosition(visibleTraces(), view.cursor, ranges.x, direction, far);
    if (next === null) return;
    setCursor(next);
    const readings = readingsAt(visibleTraces(), next, view.weight);
    const values = readings.slice(0, MAX_READINGS).map((reading) => `${reading.run.name} ${short(reading.value)}`);
    const more = readings.length - values.length;
    spoken.textContent = `${cursorText(next, view.axis, unit, readings)}: ${values.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  }

  frame.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = {
      ArrowRight: () => moveCursor(1), ArrowLeft: () => moveCursor(-1), Home: () => moveCursor(1, true), End: () => moveCursor(-1, true),
      '+': () => zoomBy(0.5), '=': () => zoomBy(0.5), '-': () => zoomBy(2), 0: () => zoom(null), Escape: () => setCursor(null),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  frame.addEventListener('blur', () => setCursor(null));
  // Touch has no hover: dragging a finger moves the cursor.
  frame.addEventListener('pointermove', (event) => {
    if (event.pointerType !== 'touch') return;
    const box = plot.over.getBoundingClientRect();
    pointTo(event.clientX - box.left, event.clientY - box.top);
  });
  new ResizeObserver(() => {
    if (!plot || view.width !== null) return;
    const { width, height } = size();
    if (width !== plot.width) plot.setSize({ width, height });
  }).observe(frame);

  return {
    /** Shows a document and its decoded runs with the reader's choices. */
    show(document, decoded) {
      [data, runs] = [document, decoded];
      unit = unitOf(runs);
      view.pointed = null;
      const hasClock = runs.some((run) => run.ticks);
      if (view.axis === 'time' && !hasClock) view.axis = 'step';
      axes.replaceChildren(axes.firstChild, ...AXES.filter(([name]) => name !== 'time' || hasClock).map(([name, text]) =>
        make('label', {}, make('input', { type: 'radio', name: 'axis', value: name, onchange: () => chooseAxis(name) }), make('span', {}, text))));
      list.show(runs);
      rebuild();
    },
    /** The drawn points of a run: positions on the x axis and values. */
    values(label) {
      const trace = traceOf(runs.find((run) => run.label === label), view.axis, unit);
      return trace && { x: [...trace.x], y: [...smoothed(trace, view.weight)] };
    },
    /** Rebuilds the chart, after the colours changed or for a given width; null for the available width. */
    rebuild(width = null) {
      view.width = width;
      rebuild();
    },
  };
}

