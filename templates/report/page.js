// --- The page ---------------------------------------------------------------------------------------------
//
// `render` can be called again with another document: what the reader chose stays as it is.

const byId = (id) => document.getElementById(id);
const content = (id) => byId(id).querySelector('.content');

/** What the reader chose, by the names of runs, and where the cursor is. */
const view = {
  hidden: new Set(), axis: 'step', range: null, weight: null, log: null, sort: { column: null, falling: false },
  cursor: null, height: 0, pointed: null, width: null, changed: () => table(content('runs'), shownRuns, view),
};
const curves = curvesIn(content('curves'), view);
let shownRuns = [];

function render(data) {
  const runs = decode(data);
  shownRuns = runs;
  view.weight ??= data.start.smoothing;
  view.log ??= data.start.log_y;
  document.title = data.title;
  byId('title').textContent = data.title;
  const steps = (key, pick) => stepText(pick(...runs.map((run) => run.stats[key])));
  byId('subtitle').textContent = [
    plural(runs.length, 'run', 'runs'), plural(data.points, 'point', 'points'),
    `steps ${steps('first_step', (...all) => all.reduce((a, b) => Math.min(a, b)))} to ${steps('last_step', (...all) => all.reduce((a, b) => Math.max(a, b)))}`,
  ].join(' · ');
  findings(content('findings'), data, runs);
  curves.show(data, runs);
  bars(content('bars'), runs);
  table(content('runs'), runs, view);
  worded(content('groups'), 'Groups', data.groups);
  worded(content('pairs'), 'Comparisons', data.pairs);
  sources(content('sources'), runs);
  document.querySelector('footer .content').replaceChildren(
    make('p', {}, 'Made with'), make('pre', { tabindex: '0' }, make('code', {}, data.command)),
    make('p', {}, [`entropy-viz ${data.version}`, data.date, 'entropies in nats', byId('live') ? 'asks the program that sent it for newer data' : 'this page makes no request'].filter(Boolean).join(' · ')));
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

let before = null; // the theme chosen before printing
addEventListener('beforeprint', () => {
  before = document.documentElement.dataset.theme ?? '';
  document.documentElement.dataset.theme = 'light';
  for (const details of document.querySelectorAll('details')) details.open = true;
  curves.rebuild(680);
});
addEventListener('afterprint', () => {
  if (before) document.documentElement.dataset.theme = before;
  else delete document.documentElement.dataset.theme;
  curves.rebuild();
});

showTheme();
render(JSON.parse(byId('report-data').textContent));
// For whoever has newer data to show, or wants the numbers of a curve in the console.
globalThis.entropyViz = { render, view, values: curves.values };
