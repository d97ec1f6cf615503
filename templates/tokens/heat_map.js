/*
 * Mean entropy by position and step, as colours; and the responses behind a cell.
 */

/** viridis at ten equal distances; it is perceptually uniform. */
const VIRIDIS = ['#440154', '#482878', '#3e4a89', '#31688e', '#26828e', '#1f9e89', '#35b779', '#6dcd59', '#b4de2c', '#fde725']
  .map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));

function heatColour(part) {
  const at = Math.min(Math.max(part, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mixed = VIRIDIS[low].map((value, i) => Math.round(value + (VIRIDIS[low + 1][i] - value) * (at - low)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

const binsOf = (step) => sliceOf(step)?.[view.positions] ?? [];

function drawHeatMap(target) {
  const places = ofSource();
  const rows = Math.max(...places.map((place) => binsOf(steps[place]).length), 0);
  if (rows === 0) {
    clearChart(target);
    return;
  }
  target.hidden = false;
  if (!isStale(target, view.positions)) {
    target.showTaken();
    return;
  }
  const means = places.flatMap((place) => binsOf(steps[place]).map((bin) => bin[2])).filter((mean) => mean !== null);
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const part = (mean) => (high > low ? (mean - low) / (high - low) : 0.5);
  const unit = view.positions === 'tenths' ? 10 : settings.position_width;
  drawChart(target, 'Mean entropy by position and step; click a cell for the responses behind it', (plot, svg) => {
    const cellWidth = Math.min((plot.right - plot.left) / places.length, 160);
    const cellHeight = (plot.bottom - plot.top) / rows;
    const x = (i) => plot.left + i * cellWidth;
    const y = (bin) => plot.bottom - (bin + 1) * cellHeight;
    const edge = Math.max(x(places.length), plot.left + 40);
    const cells = places.flatMap((place, i) => binsOf(steps[place]).map(([tokens, , mean], bin) => mean === null || tokens === 0 ? null
      : makeSvg('rect', {
        class: 'cell', 'data-cell': `${place} ${bin}`, x: x(i), y: y(bin), width: cellWidth, height: cellHeight, fill: heatColour(part(mean)),
      })));
    const frame = (place, bin, style) => makeSvg('rect', { class: style, x: x(places.indexOf(place)), y: y(bin), width: cellWidth, height: cellHeight });
    const over = makeSvg('g', {});
    const point = (place, bin) => {
      const [tokens, behind, mean, from, to] = binsOf(steps[place])[bin];
      over.replaceChildren(frame(place, bin, 'pointed'));
      showTip(svg, x(places.indexOf(place)) + cellWidth, y(bin), [
        `step ${steps[place].step}, ${binName(bin)}`,
        `mean ${nats(mean)} nats${from === null ? '' : ` [${nats(from)}, ${nats(to)}]`}`,
        `n = ${plural(tokens, 'token', 'tokens')} of ${plural(behind, 'response', 'responses')}`,
      ]);
    };
    const exists = (place, bin) => places.includes(place) && binsOf(steps[place])[bin]?.[0] > 0;
    const taken = makeSvg('g', {});
    target.showTaken = () => taken.replaceChildren(...(view.cell && exists(...view.cell) ? [frame(...view.cell, 'taken')] : []));
    target.showTaken();
    const cellAt = (event) => event.target.dataset?.cell?.split(' ').map(Number);
    svg.addEventListener('mousemove', (event) => {
      const cell = cellAt(event);
      if (cell) point(...cell);
    });
    svg.addEventListener('mouseleave', () => {
      over.replaceChildren();
      hideTip(svg);
    });
    svg.addEventListener('click', (event) => {
      const cell = cellAt(event);
      if (cell) chooseCell(...cell);
    });
    svg.setAttribute('tabindex', '0');
    svg.setAttribute('role', 'application');
    svg.addEventListener('keydown', (event) => {
      const [place, bin] = svg.at ?? view.cell ?? [places[places.length - 1], 0];
      const i = places.indexOf(place);
      const to = { ArrowRight: [places[i + 1], bin], ArrowLeft: [places[i - 1], bin], ArrowUp: [place, bin + 1], ArrowDown: [place, bin - 1] }[event.key];
      if (event.key === 'Enter' && exists(place, bin)) chooseCell(place, bin);
      else if (!to) return;
      else if (exists(...to)) {
        svg.at = to;
        point(...to);
      }
      event.preventDefault();
    });
    const ticks = roundTicks(0, rows * unit, 5);
    let last = -Infinity;
    const stepTicks = places.map((place, i) => {
      const words = tickText(steps[place].step);
      const at = x(i) + cellWidth / 2;
      if (at - last < widthOf(words) + 10) return null;
      last = at;
      return text(at, plot.bottom + 15, 'middle', words);
    });
    const bar = Array.from({ length: 40 }, (_, i) => makeSvg('rect', {
      x: edge + 14, y: plot.bottom - ((i + 1) * (plot.bottom - plot.top)) / 40, width: 10, height: (plot.bottom - plot.top) / 40 + 0.5, fill: heatColour(i / 39),
    }));
    return [
      ...cells,
      ...ticks.map((value) => text(plot.left - 6, plot.bottom - (value / unit) * cellHeight + 4, 'end', tickText(value))),
      ...stepTicks,
      text((plot.left + edge) / 2, plot.height - 4, 'middle', 'step'),
      text(4, 12, 'start', view.positions === 'tenths' ? 'position in the response (%)' : 'token of the response'),
      ...bar,
      text(edge + 29, plot.top + 8, 'start', nats(high)),
      text(edge + 29, plot.bottom, 'start', nats(low)),
      text(edge + 14, plot.top - 8, 'start', 'nats'),
      taken,
      over,
    ];
  }, { height: 280, right: 72 });
}

/** Shows the responses behind a cell: all numbers are of every response, the tokens of those on the page. */
function chooseCell(place, bin) {
  view.cell = [place, bin];
  if (place !== view.step) choose(place);
  else {
    drawHeatMap(heatMap);
    showBehind();
  }
}

/** The first and the last position of a response that are in a bin, before the first one that is not embedded. */
function rangeIn(response, bin) {
  const tenth = (edge) => Math.ceil((edge * response.length) / 10);
  const width = settings.position_width;
  const [from, to] = view.positions === 'tenths' ? [tenth(bin), tenth(bin + 1)] : [bin * width, Math.min((bin + 1) * width, response.length)];
  return [from, Math.min(to, response.kinds.length)];
}

function showBehind() {
  const [place, bin] = view.cell ?? [null, null];
  const cell = view.cell && binsOf(steps[place])[bin];
  if (!cell || cell[0] === 0) {
    view.cell = null;
    behind.replaceChildren();
    return;
  }
  const [tokens, all, mean, low, high] = cell;
  const found = [];
  for (const response of responses) {
    if (response.step !== place || !inGroup(response) || response.entropies === null) continue;
    const [from, to] = rangeIn(response, bin);
    if (from >= to) continue;
    const values = response.entropies.slice(from, to);
    found.push({ response, from, to, embedded: true, mean: values.reduce((sum, value) => sum + value, 0) / values.length, of: to - from, first: from });
  }
  if (view.positions === 'positions') {
    for (const excerpt of excerpts) {
      if (excerpt.step !== place || excerpt.bin !== bin || !inGroup(excerpt)) continue;
      found.push({ response: excerpt, from: 0, to: excerpt.kinds.length, embedded: false, mean: excerpt.mean, of: excerpt.tokens, first: excerpt.from });
    }
  }
  found.sort((a, b) => b.mean - a.mean);
  const close = make('button', { type: 'button', class: 'small', onclick: () => { view.cell = null; showBehind(); drawHeatMap(heatMap); } }, 'Close');
  behind.replaceChildren(
    make('p', {},
      make('strong', {}, `${stepName(steps[place])}, ${binName(bin)}: `),
      `${plural(tokens, 'token', 'tokens')} of ${plural(all, 'response', 'responses')}, mean ${nats(mean)} nats` +
      `${low === null ? '' : ` [${nats(low)}, ${nats(high)}]`}. ` +
      (found.length < all ? `${count(found.length)} of these ${count(all)} responses ${found.length === 1 ? 'is' : 'are'} on this page:` : 'Highest mean first:'), ' ', close),
    make('ol', { class: 'behind-list' }, ...found.map((item) => behindRow(item))));
}

function behindRow({ response, from, to, embedded, mean, of, first }) {
  const shown = Math.min(to, from + 60);
  const tokens = Array.from({ length: shown - from }, (_, i) =>
    make('span', { class: `token ${level(response.entropies[from + i])}`, title: `${nats(response.entropies[from + i])} nats` }, flatText(response.kinds[from + i])));
  const name = embedded
    ? make('button', { type: 'button', class: 'link', onclick: () => openAt(response, first) }, responseName(response))
    : make('span', {}, `${responseName(response)} (excerpt)`);
  const reward = response.reward === null ? '' : ` · reward ${figure(response.reward)}`;
  return make('li', {},
    make('div', {}, name, make('span', { class: 'secondary' }, `mean ${nats(mean)} of ${plural(of, 'token', 'tokens')}${reward}`)),
    make('div', { class: 'excerpt', dir: 'auto' }, first > 0 ? '… ' : '', ...tokens, shown < to || first + (shown - from) < response.length ? ' …' : ''));
}

