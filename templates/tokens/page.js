/*
 * The layout of the token sections, and what happens when a step or a group is chosen.
 */
const figures = make('dl', { class: 'figures' });
const histogram = make('figure', { class: 'chart' });
const profile = make('figure', { class: 'chart' });
const heatMap = make('figure', { class: 'chart wide' });
const behind = make('div', { class: 'behind', 'aria-live': 'polite' });
const stepSelect = make('select', { id: 'tokens-step' }, ...steps.map((step, i) => make('option', { value: i }, stepName(step))));
const slider = make('input', { type: 'range', min: 0, max: steps.length - 1, value: view.step, 'aria-label': 'Step' });
const groupSelect = make('select', { id: 'tokens-group' }, make('option', { value: '' }, 'all responses'),
  ...groupings.map((grouping) => make('optgroup', { label: `by ${grouping.title}` }, ...grouping.groups.map((name, i) =>
    make('option', { value: groupNames.findIndex((group) => group.grouping === grouping) + i }, name)))));

const sections = [
  quantilesSection(), ...groupings.map(groupSection), forkingSection(), covarianceSection(), mismatchSection(), columnsSection(),
  diversitySection(), sharedSection(),
].filter((part) => part !== null);

const head = (id, title) => make('h3', { id: `tokens-${id}` }, title);
const parts = [
  ...(hasEntropies ? [['distribution', 'Distribution and position']] : []), ['responses', 'Responses'],
  ...sections.map(({ id, title }) => [id, title]),
];

section.replaceChildren(
  make('h2', {}, 'Tokens'),
  make('p', { class: 'muted' },
    `Numbers of single response tokens, in nats: all ${plural(data.totals.tokens, 'token', 'tokens')} of ` +
    `${plural(data.totals.responses, 'response', 'responses')}` +
    (data.totals.steps > 1 ? ` at ${count(data.totals.steps)} steps` : '') + '. ' +
    `${several ? 'Dumps' : 'Dump'}: ${data.sources.join(', ')}. ± and bands: 95 % intervals over ${settings.clusters}.`),
  ...data.odd.map((warning) => make('p', { class: 'warning' }, warning)),
  ...(data.missing.length === 0 ? [] : [make('p', { class: 'muted missing' }, 'Not in this dump: ' +
    `${data.missing.map(({ section: name, reason }) => `${name} (${reason})`).join('; ')}.`)]),
  make('nav', { class: 'contents', 'aria-label': 'Token sections' }, ...parts.map(([id, title]) =>
    make('a', { href: `#tokens-${id}` }, title.split(':')[0]))),
  ...(steps.length > 1 || groupNames.length > 0 ? [chooser()] : []),
  figures,
  ...(hasEntropies ? [
    head('distribution', 'Distribution and position'),
    positionsControl(),
    make('div', { class: 'charts' }, histogram, profile), heatMap, behind] : []),
  head('responses', 'Responses'),
  make('p', { class: 'muted note' }, omissions()),
  make('div', { class: 'reader' },
    make('div', { class: 'choose' }, sorter(), list),
    make('div', { class: 'pane' }, heading, ...(hasEntropies ? [legend] : []), detail, reading)),
  ...sections.flatMap(({ id, title, parts: content }) => [head(id, title), ...content]),
);

/** The selection of step and group, which applies to all sections. */
function chooser() {
  stepSelect.addEventListener('change', () => choose(Number(stepSelect.value)));
  // A slider moves faster than a page is drawn.
  let request = 0;
  slider.addEventListener('input', () => {
    cancelAnimationFrame(request);
    request = requestAnimationFrame(() => choose(Number(slider.value)));
  });
  groupSelect.addEventListener('change', () => {
    view.group = groupSelect.value === '' ? null : Number(groupSelect.value);
    update();
  });
  return make('div', { class: 'chooser' },
    ...(steps.length > 1 ? [make('p', { class: 'control' }, make('label', { for: 'tokens-step' }, 'Step '), stepSelect, ...(steps.length > 2 ? [slider] : []))] : []),
    ...(groupNames.length > 0 ? [make('p', { class: 'control' }, make('label', { for: 'tokens-group' }, 'Group '), groupSelect)] : []));
}

/** Whether a position is a token or a tenth of the response. */
function positionsControl() {
  const choice = (value, words) => {
    const input = make('input', { type: 'radio', name: 'tokens-positions', value, checked: value === view.positions });
    input.addEventListener('change', () => {
      [view.positions, view.cell] = [value, null];
      showBehind();
      redraw();
    });
    return make('label', {}, input, make('span', {}, words));
  };
  return make('div', { class: 'control' }, make('span', { class: 'muted' }, 'Position '),
    make('fieldset', { class: 'segments' }, choice('positions', 'token'), choice('tenths', 'tenth of the response')));
}

/** Chooses a step. */
function choose(step) {
  view.step = step;
  update();
}

/** How the numbers were made, and which parts of the dump are not shown. */
function omissions() {
  const omitted = data.left_out;
  const notes = ['The numbers of all sections are aggregates of every token of the steps shown, not of a sample.'];
  if (omitted.steps > 0) notes.push(`${count(steps.length)} of ${count(data.totals.steps)} steps are shown, evenly spaced.`);
  if (omitted.responses > 0) {
    notes.push(`Single responses are a selection: ${count(responses.length)} of ${count(data.totals.responses)} responses, with ` +
      `${count(data.totals.tokens - omitted.tokens)} of ${count(data.totals.tokens)} tokens: ` +
      'those with the highest and the lowest means, and others evenly spaced between them.');
  }
  if (excerpts.length > 0) notes.push(`${plural(excerpts.length, 'excerpt', 'excerpts')} of other responses ${excerpts.length === 1 ? 'fills' : 'fill'} positions that these do not reach.`);
  if (omitted.shortened > 0) notes.push(`${plural(omitted.shortened, 'long response is', 'long responses are')} truncated.`);
  notes.push('Numbers of single tokens are rounded to four decimals, others to seven digits.');
  return notes.join(' ');
}

function showFigures() {
  const slice = chosenSlice();
  const entropy = slice?.entropy;
  const step = chosenStep();
  const n = view.group === null ? step.responses : slice?.responses ?? 0;
  const rowsOf = () => [
    ['mean over tokens', nats(entropy.mean[0]), plusMinus(entropy.mean[0], entropy.mean[2])],
    ['mean over responses', nats(entropy.response_mean), 'mean of the responses’ means'],
    ...settings.thresholds.map((value, at) => (at === 0
      ? [`tokens under ${value}`, share(entropy.below[at]), 'almost certain']
      : [`tokens over ${value}`, share(entropy.above[at]), value === settings.reference ? `20 % for ${settings.reference_of}` : 'uncertain'])),
    ['80th percentile', nats(percentile(entropy, 80)), `${settings.reference} for ${settings.reference_of}`],
    [`entropy held by the ${topName} of tokens`, share(entropy.top_share), 'most uncertain tokens'],
  ];
  const all = [
    ...(entropy ? rowsOf() : []),
    ['responses', count(n), view.group === null ? plural(step.prompts, 'prompt', 'prompts') : groupName()],
    ...(view.group === null && step.mean_reward !== null ? [['mean reward', figure(step.mean_reward), settings.outcome ?? '']] : []),
    ...(view.group === null ? [['mean length', step.mean_length.toFixed(1), 'tokens']] : []),
  ];
  figures.replaceChildren(...all.map(([what, value, secondary]) =>
    make('div', {}, make('dt', {}, what), make('dd', {}, value), make('dd', { class: 'secondary' }, secondary))));
}

/** Draws everything whose size depends on the width of the page. */
function redraw() {
  pageWidth = section.clientWidth; // asked once: each time after a change, the browser would lay out the page
  const entropy = chosenSlice()?.entropy ?? null;
  if (hasEntropies) {
    legend.replaceChildren(colourScale(legend.clientWidth, entropy && percentile(entropy, 80)));
    drawHistogram(histogram, entropy);
    drawProfile(profile);
    drawHeatMap(heatMap);
  }
  sections.forEach((part) => part.show());
  // Long tables show the row of the chosen step.
  const marked = [...section.querySelectorAll('.long tr.marked')].map((row) => {
    const scroller = row.closest('.long');
    return [scroller, row.offsetTop - scroller.clientHeight / 2];
  });
  for (const [scroller, top] of marked) scroller.scrollTop = top;
}

function update() {
  [stepSelect.value, slider.value] = [view.step, view.step];
  slider.setAttribute('aria-valuetext', stepName(chosenStep()));
  showFigures();
  showResponses();
  showBehind();
  redraw();
}

update();
let frameRequest = 0;
new ResizeObserver(() => {
  if (section.clientWidth === pageWidth) return;
  cancelAnimationFrame(frameRequest);
  frameRequest = requestAnimationFrame(redraw);
}).observe(section);
