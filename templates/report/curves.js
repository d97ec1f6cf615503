// --- The section of curves: what is shown, how, and what stands at the cursor --------------------------

const NAMED = 12; // up to so many runs have words at their marks
const MANY = 40; // more lines are thinner, and a smoothed line has no logged one behind it
const TOLD = 8; // rows beside the cursor
const FEW_PLACES = 30; // fewer are marked each
const AXES = [['step', 'Step'], ['relative', 'Relative'], ['time', 'Time']];

/** The section; `view` is what the reader chose and outlives the data. */
function curvesIn(root, view) {
  let [data, runs, unit] = [null, [], null];
  let [plot, look, due] = [null, null, 0];
  const [ink, overInk] = [makeInk(), makeInk()];
  const ranges = { x: [0, 1], y: [0, 1] };

  // --- Controls

  const axes = make('fieldset', { class: 'segments' }, make('legend', { class: 'unseen' }, 'x axis'));
  const log = make('input', { type: 'checkbox', id: 'log-y', onchange: () => { view.log = log.checked; rebuild(); } });
  const slider = make('input', { type: 'range', id: 'smoothing', min: 0, max: 0.99, step: 0.01, oninput: () => smooth(slider.value) });
  const weight = make('input', {
    type: 'number', min: 0, max: 0.999, step: 'any', 'aria-label': 'Weight of the moving average', onchange: () => smooth(weight.value),
  });
  const button = (words, label, action) => make('button', { type: 'button', class: 'small', 'aria-label': label, title: label, onclick: action }, words);
  const reset = button('Reset', 'Show the whole width', () => zoom(null));
  const controls = make('div', { class: 'controls' }, axes,
    make('span', { class: 'control' }, log, make('label', { for: 'log-y' }, 'Log y')),
    make('span', { class: 'control' }, make('label', { for: 'smoothing' }, 'Smoothing'), slider, weight),
    make('span', { class: 'control zoom' }, button('−', 'Zoom out', () => zoomBy(2)), button('+', 'Zoom in', () => zoomBy(0.5)), reset));

  // --- Chart and list

  const frame = make('div', {
    class: 'chart', id: 'chart', tabindex: '0', role: 'application', 'aria-roledescription': 'chart', 'aria-describedby': 'chart-words chart-keys',
  });
  const tip = make('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
  const empty = make('p', { class: 'empty', hidden: true }, 'All runs are hidden.');
  const told = make('p', { class: 'unseen', 'aria-live': 'polite', id: 'chart-told' });
  const words = make('p', { class: 'quiet', id: 'chart-words' });
  const keys = make('p', { class: 'quiet keys', id: 'chart-keys' },
    'Drag to zoom, double-click to see all. Keys: ← → walk, + − zoom, 0 resets.');
  const list = make('ul', { class: 'legend', 'aria-label': 'Runs' });
  const place = make('p', { class: 'place' });
  const filter = make('input', { type: 'search', placeholder: 'Find a run', 'aria-label': 'Find a run', oninput: () => narrow() });
  const side = make('div', { class: 'side' },
    make('div', { class: 'controls' }, button('All', 'Show all runs', () => toggle(() => true)), button('None', 'Hide all runs', () => toggle(() => false)), filter),
    place, list);
  root.replaceChildren(words, controls, make('div', { class: 'split' }, make('div', { class: 'main' }, frame, keys, told), side));
  let rows = [];

  const shown = () => runs.filter((run) => !view.hidden.has(run.label));
  const tracks = () => shown().map((run) => trackOf(run, view.axis, unit)).filter((track) => track !== null);

  // --- What changes the view

  function smooth(text) {
    const number = Number(text);
    view.weight = Number.isFinite(number) ? Math.min(Math.max(number, 0), 0.999) : 0;
    later();
  }

  function zoom(range) {
    view.range = range;
    later();
  }

  /** Zooms around the cursor, or the middle. */
  function zoomBy(factor) {
    const whole = wholeRange();
    const [from, to] = ranges.x;
    const around = view.cursor ?? (from + to) / 2;
    const width = Math.min((to - from) * factor, whole[1] - whole[0]);
    if (width >= whole[1] - whole[0]) return zoom(null);
    if (width < (whole[1] - whole[0]) * 1e-7) return undefined;
    const start = Math.min(Math.max(around - (around - from) * factor, whole[0]), whole[1] - width);
    return zoom([start, start + width]);
  }

  /** Shows the runs that `wanted` says, and hides the others. */
  function toggle(wanted) {
    for (const run of runs) view.hidden[wanted(run) ? 'delete' : 'add'](run.label);
    mark();
    later();
    view.changed();
  }

  function axis(name) {
    if (view.axis === name) return;
    [view.axis, view.range, view.cursor] = [name, null, null];
    rebuild();
  }

  // --- The list of runs

  function enlist() {
    rows = runs.map((run) => {
      const box = make('input', { type: 'checkbox', onchange: () => toggle((other) => (other === run ? box.checked : !view.hidden.has(other.label))) });
      const value = make('span', { class: 'value' });
      const element = make('li', {},
        make('label', { title: run.label }, box, swatch(run), make('span', { class: 'name' }, run.name)),
        value,
        make('button', { type: 'button', class: 'only', 'aria-label': `Show only ${run.name}`, onclick: () => toggle((other) => other === run) }, 'only'));
      element.addEventListener('pointerenter', () => point(run));
      element.addEventListener('pointerleave', () => point(null));
      return { run, box, value, element };
    });
    list.replaceChildren(...rows.map((row) => row.element));
    filter.hidden = runs.length <= NAMED;
    mark();
    narrow();
  }

  function mark() {
    for (const { run, box, element } of rows) {
      box.checked = !view.hidden.has(run.label);
      element.classList.toggle('off', !box.checked);
    }
  }

  function narrow() {
    const wanted = filter.value.toLowerCase();
    for (const { run, element } of rows) element.hidden = !run.label.toLowerCase().includes(wanted);
  }

  /** Brings out one run while its row is pointed at. */
  function point(run) {
    view.pointed = run;
    overlay();
  }

  // --- Ranges

  function wholeRange() {
    let [low, high] = [Infinity, -Infinity];
    for (const run of runs) {
      const track = trackOf(run, view.axis, unit);
      if (!track) continue;
      // A bucket stands in the middle of its steps.
      const [first, last] = [track.x[0], track.x[track.x.length - 1]];
      const half = (at) => (view.axis === 'time' ? 0 : (run.to.at(at) - run.from.at(at)) / 2);
      low = Math.min(low, first - half(0));
      high = Math.max(high, last + half(-1));
    }
    if (low > high) return [0, 1];
    return low === high ? [low - 1, high + 1] : [low, high];
  }

  /** What is drawn of a track: its line, and what stands behind it. */
  function drawn(track, many) {
    const line = smoothed(track, view.weight);
    const behind = view.weight > 0 && !many;
    const band = !track.run.exact && !many;
    return { line, behind, band };
  }

  function measure() {
    const all = tracks();
    const many = all.length > MANY;
    ranges.x = view.range ?? wholeRange();
    const found = extent(all, ranges.x, view.log, (track) => {
      const { line, behind, band } = drawn(track, many);
      return [line, ...(behind ? [track.y] : []), ...(band ? [track.low, track.high] : [])];
    });
    ranges.y = limits(found, view.log);
  }

  // --- Drawing

  function paint(u) {
    const start = performance.now();
    const { ctx: context, bbox: box } = u;
    const pixel = uPlot.pxRatio;
    const paper = colours(frame);
    const scale = scales(box, ranges.x, ranges.y, view.log);
    const inside = scales({ left: 0, top: 0, width: box.width, height: box.height }, ranges.x, ranges.y, view.log);
    const all = tracks().map((track) => {
      const [from, to] = within(track, ranges.x);
      return { track, from, to };
    }).filter(({ from, to }) => to > from);
    const many = all.length > MANY;
    context.save();
    context.beginPath();
    context.rect(box.left, box.top - 4 * pixel, box.width, box.height + 8 * pixel);
    context.clip();
    ink.begin(Math.round(box.width), Math.round(box.height));
    for (const { track, from, to } of all) {
      const { behind, band } = drawn(track, many);
      const { faint } = look(track.run.style);
      if (band) ink.area(track, from, to, inside, faint);
      else if (behind) ink.line(track, track.y, from, to, inside, 0.9 * pixel, faint, []);
    }
    // The crowd first, under the runs that have a colour.
    const order = [...all.filter(({ track }) => track.run.style === 'crowd'), ...all.filter(({ track }) => track.run.style !== 'crowd')];
    for (const { track, from, to } of order) {
      const { line, dash } = look(track.run.style);
      const crowd = track.run.style === 'crowd' && many;
      const width = crowd ? 0.7 : many ? 1.1 : view.weight > 0 ? 2 : 1.6;
      const values = smoothed(track, view.weight);
      ink.line(track, values, from, to, inside, width * pixel, line, to - from < FEW_PLACES ? [] : dash.map((part) => part * pixel));
    }
    ink.lay(context, Math.round(box.left), Math.round(box.top));
    for (const { track, from, to } of many ? [] : all) {
      if (to - from < FEW_PLACES) dots(context, track, smoothed(track, view.weight), from, to, scale, pixel, look(track.run.style).line);
    }
    events(context, box, scale, pixel, paper, all.length);
    context.restore();
    view.drawing = performance.now() - start;
  }

  function dots(context, track, values, from, to, scale, pixel, colour) {
    context.fillStyle = colour;
    context.beginPath();
    for (let i = from; i < to; i++) {
      const [x, y] = [scale.x(track.x[i]), scale.y(values[i])];
      if (Number.isNaN(y)) continue;
      context.moveTo(x + 2.4 * pixel, y);
      context.arc(x, y, 2.4 * pixel, 0, 2 * Math.PI);
    }
    context.fill();
  }

  /** Where something happened on a track: its place, or null. */
  function placeOf(track, step) {
    if (step < track.run.from[0]) return null; // in a part of the run that the page does not hold
    const at = firstFrom(track.run.to, step);
    const place = track.places ? track.places.indexOf(at) : at;
    return place < 0 || place >= track.x.length ? null : place;
  }

  /** Collapses, explosions and joints: an open circle on the line, and words where there is room for them. */
  function events(context, box, scale, pixel, paper, many) {
    const taken = [];
    context.font = `${12 * pixel}px ${getComputedStyle(frame).fontFamily}`;
    context.lineJoin = 'round';
    context.textAlign = 'left'; // uPlot leaves that of its axes
    context.textBaseline = 'alphabetic';
    for (const track of tracks()) {
      const { stats, style } = track.run;
      const marks = stats.state_step === null ? [] : [[stats.state_step, `${stats.state} at step ${stepText(stats.state_step)}`]];
      if (many <= NAMED) marks.push(...stats.joints.map((joint) => [joint.step, /^\d+$/.test(joint.round) ? `round ${joint.round}` : joint.round]));
      for (const [step, what] of marks) {
        const at = placeOf(track, step);
        if (at === null || track.x[at] < ranges.x[0] || track.x[at] > ranges.x[1]) continue;
        const [x, y] = [scale.x(track.x[at]), scale.y(smoothed(track, view.weight)[at])];
        if (Number.isNaN(y)) continue;
        context.beginPath();
        context.arc(x, y, 4.5 * pixel, 0, 2 * Math.PI);
        context.fillStyle = paper.ground;
        context.fill();
        context.lineWidth = 2 * pixel;
        context.strokeStyle = look(style).line;
        context.stroke();
        if (many > NAMED) continue;
        const [wide, high] = [context.measureText(what).width, 16 * pixel];
        const left = x + 10 * pixel + wide > box.left + box.width ? x - 10 * pixel - wide : x + 10 * pixel;
        const above = y - box.top > 2 * high;
        const spots = Array.from({ length: 12 }, (_, i) => (above ? y - 10 * pixel - i * high : y + 18 * pixel + i * high));
        const free = spots.find((spot) => taken.every((other) => left > other.right || left + wide < other.left || Math.abs(spot - other.y) >= high));
        if (free === undefined) continue;
        taken.push({ left: left - 6 * pixel, right: left + wide + 6 * pixel, y: free });
        context.lineWidth = 3 * pixel;
        context.strokeStyle = paper.ground;
        context.strokeText(what, left, free);
        context.fillStyle = paper.quiet;
        context.fillText(what, left, free);
      }
    }
  }

  // --- The chart

  function build() {
    plot?.destroy();
    canvas = null;
    look = lookup(frame);
    measure();
    const paper = () => colours(frame);
    const font = `12px ${getComputedStyle(frame).fontFamily}`;
    const axisOf = (more) => ({ stroke: () => paper().quiet, font, ticks: { show: false }, ...more });
    const options = {
      ...size(),
      padding: [10, 12, 0, 0],
      legend: { show: false },
      scales: { x: { time: false, range: () => ranges.x }, y: { distr: view.log ? 3 : 1, range: () => ranges.y } },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axisOf({ grid: { show: false }, gap: 8, size: 30, space: 68, label: axisName(), labelSize: 22, labelFont: font, labelGap: 0,
          values: (_, splits) => splits.map((split) => (Number.isInteger(split) || view.axis === 'time' ? tickText(split) : '')) }),
        axisOf({ grid: { stroke: () => paper().hairline, width: 1 }, gap: 6, size: (_, values) => 16 + 7.2 * Math.max(1, ...(values ?? []).map((value) => value.length)), space: 42,
          values: (_, splits) => alike(splits.map(tickText)),
          ...(view.log ? { splits: () => logTicks(ranges.y), filter: (_, splits) => splits } : {}) }),
      ],
      cursor: {
        x: false, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 4 },
        bind: { dblclick: () => () => { zoom(null); return null; } },
      },
      hooks: {
        draw: [paint, () => { if (canvas) overlay(); }],
        setSelect: [(u) => {
          if (u.select.width < 3) return;
          zoom([u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')]);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [(u) => hover(u)],
      },
    };
    plot = new uPlot(options, flat(), frame);
    canvas = make('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    plot.over.append(canvas);
    frame.append(tip, empty);
    plot.over.addEventListener('pointerleave', () => {
      view.cursor = null;
      overlay();
    });
  }
  let canvas = null;

  /** What uPlot thinks it draws: the width, and no values. */
  const flat = () => [ranges.x, [null, null]];

  function size() {
    const width = Math.max(view.width ?? frame.clientWidth, 240);
    return { width, height: Math.round(Math.min(Math.max(0.52 * width, 260), 440)) };
  }

  function axisName() {
    if (view.axis === 'time') return `${unit[1]} since the run’s first step`;
    return view.axis === 'relative' ? 'steps since the run’s first' : 'training step';
  }

  function tickText(value) {
    if (value === null) return '';
    const size = Math.abs(value);
    if (size >= 1e9 || (size > 0 && size < 1e-4)) return minus(value.toExponential());
    if (size >= 1e6) return minus(`${Number((value / 1e6).toPrecision(6))}M`);
    if (size >= 1e4) return minus(`${Number((value / 1e3).toPrecision(6))}k`);
    return minus(String(Number(value.toPrecision(6))));
  }

  /** Numbers of one axis with the same decimals, unless they are of very different size. */
  function alike(texts) {
    const decimals = Math.max(...texts.map((text) => (/^−?[\d.]+$/.test(text) ? (text.split('.')[1] ?? '').length : 9)));
    return view.log || decimals > 4 ? texts : texts.map((text) => (text === '0' || decimals === 0 ? text : minus(Number(text.replace('−', '-')).toFixed(decimals))));
  }

  function logTicks([low, high]) {
    const decades = Math.log10(high / low);
    const ticks = [];
    const stride = Math.max(1, Math.ceil(decades / 8));
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += stride) {
      for (const digit of decades > 3 ? [1] : decades > 0.8 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]) {
        const tick = Number((digit * 10 ** power).toPrecision(3));
        if (tick >= low && tick <= high) ticks.push(tick);
      }
    }
    return ticks;
  }

  /** Draws anew before the next frame, however often it is asked for. */
  function later() {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(redraw);
  }

  function redraw() {
    const start = performance.now();
    measure();
    plot.setData(flat(), true);
    say();
    view.redraw = performance.now() - start;
  }

  function rebuild() {
    build();
    say();
  }

  // --- What is said of it

  function say() {
    log.checked = view.log;
    slider.value = view.weight;
    if (document.activeElement !== weight) weight.value = Number(view.weight.toFixed(4));
    slider.setAttribute('aria-valuetext', view.weight === 0 ? 'none' : `weight ${view.weight}`);
    reset.disabled = view.range === null;
    for (const input of axes.querySelectorAll('input')) input.checked = input.value === view.axis;
    const visible = shown();
    empty.hidden = visible.length > 0;
    const without = visible.length - tracks().length;
    const parts = [];
    if (data.quantity) parts.push(data.quantity);
    const reduced = visible.some((run) => !run.exact);
    const line = view.weight > 0 ? `line: moving average (EMA) of weight ${Number(view.weight.toFixed(4))}` : null;
    if (line) parts.push(line + (visible.length <= MANY ? `, faint: as logged${reduced ? ', from least to most' : ''}` : ''));
    else if (reduced && visible.length <= MANY) parts.push('faint: from least to most');
    if (reduced) parts.push(`${count(data.points)} points are too many for one page: of neighbouring steps their mean, min and max are shown`);
    const crowd = visible.filter((run) => run.style === 'crowd').length;
    if (crowd > 0) parts.push(`grey: ${plural(crowd, 'run', 'runs')} of smaller spread`);
    if (without > 0) parts.push(`${plural(without, 'run has', 'runs have')} no clock and cannot be placed in time`);
    if (data.prefix) parts.push(`names without “${data.prefix}”`);
    words.textContent = parts.join(' · ');
    const [from, to] = ranges.x;
    const span = view.axis === 'time' ? `${short(from)} to ${short(to)} ${unit[1]}` : `${stepText(Math.round(from))} to ${stepText(Math.round(to))} steps`;
    frame.setAttribute('aria-label', `Entropy of ${visible.length} of ${plural(runs.length, 'run', 'runs')}, ${span}, ` +
      `${short(ranges.y[0])} to ${short(ranges.y[1])} nats. The table of runs has the numbers.`);
  }

  // --- The cursor

  function hover(u) {
    const { left, top } = u.cursor;
    if (left === undefined || left < 0) return;
    view.cursor = snap(u.posToVal(left, 'x'));
    view.height = top;
    overlay();
  }

  /** The place nearest to `x` where a visible run has a point. */
  function snap(x) {
    let best = null;
    for (const track of tracks()) {
      const at = track.x[nearest(track.x, x)];
      if (at < ranges.x[0] || at > ranges.x[1]) continue;
      if (best === null || Math.abs(at - x) < Math.abs(best - x)) best = at;
    }
    return best;
  }

  /** What stands at the cursor: of each visible run the place there, or the nearest within half its stride. */
  function readings() {
    const x = view.cursor;
    if (x === null) return [];
    const found = tracks().map((track) => {
      const at = nearest(track.x, x);
      const away = Math.abs(track.x[at] - x);
      const stride = Math.max(at > 0 ? track.x[at] - track.x[at - 1] : 0, at + 1 < track.x.length ? track.x[at + 1] - track.x[at] : 0);
      if (away > 0.5001 * stride) return null;
      const place = track.places ? track.places[at] : at;
      return { run: track.run, track, at, place, value: smoothed(track, view.weight)[at], here: away === 0 };
    });
    return found.filter((reading) => reading !== null);
  }

  /** The steps of a reading. */
  const stepsOf = ({ run, place }) =>
    run.from[place] === run.to[place] ? `step ${stepText(run.from[place])}` : `steps ${stepText(run.from[place])}–${stepText(run.to[place])}`;

  /** What was logged there, in full. */
  function logged({ run, place }) {
    if (run.exact) return exactly(run.y[place]);
    const n = run.counts[place];
    return n === 1 ? short(run.y[place]) : `${short(run.y[place])} mean of ${plural(n, 'step', 'steps')}, ${short(run.low[place])}–${short(run.high[place])}`;
  }

  /** Where the cursor is. */
  function head(found) {
    if (view.axis === 'time') return `${short(view.cursor)} ${unit[0]}`;
    if (view.axis === 'relative') return `${stepText(view.cursor)} steps in`;
    const first = found.find((reading) => reading.here) ?? found[0];
    return first ? stepsOf(first) : `step ${stepText(view.cursor)}`;
  }

  function overlay() {
    const found = readings();
    const pixel = uPlot.pxRatio;
    const { clientWidth: width, clientHeight: height } = plot.over;
    if (width === 0) return; // not laid out yet: the chart calls again
    if (canvas.width !== Math.round(width * pixel)) canvas.width = Math.round(width * pixel);
    if (canvas.height !== Math.round(height * pixel)) canvas.height = Math.round(height * pixel);
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, canvas.width, canvas.height);
    const box = { left: 0, top: 0, width: canvas.width, height: canvas.height };
    const scale = scales(box, ranges.x, ranges.y, view.log);
    const y = (reading) => scale.y(reading.value);
    const byDistance = [...found].sort((a, b) => Math.abs(y(a) - view.height * pixel) - Math.abs(y(b) - view.height * pixel));
    const closest = byDistance[0] && Math.abs(y(byDistance[0]) - view.height * pixel) < 24 * pixel ? byDistance[0].run : null;
    const out = view.pointed ?? (view.cursor !== null && found.length > 1 ? closest : null);
    const track = out && !view.hidden.has(out.label) ? trackOf(out, view.axis, unit) : null;
    const paper = colours(frame);
    if (track) {
      const [from, to] = within(track, ranges.x);
      const values = smoothed(track, view.weight);
      const colour = out.style === 'crowd' ? paper.text : look(out.style).line;
      if (to > from) {
        overInk.begin(canvas.width, canvas.height);
        overInk.line(track, values, from, to, scale, 5 * pixel, paper.ground, []);
        overInk.line(track, values, from, to, scale, 2.6 * pixel, colour, []);
        overInk.lay(context, 0, 0);
      }
    }
    if (view.cursor !== null && found.length > 0) {
      const x = Math.round(scale.x(view.cursor)) + 0.5;
      context.strokeStyle = paper.quiet;
      context.lineWidth = pixel;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, canvas.height);
      context.stroke();
      for (const reading of found.length <= MANY ? found : byDistance.slice(0, TOLD)) {
        const place = y(reading);
        if (Number.isNaN(place)) continue;
        context.beginPath();
        context.arc(scale.x(reading.track.x[reading.at]), place, 3.5 * pixel, 0, 2 * Math.PI);
        context.fillStyle = reading.run.style === 'crowd' ? paper.text : look(reading.run.style).line;
        context.fill();
        context.strokeStyle = paper.ground;
        context.lineWidth = 1.5 * pixel;
        context.stroke();
      }
    }
    tellValues(found);
    showTip(found, byDistance, out);
  }

  /** The values beside the names; the last ones where there is no cursor. */
  function tellValues(found) {
    const values = new Map(found.map((reading) => [reading.run, reading]));
    place.textContent = view.cursor === null ? 'at the last step of each' : `at ${head(found)}`;
    for (const { run, value } of rows) {
      const reading = values.get(run);
      let text = '';
      if (view.cursor === null) text = short(run.stats.last);
      else if (reading) text = run.exact ? exactly(run.y[reading.place]) : short(run.y[reading.place]);
      if (value.textContent !== text) value.textContent = text;
    }
  }

  function showTip(found, byDistance, out) {
    tip.hidden = view.cursor === null || found.length === 0;
    if (tip.hidden) return;
    const told = byDistance.slice(0, TOLD).sort((a, b) => b.value - a.value || a.run.index - b.run.index);
    tip.replaceChildren(
      make('p', { class: 'at' }, head(found)),
      make('table', {}, make('tbody', {}, told.map((reading) => {
        const aside = view.axis !== 'step' || !reading.here ? stepsOf(reading) : null;
        const value = view.weight > 0
          ? [make('b', {}, short(reading.value)), make('span', { class: 'quiet' }, ` logged ${logged(reading)}`)]
          : [make('b', {}, logged(reading))];
        return make('tr', { class: reading.run === out ? 'out' : null },
          make('th', { scope: 'row' }, named(reading.run)),
          make('td', {}, value, aside ? make('span', { class: 'quiet' }, ` ${aside}`) : null));
      }))),
      ...(found.length > told.length ? [make('p', { class: 'quiet' }, `and ${found.length - told.length} more, in the list`)] : []));
    const [x, room] = [plot.over.offsetLeft + plot.valToPos(view.cursor, 'x'), frame.clientWidth];
    const left = x + 14 + tip.offsetWidth <= room ? x + 14 : Math.max(x - 14 - tip.offsetWidth, 0);
    tip.style.left = `${Math.min(left, Math.max(room - tip.offsetWidth, 0))}px`;
    tip.style.top = `${plot.over.offsetTop + 4}px`;
  }

  /** Walks to the next place of any visible run, or the one before, or the ends. */
  function walk(direction, far) {
    const all = tracks();
    let next = null;
    const better = (x) => next === null || (x < next) === (direction > 0);
    for (const { x } of all) {
      let at;
      if (far) at = direction > 0 ? firstFrom(x, ranges.x[0]) : firstFrom(x, ranges.x[1] + 1e-12) - 1;
      else if (view.cursor === null) at = firstFrom(x, ranges.x[0]);
      else at = direction > 0 ? firstFrom(x, view.cursor + Math.abs(view.cursor) * 1e-12 + 1e-12) : firstFrom(x, view.cursor) - 1;
      if (at < 0 || at >= x.length || x[at] > ranges.x[1] || x[at] < ranges.x[0]) continue;
      if (better(x[at])) next = x[at];
    }
    if (next === null) return;
    view.cursor = next;
    overlay();
    const found = readings();
    const spoken = found.slice(0, TOLD).map((reading) => `${reading.run.name} ${short(reading.value)}`);
    const more = found.length - spoken.length;
    told.textContent = `${head(found)}: ${spoken.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  }

  frame.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = {
      ArrowRight: () => walk(1), ArrowLeft: () => walk(-1), Home: () => walk(1, true), End: () => walk(-1, true),
      '+': () => zoomBy(0.5), '=': () => zoomBy(0.5), '-': () => zoomBy(2), 0: () => zoom(null),
      Escape: () => { view.cursor = null; overlay(); },
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  frame.addEventListener('blur', () => {
    view.cursor = null;
    overlay();
  });
  // A finger has no hover: it moves the cursor along.
  frame.addEventListener('pointermove', (event) => {
    if (event.pointerType !== 'touch') return;
    const box = plot.over.getBoundingClientRect();
    view.cursor = snap(plot.posToVal(event.clientX - box.left, 'x'));
    view.height = event.clientY - box.top;
    overlay();
  });
  new ResizeObserver(() => {
    if (!plot || view.width !== null) return;
    const { width, height } = size();
    if (width === plot.width) return;
    plot.setSize({ width, height });
  }).observe(frame);

  return {
    /** Shows other data, as the reader chose to see them. */
    show(document, decoded) {
      [data, runs] = [document, decoded];
      unit = unitOf(runs);
      view.pointed = null;
      const timed = runs.some((run) => run.ticks);
      if (view.axis === 'time' && !timed) view.axis = 'step';
      axes.replaceChildren(axes.firstChild, ...AXES.filter(([name]) => name !== 'time' || timed).map(([name, words]) =>
        make('label', {}, make('input', { type: 'radio', name: 'axis', value: name, onchange: () => axis(name) }), make('span', {}, words))));
      enlist();
      rebuild();
    },
    /** What is drawn of a run: places along the x axis, and values. */
    values(label) {
      const track = trackOf(runs.find((run) => run.label === label), view.axis, unit);
      return track && { x: [...track.x], y: [...smoothed(track, view.weight)] };
    },
    /** Draws anew, in other colours or at another width; null for the width that there is. */
    rebuild(width = null) {
      view.width = width;
      rebuild();
    },
  };
}

