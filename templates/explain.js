// --- The section of `explain` -----------------------------------------------------------------------------
//
// src/cli/explain/document.rs makes its document: sentences, and the parts of the change by groups of tokens.

const explained = JSON.parse(document.getElementById('explanation-data').textContent);

/**
 * Bars of the parts of a change in nats, with their intervals; a dashed mark shows what a group would have if its part were
 * in proportion to its tokens.
 */
function partBars(split, change) {
  const ends = split.parts.flatMap((part) => [part.value, part.low ?? 0, part.high ?? 0, part.tokens === null ? 0 : part.tokens * change, 0]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const at = (value) => `${1 + ((value - low) / (high - low || 1)) * 98}%`;
  const line = (kind, value, y1, y2) => makeSvg('line', { class: kind, x1: at(value), x2: at(value), y1, y2 });
  const rows = split.parts.map((part) => {
    const isMix = part.tokens === null;
    const [from, to] = [Math.min(part.value, 0), Math.max(part.value, 0)];
    const width = `${Math.max(parseFloat(at(to)) - parseFloat(at(from)), 0.1)}%`;
    return make('div', { class: isMix ? 'part mix' : 'part' },
      make('span', { class: 'name' }, part.name),
      makeSvg('svg', { height: 22, 'aria-hidden': 'true' },
        line('zero', 0, 0, 22),
        makeSvg('rect', { x: at(from), y: 4, width, height: 14 }),
        part.low === null ? null : makeSvg('line', { x1: at(part.low), x2: at(part.high), y1: 11, y2: 11 }),
        isMix ? null : line('even', part.tokens * change, 1, 21)),
      make('span', { class: 'value' }, `${minus(part.value.toFixed(3))} nats`, make('span', { class: 'muted' }, `${minus((100 * part.share).toFixed(0)).replace(/^−0$/, '0')} %`)));
  });
  return make('div', { class: 'parts' }, rows);
}

/** A table that scrolls if it is too wide. */
function scrollTable(label, heads, rows) {
  return make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, plainTable(heads, rows));
}

/** A table behind a line that opens it; nothing without rows. */
function folded(title, heads, rows) {
  return rows.length === 0 ? null : make('details', {}, make('summary', {}, title), scrollTable(title, heads, rows));
}

/** A text whose parts in backticks are code. */
function withCode(text) {
  return text.split('`').map((part, i) => (i % 2 === 1 ? make('code', {}, part) : part));
}

function list(title, texts) {
  return texts.length === 0 ? null : make('div', { class: 'notes' }, make('h3', {}, title), make('ul', {}, texts.map((text) => make('li', {}, withCode(text)))));
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
    split.thin === null ? null : make('p', { class: 'muted' }, `${split.thin[0].toUpperCase()}${split.thin.slice(1)}.`),
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
