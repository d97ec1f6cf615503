// --- Findings, bars, tables and sources -----------------------------------------------------------------

const STATES = { healthy: 'healthy', falling: 'falling', collapsed: 'collapsed', exploded: 'exploded', not_recorded: 'not recorded', too_short: 'too short' };
const GRAVEST = ['collapsed', 'exploded', 'falling', 'not_recorded', 'too_short', 'healthy'];
const MOST_BARS = 40;

/** A name in a table, or those of a pair: a long one goes on in further lines, best after what parts words in names. */
function lines(name) {
  if (name.length <= LONG_NAME) return make('span', { class: 'name' }, name);
  const gap = name.length > LONG_PAIR ? 'br' : 'wbr';
  const parts = name.split(/(?<=[_./=]| − )/).flatMap((part) => [part, make(part.endsWith(' − ') ? gap : 'wbr')]);
  return make('span', { class: 'name lengthy' }, parts);
}
const LONG_NAME = 16;
const LONG_PAIR = 44;

/** A run's name behind its line. */
const named = (run) => make('span', { class: 'run', title: run.label }, swatch(run), lines(run.name));

/** A state with its step. */
function stateOf(run) {
  const { state, state_step: step } = run.stats;
  return make('span', { class: `state ${state}` }, STATES[state] + (step === null ? '' : ` at step ${stepText(step)}`));
}

/** How many runs are in which state, the gravest first. */
function tally(runs) {
  const states = GRAVEST.map((state) => [state, runs.filter((run) => run.stats.state === state).length]);
  return states.filter(([, n]) => n > 0);
}

function findings(root, data, runs) {
  const odd = runs.filter((run) => run.stats.state !== 'healthy');
  const counted = make('ul', { class: 'tally' }, tally(runs).map(([state, n]) =>
    make('li', { class: `state ${state}` }, make('b', {}, count(n)), ` ${STATES[state]}`)));
  const of = (run, key) => run.stats[key];
  const columns = [
    { head: 'Run', words: true, value: (run) => run.name, cell: named },
    { head: 'State', words: true, value: (run) => String(GRAVEST.indexOf(run.stats.state)), cell: stateOf },
    { head: 'Baseline', value: (run) => of(run, 'baseline'), cell: (run) => short(of(run, 'baseline')) },
    { head: 'End, of baseline', value: (run) => of(run, 'final_ratio'), cell: (run) => percent(of(run, 'final_ratio')) },
    { head: 'Half-life step', value: (run) => of(run, 'half_life_step'), cell: (run) => stepText(of(run, 'half_life_step')) },
    { head: 'Late slope / 100 steps', value: (run) => of(run, 'late_slope'), cell: (run) => short(of(run, 'late_slope')) },
  ];
  const { collapse_ratio: collapse, explode_ratio: explode, fewest_points: fewest } = data.health;
  root.replaceChildren(
    counted,
    ...data.notes.map((note) => make('p', { class: 'note' }, note)),
    ...(odd.length > 0 ? [sortable('Findings', columns, odd, { column: 1, falling: false })] : []),
    make('p', { class: 'quiet' },
      `Each run beside its own start, smoothed by a running mean of 5: collapsed at or under ${percent(collapse)} of it and never back over ` +
      `${percent(1.4 * collapse)}; exploded at or over ${percent(explode)} and never back under ${percent(0.75 * explode)}; falling if its late slope ` +
      `leads to a collapse within as many steps again; too short under ${fewest} points. Half-life: the first step at half of the start.`));
}

/** Mean, max and min of each run on one scale, in the runs' order. */
function bars(root, runs) {
  const told = runs.length <= MOST_BARS ? runs : runs.filter((run) => run.style !== 'crowd');
  const panels = [
    ['mean', (stats) => stats.mean, null],
    ['max', (stats) => stats.max, (stats) => stats.max_step],
    ['min', (stats) => stats.min, (stats) => stats.min_step],
  ];
  const values = told.flatMap((run) => panels.map(([, value]) => value(run.stats)).filter((value) => value !== null));
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const span = high / 2 - low / 2 || 1;
  const at = (value) => ((value / 2 - low / 2) / span) * 58; // per cent of the cell; the rest is for the words
  function cell(run, [name, value, step]) {
    const of = value(run.stats);
    const [from, to] = [Math.min(at(of ?? 0), at(0)), Math.max(at(of ?? 0), at(0))];
    return make('td', { 'data-head': name }, draw('svg', { class: 'bar', height: 18 },
      of === null ? null : draw('rect', { x: `${from}%`, y: 3, width: `${Math.max(to - from, 0.3)}%`, height: 12 }),
      draw('line', { x1: `${at(0)}%`, x2: `${at(0)}%`, y1: 0, y2: 18 }),
      draw('text', { x: `${to}%`, y: 13, dx: 6 }, of === null ? 'too large' : short(of),
        step === null ? null : draw('tspan', { class: 'aside', dx: 5 }, `@ ${stepText(step(run.stats))}`))));
  }
  root.replaceChildren(
    make('table', { class: 'bars' },
      make('thead', {}, make('tr', {}, make('th', { scope: 'col', class: 'words' }, make('span', { class: 'unseen' }, 'Run')),
        panels.map(([name]) => make('th', { scope: 'col', class: 'words' }, name)))),
      make('tbody', {}, told.map((run) => make('tr', { class: run.style }, make('th', { scope: 'row' }, make('span', { class: 'name', title: run.label }, run.name)),
        panels.map((panel) => cell(run, panel)))))),
    ...(told.length < runs.length ? [make('p', { class: 'quiet' }, `The ${told.length} runs with the largest spread; the table has all ${count(runs.length)}.`)] : []));
}

function table(root, runs, view) {
  const stat = (head, key, text = short) => ({ head, value: (run) => run.stats[key], cell: (run) => text(run.stats[key]) });
  const extreme = (head, key) => ({
    head, value: (run) => run.stats[key],
    cell: (run) => [short(run.stats[key]), make('span', { class: 'quiet' }, ` @ ${stepText(run.stats[`${key}_step`])}`)],
  });
  const columns = [
    { head: 'Run', words: true, value: (run) => run.name, cell: named },
    { head: 'State', words: true, value: (run) => String(GRAVEST.indexOf(run.stats.state)), cell: stateOf },
    stat('Points', 'points', count), stat('First step', 'first_step', stepText), stat('Last step', 'last_step', stepText),
    stat('First', 'first'), stat('Last', 'last'), stat('Mean', 'mean'), stat('Sd', 'std'), stat('Median', 'median'),
    extreme('Min @ step', 'min'), extreme('Max @ step', 'max'),
    stat('Half-life step', 'half_life_step', stepText), stat('Area', 'auc'),
  ];
  const rows = runs.map((run) => Object.assign(Object.create(run), { hidden: view.hidden.has(run.label) }));
  root.replaceChildren(sortable('Numbers of each run', columns, rows, view.sort),
    make('p', { class: 'quiet' }, 'Nats; sd of the points (n − 1); area in nats × steps. A button at the head of a column sorts by it.'));
}

/** A table that came as words. */
function worded(root, label, given) {
  root.parentElement.hidden = !given;
  if (!given) return;
  root.replaceChildren(
    scrolling(label, make('table', {},
      make('thead', {}, make('tr', {}, given.heads.map((head, i) => make('th', { scope: 'col', class: i === 0 ? 'words' : null }, head)))),
      make('tbody', {}, given.rows.map((row) => make('tr', {}, row.map((cell, i) => i === 0 ? make('th', { scope: 'row' }, lines(cell)) : make('td', {}, cell))))))),
    make('details', {}, make('summary', {}, 'How to read this'), make('ul', {}, given.remarks.map((remark) => make('li', {}, remark.trim())))));
}

function sources(root, runs) {
  const text = (head, value) => ({ head, words: true, value, cell: value });
  const odd = (run) => (run.stats.warnings.length === 0
    ? make('span', { class: 'quiet' }, 'nothing')
    : make('ul', { class: 'odd' }, run.stats.warnings.map((warning) => make('li', {}, warning))));
  const columns = [
    { head: 'Run', words: true, value: (run) => run.label, cell: (run) => lines(run.label) },
    { head: 'Read from', words: true, value: (run) => run.stats.source, cell: (run) => make('span', { class: 'path' }, run.stats.source) },
    text('Format', (run) => run.stats.format), text('Metric', (run) => run.stats.metric), text('Quantity', (run) => run.quantity),
    { head: 'Points', value: (run) => run.stats.points, cell: (run) => count(run.stats.points) },
    { head: 'Repaired or odd', words: true, value: (run) => run.stats.warnings.join(' '), cell: odd },
  ];
  const repairs = runs.map((run) => run.stats.repairs);
  const sum = (key) => repairs.reduce((total, repair) => total + repair[key], 0);
  const said = [[sum('not_finite'), 'value was', 'values were', 'not finite'], [sum('relogged'), 'row was', 'rows were', 'logged again'], [sum('reordered'), 'row stood', 'rows stood', 'out of order']]
    .filter(([n]) => n > 0).map(([n, one, many, what]) => `${plural(n, one, many)} ${what}`);
  root.replaceChildren(
    make('p', { class: 'quiet' }, said.length > 0 ? `In all: ${said.join(', ')}.` : 'No value had to be repaired.'),
    sortable('Sources', columns, runs, { column: null, falling: false }));
}

