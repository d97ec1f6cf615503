// --- The section of curves: controls, charts and the list of runs ----------------------------------------

const MAX_WEIGHT = 0.999;

/** Creates the section in `root`; `view` has the reader's choices and is kept when the data change. */
function curveSection(root, view) {
  let [data, panels, unit] = [null, [], null];
  let [charts, look, frameRequest, isLayerDue] = [[], null, 0, false];
  const shared = { x: [0, 1], axisWidth: 0 };
  const entriesOf = (panel) => (view.grouped ? panel.groups : panel.runs);
  const entries = () => entriesOf(panels[0]);

  // --- Elements

  const axes = make('fieldset', { class: 'segments' }, make('legend', { class: 'visually-hidden' }, 'x axis'));
  const log = make('input', { type: 'checkbox', id: 'log-y', onchange: () => { view.log = log.checked; rebuild(); } });
  const slider = make('input', { type: 'range', id: 'smoothing', min: 0, max: 0.99, step: 0.01, oninput: () => smooth(slider.value) });
  const weight = make('input', {
    type: 'number', min: 0, max: 0.999, step: 'any', 'aria-label': 'Weight of the moving average', onchange: () => smooth(weight.value),
  });
  const reset = smallButton('Reset', 'Show all', () => zoom(null, {}));
  const kinds = make('fieldset', { class: 'segments', hidden: true }, make('legend', { class: 'visually-hidden' }, 'lines'));
  const controls = make('div', { class: 'controls' }, kinds, axes,
    make('span', { class: 'control' }, log, make('label', { for: 'log-y' }, 'Log y')),
    make('span', { class: 'control' }, make('label', { for: 'smoothing' }, 'Smoothing'), slider, weight),
    make('span', { class: 'control zoom' }, smallButton('−', 'Zoom out', () => zoomBy(2)), smallButton('+', 'Zoom in', () => zoomBy(0.5)), reset));

  const frame = make('div', {
    class: 'chart', id: 'chart', tabindex: '0', role: 'application', 'aria-roledescription': 'chart', 'aria-describedby': 'chart-words chart-keys',
  });
  const empty = make('p', { class: 'empty', hidden: true });
  const description = make('p', { class: 'muted', id: 'chart-words' });
  const keys = make('p', { class: 'muted keys', id: 'chart-keys' });
  const list = runList(view, () => { scheduleRedraw(); view.changed(); }, () => view.noted(), (run) => { view.pointed = run?.label ?? null; readout.draw(); });
  const section = {
    view, x: () => shared.x, unit: () => unit, axisWidth: () => shared.axisWidth, look: () => look, charts: () => charts, scene,
    width: () => Math.max(view.width ?? frame.clientWidth, 240),
    drawn, pointTo, clickAt, leave: () => setCursor(0, null), zoomBy, zoomBox, zoomAll: () => zoom(null, {}),
  };
  const readout = makeReadout(frame, section, list);
  const files = {
    PNG: () => new Promise((resolve) => { pictureCanvas().toBlob(resolve, 'image/png'); }),
    SVG: () => new Blob([pictureSvg()], { type: 'image/svg+xml' }),
    CSV: () => new Blob([csvOf(shownRows(panels.map((panel) => [panel, tracesOf(panel)]), shared.x, view, unit))], { type: 'text/csv' }),
  };
  const downloads = downloadRow(files, () => data.title);
  const split = make('div', { class: 'split' }, make('div', { class: 'main' }, frame, keys, downloads.element, readout.spoken), list.element);
  root.replaceChildren(description, controls, split);

  // --- What is shown

  const isVisible = (entry) => isShown(view, entry);
  const tracesOf = (panel) => entriesOf(panel).filter(isVisible).map((entry) => traceOf(entry, view.axis, unit)).filter((trace) => trace !== null);

  function scene(panel) {
    const isLog = panel.name === '' && view.log;
    return { traces: tracesOf(panel), ranges: { x: shared.x, y: panel.y }, log: isLog, weight: view.weight, ...look };
  }

  const wholeRange = () => fullRange(panels.flatMap((panel) => panel.runs), view.axis, unit);

  function updateRanges() {
    const all = wholeRange();
    // A range from an address may be of other data.
    if (view.range && (view.range[1] <= all[0] || view.range[0] >= all[1])) view.range = null;
    if (view.log && view.valueRanges['']?.[0] <= 0) delete view.valueRanges[''];
    shared.x = view.range ?? all;
    for (const panel of panels) panel.y = view.valueRanges[panel.name] ?? fittingValueRange(tracesOf(panel), shared.x, panel.name === '' && view.log, view.weight);
    const longest = charts.flatMap((chart) => chart.yTexts(chart.yTicks())).reduce((most, text) => Math.max(most, text.length), 1);
    shared.axisWidth = 16 + 7.2 * longest;
  }

  function smooth(text) {
    const number = Number(text);
    view.weight = Number.isFinite(number) ? Math.min(Math.max(number, 0), MAX_WEIGHT) : 0;
    scheduleRedraw();
  }

  /** Shows a range of x and ranges of values by panel; null, and what is missing, for everything. */
  function zoom(range, valueRanges = view.valueRanges) {
    [view.range, view.valueRanges] = [range, valueRanges];
    scheduleRedraw();
  }

  /** Zooms into a box of a chart; null keeps what an axis shows. */
  function zoomBox(panel, xs, ys) {
    zoom(xs ?? view.range, ys ? { ...view.valueRanges, [panel.name]: ys } : view.valueRanges);
  }

  /** Zooms around a position, or the cursor, or the middle. */
  function zoomBy(factor, position = view.cursor) {
    const [first, last] = wholeRange();
    const [from, to] = view.range ?? [first, last]; // several turns of the wheel may come before the next frame
    const centre = position ?? (from + to) / 2;
    const width = Math.min((to - from) * factor, last - first);
    if (width >= last - first) return zoom(null, {});
    if (width < (last - first) * 1e-7) return undefined;
    const start = Math.min(Math.max(centre - (centre - from) * factor, first), last - width);
    return zoom([start, start + width]);
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

  // --- The charts

  /** Makes the charts anew: the number of panels, the axes or the colours are others. */
  function rebuild() {
    frame.style.minHeight = `${frame.offsetHeight}px`; // the page keeps its scroll position
    charts.forEach((chart) => chart.destroy());
    look = { colours: pageColours(frame), styleOf: styleLookup(frame), font: getComputedStyle(frame).fontFamily };
    const heads = panels.map((panel) => (panel.name === '' ? null : panelHeading(panel, panels[0].runs)));
    const places = panels.map((panel, i) => make('div', { class: panel.name === '' ? 'plot' : 'plot panel', 'data-panel': panel.name }, heads[i]));
    frame.replaceChildren(...places, readout.tip);
    places[0].append(empty);
    split.classList.toggle('with-panels', panels.length > 1);
    view.panel = Math.min(view.panel, panels.length - 1);
    charts = panels.map((panel, i) => {
      panel.place = panels.length === 1 ? 'only' : i === 0 ? 'first' : i + 1 === panels.length ? 'last' : 'middle';
      panel.y ??= [0, 1];
      return makeChart(places[i], panel, section);
    });
    updateRanges();
    charts.forEach((chart) => chart.build());
    updateTexts();
  }

  /** Redraws before the next frame, once for any number of calls. */
  function scheduleRedraw() {
    cancelAnimationFrame(frameRequest);
    frameRequest = requestAnimationFrame(redraw);
  }

  function redraw() {
    updateRanges();
    charts.forEach((chart) => chart.redraw());
    updateTexts();
  }

  /** Draws the layers once all charts are drawn: uPlot draws each in a microtask. */
  function drawn() {
    if (isLayerDue) return;
    isLayerDue = true;
    queueMicrotask(() => {
      isLayerDue = false;
      frame.style.minHeight = '';
      readout.draw();
    });
  }

  // --- Pictures to download

  function drawPicture(context, raster, pixel) {
    const pairs = (positions, texts) => positions.map((position, i) => [position, texts[i]]);
    const xs = linearTicks(shared.x, Math.max((FIGURE.width - FIGURE.legend) / 68, 2));
    const parts = charts.map((chart) => {
      const ys = chart.yTicks(chart.panel.name === '' ? FIGURE.height - 150 : FIGURE.panel);
      const { name, title, unit: of } = chart.panel;
      return { scene: scene(chart.panel), ticks: pairs(ys, chart.yTexts(ys)), title: name === '' ? '' : title + (of ? ` (${of})` : '') };
    });
    drawFigure(context, raster, pixel, parts, { title: data.title, words: description.textContent, axis: axisTitle(view.axis, unit) },
      colouredFirst(entries().filter(isVisible)), pairs(xs, xTickTexts(xs, view.axis)));
  }

  function pictureCanvas() {
    const pixel = 2;
    const canvas = make('canvas', { width: FIGURE.width * pixel, height: figureHeight(panels.length) * pixel });
    drawPicture(canvas.getContext('2d'), makeRaster(), pixel);
    return canvas;
  }

  function pictureSvg() {
    const context = svgContext(FIGURE.width, figureHeight(panels.length));
    drawPicture(context, svgLines(), 1);
    return context.document();
  }

  // --- Texts

  function updateTexts() {
    log.checked = view.log;
    slider.value = view.weight;
    if (document.activeElement !== weight) weight.value = Number(view.weight.toFixed(4));
    slider.setAttribute('aria-valuetext', view.weight === 0 ? 'none' : `weight ${view.weight}`);
    reset.disabled = view.range === null && Object.keys(view.valueRanges).length === 0;
    for (const input of axes.querySelectorAll('input')) {
      input.checked = input.value === view.axis;
      input.parentElement.hidden = view.grouped && input.value !== 'step'; // means are over steps
    }
    axes.hidden = view.grouped;
    for (const input of kinds.querySelectorAll('input')) input.checked = (input.value === 'groups') === view.grouped;
    const visible = entries().filter(isVisible);
    empty.hidden = visible.length > 0;
    empty.textContent = view.onlyMatches && entries().every((entry) => !isMatch(view, entry)) ? 'No run matches the search.' : view.grouped ? 'All groups are hidden.' : 'All runs are hidden.';
    description.textContent = describe({ data, view, panels, visible, traces: tracesOf(panels[0]) }).join(' · ');
    keys.textContent = `Zoom: drag, or Ctrl/⌘ + wheel; double-click: all. Click: exact values. Keys: ← → ${panels.length > 1 ? '↑ ↓ ' : ''}Home End Enter + − 0 Esc.`;
    const { groups, runs } = panels[0];
    const all = view.grouped ? plural(groups.length, 'group', 'groups') : plural(runs.length, 'run', 'runs');
    const [low, high] = panels[0].y;
    const below = panels.length > 1 ? ` Below: ${panels.slice(1).map((panel) => panel.title).join(', ')}.` : '';
    frame.setAttribute('aria-label', `Entropy of ${visible.length} of ${all}, ${spanText(shared.x, view.axis, unit)}, ` +
      `${short(low)} to ${short(high)} nats.${below} The table of ${view.grouped ? 'groups' : 'runs'} has the numbers.`);
    downloads.showCommand(data.terminal, view, panels[0]);
    view.noted();
  }

  // --- The cursor

  /** Moves the cursor to a position on the x axis, as seen from a panel; null for no cursor. */
  function setCursor(panel, position) {
    [view.panel, view.cursor] = [panel, position];
    readout.draw();
  }

  /** The point of a panel that is nearest to a position in its plot area, in CSS pixels. */
  const nearestPoint = (panel, left) => snapToPoint(tracesOf(panel), charts[panels.indexOf(panel)].xAt(left), shared.x);

  function pointTo(panel, left, top) {
    view.height = top;
    setCursor(panels.indexOf(panel), nearestPoint(panel, left));
  }

  function clickAt(panel, left, top) {
    view.height = top;
    fix(panels.indexOf(panel), nearestPoint(panel, left));
  }

  /** Fixes the cursor where it is, with exact values; at the same place again, or without a cursor, frees it. */
  function fix(panel, position) {
    view.isFixed = position !== null && !(view.isFixed && position === view.cursor && panel === view.panel);
    setCursor(panel, position);
  }

  /** Moves the cursor to the next point in a direction, or to the end, and announces the values there. */
  function moveCursor(direction, far = false) {
    const next = nextPosition(tracesOf(panels[view.panel]), view.cursor, shared.x, direction, far);
    if (next === null) return;
    view.isFixed = false;
    setCursor(view.panel, next);
    readout.speak(short);
  }

  /** Moves the cursor to the panel above or below, and announces the values there. */
  function movePanel(direction) {
    const panel = Math.min(Math.max(view.panel + direction, 0), panels.length - 1);
    setCursor(panel, view.cursor ?? nextPosition(tracesOf(panels[panel]), null, shared.x, 1, false));
    charts[panel].element.scrollIntoView({ block: 'nearest' });
    readout.speak(short);
  }

  /** Fixes the cursor of the keyboard and announces exact values. */
  function fixByKey() {
    if (view.cursor === null) return;
    fix(view.panel, view.cursor);
    readout.speak(view.isFixed ? exactly : short);
  }

  frame.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = {
      ArrowRight: () => moveCursor(1), ArrowLeft: () => moveCursor(-1), Home: () => moveCursor(1, true), End: () => moveCursor(-1, true),
      '+': () => zoomBy(0.5), '=': () => zoomBy(0.5), '-': () => zoomBy(2), 0: () => zoom(null, {}), Enter: fixByKey, Escape: () => fix(0, null),
      ...(panels.length > 1 ? { ArrowUp: () => movePanel(-1), ArrowDown: () => movePanel(1) } : {}),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  frame.addEventListener('blur', () => { if (!view.isFixed) setCursor(0, null); });
  new ResizeObserver(() => { if (view.width === null) charts.forEach((chart) => chart.resize()); }).observe(frame);

  /** The trace of an entry in the panel of a quantity; the entropy has no name. */
  const traceIn = (name, kind, label, axis) => traceOf(panels.find((panel) => panel.name === name)[kind].find((entry) => entry.label === label), axis, unit);

  return {
    /** Shows a document and its decoded panels with the reader's choices. */
    show(document, decoded) {
      [data, panels] = [document, decoded];
      const { runs, groups } = panels[0];
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
    /** The drawn points of a run, of the entropy or another quantity: positions on the x axis and values. */
    values(label, panel = '') {
      const trace = traceIn(panel, 'runs', label, view.axis);
      return trace && { x: [...trace.x], y: [...smoothed(trace, view.weight)] };
    },
    /** The drawn mean of a group and its band, and the same computed here. */
    group(name, panel = '') {
      const trace = traceIn(panel, 'groups', name, 'step');
      if (!trace) return null;
      const numbers = ({ mean, low, high }) => ({ mean: [...mean], low: [...low], high: [...high] });
      return { x: [...trace.x], runs: [...trace.runsAt], drawn: numbers(trace.lineAt(view.weight)), computed: numbers(trace.computeAt(view.weight)) };
    },
    /** Rebuilds the charts, after the colours changed or for a given width; null for the available width. */
    rebuild(width = null) {
      view.width = width;
      rebuild();
    },
  };
}
