// --- The section of `explain` -----------------------------------------------------------------------------
//
// src/cli/explain/document.rs makes its document: sentences, and the parts of the change by groups of tokens.

const explained = JSON.parse(document.getElementById('explanation-data').textContent);

/** Width of the names and of the numbers beside the bars, height of a row, in px. */
const [NAMES, NUMBERS, ROW] = [150, 190, 26];
const WIDTH = 720;

/**
 * Bars of the parts of a change in nats, with their intervals; a dashed mark shows what a group would have if its part were
 * in proportion to its tokens.
 */
function partBars(split, change) {
  const ends = split.parts.flatMap((part) => [part.value, part.low ?? 0, part.high ?? 0, part.tokens === null ? 0 : part.tokens * change, 0]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const at = (value) => NAMES + ((value - low) / (high - low || 1)) * (WIDTH - NAMES - NUMBERS);
  const rows = split.parts.flatMap((part, i) => {
    const [y, middle] = [i * ROW, i * ROW + ROW / 2];
    const [from, to] = [Math.min(at(part.value), at(0)), Math.max(at(part.value), at(0))];
    const even = part.tokens === null ? null : at(part.tokens * change);
    const share = `${minus((100 * part.share).toFixed(0))} %`;
    return [
      makeSvg('text', { x: NAMES - 10, y: middle + 4, 'text-anchor': 'end', class: part.tokens === null ? 'secondary' : null }, part.name),
      makeSvg('rect', { x: from, y: y + 5, width: Math.max(to - from, 0.5), height: ROW - 10, class: part.tokens === null ? 'mix' : null }),
      part.low === null ? null : makeSvg('line', { x1: at(part.low), x2: at(part.high), y1: middle, y2: middle }),
      even === null ? null : makeSvg('line', { class: 'even', x1: even, x2: even, y1: y + 2, y2: y + ROW - 2 }),
      makeSvg('text', { x: WIDTH - NUMBERS + 14, y: middle + 4 }, `${minus(part.value.toFixed(3))} nats`, makeSvg('tspan', { class: 'secondary', dx: 8 }, share)),
    ];
  });
  const height = split.parts.length * ROW;
  const zero = makeSvg('line', { class: 'zero', x1: at(0), x2: at(0), y1: 0, y2: height });
  const label = split.parts.map((part) => `${part.name}: ${decimalText(part.value)} nats`).join('; ');
  return make('div', { class: 'parts' }, makeSvg('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-label': label }, zero, rows));
}

/** A table that scrolls if it is too wide. */
function scrollTable(label, heads, rows) {
  return make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, plainTable(heads, rows));
}

/** A table behind a line that opens it; nothing without rows. */
function folded(title, heads, rows) {
  return rows.length === 0 ? null : make('details', {}, make('summary', {}, title), scrollTable(title, heads, rows));
}

function list(title, texts) {
  return texts.length === 0 ? null : make('div', { class: 'notes' }, make('h3', {}, title), make('ul', {}, texts.map((text) => make('li', {}, text))));
}

document.getElementById('explanation').replaceChildren(...[
  make('ul', { class: 'sentences' }, explained.sentences.map((sentence, i) =>
    make('li', { class: [i === 0 ? 'headline' : '', sentence.clear ? '' : 'unclear'].join(' ').trim() || null }, sentence.text))),
  explained.splits.length === 0 ? null : make('h2', {}, 'Where the change is'),
  explained.splits.length === 0 ? null : make('p', { class: 'muted' },
    'Bars: the part of the change within each group, and of the changed mix of the groups; they add up to the change. Lines: 95 % intervals. Dashed: the part of a group in proportion to its tokens.'),
  ...explained.splits.flatMap((split) => [
    make('h3', {}, split.heading),
    partBars(split, explained.change),
    split.at_one_step.length === 0 ? null : make('p', { class: 'muted' },
      `Only at one of the steps: ${split.at_one_step.join(', ')}. Its part cannot be told from that of the mix, and is counted there.`),
    split.kinds.length === 0 ? null : make('p', { class: 'muted' }, `Kinds: ${split.kinds.join(' ')}`),
    folded('Numbers', split.heads, split.rows),
  ]),
  folded('Entropy of each step', ['step', 'entropy (nats)', 'tokens', 'responses', 'prompts'], explained.steps),
  folded('Other means at both steps', ['mean', 'before', 'after', 'change'], explained.others),
  folded('Predicted and actual changes', ['steps', 'mean covariance', 'change (nats)', 'same sign'], explained.predictions),
  list('How it is computed', [...explained.notes, ...explained.method]),
  list('Not said', explained.missing),
  list('Warnings', explained.warnings),
].filter((element) => element !== null));
