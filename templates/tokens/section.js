/*
 * Single tokens of responses, coloured by their entropy: fills <section id="tokens"> from the JSON in
 * <script id="tokens-data">, which src/report/tokens.rs makes and describes.
 *
 * Text from a dump is only ever added as text nodes. There are no style attributes, as the content security policy
 * requires: colours are classes of tokens.css.
 */
const LONGEST_PARAGRAPH = 1000; // tokens
const section = document.getElementById('tokens');
const source = document.getElementById('tokens-data');
if (!section) return;
if (!source || !source.textContent.trim()) {
  section.hidden = true;
  return;
}
const data = JSON.parse(source.textContent);
const { scale, scorings, kinds, responses } = data;

const several = data.sources.length > 1;
const name = (scoring) =>
  (several ? `${data.sources[scoring.source]} · ` : '') + `step ${count(scoring.step)}`;
const tokenText = ([id, shown]) => shown ?? `⟨${id}⟩`;

/** The position of an entropy on the colour scale, from 0 to 1: by square root, since most entropies are small. */
const along = (entropy) => Math.min(Math.sqrt(Math.max(entropy, 0) / scale.max), 1);

/** The class with the colour of an entropy. */
const level = (entropy) => `h${Math.min(Math.floor(along(entropy) * scale.levels), scale.levels - 1)}`;

/** Current selection: the index of the scoring (initially the last), the response, and the order of the responses. */
const view = { scoring: scorings.length - 1, response: null, order: 'file' };

// --- The layout ------------------------------------------------------------------------------------

const figures = make('dl', { class: 'figures' });
const list = make('div', { class: 'responses', role: 'listbox', tabindex: '0', 'aria-label': 'Responses' });
const detail = make('div', { class: 'detail', id: 'tokens-detail' });
const heading = make('p', { class: 'about' });
const reading = make('div', { class: 'reading', role: 'listbox', 'aria-orientation': 'horizontal' });
const legend = make('div', { class: 'legend' });
const histogram = make('figure', { class: 'chart' });
const positions = make('figure', { class: 'chart' });
const words = make('div', { class: 'words' });
const summary = make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Quantiles of token entropies' });

const tokens = scorings.reduce((sum, scoring) => sum + scoring.tokens, 0);
const read = scorings.reduce((sum, scoring) => sum + scoring.responses, 0);
section.replaceChildren(
  make('h2', {}, 'Tokens'),
  make('p', { class: 'muted' },
    `Entropy of single response tokens, in nats: ${plural(tokens, 'token', 'tokens')} of ` +
    `${plural(read, 'response', 'responses')}` +
    (scorings.length > 1 ? ` in ${count(scorings.length)} scorings` : '') + '. ' +
    `${several ? 'Dumps' : 'Dump'}: ${data.sources.join(', ')}.`),
  ...data.odd.map((warning) => make('p', { class: 'warning' }, warning)),
  ...(scorings.length > 1 ? [chooser()] : []),
  figures,
  make('div', { class: 'reader' },
    make('div', { class: 'choose' }, sorter(), list),
    make('div', { class: 'pane' }, heading, legend, detail, reading)),
  make('p', { class: 'muted note' }, omissions()),
  make('div', { class: 'charts' }, histogram, positions),
  make('h3', {}, 'Quantiles'),
  summary,
  make('h3', {}, 'Tokens with the highest mean entropy'),
  words,
  ...overlaps(),
);

/** The selection of the scoring. */
function chooser() {
  const select = make('select', { id: 'tokens-scoring' },
    ...scorings.map((scoring, i) => make('option', { value: i }, name(scoring))));
  select.value = view.scoring;
  select.addEventListener('change', () => {
    view.scoring = Number(select.value);
    update();
  });
  return make('p', { class: 'control' }, make('label', { for: 'tokens-scoring' }, 'Scored at '), select);
}

function sorter() {
  const orders = { file: 'file order', high: 'highest mean first', low: 'lowest mean first', long: 'longest first' };
  const select = make('select', { id: 'tokens-order' },
    ...Object.entries(orders).map(([value, words]) => make('option', { value }, words)));
  select.addEventListener('change', () => {
    view.order = select.value;
    showResponses();
  });
  return make('p', { class: 'control' }, make('label', { for: 'tokens-order' }, 'Responses, '), select);
}

/** Notes on the omitted parts of the dump, and on the precision of the shown values. */
function omissions() {
  const omitted = data.left_out;
  const notes = [];
  if (omitted.scorings > 0) notes.push(`${plural(omitted.scorings, 'scoring', 'scorings')} between those shown are omitted.`);
  if (omitted.responses > 0) {
    notes.push(`${count(responses.length)} of ${count(responses.length + omitted.responses)} responses are shown: ` +
      'those with the highest and the lowest means, and others evenly spaced between them.');
  }
  if (omitted.shortened > 0) notes.push(`${plural(omitted.shortened, 'long response is', 'long responses are')} truncated.`);
  if (omitted.responses > 0 || omitted.shortened > 0) notes.push('All statistics cover every token of the scorings.');
  notes.push('Values of single tokens are rounded to four decimals.');
  return notes.join(' ');
}

// --- Statistics ------------------------------------------------------------------------------------

function showFigures() {
  const scoring = scorings[view.scoring];
  const rows = [
    ['mean over tokens', nats(scoring.mean), 'as in a history'],
    ['mean over responses', nats(scoring.response_mean), 'equal weight per response'],
    [`tokens under ${scale.certain}`, share(scoring.certain_share), 'almost certain'],
    ['80th percentile', nats(percentile80(scoring)), `${scale.reference} for ${scale.reference_of}`],
    [`tokens over ${scale.reference}`, share(scoring.over_reference_share), `20 % for ${scale.reference_of}`],
    [`share of entropy in the top ${scale.top * 100} %`, share(scoring.top_share), 'most uncertain tokens'],
  ];
  figures.replaceChildren(...rows.map(([what, value, secondary]) =>
    make('div', {}, make('dt', {}, what), make('dd', {}, value), make('dd', { class: 'secondary' }, secondary))));
}

function showSummary() {
  const percents = scorings[0].quantiles.map((quantile) => `${quantile.percent} %`);
  const head = ['', 'tokens', 'mean', ...percents, `< ${scale.certain}`, `> ${scale.reference}`, `entropy in top ${scale.top * 100} %`];
  summary.replaceChildren(plainTable(head, scorings.map((scoring) => [
    name(scoring), count(scoring.tokens), nats(scoring.mean),
    ...scoring.quantiles.map((quantile) => nats(quantile.value)),
    share(scoring.certain_share), share(scoring.over_reference_share), share(scoring.top_share),
  ]), scorings.length > 1 ? view.scoring : null));
}

function showWords() {
  const scoring = scorings[view.scoring];
  const among = `${scoring.frequent_kinds} of ${plural(scoring.kinds, 'distinct token', 'distinct tokens')} ` +
    `${scoring.frequent_kinds === 1 ? 'occurs' : 'occur'} at least ${scale.occurrences} times`;
  if (scoring.words.length === 0) {
    words.replaceChildren(make('p', { class: 'muted' }, `None of the ${plural(scoring.kinds, 'distinct token', 'distinct tokens')} occurs at least ${scale.occurrences} times.`));
    return;
  }
  const shown = scoring.words.length < scoring.frequent_kinds ? `; the top ${scoring.words.length} are shown` : '';
  words.replaceChildren(
    make('p', { class: 'muted' }, `${among}${shown}.`),
    make('ol', { class: 'chips' }, ...scoring.words.map((word) =>
      make('li', {},
        make('span', { class: `token ${level(word.mean)}`, title: `id ${kinds[word.kind][0]}` }, tokenText(kinds[word.kind]).replace(/\n/g, '')),
        make('span', { class: 'value' }, nats(word.mean)),
        make('span', { class: 'secondary' }, `${count(word.count)} ×`)))));
}

function overlaps() {
  if (data.overlaps.length === 0) return [];
  const top = `top ${scale.top * 100} %`;
  return [
    make('h3', {}, 'The same tokens in several scorings'),
    make('p', { class: 'muted' },
      `Each scoring compared with the first and with the previous one, over responses with the same id, prompt and tokens. ` +
      `Overlap: of the tokens in either ${top}, the share in both; in parentheses the share expected by chance.`),
    make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Overlap of scorings' },
      plainTable(['', 'tokens', 'mean', `overlap of the ${top}`, 'correlation', 'rank correlation'],
        data.overlaps.map((pair) => [
          `${name(scorings[pair.a])} → ${several ? name(scorings[pair.b]) : count(scorings[pair.b].step)}`,
          count(pair.tokens), `${nats(pair.mean_a)} → ${nats(pair.mean_b)}`,
          `${share(pair.top_overlap)} (${share(pair.top_overlap_by_chance)})`,
          pair.pearson === null ? '–' : minus(pair.pearson.toFixed(3)),
          pair.spearman === null ? '–' : minus(pair.spearman.toFixed(3)),
        ]))),
  ];
}

// --- The responses and their tokens --------------------------------------------------------------

const same = (a, b) => a.id === b.id && a.sample === b.sample;

function showResponses() {
  const shown = responses.filter((response) => response.scoring === view.scoring);
  const orders = {
    high: (a, b) => b.mean - a.mean,
    low: (a, b) => a.mean - b.mean,
    long: (a, b) => b.length - a.length,
  };
  if (orders[view.order]) shown.sort(orders[view.order]);
  // When the scoring changes, the same response stays selected.
  view.response = shown.find((response) => view.response && same(response, view.response)) ?? shown[0];
  list.replaceChildren(...shown.map((response, i) => {
    const sample = response.sample === null ? '' : ` · sample ${response.sample}`;
    const id = response.id === '' ? 'without an id' : response.id;
    const option = make('div', {
      id: `tokens-response-${i}`, role: 'option', 'aria-selected': String(response === view.response),
      'aria-label': `response ${id}${sample}, ${plural(response.length, 'token', 'tokens')}, mean ${nats(response.mean)} nats` +
        (response.finish === null ? '' : `, ended by ${response.finish}`),
    },
      make('span', { class: 'name' }, `${id}${sample}`),
      make('span', { class: `token ${level(response.mean)}` }, nats(response.mean)),
      make('span', { class: 'secondary' },
        plural(response.length, 'token', 'tokens') + (response.finish === null ? '' : ` · ${response.finish}`)));
    option.addEventListener('click', () => choose(response));
    return option;
  }));
  rows = shown;
  mark();
  showTokens();
}

/** The responses in the order of the list, and the token elements of the selected one. */
let [rows, spans] = [[], []];

function choose(response) {
  view.response = response;
  mark();
  showTokens();
}

/** Marks the selected response and scrolls the list, not the page, until it is visible. */
function mark() {
  const at = rows.indexOf(view.response);
  [...list.children].forEach((row, i) => row.setAttribute('aria-selected', String(i === at)));
  const row = list.children[at];
  if (!row) return;
  list.setAttribute('aria-activedescendant', row.id);
  const [top, bottom] = [row.offsetTop, row.offsetTop + row.offsetHeight];
  if (top < list.scrollTop) list.scrollTop = top;
  if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}

list.addEventListener('keydown', (event) => {
  const at = rows.indexOf(view.response);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (event.key === 'Enter') {
    reading.querySelector('[tabindex="0"]')?.focus();
  } else if (to === undefined) {
    return;
  } else if (rows[to]) {
    choose(rows[to]);
  }
  event.preventDefault();
});

/** The percentage of the scoring's tokens that have less entropy. */
function rank(entropy) {
  const percentiles = scorings[view.scoring].percentiles;
  // Tokens are rounded to four decimals, percentiles are not.
  return Math.max(percentiles.filter((value) => value < entropy - 5e-5).length - 1, 0);
}

function showTokens() {
  const response = view.response;
  if (!response) return;
  const cut = response.entropies.length < response.length
    ? `, of which the first ${count(response.entropies.length)} are shown` : '';
  heading.textContent = `Response ${response.id}` + (response.sample === null ? '' : `, sample ${response.sample}`) +
    `: ${plural(response.length, 'token', 'tokens')}${cut}, mean ${nats(response.mean)} nats`;
  reading.setAttribute('aria-label', `Tokens of response ${response.id}`);
  // A paragraph ends at a line break of the text, or when it becomes too long for a fast layout.
  const paragraphs = document.createDocumentFragment();
  let paragraph = null;
  spans = response.entropies.map((entropy, i) => {
    const kind = kinds[response.kinds[i]];
    const span = make('span', {
      class: `token ${level(entropy)}${kind[1] === null ? ' id' : ''}`, role: 'option', 'data-at': i,
      tabindex: i === 0 ? '0' : '-1', 'aria-selected': 'false', 'aria-label': `${tokenText(kind)}, ${nats(entropy)} nats`,
    }, tokenText(kind));
    if (!paragraph || paragraph.childElementCount >= LONGEST_PARAGRAPH) {
      paragraph = make('div', { role: 'presentation', dir: 'auto' });
      paragraphs.append(paragraph);
    }
    paragraph.append(span);
    if (tokenText(kind).endsWith('\n')) paragraph = null;
    return span;
  });
  reading.replaceChildren(paragraphs);
  reading.scrollTop = 0;
  showDetail(null);
}

/** Shows the values of a token; without a token, explains how to select one. */
function showDetail(token) {
  const last = reading.querySelector('[aria-selected="true"]');
  last?.setAttribute('aria-selected', 'false');
  last?.removeAttribute('aria-describedby');
  if (!token) {
    detail.replaceChildren(make('span', { class: 'muted' }, 'Point at a token, or move through them with the arrow keys.'));
    return;
  }
  token.setAttribute('aria-selected', 'true');
  token.setAttribute('aria-describedby', detail.id); // a screen reader reads the numbers too
  const [at, response] = [Number(token.dataset.at), view.response];
  const kind = kinds[response.kinds[at]];
  const logProb = response.log_probs === null ? 'not recorded'
    : response.log_probs[at] === null ? '−∞' : nats(response.log_probs[at]);
  const entropy = response.entropies[at];
  const parts = [
    ['id', kind[0]], ['entropy', nats(entropy)], ['log-prob', logProb],
    ['above about', `${rank(entropy)} % of tokens`], ['position', `${count(at + 1)} of ${count(response.length)}`],
  ];
  detail.replaceChildren(
    make('span', { class: `token ${level(entropy)}` }, tokenText(kind).replace(/\n/g, '')),
    ...parts.map(([what, value]) => make('span', { class: 'part' }, make('span', { class: 'muted' }, `${what} `), String(value))));
}

const tokenOf = (event) => event.target.closest('[data-at]');
reading.addEventListener('mouseover', (event) => tokenOf(event) && showDetail(tokenOf(event)));
reading.addEventListener('focusin', (event) => tokenOf(event) && showDetail(tokenOf(event)));
reading.addEventListener('click', (event) => {
  const token = tokenOf(event);
  if (token) enter(token);
});
reading.addEventListener('keydown', (event) => {
  const token = tokenOf(event);
  if (!token) return;
  const at = Number(token.dataset.at);
  const to = {
    ArrowRight: () => spans[at + 1], ArrowLeft: () => spans[at - 1],
    ArrowDown: () => below(at, 1), ArrowUp: () => below(at, -1),
    Home: () => spans[0], End: () => spans[spans.length - 1],
  }[event.key];
  if (!to) return;
  event.preventDefault();
  const other = to();
  if (other) enter(other);
});

/** Moves the focus to a token; only that one is in the page's tab order. */
function enter(token) {
  reading.querySelector('[tabindex="0"]')?.setAttribute('tabindex', '-1');
  token.setAttribute('tabindex', '0');
  showDetail(token);
  token.focus();
}

/** The token nearest to this one on the line below it, or above. */
function below(at, direction) {
  const firstBox = (span) => span.getClientRects()[0];
  const from = firstBox(spans[at]);
  let [best, line] = [null, null];
  for (let i = at + direction; spans[i]; i += direction) {
    const box = firstBox(spans[i]);
    if ((box.top - from.top) * direction < from.height / 2) continue;
    line ??= box.top;
    if (Math.abs(box.top - line) > from.height / 2) break;
    if (!best || Math.abs(box.left - from.left) < Math.abs(firstBox(best).left - from.left)) best = spans[i];
  }
  return best;
}

function redraw() {
  const scoring = scorings[view.scoring];
  legend.replaceChildren(colourScale(legend.clientWidth, scale, along, percentile80(scoring)));
  drawHistogram(histogram, scoring);
  drawPositions(positions, scorings, scoring, name(scoring));
}

function update() {
  showFigures();
  showSummary();
  showWords();
  showResponses();
  redraw();
}

update();
let [drawnWidth, frameRequest] = [section.clientWidth, 0];
new ResizeObserver(() => {
  if (section.clientWidth === drawnWidth) return;
  drawnWidth = section.clientWidth;
  cancelAnimationFrame(frameRequest);
  frameRequest = requestAnimationFrame(redraw);
}).observe(section);
