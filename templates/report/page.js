// --- The page ---------------------------------------------------------------------------------------------
//
// `render` can be called again with another document; the reader's choices are kept.

const byId = (id) => document.getElementById(id);
const contentOf = (id) => byId(id).querySelector('.content');

/**
 * The reader's choices, and the cursor. `hidden` has labels, `hiddenGroups` names; `cursor` is a position on the x
 * axis, which a click makes `isFixed`, `panel` the index of the chart that is pointed at, `height` the pointer's y there in CSS pixels,
 * `pointed` the label of the entry whose row is pointed at, `width` a fixed width of the charts; `valueRanges` has the shown values by the
 * name of a panel. `noted` is called after each choice.
 */
const view = {
  hidden: new Set(), hiddenGroups: new Set(), grouped: null, axis: 'step', range: null, valueRanges: {}, weight: null, log: null, query: '', onlyMatches: false,
  sort: { column: null, falling: false }, cursor: null, isFixed: false, panel: 0, height: 0, pointed: null, width: null,
  changed: () => runTable(contentOf('runs'), shownRuns, view), noted: noteView,
};
const curves = curveSection(contentOf('curves'), view);
let [shownData, shownRuns, start, noting] = [null, [], null, 0];
let showRest = null; // shows what is not shown yet, if anything

// --- The address

const labels = () => shownRuns.map((run) => run.label);

/** Writes the view into the address, once after several choices: browsers limit how often. */
function noteView() {
  clearTimeout(noting);
  noting = setTimeout(() => {
    const text = viewText(view, start, labels());
    if (text !== location.hash.slice(1) && (text !== '' || isView(location.hash))) history.replaceState(null, '', text === '' ? location.pathname + location.search : `#${text}`);
  }, 200);
}

addEventListener('hashchange', () => {
  if (!isView(location.hash)) return noteView(); // a link to a part of the page
  readView(view, location.hash.slice(1), start, labels());
  showTheme();
  return render(shownData);
});

// --- The parts of the page

function render(data) {
  const panels = decodePanels(data);
  const [{ runs, groups }] = panels;
  [shownData, shownRuns] = [data, runs];
  const hasGroups = groups.some((group) => group.traces.step !== null);
  const isFirst = start === null;
  start = { ...data.start, hasGroups, grouped: hasGroups };
  if (isFirst) readView(view, isView(location.hash) ? location.hash.slice(1) : '', start, labels());
  document.title = data.title;
  byId('title').textContent = data.title;
  const step = (key, pick) => stepText(runs.map((run) => run.stats[key]).reduce((a, b) => pick(a, b)));
  byId('subtitle').textContent = [
    // A page of `explain` is about one run.
    ...(byId('explanation') ? [] : [plural(runs.length, 'run', 'runs'), plural(data.points, 'point', 'points')]),
    `steps ${step('first_step', Math.min)} to ${step('last_step', Math.max)}`,
  ].join(' · ');
  tally(contentOf('states'), data, runs);
  curves.show(data, panels);
  // The first paint has the chart; what stands below it follows at once.
  showRest = () => {
    showRest = null;
    renderRest(data, runs);
  };
  if (isFirst) requestAnimationFrame(() => setTimeout(() => showRest?.()));
  else showRest();
}

/** Shows everything below the chart. */
function renderRest(data, runs) {
  findings(contentOf('findings'), data, runs);
  bars(contentOf('bars'), runs);
  runTable(contentOf('runs'), runs, view);
  textTable(contentOf('groups'), 'Groups', data.groups);
  textTable(contentOf('pairs'), 'Comparisons', data.pairs);
  sources(contentOf('sources'), runs);
  document.querySelector('footer .content').replaceChildren(
    make('p', {}, 'Made with'), make('pre', { tabindex: '0' }, make('code', {}, data.command)),
    make('p', {}, [`entropy-viz ${data.version}`, data.date, 'entropies in nats', byId('live') ? 'updated by the running entropy-viz watch' : 'this page makes no network requests'].filter(Boolean).join(' · ')));
  if (location.hash !== '' && !isView(location.hash)) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

// --- Light, dark and paper

const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = () => document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light');

function showTheme() {
  byId('theme').textContent = theme() === 'dark' ? 'Light' : 'Dark';
  byId('theme').setAttribute('aria-label', `Switch to ${theme() === 'dark' ? 'light' : 'dark'} colours`);
}

byId('theme').addEventListener('click', () => {
  document.documentElement.dataset.theme = theme() === 'dark' ? 'light' : 'dark';
  showTheme();
  curves.rebuild();
});
dark.addEventListener('change', () => {
  showTheme();
  curves.rebuild();
});

let themeBeforePrint = null;
addEventListener('beforeprint', () => {
  showRest?.();
  themeBeforePrint = document.documentElement.dataset.theme ?? '';
  document.documentElement.dataset.theme = 'light';
  for (const details of document.querySelectorAll('details')) details.open = true;
  curves.rebuild(680);
});
addEventListener('afterprint', () => {
  if (themeBeforePrint) document.documentElement.dataset.theme = themeBeforePrint;
  else delete document.documentElement.dataset.theme;
  curves.rebuild();
});

showTheme();
render(JSON.parse(byId('report-data').textContent));
// For live.js, and for reading the values of a curve in the browser's console.
globalThis.entropyViz = { render, view, values: curves.values, group: curves.group };
