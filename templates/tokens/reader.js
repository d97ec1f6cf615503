/*
 * The responses of the page, and the tokens of the chosen one coloured by entropy.
 */
const LONGEST_PARAGRAPH = 1000; // tokens

const list = make('div', { class: 'responses', role: 'listbox', tabindex: '0', 'aria-label': 'Responses' });
const detail = make('div', { class: 'detail', id: 'tokens-detail' });
const heading = make('p', { class: 'about' });
const reading = make('div', { class: 'reading', role: 'listbox', 'aria-orientation': 'horizontal' });
const legend = make('div', { class: 'legend' });

/** What names a response among those of its step. */
function responseName(response) {
  return response.name + (response.sample === null ? '' : ` · sample ${response.sample}`) +
    (response.turn === null ? '' : ` · turn ${response.turn}`) + (response.nth === null ? '' : ` · no. ${response.nth + 1}`);
}

const same = (a, b) => a.name === b.name && a.sample === b.sample && a.turn === b.turn && a.nth === b.nth;
const meanText = (response) => (response.mean === null ? '–' : nats(response.mean));

function sorter() {
  const orders = { file: 'file order', high: 'highest mean first', low: 'lowest mean first', long: 'longest first', reward: 'highest reward first' };
  if (responses.every((response) => response.reward === null)) delete orders.reward;
  const select = make('select', { id: 'tokens-order' },
    ...Object.entries(orders).map(([value, words]) => make('option', { value }, words)));
  select.addEventListener('change', () => {
    view.order = select.value;
    showResponses();
  });
  return make('p', { class: 'control' }, make('label', { for: 'tokens-order' }, 'Order '), select);
}

/** Why a response ended, in words. */
const finishText = (reason) => (['length', 'max_tokens'].includes(reason) ? 'stopped at the length limit' : `finish reason: ${reason}`);

/** The responses in the order of the list, and the token elements of the selected one. */
let [rows, spans] = [[], []];

function showResponses() {
  const shown = responses.filter((response) => response.step === view.step && inGroup(response));
  const orders = {
    high: (a, b) => b.mean - a.mean,
    low: (a, b) => a.mean - b.mean,
    long: (a, b) => b.length - a.length,
    reward: (a, b) => (b.reward ?? -Infinity) - (a.reward ?? -Infinity),
  };
  if (orders[view.order]) shown.sort(orders[view.order]);
  // When the step changes, the same response stays selected.
  view.response = shown.find((response) => view.response && same(response, view.response)) ?? shown[0] ?? null;
  list.replaceChildren(...shown.map((response, i) => {
    const more = plural(response.length, 'token', 'tokens') + (response.reward === null ? '' : ` · reward ${figure(response.reward)}`) +
      (response.finish === null ? '' : ` · ${finishText(response.finish)}`);
    const option = make('div', {
      id: `tokens-response-${i}`, role: 'option', 'aria-selected': String(response === view.response),
      'aria-label': `response ${responseName(response)}, ${more}, mean ${meanText(response)} nats`,
    },
      make('span', { class: 'name' }, responseName(response)),
      make('span', { class: `token ${level(response.mean)}` }, meanText(response)),
      make('span', { class: 'secondary' }, more));
    option.addEventListener('click', () => chooseResponse(response));
    return option;
  }));
  rows = shown;
  mark();
  showTokens();
}

function chooseResponse(response) {
  view.response = response;
  mark();
  showTokens();
}

/** Shows a response from a token on. */
function openAt(response, at) {
  chooseResponse(response);
  reading.scrollIntoView({ block: 'center' });
  if (spans[at]) {
    reading.scrollTop = Math.max(spans[at].offsetTop - reading.offsetTop - 20, 0);
    enter(spans[at]);
  }
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
    chooseResponse(rows[to]);
  }
  event.preventDefault();
});

/** The percentage of the step's tokens that have less entropy. */
function rank(entropy) {
  // Tokens are rounded to four decimals, percentiles are not.
  return Math.max(chosenStep().percentiles.filter((value) => value < entropy - 5e-5).length - 1, 0);
}

function showTokens() {
  const response = view.response;
  if (!response) {
    heading.textContent = view.group === null ? '' : `No response of this group (${groupName()}) is on the page at this step.`;
    reading.replaceChildren();
    detail.replaceChildren();
    spans = [];
    return;
  }
  const cut = response.kinds.length < response.length
    ? `, of which the first ${count(response.kinds.length)} are shown` : '';
  heading.textContent = `Response ${responseName(response)}: ${plural(response.length, 'token', 'tokens')}${cut}` +
    (response.mean === null ? '' : `, mean ${nats(response.mean)} nats`);
  reading.setAttribute('aria-label', `Tokens of response ${responseName(response)}`);
  // A paragraph ends at a line break of the text, or when it becomes too long for a fast layout.
  const paragraphs = document.createDocumentFragment();
  let paragraph = null;
  spans = response.kinds.map((place, i) => {
    const kind = kinds[place];
    const entropy = response.entropies?.[i] ?? null;
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
  const entropy = response.entropies?.[at] ?? null;
  const parts = [
    ['id', kind[0]], ['entropy', entropy === null ? 'not recorded' : nats(entropy)], ['log-prob', logProb],
    ...(entropy === null ? [] : [['above about', `${rank(entropy)} % of tokens`]]),
    ['position', `${count(at)} (from 0, of ${count(response.length)})`],
  ];
  detail.replaceChildren(
    make('span', { class: `token ${level(entropy)}` }, flatText(response.kinds[at])),
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

