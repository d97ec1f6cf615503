// --- Drawing the curves ---------------------------------------------------------------------------------
//
// uPlot draws the axes and the grid and handles the selection and the cursor. The lines are drawn here, since each
// run has its own steps and uPlot needs one list of positions for all. A scene holds everything that is drawn: the `traces` of
// the visible runs, `ranges` of both axes, `log`, the smoothing `weight`, the `colours` of the page, and
// `styleOf(class)`, the line style of a run.

const MAX_LABELLED = 12; // with more runs, events have no text
const TEXT_LINES = 2; // a text is at most this many lines away from the circle that it belongs to
const MANY = 40; // with more runs, lines are thinner and smoothed lines are drawn without the logged ones
const FEW_POINTS = 30; // with fewer points, each is marked by a dot

/** The current colours of the page. */
function pageColours(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return { background: of('--background'), text: of('--text'), muted: of('--muted'), hairline: of('--hairline') };
}

/** A function from a style class to line colour, faint colour and dash pattern; it caches the styles. */
function styleLookup(parent) {
  const known = new Map();
  return (style) => {
    if (!known.has(style)) {
      const probe = make('i', { class: style, hidden: true });
      parent.append(probe);
      const computed = getComputedStyle(probe);
      const of = (name) => computed.getPropertyValue(name).trim();
      const dash = of('--dash');
      known.set(style, { line: of('--line'), faint: of('--faint'), dash: dash === '' || dash === 'none' ? [] : dash.split(' ').map(Number) });
      probe.remove();
    }
    return known.get(style);
  };
}

const isUnstyled = (run) => run.style === 'unstyled';

/** The entries with those in colour first. */
const colouredFirst = (entries) => [...entries.filter((entry) => !isUnstyled(entry)), ...entries.filter(isUnstyled)];

/** The background of a trace: the range of its buckets, the logged values behind a smoothed line, or null. */
function backgroundOf(trace, weight, many) {
  if (trace.lineAt) return 'runs';
  if (many || isUnstyled(trace.run)) return null;
  if (!trace.run.exact) return 'range';
  return weight > 0 ? 'logged' : null;
}

const BAND = 0.18; // opacity of a band over all runs of a group
const PARTIAL_BAND = 0.09; // and over some of them
const PARTIAL_DASH = [6, 4];

/** The number of runs drawn behind the means of the traces; none if they are too many. */
const isWithMembers = (traces) => traces.reduce((sum, trace) => sum + (trace.traces?.length ?? 0), 0) <= MANY;

/** The range of the y axis that fits everything drawn in a range of x. */
function fittingValueRange(traces, range, log, weight) {
  const many = traces.length > MANY;
  const members = traces.flatMap((trace) => trace.traces ?? []);
  const behind = isWithMembers(traces) ? members : [];
  const logged = valueExtent(behind, range, log, (trace) => [trace.y]);
  let extent = valueExtent(traces, range, log, (trace) => {
    const lines = [smoothed(trace, weight)];
    if (trace.lineAt) return lines;
    if (weight > 0 && !many) lines.push(trace.y);
    if (backgroundOf(trace, weight, many) === 'range') lines.push(trace.low, trace.high);
    return lines;
  });
  const join = (a, b) => (a && b ? [Math.min(a[0], b[0]), Math.max(a[1], b[1])] : a ?? b);
  extent = join(extent, logged);
  // Entropies are not negative, so a band that reaches below 0 does not extend the axis.
  const bands = valueExtent(traces.filter((trace) => trace.lineAt), range, log, (trace) => { const { low, high } = trace.lineAt(weight); return [low, high]; });
  if (bands && extent && extent[0] >= 0) bands[0] = Math.max(bands[0], 0);
  return valueRange(join(extent, bands), log);
}

/** Draws the bands of a group, lighter where fewer than all of its runs are averaged. */
function drawBands(raster, trace, from, to, scale, colour, weight, log) {
  const { low, high } = trace.lineAt(weight);
  const ends = log ? [low, high].map((values) => values.map((value) => (value > 0 ? value : value <= 0 ? Number.MIN_VALUE : NaN))) : [low, high];
  for (const segment of partsOf(trace, from, to)) raster.area(trace, ...ends, segment.from, segment.to, scale, colour, segment.isWhole ? BAND : PARTIAL_BAND);
}

/** The parts of a group's mean in a range of indices, each over the same runs. */
function partsOf(trace, from, to) {
  return trace.segments.map((segment) => ({ from: Math.max(segment.from, from), to: Math.min(segment.to, to), isWhole: segment.runs === trace.traces.length }))
    .filter((part) => part.from < part.to);
}

/** Draws all curves and events into the plot area `box` of a canvas. */
function drawCurves(context, box, pixel, raster, scene) {
  const { ranges, log, weight, styleOf } = scene;
  const scale = scales(box, ranges.x, ranges.y, log);
  const rasterScale = scales({ left: 0, top: 0, width: box.width, height: box.height }, ranges.x, ranges.y, log);
  const visible = scene.traces.map((trace) => [trace, ...indexRange(trace, ranges.x)]).filter(([, from, to]) => to > from);
  const many = visible.length > MANY;
  context.save();
  context.beginPath();
  context.rect(box.left, box.top - 4 * pixel, box.width, box.height + 8 * pixel);
  context.clip();
  raster.begin(Math.round(box.width), Math.round(box.height));
  const withMembers = isWithMembers(scene.traces);
  for (const [trace, from, to] of visible) {
    const { faint } = styleOf(trace.run.style);
    const background = backgroundOf(trace, weight, many);
    if (background === 'runs' && withMembers) {
      for (const member of trace.traces) raster.line(member, member.y, ...indexRange(member, ranges.x), rasterScale, 0.9 * pixel, faint);
    }
    if (background === 'range') raster.area(trace, trace.low, trace.high, from, to, rasterScale, faint);
    if (background === 'logged') raster.line(trace, trace.y, from, to, rasterScale, 0.9 * pixel, faint);
  }
  for (const [trace, from, to] of visible) {
    if (trace.lineAt) drawBands(raster, trace, from, to, rasterScale, styleOf(trace.run.style).line, weight, log);
  }
  // Runs without a colour of their own are drawn below the others.
  const [grey, coloured] = [visible.filter(([{ run }]) => isUnstyled(run)), visible.filter(([{ run }]) => !isUnstyled(run))];
  if (grey.length > 0) {
    const lines = grey.map(([trace, from, to]) => [trace, smoothed(trace, weight), from, to]);
    raster.density(lines, rasterScale, (many ? 0.7 : 1.1) * pixel, styleOf('unstyled').line, scene.colours.background);
  }
  for (const [trace, from, to] of coloured) {
    const { line, dash } = styleOf(trace.run.style);
    const width = many && grey.length === 0 ? 1.1 : weight > 0 ? 2 : 1.6;
    if (trace.lineAt) {
      for (const part of partsOf(trace, from, to)) {
        const dashes = part.isWhole ? [] : PARTIAL_DASH.map((length) => length * pixel);
        raster.line(trace, smoothed(trace, weight), part.from, part.to, rasterScale, 2 * pixel, line, dashes);
      }
      continue;
    }
    const dashes = to - from < FEW_POINTS ? [] : dash.map((length) => length * pixel);
    raster.line(trace, smoothed(trace, weight), from, to, rasterScale, width * pixel, line, dashes);
  }
  raster.drawOn(context, Math.round(box.left), Math.round(box.top));
  for (const [trace, from, to] of many ? [] : visible) {
    if (to - from < FEW_POINTS) drawDots(context, trace, smoothed(trace, weight), from, to, scale, pixel, styleOf(trace.run.style).line);
  }
  drawEvents(context, box, scale, pixel, scene, visible.length <= MAX_LABELLED);
  context.restore();
}

function drawDots(context, trace, values, from, to, scale, pixel, colour) {
  context.fillStyle = colour;
  context.beginPath();
  for (let i = from; i < to; i++) {
    const [x, y] = [scale.x(trace.x[i]), scale.y(values[i])];
    if (Number.isNaN(y)) continue;
    context.moveTo(x + 2.4 * pixel, y);
    context.arc(x, y, 2.4 * pixel, 0, 2 * Math.PI);
  }
  context.fill();
}

/** A filled circle with an outline. */
function drawCircle(context, x, y, radius, fill, stroke, lineWidth) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  context.lineWidth = lineWidth;
  context.strokeStyle = stroke;
  context.stroke();
}

/** The index of a step in a trace; null if the page does not have it. */
function indexOfStep(trace, step) {
  if (step < trace.run.from[0]) return null;
  const point = lowerBound(trace.run.to, step);
  const index = trace.indices ? trace.indices.indexOf(point) : point;
  return index < 0 || index >= trace.x.length ? null : index;
}

/** The events of a run as steps and texts: a collapse or an explosion, with its level, and the starts of stages. */
function eventsOf({ stats }, withStages) {
  const events = stats.state_step === null ? [] : [[stats.state_step, `${stats.state} at step ${stepText(stats.state_step)}`, stats.state_level]];
  if (withStages) events.push(...stats.joints.map((stage) => [stage.step, /^\d+$/.test(stage.round) ? `round ${stage.round}` : stage.round]));
  return events;
}

/** The lowest and the highest pixel of each drawn line between two positions in pixels. */
function occupied({ traces, ranges, weight }, scale, left, right) {
  const many = traces.length > MANY;
  const { x0, kx, left: start } = scale.line;
  const [from, to] = [left, right].map((x) => x0 + (x - start) / kx);
  const lists = traces.flatMap((trace) => {
    const lines = [[trace, smoothed(trace, weight)]];
    const background = backgroundOf(trace, weight, many);
    if (background === 'runs' && isWithMembers(traces)) lines.push(...trace.traces.map((member) => [member, member.y]));
    if (background === 'range') lines.push([trace, trace.low], [trace, trace.high]);
    if (background === 'logged') lines.push([trace, trace.y]);
    return lines;
  });
  return lists.map(([trace, ys]) => {
    let [low, high] = [Infinity, -Infinity];
    const [first, last] = indexRange(trace, [Math.max(from, ranges.x[0]), Math.min(to, ranges.x[1])]);
    let before = null; // the point before, to cut the lines at the ends of the label
    for (let i = first; i < last; i++) {
      const point = [scale.x(trace.x[i]), scale.y(ys[i])];
      const ends = before === null || trace.breaks[i] === 1 ? [point] : cutLine(before, point, left, right);
      for (const [x, y] of ends) {
        if (x < left || x > right || Number.isNaN(y)) continue;
        if (y < low) low = y;
        if (y > high) high = y;
      }
      before = point;
    }
    return [low, high];
  });
}

/** The ends of the part of a line between two positions. */
function cutLine([ax, ay], [bx, by], left, right) {
  const at = (x) => [x, bx > ax ? ay + ((by - ay) * (x - ax)) / (bx - ax) : by];
  if (bx < left || ax > right) return [];
  return [ax < left ? at(left) : [ax, ay], bx > right ? at(right) : [bx, by]];
}

/** How far a point is from a box. */
const distanceToBox = ([x, y], { left, right, top, bottom }) => Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));

/**
 * A place for a text beside a circle where no line and no other text is, and no circle of another event is nearer than its own:
 * its left edge and its baseline; null if there is none. `circles` are those of all events.
 */
function placeOfText(box, [x, y], width, pixel, taken, circles, linesBetween) {
  const line = 16 * pixel;
  const gap = 10 * pixel;
  const upwards = Array.from({ length: TEXT_LINES }, (_, i) => y - gap - i * line);
  const downwards = Array.from({ length: TEXT_LINES }, (_, i) => y + 18 * pixel + i * line);
  const baselines = y - box.top > 2 * line ? [...upwards, ...downwards] : [...downwards, ...upwards];
  for (const left of [x + gap, x - gap - width]) {
    if (left < box.left || left + width > box.left + box.width) continue;
    const lines = linesBetween(left - 3 * pixel, left + width + 3 * pixel);
    const isFree = (baseline) => {
      const [top, bottom] = [baseline - 12 * pixel, baseline + 4 * pixel];
      const own = { left, right: left + width, top, bottom };
      return top >= box.top && bottom <= box.top + box.height && lines.every(([low, high]) => high < top || low > bottom) &&
        circles.every((circle) => (circle[0] === x && circle[1] === y) || distanceToBox(circle, own) > Math.max(distanceToBox([x, y], own), 6 * pixel)) &&
        taken.every((other) => left > other.right || left + width < other.left || Math.abs(baseline - other.y) >= line);
    };
    const free = baselines.find(isFree);
    if (free !== undefined) return [left, free];
  }
  return null;
}

/** Draws each event as an open circle at its level or on the line, with a text near it where there is room. */
function drawEvents(context, box, scale, pixel, scene, labelled) {
  const { traces, ranges, weight, colours, styleOf, font } = scene;
  const taken = [];
  context.font = `${12 * pixel}px ${font}`;
  context.lineJoin = 'round';
  context.textAlign = 'left'; // uPlot leaves it set to that of its axes
  context.textBaseline = 'alphabetic';
  const isCrowded = traces.length > MAX_LABELLED;
  const events = [];
  for (const trace of traces) {
    if (isCrowded && isUnstyled(trace.run)) continue;
    for (const [step, text, level] of eventsOf(trace.run, labelled)) {
      const at = indexOfStep(trace, step);
      if (at === null || trace.x[at] < ranges.x[0] || trace.x[at] > ranges.x[1]) continue;
      const [x, y] = [scale.x(trace.x[at]), scale.y(level ?? smoothed(trace, weight)[at])];
      if (Number.isNaN(y)) continue;
      events.push({ at: [x, y], text, colour: styleOf(trace.run.style).line });
    }
  }
  const circles = events.map((event) => event.at);
  const texts = [];
  for (const event of labelled ? events : []) {
    const { width } = context.measureText(event.text);
    const place = placeOfText(box, event.at, width, pixel, taken, circles, (left, right) => occupied(scene, scale, left, right));
    if (place === null) continue; // the list of findings has the step
    const [left, baseline] = place;
    taken.push({ left: left - 6 * pixel, right: left + width + 6 * pixel, y: baseline });
    texts.push({ ...event, left, baseline });
    drawLeader(context, pixel, event, left, width, baseline);
  }
  for (const { at: [x, y], colour } of events) drawCircle(context, x, y, 4.5 * pixel, colours.background, colour, 2 * pixel);
  for (const { text, colour, left, baseline } of texts) {
    context.lineWidth = 3 * pixel;
    context.strokeStyle = colours.background;
    context.strokeText(text, left, baseline);
    context.fillStyle = colour;
    context.fillText(text, left, baseline);
  }
}

/** Draws a thin line from a circle to its text, if the text is not next to it. */
function drawLeader(context, pixel, { at: [x, y], colour }, left, width, baseline) {
  const end = [x < left ? left - 2 * pixel : left + width + 2 * pixel, baseline - 4 * pixel];
  if (Math.hypot(end[0] - x, end[1] - y) < 20 * pixel) return;
  context.lineWidth = pixel;
  context.strokeStyle = colour;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(...end);
  context.stroke();
}

/** Draws one trace thick, on top of all others. */
function drawHighlight(context, pixel, raster, scale, trace, { ranges, weight, colours, styleOf }) {
  const [from, to] = indexRange(trace, ranges.x);
  if (to <= from) return;
  const colour = isUnstyled(trace.run) ? colours.text : styleOf(trace.run.style).line;
  const { width, height } = context.canvas;
  raster.begin(width, height);
  const parts = trace.lineAt ? partsOf(trace, from, to) : [{ from, to, isWhole: true }];
  for (const [lineWidth, stroke] of [[5, colours.background], [2.6, colour]]) {
    for (const part of parts) {
      const dash = part.isWhole ? [] : PARTIAL_DASH.map((length) => length * pixel);
      raster.line(trace, smoothed(trace, weight), part.from, part.to, scale, lineWidth * pixel, stroke, dash);
    }
  }
  raster.drawOn(context, 0, 0);
}

/** Draws the vertical line of the cursor, and a dot for each reading. */
function drawCursor(context, pixel, scale, cursor, readings, { colours, styleOf }) {
  const x = Math.round(scale.x(cursor)) + 0.5;
  context.strokeStyle = colours.muted;
  context.lineWidth = pixel;
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, context.canvas.height);
  context.stroke();
  for (const { run, trace, at, value } of readings) {
    const y = scale.y(value);
    if (Number.isNaN(y)) continue;
    const colour = isUnstyled(run) ? colours.text : styleOf(run.style).line;
    drawCircle(context, scale.x(trace.x[at]), y, 3.5 * pixel, colour, colours.background, 1.5 * pixel);
  }
}

