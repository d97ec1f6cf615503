/*
 * The drawings of the token section: the colour scale, the histogram, and the mean entropy by position.
 */

const share = (value) => (value === null ? '–' : `${(value * 100).toFixed(1)} %`);
const nats = (value) => (value === null ? '–' : decimalText(value));
const percentile80 = (scoring) => scoring.quantiles.find((quantile) => quantile.percent === 80).value;

/** About `limit` round numbers from 0 to `max`. */
function roundTicks(max, limit) {
  const raw = max / limit;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= raw * 0.999);
  return Array.from({ length: Math.floor(max / step + 1.001) }, (_, i) => Number((i * step).toPrecision(6)));
}

const text = (x, y, anchor, content) => makeSvg('text', { x, y, 'text-anchor': anchor }, content);
const drawing = (width, height, label, ...content) =>
  makeSvg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, ...content);

/** A vertical line at the 80th percentile, with a text on the side that has room. */
function percentileMark(x, value, right, top, bottom, baseline) {
  const anchor = x > right ? 'end' : 'start';
  return [
    makeSvg('path', { class: 'mark', d: `M${x} ${top}V${bottom}` }),
    text(x + (anchor === 'start' ? 4 : -4), baseline, anchor, `80th percentile ${nats(value)}`),
  ];
}

/** The colours with their entropies; `along` maps an entropy to a position from 0 to 1. */
function colourScale(available, { levels, max }, along, p80) {
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
  return drawing(width, 48, `Colours from 0 to ${max} nats on a square-root scale; 80th percentile ${nats(p80)}`,
    ...boxes, makeSvg('rect', { class: 'frame', x: left, y: 19, height: 10, width: boxWidth * levels }),
    ...percentileMark(x(p80), p80, width - 134, 15, 32, 12),
    ...labels.map((value) => text(x(value), 43, 'middle', value === max ? `≥ ${value}` : String(value))));
}

/** Draws a chart with a caption into a figure, at the width of the figure; `content` is given the plot area. */
function drawChart(figure, caption, content) {
  const [width, height] = [Math.max(figure.clientWidth || 480, 240), 190];
  const plot = { left: 36, right: width - 12, top: 22, bottom: height - 22 };
  figure.replaceChildren(make('figcaption', { class: 'muted' }, caption), drawing(width, height, caption, ...content(plot)));
}

/** A horizontal grid line with its label. */
const gridLine = (plot, y, label) => [
  makeSvg('path', { class: 'rule', d: `M${plot.left} ${y}H${plot.right}` }), text(plot.left - 6, y + 4, 'end', label),
];

/** Token counts by entropy, on a scale of log10(1 + n) so that rare tokens are visible. */
function drawHistogram(figure, scoring) {
  const most = Math.max(...scoring.histogram);
  const max = scoring.histogram_max || 1;
  drawChart(figure, 'Token entropy histogram (entropy in nats; counts on a logarithmic scale)', (plot) => {
    const x = (value) => plot.left + ((plot.right - plot.left) * value) / max;
    const y = (n) => plot.bottom - ((plot.bottom - plot.top) * Math.log10(1 + n)) / Math.log10(1 + most);
    const binWidth = max / scoring.histogram.length;
    const powers = Array.from({ length: 12 }, (_, i) => 10 ** i).filter((n) => n <= most);
    const p80 = percentile80(scoring);
    const bars = scoring.histogram.map((n, i) => n === 0 ? null : makeSvg('rect', {
      class: 'bin', x: x(i * binWidth) + 0.5, y: y(n), height: plot.bottom - y(n), width: Math.max(x(binWidth) - plot.left - 1, 0.5),
    }, makeSvg('title', {}, `${nats(i * binWidth)} to ${nats((i + 1) * binWidth)}: ${plural(n, 'token', 'tokens')}`)));
    return [
      ...powers.flatMap((n) => gridLine(plot, y(n), n >= 1000 ? `${n / 1000}k` : String(n))),
      ...bars,
      ...percentileMark(x(p80), p80, plot.right - 130, plot.top - 12, plot.bottom, plot.top - 5),
      ...roundTicks(max, 6).map((value) => text(x(value), plot.bottom + 15, 'middle', String(value))),
    ];
  });
}

/** Mean entropy by position in the response; the current scoring is drawn over the others. */
function drawPositions(figure, scorings, current, name) {
  const caption = 'Mean entropy by position in the response (nats; tenths of its tokens)' +
    (scorings.length > 1 ? `; ${name}, faint: the others` : '');
  const highest = Math.max(...scorings.flatMap((scoring) => scoring.parts.map((part) => part.mean ?? 0)), 1e-9);
  drawChart(figure, caption, (plot) => {
    const n = current.parts.length;
    const x = (i) => plot.left + ((plot.right - plot.left) * (i + 0.5)) / n;
    const y = (value) => plot.bottom - ((plot.bottom - plot.top) * Math.max(value, 0)) / highest;
    const line = (scoring, style) => {
      const points = scoring.parts.map((part, i) => part.mean === null ? null : `${x(i)} ${y(part.mean)}`);
      return makeSvg('path', { class: style, d: points.map((point, i) => point && `${i > 0 && points[i - 1] ? 'L' : 'M'}${point}`).filter(Boolean).join('') });
    };
    return [
      ...roundTicks(highest, 4).flatMap((value) => gridLine(plot, y(value), String(value))),
      ...scorings.filter((other) => other !== current).map((other) => line(other, 'line faint')),
      line(current, 'line'),
      ...current.parts.map((part, i) => part.mean === null ? null : makeSvg('circle', { class: 'dot', cx: x(i), cy: y(part.mean), r: 3 },
        makeSvg('title', {}, `tenth ${i + 1}: ${nats(part.mean)}, ${plural(part.tokens, 'token', 'tokens')}`))),
      text(plot.left, plot.bottom + 15, 'start', 'beginning'),
      text(plot.right, plot.bottom + 15, 'end', 'end'),
    ];
  });
}

