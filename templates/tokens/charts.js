/*
 * The drawings of the token sections: parts that all share, the colour scale and the histogram.
 */

/** About `limit` round numbers from `min` to `max`. */
function roundTicks(min, max, limit) {
  const raw = Math.max((max - min) / limit, 1e-12);
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= raw * 0.999);
  const first = Math.ceil(min / step - 1e-6);
  return Array.from({ length: Math.max(Math.floor(max / step + 1e-6) - first + 1, 0) }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

const tickText = (value) => minus(Math.abs(value) >= 1000 ? `${Number((value / 1000).toPrecision(4))}k` : String(value));
const text = (x, y, anchor, content, style = null) => makeSvg('text', { x, y, 'text-anchor': anchor, class: style }, content);
const drawing = (width, height, label, ...content) =>
  makeSvg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, ...content);
/** About how wide a text of a drawing is, in px. */
const widthOf = (words) => [...words].reduce((sum, c) => sum + (c > '\u2e80' ? 12 : 6.4), 0);

/** About how wide a semibold text is. */
const boldWidth = (words) => 1.2 * widthOf(words) + 4;

/** A text that is at most so wide, with … in place of its end. */
function shortText(words, width) {
  if (widthOf(words) <= width) return words;
  const letters = [...words];
  while (letters.length > 1 && widthOf(letters.join('')) > width - 9) letters.pop();
  return `${letters.join('')}…`;
}

/** A tooltip of a drawing: lines of text in a box beside a point. */
function showTip(svg, x, y, lines) {
  hideTip(svg);
  const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  const shown = lines.map((line) => shortText(line, width - 30));
  const boxWidth = Math.max(...shown.map((line, i) => (i === 0 ? boldWidth(line) : widthOf(line)))) + 18;
  const boxHeight = shown.length * 16 + 10;
  const left = Math.max(Math.min(x + 12 + boxWidth > width ? x - 12 - boxWidth : x + 12, width - boxWidth), 0);
  const top = Math.max(Math.min(y - boxHeight / 2, height - boxHeight), 0);
  svg.append(makeSvg('g', { class: 'token-tip', transform: `translate(${left} ${top})` },
    makeSvg('rect', { width: boxWidth, height: boxHeight, rx: 5 }),
    ...shown.map((line, i) => text(9, 17 + i * 16, 'start', line, i === 0 ? 'strong' : null))));
}

function hideTip(svg) {
  svg.querySelector('.token-tip')?.remove();
}

/** The point of a pointer in the units of a drawing. */
function pointIn(svg, event) {
  const box = svg.getBoundingClientRect();
  return [(event.clientX - box.left) * svg.viewBox.baseVal.width / box.width, (event.clientY - box.top) * svg.viewBox.baseVal.height / box.height];
}

/** A vertical line at the 80th percentile, with a text on the side that has room. */
function percentileMark(x, value, right, top, bottom, baseline) {
  const anchor = x > right ? 'end' : 'start';
  return [
    makeSvg('path', { class: 'mark', d: `M${x} ${top}V${bottom}` }),
    text(x + (anchor === 'start' ? 4 : -4), baseline, anchor, `80th percentile ${nats(value)}`),
  ];
}

/** The colours of tokens with their entropies; `p80` is the 80th percentile, or null. */
function colourScale(available, p80) {
  const { levels, max } = scale;
  const width = Math.min(available || 320, 400);
  const [left, right] = [6, 22];
  const x = (value) => left + (width - left - right) * along(value);
  const boxWidth = (width - left - right) / levels;
  const boxes = Array.from({ length: levels }, (_, i) =>
    makeSvg('rect', { class: `h${i}`, x: left + i * boxWidth, y: 19, height: 10, width: boxWidth }));
  // Labels at both ends, and between them the round numbers that have room, larger ones first.
  const labels = [max, 0];
  const candidates = Array.from({ length: 6 }, (_, i) => 10 ** (1 - i)).flatMap((unit) => [5, 2, 1].map((n) => Number((n * unit).toPrecision(3))));
  for (const value of candidates.filter((value) => value < max)) {
    if (labels.every((label) => Math.abs(x(label) - x(value)) >= 34)) labels.push(value);
  }
  return drawing(width, 48, `Colours from 0 to ${max} nats on a square-root scale`,
    ...boxes, makeSvg('rect', { class: 'frame', x: left, y: 19, height: 10, width: boxWidth * levels }),
    ...(p80 === null ? [] : percentileMark(x(p80), p80, width - 134, 15, 32, 12)),
    ...labels.map((value) => text(x(value), 43, 'middle', value === max ? `≥ ${value}` : String(value))));
}

/** Takes away a chart that has nothing to show. */
function clearChart(target) {
  target.replaceChildren();
  [target.hidden, target.drawnFor] = [true, null];
}

/** Draws a chart with a caption into a figure, at the width of the figure; `content` is given the plot area. */
function drawChart(target, caption, content, { height = 210, left = 40, right = 12, top = 22, bottom = 36 } = {}) {
  target.hidden = false;
  const width = Math.max(target.clientWidth || 480, 240);
  const plot = { left, right: width - right, top, bottom: height - bottom, width, height };
  const svg = drawing(width, height, caption);
  svg.append(...content(plot, svg).flat().filter((part) => part !== null));
  target.replaceChildren(make('figcaption', { class: 'muted' }, caption), svg);
}

/** A horizontal grid line with its label. */
const gridLine = (plot, y, label) => [
  makeSvg('path', { class: 'rule', d: `M${plot.left} ${y}H${plot.right}` }), text(plot.left - 6, y + 4, 'end', label),
];
/** The name of the x axis. */
const xName = (plot, words) => text((plot.left + plot.right) / 2, plot.height - 4, 'middle', words);

/** Token counts by entropy, on a scale of log10(1 + n) so that rare tokens are visible. */
function drawHistogram(target, entropy) {
  if (!entropy) {
    clearChart(target);
    return;
  }
  const bins = entropy.histogram;
  const most = Math.max(...bins);
  const max = settings.histogram_max || 1;
  drawChart(target, 'Token entropy histogram (counts on a logarithmic scale)', (plot, svg) => {
    const x = (bin) => plot.left + ((plot.right - plot.left) * bin) / bins.length;
    const y = (n) => plot.bottom - ((plot.bottom - plot.top) * Math.log10(1 + n)) / Math.log10(1 + most);
    const powers = Array.from({ length: 12 }, (_, i) => 10 ** i).filter((n) => n <= most);
    const labels = powers.length > 5 ? powers.filter((_, i) => i % 2 === (powers.length - 1) % 2) : powers;
    const p80 = percentile(entropy, 80);
    const words = (i) => [`${nats((i * max) / bins.length)} to ${nats(((i + 1) * max) / bins.length)} nats`,
      `${plural(bins[i], 'token', 'tokens')}, ${share(bins[i] / entropy.tokens)}`];
    const bars = bins.map((n, i) => n === 0 ? null : makeSvg('rect', {
      class: 'bin', 'data-bin': i, x: x(i), y: y(n), height: plot.bottom - y(n), width: x(i + 1) - x(i),
    }));
    svg.addEventListener('mousemove', (event) => {
      const [at] = pointIn(svg, event);
      const bin = Math.floor(((at - plot.left) / (plot.right - plot.left)) * bins.length);
      if (bin >= 0 && bin < bins.length) showTip(svg, x(bin + 0.5), (plot.top + plot.bottom) / 2, words(bin));
    });
    svg.addEventListener('mouseleave', () => hideTip(svg));
    return [
      ...labels.flatMap((n) => gridLine(plot, y(n), n >= 1e6 ? `${n / 1e6}M` : n >= 1000 ? `${n / 1000}k` : String(n))),
      ...bars,
      makeSvg('path', { class: 'rule', d: `M${plot.left} ${plot.bottom}H${plot.right}` }),
      ...percentileMark(plot.left + ((plot.right - plot.left) * p80) / max, p80, plot.right - 130, plot.top - 12, plot.bottom, plot.top - 5),
      ...roundTicks(0, max, 6).map((value) => text(x((value / max) * bins.length), plot.bottom + 15, 'middle', String(value))),
      xName(plot, 'entropy of a token (nats)'),
    ];
  });
}

