// --- Where the values at the cursor are shown: the layer above the curves, the tooltip and the list ---------

const NARROW = 420; // of the plot in CSS pixels: with less, the values at the cursor stand below it

/**
 * The readout of the charts in `frame`. `section` has `view`, `charts()`, `unit()` and `scene(panel)`; `list` is the list of runs.
 */
function makeReadout(frame, section, list) {
  const { view } = section;
  const tip = make('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
  const spoken = make('p', { class: 'visually-hidden', 'aria-live': 'polite', id: 'chart-told' });
  const pointed = () => section.charts()[view.panel];
  const of = (panel) => (panel.name === '' ? '' : `${panel.title}, `);

  /** Draws the layer of each chart and shows the values. */
  function draw() {
    const chart = pointed();
    const layer = chart.layer();
    if (!layer) return; // not laid out yet
    const shown = section.scene(chart.panel);
    const readings = readingsAt(shown.traces, view.cursor, view.weight);
    const distance = (reading) => Math.abs(layer.scale.y(reading.value) - view.height * layer.pixel);
    const nearest = [...readings].sort((a, b) => distance(a) - distance(b));
    const nearPointer = nearest.length > 1 && distance(nearest[0]) < 24 * layer.pixel ? nearest[0].run.label : null;
    const highlighted = view.pointed ?? nearPointer;
    const marked = readings.length <= MAX_LABELLED ? readings : nearest.slice(0, MAX_READINGS);
    drawLayer(layer, shown, highlighted, marked);
    const labels = new Set(marked.map((reading) => reading.run.label));
    for (const other of section.charts()) {
      const own = other === chart ? null : other.layer();
      if (!own) continue;
      const scene = section.scene(other.panel);
      const all = readingsAt(scene.traces, view.cursor, view.weight);
      drawLayer(own, scene, highlighted, all.length <= MAX_LABELLED ? all : all.filter((reading) => labels.has(reading.run.label)));
    }
    showListValues(chart.panel, readings);
    showTip(chart, readings, nearest, highlighted);
  }

  /** Draws the highlighted line, the line of the cursor, and a dot at each marked reading. */
  function drawLayer({ context, pixel, raster, scale }, scene, highlighted, marked) {
    const trace = highlighted === null ? null : scene.traces.find((other) => other.run.label === highlighted);
    if (trace) drawHighlight(context, pixel, raster, scale, trace, scene);
    if (view.cursor !== null) drawCursor(context, pixel, scale, view.cursor, marked, scene);
  }

  /** Says of how many runs the mean of a group is at a point, if these are not all. */
  function partOfGroup(run, point) {
    return run.members && run.runsAt[point] < run.members.length ? ` (${plural(run.runsAt[point], 'run', 'runs')})` : '';
  }

  /** Shows the values at the cursor in the list; the last values without a cursor. */
  function showListValues(panel, readings) {
    if (view.cursor === null) {
      const entries = new Map((view.grouped ? panel.groups : panel.runs).map((entry) => [entry.label, entry]));
      const last = (run) => (run.stats.last === null ? 'no mean' : brief(run.stats.last) + partOfGroup(run, run.y.length - 1));
      list.showValues(`${panel.name === '' ? '' : `${panel.title}: `}last value`, ({ label }) => (entries.has(label) ? last(entries.get(label)) : ''));
      return;
    }
    const known = new Map(readings.map((reading) => [reading.run.label, reading]));
    const format = view.isFixed ? exactly : brief;
    list.showValues(`${panel.name === '' ? '' : `${panel.title} `}at ${cursorText(view.cursor, view.axis, section.unit(), readings)}`, ({ label }) => {
      const reading = known.get(label);
      if (!reading) return '';
      const { run, point, value } = reading;
      if (run.members) return format(value) + partOfGroup(run, point);
      return (run.exact ? format : brief)(run.y[point]);
    });
  }

  function showTip(chart, readings, nearest, highlighted) {
    tip.hidden = readings.length === 0;
    if (tip.hidden) return;
    const title = of(chart.panel) + cursorText(view.cursor, view.axis, section.unit(), readings);
    tip.replaceChildren(...tooltipContent(title, nearest, highlighted, view));
    const box = chart.box();
    const isStrip = box.width < NARROW; // below the chart, where a third of it has no room for names
    tip.classList.toggle('strip', isStrip);
    tip.classList.toggle('exact', view.isFixed);
    tip.style.maxWidth = isStrip ? 'none' : `${Math.floor(box.width / 3)}px`;
    if (isStrip) {
      if (tip.previousElementSibling !== chart.element) chart.element.after(tip);
      return;
    }
    if (tip !== frame.lastElementChild) frame.append(tip);
    const outer = frame.getBoundingClientRect();
    const [x, room] = [box.left - outer.left + chart.leftOf(view.cursor), frame.clientWidth];
    const left = x + 14 + tip.offsetWidth <= room ? x + 14 : Math.max(x - 14 - tip.offsetWidth, 0);
    tip.style.left = `${Math.min(left, Math.max(room - tip.offsetWidth, 0))}px`;
    tip.style.top = `${Math.max(Math.min(box.top - outer.top + 4, outer.height - tip.offsetHeight), 4)}px`;
  }

  /** Announces the values at the cursor. */
  function speak(format) {
    const { panel } = pointed();
    const readings = readingsAt(section.scene(panel).traces, view.cursor, view.weight);
    const values = readings.slice(0, MAX_READINGS).map((reading) => `${reading.run.name} ${format(reading.value)}`);
    const more = readings.length - values.length;
    spoken.textContent = `${of(panel)}${cursorText(view.cursor, view.axis, section.unit(), readings)}: ${values.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  }

  return { tip, spoken, draw, speak };
}
