/*
 * Single tokens of responses, coloured by their entropy: fills <section id="tokens"> from the JSON in
 * <script id="tokens-data">, which src/report/tokens.rs makes and describes.
 *
 * Every text from a dump reaches the page as textContent. There is no style attribute and no markup made
 * of text, so that the page's strict policy holds: what has a colour has it by a class of tokens.css.
 */
(() => {
  'use strict';

  const SVG = 'http://www.w3.org/2000/svg';
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

  // --- Making elements -----------------------------------------------------------------------------

  /** An element with attributes, a class as `class`, and children that are elements or text. */
  function make(name, attributes, ...children) {
    return fill(document.createElement(name), attributes, children);
  }

  /** The same for drawings. */
  function draw(name, attributes, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
  }

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  // --- Numbers as text -----------------------------------------------------------------------------

  const count = (n) => n.toLocaleString('en-US');
  const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
  const percent = (share) => (share === null ? '–' : `${(share * 100).toFixed(1)} %`);

  /** Four digits that matter, or four decimals. */
  function nats(value) {
    if (value === null) return '–';
    const size = Math.abs(value);
    const decimals = size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
    return value.toFixed(decimals).replace('-', '−');
  }

  const several = data.sources.length > 1;
  const name = (scoring) =>
    (several ? `${data.sources[scoring.source]} · ` : '') + `step ${count(scoring.step)}`;
  const text = ([id, shown]) => shown ?? `⟨${id}⟩`;

  /** How far along the colours an entropy is, from 0 to 1: by square root, since most tokens have little. */
  const along = (entropy) => Math.min(Math.sqrt(Math.max(entropy, 0) / scale.max), 1);

  /** The colour of an entropy, as a class. */
  const level = (entropy) => `h${Math.min(Math.floor(along(entropy) * scale.levels), scale.levels - 1)}`;

  // --- What is shown now ---------------------------------------------------------------------------

  /** The scoring and the response in view; the last step is the one that people look at first. */
  const view = { scoring: scorings.length - 1, response: null, order: 'file' };

  // --- The frame -----------------------------------------------------------------------------------

  const figures = make('dl', { class: 'figures' });
  const list = make('div', { class: 'responses', role: 'listbox', tabindex: '0', 'aria-label': 'Responses' });
  const detail = make('div', { class: 'detail', id: 'tokens-detail' });
  const heading = make('p', { class: 'about' });
  const reading = make('div', { class: 'reading', role: 'listbox', 'aria-orientation': 'horizontal' });
  const legend = make('div', { class: 'legend' });
  const histogram = make('figure', { class: 'chart' });
  const places = make('figure', { class: 'chart' });
  const words = make('div', { class: 'words' });
  const summary = make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Quantiles of token entropies' });

  const tokens = scorings.reduce((sum, scoring) => sum + scoring.tokens, 0);
  const read = scorings.reduce((sum, scoring) => sum + scoring.responses, 0);
  section.replaceChildren(
    make('h2', {}, 'Tokens'),
    make('p', { class: 'quiet' },
      `Entropy of single response tokens, in nats: ${plural(tokens, 'token', 'tokens')} of ` +
      `${plural(read, 'response', 'responses')}` +
      (scorings.length > 1 ? ` in ${count(scorings.length)} scorings` : '') + '. ' +
      `${several ? 'Dumps' : 'Dump'}: ${data.sources.join(', ')}.`),
    ...data.odd.map((what) => make('p', { class: 'odd' }, what)),
    ...(scorings.length > 1 ? [chooser()] : []),
    figures,
    make('div', { class: 'reader' },
      make('div', { class: 'choose' }, sorter(), list),
      make('div', { class: 'pane' }, heading, legend, detail, reading)),
    make('p', { class: 'quiet note' }, leftOut()),
    make('div', { class: 'charts' }, histogram, places),
    make('h3', {}, 'Quantiles'),
    summary,
    make('h3', {}, 'Tokens with the highest mean entropy'),
    words,
    ...overlaps(),
  );

  /** Which scoring is shown. */
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
    const orders = { file: 'as in the file', high: 'highest mean first', low: 'lowest mean first', long: 'longest first' };
    const select = make('select', { id: 'tokens-order' },
      ...Object.entries(orders).map(([value, words]) => make('option', { value }, words)));
    select.addEventListener('change', () => {
      view.order = select.value;
      showResponses();
    });
    return make('p', { class: 'control' }, make('label', { for: 'tokens-order' }, 'Responses, '), select);
  }

  /** What of the dump is not in the page, and how exact the rest is. */
  function leftOut() {
    const out = data.left_out;
    const said = [];
    if (out.scorings > 0) said.push(`${plural(out.scorings, 'scoring', 'scorings')} between the shown ones are left out.`);
    if (out.responses > 0) {
      said.push(`${count(responses.length)} of ${count(responses.length + out.responses)} responses can be read here: ` +
        'those with the highest and the lowest means, and others evenly between.');
    }
    if (out.shortened > 0) said.push(`${plural(out.shortened, 'long response is', 'long responses are')} cut at the end.`);
    if (out.responses > 0 || out.shortened > 0) said.push('All other numbers are over every token of the scorings.');
    said.push('Numbers of single tokens are rounded to four decimals.');
    return said.join(' ');
  }

  // --- The numbers of a scoring --------------------------------------------------------------------

  function showFigures() {
    const scoring = scorings[view.scoring];
    const p80 = scoring.quantiles.find((quantile) => quantile.percent === 80).value;
    const rows = [
      ['mean over tokens', nats(scoring.mean), 'as in a history'],
      ['mean over responses', nats(scoring.response_mean), 'each weighs the same'],
      [`tokens under ${scale.certain}`, percent(scoring.certain_share), 'all but certain'],
      ['80th percentile', nats(p80), `${scale.reference} for ${scale.reference_of}`],
      [`tokens over ${scale.reference}`, percent(scoring.over_reference_share), '20 % there'],
      [`held by the top ${scale.top * 100} %`, percent(scoring.top_share), 'of all entropy'],
    ];
    figures.replaceChildren(...rows.map(([what, value, aside]) =>
      make('div', {}, make('dt', {}, what), make('dd', {}, value), make('dd', { class: 'aside' }, aside))));
  }

  function showSummary() {
    const percents = scorings[0].quantiles.map((quantile) => `${quantile.percent} %`);
    const head = ['', 'tokens', 'mean', ...percents, `< ${scale.certain}`, `> ${scale.reference}`, `top ${scale.top * 100} % hold`];
    summary.replaceChildren(table(head, scorings.map((scoring) => [
      name(scoring), count(scoring.tokens), nats(scoring.mean),
      ...scoring.quantiles.map((quantile) => nats(quantile.value)),
      percent(scoring.certain_share), percent(scoring.over_reference_share), percent(scoring.top_share),
    ]), scorings.length > 1 ? view.scoring : null));
  }

  /** A table whose first column names its rows; one row may be marked. */
  function table(head, rows, marked = null) {
    return make('table', {},
      make('thead', {}, make('tr', {}, ...head.map((cell) => make('th', { scope: 'col' }, cell)))),
      make('tbody', {}, ...rows.map((row, i) =>
        make('tr', i === marked ? { class: 'marked', 'aria-current': 'true' } : {},
          ...row.map((cell, j) => make(j === 0 ? 'th' : 'td', j === 0 ? { scope: 'row' } : {}, cell))))));
  }

  function showWords() {
    const scoring = scorings[view.scoring];
    const among = `${plural(scoring.frequent_kinds, 'kind', 'kinds')} of token of ${count(scoring.kinds)} ` +
      `${scoring.frequent_kinds === 1 ? 'occurs' : 'occur'} at least ${scale.occurrences} times`;
    if (scoring.words.length === 0) {
      words.replaceChildren(make('p', { class: 'quiet' }, `None of the ${plural(scoring.kinds, 'kind', 'kinds')} of token occurs at least ${scale.occurrences} times.`));
      return;
    }
    const shown = scoring.words.length < scoring.frequent_kinds ? `; the first ${scoring.words.length} are shown` : '';
    words.replaceChildren(
      make('p', { class: 'quiet' }, `${among}${shown}.`),
      make('ol', { class: 'chips' }, ...scoring.words.map((word) =>
        make('li', {},
          make('span', { class: `token ${level(word.mean)}`, title: `id ${kinds[word.kind][0]}` }, text(kinds[word.kind]).replace(/\n/g, '')),
          make('span', { class: 'value' }, nats(word.mean)),
          make('span', { class: 'aside' }, `${count(word.count)} ×`)))));
  }

  function overlaps() {
    if (data.overlaps.length === 0) return [];
    const top = `top ${scale.top * 100} %`;
    return [
      make('h3', {}, 'The same tokens, scored again'),
      make('p', { class: 'quiet' },
        `Each scoring beside the first and beside the one before it, over responses with the same id, prompt and tokens. ` +
        `Overlap: of the tokens in either ${top}, those in both; in brackets what chance would give.`),
      make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Overlap of scorings' },
        table(['', 'tokens', 'mean', `overlap of the ${top}`, 'correlation', 'of ranks'],
          data.overlaps.map((pair) => [
            `${name(scorings[pair.a])} → ${several ? name(scorings[pair.b]) : count(scorings[pair.b].step)}`,
            count(pair.tokens), `${nats(pair.mean_a)} → ${nats(pair.mean_b)}`,
            `${percent(pair.top_overlap)} (${percent(pair.top_overlap_by_chance)})`,
            pair.pearson === null ? '–' : pair.pearson.toFixed(3).replace('-', '−'),
            pair.spearman === null ? '–' : pair.spearman.toFixed(3).replace('-', '−'),
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
    // From step to step the same response stays in view.
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
        make('span', { class: 'aside' },
          plural(response.length, 'token', 'tokens') + (response.finish === null ? '' : ` · ${response.finish}`)));
      option.addEventListener('click', () => choose(response));
      return option;
    }));
    rows = shown;
    mark();
    showTokens();
  }

  /** The responses as they are listed, and the tokens of the one in view. */
  let [rows, spans] = [[], []];

  function choose(response) {
    view.response = response;
    mark();
    showTokens();
  }

  /** Marks the row of the response in view and brings it into sight, inside the list alone. */
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

  /** How many per cent of the scoring's tokens have less entropy. */
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
    // A paragraph ends with a line break of the text, or where it gets too long to be laid out quickly.
    const paragraphs = document.createDocumentFragment();
    let paragraph = null;
    spans = response.entropies.map((entropy, i) => {
      const kind = kinds[response.kinds[i]];
      const span = make('span', {
        class: `token ${level(entropy)}${kind[1] === null ? ' id' : ''}`, role: 'option', 'data-at': i,
        tabindex: i === 0 ? '0' : '-1', 'aria-selected': 'false', 'aria-label': `${text(kind)}, ${nats(entropy)} nats`,
      }, text(kind));
      if (!paragraph || paragraph.childElementCount >= LONGEST_PARAGRAPH) {
        paragraph = make('div', { role: 'presentation', dir: 'auto' });
        paragraphs.append(paragraph);
      }
      paragraph.append(span);
      if (text(kind).endsWith('\n')) paragraph = null;
      return span;
    });
    reading.replaceChildren(paragraphs);
    reading.scrollTop = 0;
    tell(null);
  }

  /** What is known of a token, or how to learn it. */
  function tell(token) {
    const last = reading.querySelector('[aria-selected="true"]');
    last?.setAttribute('aria-selected', 'false');
    last?.removeAttribute('aria-describedby');
    if (!token) {
      detail.replaceChildren(make('span', { class: 'quiet' }, 'Point at a token, or walk through them with the arrow keys.'));
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
      ['above about', `${rank(entropy)} % of tokens`], ['place', `${count(at + 1)} of ${count(response.length)}`],
    ];
    detail.replaceChildren(
      make('span', { class: `token ${level(entropy)}` }, text(kind).replace(/\n/g, '')),
      ...parts.map(([what, value]) => make('span', { class: 'part' }, make('span', { class: 'quiet' }, `${what} `), String(value))));
  }

  const tokenOf = (event) => event.target.closest('[data-at]');
  reading.addEventListener('mouseover', (event) => tokenOf(event) && tell(tokenOf(event)));
  reading.addEventListener('focusin', (event) => tokenOf(event) && tell(tokenOf(event)));
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

  /** Moves the focus; only one token is in the page's tab order. */
  function enter(token) {
    reading.querySelector('[tabindex="0"]')?.setAttribute('tabindex', '-1');
    token.setAttribute('tabindex', '0');
    tell(token);
    token.focus();
  }

  /** The token nearest to this one on the line below it, or above. */
  function below(at, direction) {
    const place = (span) => span.getClientRects()[0];
    const from = place(spans[at]);
    let [best, line] = [null, null];
    for (let i = at + direction; spans[i]; i += direction) {
      const box = place(spans[i]);
      if ((box.top - from.top) * direction < from.height / 2) continue;
      line ??= box.top;
      if (Math.abs(box.top - line) > from.height / 2) break;
      if (!best || Math.abs(box.left - from.left) < Math.abs(place(best).left - from.left)) best = spans[i];
    }
    return best;
  }

  // --- Drawings ------------------------------------------------------------------------------------

  /** About so many round numbers from 0 to `max`. */
  function ticks(max, most) {
    const raw = max / most;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= raw * 0.999);
    return Array.from({ length: Math.floor(max / step + 1.001) }, (_, i) => Number((i * step).toPrecision(6)));
  }

  /** The colours with their numbers; the same for all responses and scorings. */
  function showLegend() {
    const width = Math.min(legend.clientWidth || 320, 400);
    const [left, right] = [6, 22];
    const x = (value) => left + (width - left - right) * along(value);
    const p80 = scorings[view.scoring].quantiles.find((quantile) => quantile.percent === 80).value;
    const part = (width - left - right) / scale.levels;
    const boxes = Array.from({ length: scale.levels }, (_, i) =>
      draw('rect', { class: `h${i}`, x: left + i * part, y: 19, height: 10, width: part }));
    // The ends, and between them the round numbers that have room, larger ones first.
    const marks = [scale.max, 0];
    const decades = Array.from({ length: 6 }, (_, i) => 10 ** (1 - i)).flatMap((unit) => [5, 2, 1].map((n) => Number((n * unit).toPrecision(3))));
    for (const value of decades.filter((value) => value < scale.max)) {
      if (marks.every((mark) => Math.abs(x(mark) - x(value)) >= 34)) marks.push(value);
    }
    const at = x(p80);
    const side = at > width - 134 ? 'end' : 'start';
    legend.replaceChildren(
      draw('svg', { width, height: 48, viewBox: `0 0 ${width} 48`, role: 'img', 'aria-label': `Colours from 0 to ${scale.max} nats, by square root; 80th percentile ${nats(p80)}` },
        ...boxes, draw('rect', { class: 'frame', x: left, y: 19, height: 10, width: part * scale.levels }),
        draw('path', { class: 'mark', d: `M${at} 15V32` }),
        draw('text', { x: at + (side === 'start' ? 4 : -4), y: 12, 'text-anchor': side }, `80th percentile ${nats(p80)}`),
        ...marks.map((value) => draw('text', { x: x(value), y: 43, 'text-anchor': 'middle' }, value === scale.max ? `≥ ${value}` : String(value)))));
  }

  /** How many tokens have which entropy; bars of log10(1 + n), so that the rare ones are seen too. */
  function showHistogram() {
    const scoring = scorings[view.scoring];
    const caption = 'How many tokens have which entropy (nats; counts on a logarithmic scale)';
    const most = Math.max(...scoring.histogram);
    const height = 190;
    chart(histogram, caption, height, (width, plot) => {
      const x = (value) => plot.left + ((plot.right - plot.left) * value) / (scoring.histogram_max || 1);
      const y = (n) => plot.bottom - ((plot.bottom - plot.top) * Math.log10(1 + n)) / Math.log10(1 + most);
      const part = (scoring.histogram_max || 1) / scoring.histogram.length;
      const powers = Array.from({ length: 12 }, (_, i) => 10 ** i).filter((n) => n <= most);
      const p80 = scoring.quantiles.find((quantile) => quantile.percent === 80).value;
      const bars = scoring.histogram.map((n, i) => n === 0 ? null : draw('rect', {
        class: 'bar', x: x(i * part) + 0.5, y: y(n), height: plot.bottom - y(n), width: Math.max(x(part) - plot.left - 1, 0.5),
      }, draw('title', {}, `${nats(i * part)} to ${nats((i + 1) * part)}: ${plural(n, 'token', 'tokens')}`)));
      const place = x(p80) > plot.right - 130 ? 'end' : 'start';
      return [
        ...powers.flatMap((n) => rule(plot, y(n), n >= 1000 ? `${n / 1000}k` : String(n))),
        ...bars,
        draw('path', { class: 'mark', d: `M${x(p80)} ${plot.top - 12}V${plot.bottom}` }),
        draw('text', { x: x(p80) + (place === 'start' ? 4 : -4), y: plot.top - 5, 'text-anchor': place }, `80th percentile ${nats(p80)}`),
        ...ticks(scoring.histogram_max || 1, 6).map((value) =>
          draw('text', { x: x(value), y: plot.bottom + 15, 'text-anchor': 'middle' }, String(value))),
      ];
    });
  }

  /** Mean entropy from the beginning of responses to their end, the scoring in view over the others. */
  function showPlaces() {
    const caption = 'Mean entropy by place in the response (nats, tenths of its tokens)' +
      (scorings.length > 1 ? `; ${name(scorings[view.scoring])}, faint: the others` : '');
    const highest = Math.max(...scorings.flatMap((scoring) => scoring.parts.map((part) => part.mean ?? 0)), 1e-9);
    chart(places, caption, 190, (width, plot) => {
      const n = scorings[0].parts.length;
      const x = (i) => plot.left + ((plot.right - plot.left) * (i + 0.5)) / n;
      const y = (value) => plot.bottom - ((plot.bottom - plot.top) * Math.max(value, 0)) / highest;
      const line = (scoring, style) => {
        const points = scoring.parts.map((part, i) => part.mean === null ? null : `${x(i)} ${y(part.mean)}`);
        return draw('path', { class: style, d: points.map((point, i) => point && `${i > 0 && points[i - 1] ? 'L' : 'M'}${point}`).filter(Boolean).join('') });
      };
      const scoring = scorings[view.scoring];
      return [
        ...ticks(highest, 4).flatMap((value) => rule(plot, y(value), String(value))),
        ...scorings.filter((other) => other !== scoring).map((other) => line(other, 'line faint')),
        line(scoring, 'line'),
        ...scoring.parts.map((part, i) => part.mean === null ? null : draw('circle', { class: 'dot', cx: x(i), cy: y(part.mean), r: 3 },
          draw('title', {}, `tenth ${i + 1}: ${nats(part.mean)}, ${plural(part.tokens, 'token', 'tokens')}`))),
        draw('text', { x: plot.left, y: plot.bottom + 15 }, 'beginning'),
        draw('text', { x: plot.right, y: plot.bottom + 15, 'text-anchor': 'end' }, 'end'),
      ];
    });
  }

  /** A hairline with its number. */
  function rule(plot, y, label) {
    return [
      draw('path', { class: 'rule', d: `M${plot.left} ${y}H${plot.right}` }),
      draw('text', { x: plot.left - 6, y: y + 4, 'text-anchor': 'end' }, label),
    ];
  }

  /** Draws into a figure at the width that it has. */
  function chart(figure, caption, height, content) {
    const width = Math.max(figure.clientWidth || 480, 240);
    const plot = { left: 36, right: width - 12, top: 22, bottom: height - 22 };
    figure.replaceChildren(
      make('figcaption', { class: 'quiet' }, caption),
      draw('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': caption }, ...content(width, plot).filter((part) => part !== null)));
  }

  function redraw() {
    showLegend();
    showHistogram();
    showPlaces();
  }

  function update() {
    showFigures();
    showSummary();
    showWords();
    showResponses();
    redraw();
  }

  update();
  let [drawn, due] = [section.clientWidth, 0];
  new ResizeObserver(() => {
    if (section.clientWidth === drawn) return;
    drawn = section.clientWidth;
    cancelAnimationFrame(due);
    due = requestAnimationFrame(redraw);
  }).observe(section);
})();
