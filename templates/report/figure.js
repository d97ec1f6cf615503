// --- The chart as a picture: title, axes, lines and names --------------------------------------------------
//
// The same code draws on a canvas and, through a recorder with the methods of a canvas, into an SVG document.

const FIGURE = { width: 1120, height: 600, panel: 130, gap: 48, side: 24, legend: 250, line: 18 };

/** The height of a picture with this number of charts below each other. */
const figureHeight = (charts) => FIGURE.height + (charts - 1) * (FIGURE.panel + FIGURE.gap);

/** Words broken into lines that are at most `width` wide. */
function wrapText(context, text, width) {
  const lines = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && context.measureText(`${last} ${word}`).width <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Text shortened in its middle until it is at most `width` wide. */
function fitText(context, text, width) {
  const letters = [...text];
  let kept = letters.length;
  const shown = () => (kept === letters.length ? text : `${letters.slice(0, Math.ceil(kept / 2)).join('')}…${letters.slice(letters.length - Math.floor(kept / 2)).join('')}`);
  while (kept > 1 && context.measureText(shown()).width > width) kept--;
  return shown();
}

/**
 * Draws what the charts show. `charts` are `{scene, ticks, title}` from top to bottom, `texts` are `{title, words, axis}`,
 * `entries` what the legend names, ticks pairs of a position and its text, `xTicks` those of the x axis.
 */
function drawFigure(context, raster, pixel, charts, texts, entries, xTicks) {
  const { colours, styleOf, font } = charts[0].scene;
  const px = (length) => length * pixel;
  const write = (text, x, y, { size = 12, weight = 400, fill = colours.text, align = 'left' } = {}) => {
    [context.font, context.fillStyle, context.textAlign, context.textBaseline] = [`${weight} ${px(size)}px ${font}`, fill, align, 'alphabetic'];
    context.fillText(text, px(x), px(y));
  };
  const rule = (x0, y0, x1, y1, stroke, width = 1, dash = []) => {
    [context.strokeStyle, context.lineWidth] = [stroke, px(width)];
    context.setLineDash(dash.map(px));
    context.beginPath();
    context.moveTo(px(x0), px(y0));
    context.lineTo(px(x1), px(y1));
    context.stroke();
    context.setLineDash([]);
  };
  context.fillStyle = colours.background;
  context.fillRect(0, 0, px(FIGURE.width), px(figureHeight(charts.length)));

  // The title, and below it the description of the chart.
  const right = FIGURE.width - FIGURE.side;
  context.font = `600 ${px(20)}px ${font}`;
  let y = FIGURE.side;
  for (const line of wrapText(context, texts.title, px(right - FIGURE.side)).slice(0, 3)) {
    write(line, FIGURE.side, y + 14, { size: 20, weight: 600 });
    y += 26;
  }
  context.font = `400 ${px(13)}px ${font}`;
  y -= 6;
  for (const line of wrapText(context, texts.words, px(right - FIGURE.side)).slice(0, 4)) write(line, FIGURE.side, y += 18, { size: 13, fill: colours.muted });

  context.font = `400 ${px(12)}px ${font}`;
  const widest = Math.max(...charts.flatMap(({ ticks }) => ticks).map(([, text]) => context.measureText(text).width / pixel), 0);
  const left = Math.ceil(FIGURE.side + widest + 8);
  const width = right - FIGURE.legend - left;
  const top = y + 24;
  const boxes = charts.map((_, i) => (i === 0
    ? { left, width, top, height: FIGURE.height - 58 - top }
    : { left, width, top: FIGURE.height - 58 + i * FIGURE.gap + (i - 1) * FIGURE.panel, height: FIGURE.panel }));
  charts.forEach(({ scene, ticks, title }, i) => {
    const box = boxes[i];
    const scale = scales(box, scene.ranges.x, scene.ranges.y, scene.log);
    for (const [value, text] of ticks) {
      rule(box.left, scale.y(value), box.left + box.width, scale.y(value), colours.hairline);
      write(text, box.left - 8, scale.y(value) + 4, { fill: colours.muted, align: 'right' });
    }
    if (title) write(title, box.left, box.top - 14, { size: 13, weight: 600 });
    drawCurves(context, { left: px(box.left), top: px(box.top), width: px(box.width), height: px(box.height) }, pixel, raster, scene);
  });
  const last = boxes.at(-1);
  const bottom = last.top + last.height;
  const scale = scales(last, charts[0].scene.ranges.x, [0, 1], false);
  for (const [value, text] of xTicks) write(text, scale.x(value), bottom + 20, { fill: colours.muted, align: 'center' });
  write(texts.axis, left + width / 2, bottom + 42, { fill: colours.muted, align: 'center' });

  drawLegend(context, px, write, rule, styleOf, entries, { left: left + width + 22, right, top, bottom, font });
}

/** Draws the legend, with as many names as fit. */
function drawLegend(context, px, write, rule, styleOf, entries, { left, right, top, bottom, font }) {
  const room = Math.floor((bottom - top) / FIGURE.line);
  const coloured = entries.filter((entry) => !isUnstyled(entry));
  const listed = coloured.length > 0 ? coloured : entries; // grey lines cannot be told apart
  const named = listed.length > room - 1 && entries.length > room ? listed.slice(0, room - 1) : listed;
  named.forEach((entry, i) => {
    const { line, dash } = styleOf(entry.style);
    const middle = top + 6 + i * FIGURE.line;
    rule(left, middle, left + 22, middle, line, 2.4, dash);
    context.font = `400 ${px(12)}px ${font}`;
    const name = entry.members ? `${entry.name}, n = ${entry.members.length}` : entry.name;
    write(fitText(context, name, px(right - left - 30)), left + 30, middle + 4);
  });
  if (named.length < entries.length) write(`and ${entries.length - named.length} more`, left + 30, top + 10 + named.length * FIGURE.line, { fill: colours.muted });
}

// --- SVG

/** A recorder with the methods of a canvas that the chart uses; `document()` is what was drawn. */
function svgContext(width, height) {
  const root = makeSvg('svg', { xmlns: 'http://www.w3.org/2000/svg', width, height, viewBox: `0 0 ${width} ${height}` });
  const measuring = document.createElement('canvas').getContext('2d');
  const round = (number) => Math.round(number * 100) / 100;
  let [path, dash] = [[], []];
  const stroke = (self) => ({ stroke: self.strokeStyle, 'stroke-width': round(self.lineWidth), 'stroke-dasharray': dash.length > 0 ? dash.join(' ') : null });
  const textOf = (self, text, x, y, more) => {
    const [, weight, size, family] = /^(?:(\d+) )?([\d.]+)px (.*)$/.exec(self.font);
    root.append(makeSvg('text', {
      x: round(x), y: round(y), 'font-family': family, 'font-size': size, 'font-weight': weight ?? null,
      'text-anchor': { center: 'middle', right: 'end' }[self.textAlign] ?? null, ...more,
    }, text));
  };
  return {
    font: '', fillStyle: '', strokeStyle: '', lineWidth: 1, textAlign: 'left', textBaseline: '', lineJoin: '',
    root, save() {}, restore() {}, clip() { path = []; }, beginPath() { path = []; }, rect() {},
    setLineDash(lengths) { dash = lengths; },
    measureText(text) { measuring.font = this.font; return measuring.measureText(text); },
    moveTo(x, y) { path.push(`M${round(x)} ${round(y)}`); },
    lineTo(x, y) { path.push(`L${round(x)} ${round(y)}`); },
    arc(x, y, r) { path.push(`M${round(x - r)} ${round(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`); },
    fill() { root.append(makeSvg('path', { d: path.join(''), fill: this.fillStyle })); },
    stroke() { root.append(makeSvg('path', { d: path.join(''), fill: 'none', ...stroke(this) })); },
    fillRect(x, y, w, h) { root.append(makeSvg('rect', { x, y, width: w, height: h, fill: this.fillStyle })); },
    fillText(text, x, y) { textOf(this, text, x, y, { fill: this.fillStyle }); },
    strokeText(text, x, y) { textOf(this, text, x, y, { fill: 'none', 'stroke-linejoin': 'round', ...stroke(this) }); },
    document: () => `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(root)}\n`,
  };
}

/** Draws dense lines as paths: of each column of pixels the first, lowest, highest and last point. */
function svgLines() {
  let [group, width, height, charts] = [null, 0, 0, 0];
  const number = (value) => Math.round(value * 100) / 100;

  /** The parts of a line between its gaps, as lists of points. */
  function partsOfLine({ x, breaks }, ys, from, to, scale) {
    const parts = [];
    let part = null;
    for (let i = from; i < to; i++) {
      const [px, py] = [scale.x(x[i]), Math.min(Math.max(scale.y(ys[i]), -1e4), 1e4)];
      if (Number.isNaN(py)) {
        part = null;
        continue;
      }
      if (part === null || breaks[i] === 1) parts.push(part = []);
      part.push([px, py]);
    }
    return parts.map(thinned);
  }

  function thinned(points) {
    const kept = [];
    for (let i = 0; i < points.length;) {
      let end = i;
      while (end < points.length && Math.floor(points[end][0]) === Math.floor(points[i][0])) end++;
      let [low, high] = [i, i];
      for (let k = i; k < end; k++) {
        if (points[k][1] < points[low][1]) low = k;
        if (points[k][1] > points[high][1]) high = k;
      }
      for (const k of [...new Set([i, low, high, end - 1])].sort((a, b) => a - b)) kept.push(points[k]);
      i = end;
    }
    return kept;
  }

  const pathOf = (points) => `M${points.map(([x, y]) => `${number(x)} ${number(y)}`).join('L')}`;

  return {
    begin(newWidth, newHeight) {
      [width, height, charts] = [newWidth, newHeight, charts + 1];
      group = makeSvg('g', { fill: 'none', 'stroke-linejoin': 'round', 'clip-path': `url(#plot${charts})` });
    },
    line(trace, ys, from, to, scale, lineWidth, colour, dash = []) {
      const d = partsOfLine(trace, ys, from, to, scale).map(pathOf).join('');
      if (d) group.append(makeSvg('path', { d, stroke: colour, 'stroke-width': lineWidth, 'stroke-dasharray': dash.length > 0 ? dash.join(' ') : null, 'stroke-linecap': dash.length > 0 ? null : 'round' }));
    },
    density(lines, scale, lineWidth, colour) {
      for (const [trace, ys, from, to] of lines) {
        const d = partsOfLine(trace, ys, from, to, scale).map(pathOf).join('');
        if (d) group.append(makeSvg('path', { d, stroke: colour, 'stroke-width': lineWidth, 'stroke-opacity': DENSITY }));
      }
    },
    area(trace, low, high, from, to, scale, colour, opacity = 1) {
      const lows = partsOfLine(trace, low, from, to, scale);
      partsOfLine(trace, high, from, to, scale).forEach((part, i) => {
        if (lows[i]) group.append(makeSvg('path', { d: `${pathOf([...part, ...[...lows[i]].reverse()])}Z`, fill: colour, 'fill-opacity': opacity < 1 ? opacity : null }));
      });
    },
    drawOn(context, x, y) {
      context.root.append(makeSvg('clipPath', { id: `plot${charts}` }, makeSvg('rect', { x: 0, y: -2, width, height: height + 4 })));
      context.root.append(makeSvg('g', { transform: `translate(${x} ${y})` }, group));
    },
  };
}
