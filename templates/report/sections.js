// --- The sections with findings, bars, tables and sources -------------------------------------------------

const STATES = { healthy: 'healthy', falling: 'falling', collapsed: 'collapsed', exploded: 'exploded', not_recorded: 'not recorded', too_short: 'too short', null: 'no state' };
const BY_SEVERITY = ['collapsed', 'exploded', 'falling', 'not_recorded', 'too_short', 'null', 'healthy'];
const MAX_BARS = 40;
const MAX_OPEN_BARS = 12; // on a narrow screen, where each run has three lines, more are folded

/** A state with its step. */
function stateOf(run) {
  const { state, state_step: step } = run.stats;
  return make('span', { class: `state ${state}` }, STATES[state] + (step === null ? '' : ` at step ${stepText(step)}`));
}

const runColumn = { head: 'Run', words: true, value: (run) => run.name, cell: runName };
const stateColumn = { head: 'State', words: true, value: (run) => String(BY_SEVERITY.indexOf(String(run.stats.state))), cell: stateOf };

/** A column with a number of the statistics, written by `text`, or all in one format. */
const statColumn = (head, key, text = null, format = columnFormat) => ({
  head, format: text ? null : format, value: (run) => run.stats[key], cell: (run, write) => (text ?? write)(run.stats[key]),
});

/** The number of runs in each state, and of notes: one line above the chart. */
function tally(root, data, runs) {
  const counts = BY_SEVERITY.map((state) => [state, runs.filter((run) => String(run.stats.state) === state).length]).filter(([, n]) => n > 0);
  const { length: notes } = data.notes;
  root.replaceChildren(make('ul', { class: 'tally' },
    counts.map(([state, n]) => make('li', { class: `state ${state}` }, make('b', {}, count(n)), ` ${STATES[state]}`)),
    notes > 0 ? make('li', {}, make('a', { href: '#findings' }, plural(notes, 'note', 'notes'))) : null));
}

function findings(root, data, runs) {
  const unhealthy = runs.filter((run) => run.stats.state !== 'healthy');
  const columns = [
    runColumn, stateColumn, statColumn('Start', 'start'), statColumn('Level', 'level'), statColumn('Level / start', 'final_ratio', null, percentFormat),
    statColumn('Half‑life step', 'half_life_step', stepText), statColumn('Slope / 100 steps', 'late_slope'),
  ];
  const { collapse_ratio: collapse, explode_ratio: explode, fewest_points: minPoints } = data.health;
  root.replaceChildren(
    ...data.notes.map((note) => make('p', { class: 'note' }, note)),
    ...(unhealthy.length > 0 ? [sortable('Findings', columns, unhealthy, { column: 1, falling: false })] : []),
    make('p', { class: 'muted' },
      `States compare the level, the median of the last five points, with the start, the median of the first five. Collapsed: at or below ` +
      `${percent(collapse)} for five points in a row, until above ${percent(1.4 * collapse)}. Exploded: at or above ${percent(explode)} and 1 nat, until below ` +
      `${percent(0.75 * explode)}. Falling: if the slope of the last third continued, the run would collapse within as many steps as it has now. ` +
      `Too short: fewer than ${minPoints} points. Low entropy alone is not a failure of training. Half-life: the first step at half of the start.`));
}

/** Bars of mean, max and min of each run, on a common scale and in the order of the runs. */
function bars(root, runs) {
  const coloured = runs.filter((run) => !isUnstyled(run)).slice(0, MAX_BARS);
  const shown = runs.length <= MAX_BARS ? runs : coloured;
  const panels = [
    ['mean', (stats) => stats.mean, null],
    ['max', (stats) => stats.max, (stats) => stats.max_step],
    ['min', (stats) => stats.min, (stats) => stats.min_step],
  ];
  const values = shown.flatMap((run) => panels.map(([, value]) => value(run.stats)).filter((value) => value !== null));
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const write = columnFormat(values);
  const span = high / 2 - low / 2 || 1;
  const at = (value) => ((value / 2 - low / 2) / span) * 58; // percent of the cell; the rest is for the text
  function cell(run, [name, value, step]) {
    const of = value(run.stats);
    const [from, to] = [Math.min(at(of ?? 0), at(0)), Math.max(at(of ?? 0), at(0))];
    return make('td', { 'data-head': name }, makeSvg('svg', { class: 'bar', height: 18 },
      of === null ? null : makeSvg('rect', { x: `${from}%`, y: 3, width: `${Math.max(to - from, 0.3)}%`, height: 12 }),
      makeSvg('line', { x1: `${at(0)}%`, x2: `${at(0)}%`, y1: 0, y2: 18 }),
      makeSvg('text', { x: `${to}%`, y: 13, dx: 6 }, of === null ? 'too large' : write(of),
        step === null ? null : makeSvg('tspan', { class: 'secondary', dx: 5 }, `@ ${stepText(step(run.stats))}`))));
  }
  const isOpen = root.querySelector('details')?.open ?? (shown.length <= MAX_OPEN_BARS || !matchMedia('(max-width: 60rem)').matches);
  const table = make('table', { class: 'bars' },
    make('thead', {}, make('tr', {}, make('th', { scope: 'col', class: 'words' }, make('span', { class: 'visually-hidden' }, 'Run')),
      panels.map(([name]) => make('th', { scope: 'col', class: 'words' }, name)))),
    make('tbody', {}, shown.map((run) => make('tr', { class: run.style }, make('th', { scope: 'row' }, make('span', { class: 'name', title: run.label }, run.name)),
      panels.map((panel) => cell(run, panel))))));
  root.replaceChildren(
    shown.length <= MAX_OPEN_BARS ? table : make('details', { open: isOpen }, make('summary', {}, `Bars of ${plural(shown.length, 'run', 'runs')}`), table),
    ...(shown.length < runs.length ? [make('p', { class: 'muted' }, `${plural(shown.length, 'run', 'runs')} in colour; the table has all ${count(runs.length)}.`)] : []));
}

function runTable(root, runs, view) {
  const extreme = (head, key) => ({
    ...statColumn(head, key),
    cell: (run, write) => [write(run.stats[key]), make('span', { class: 'muted' }, ` @ ${stepText(run.stats[`${key}_step`])}`)],
  });
  const columns = [
    runColumn, stateColumn,
    statColumn('Points', 'points', count), statColumn('First step', 'first_step', stepText), statColumn('Last step', 'last_step', stepText),
    statColumn('First', 'first'), statColumn('Last', 'last'), statColumn('Mean', 'mean'), statColumn('Sd', 'std'), statColumn('Median', 'median'),
    extreme('Min @ step', 'min'), extreme('Max @ step', 'max'),
    statColumn('Half‑life step', 'half_life_step', stepText), statColumn('Area', 'auc'),
  ];
  const rows = runs.map((run) => Object.assign(Object.create(run), { hidden: view.hidden.has(run.label) }));
  root.replaceChildren(sortable('Statistics of each run', columns, rows, view.sort),
    make('p', { class: 'muted' }, (runs.some((run) => run.quantity !== 'other metric') ? 'Entropies in nats; ' : '') + 'sd: sample standard deviation (n − 1); area in the unit of the values × steps. Click a column heading to sort.'));
}

/** A table of texts from the document; hides its section if there is none. */
function textTable(root, label, given) {
  root.parentElement.hidden = !given;
  if (!given) return;
  root.replaceChildren(
    scrolling(label, plainTable(given.heads, given.rows.map(([name, ...cells]) => [wrappedName(name), ...cells]))),
    make('details', {}, make('summary', {}, 'How to read this'), make('ul', {}, [...given.remarks, given.method].map((remark) => make('li', {}, remark.trim())))));
}

function sources(root, runs) {
  const text = (head, value) => ({ head, words: true, value, cell: value });
  const warnings = (run) => (run.stats.warnings.length === 0
    ? make('span', { class: 'muted' }, 'none')
    : make('ul', { class: 'warnings' }, run.stats.warnings.map((warning) => make('li', {}, warning))));
  const columns = [
    { head: 'Run', words: true, value: (run) => run.label, cell: (run) => wrappedName(run.label) },
    { head: 'Read from', words: true, value: (run) => run.stats.source, cell: (run) => make('span', { class: 'path' }, run.stats.source) },
    text('Format', (run) => run.stats.format), text('Metric', (run) => run.stats.metric), text('Quantity', (run) => run.quantity),
    statColumn('Points', 'points', count),
    { head: 'Repairs and warnings', words: true, value: (run) => run.stats.warnings.join(' '), cell: warnings },
  ];
  const sum = (key) => runs.reduce((total, run) => total + run.stats.repairs[key], 0);
  const repairs = [
    [sum('not_finite'), 'value was', 'values were', 'not finite'], [sum('relogged'), 'row was', 'rows were', 'logged again'],
    [sum('reordered'), 'row was', 'rows were', 'out of order'],
  ].filter(([n]) => n > 0).map(([n, one, many, what]) => `${plural(n, one, many)} ${what}`);
  root.replaceChildren(
    make('p', { class: 'muted' }, repairs.length > 0 ? `In total: ${repairs.join(', ')}.` : 'No value had to be repaired.'),
    sortable('Sources', columns, runs, { column: null, falling: false }));
}

