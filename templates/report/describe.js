// --- What the charts show, in words -------------------------------------------------------------------------

/**
 * The description of the charts, in parts. `state` has the document's `data`, the reader's `view`, all `panels`, the `visible` entries of
 * the entropy, and their `traces`.
 */
function describe({ data, view, panels, visible, traces }) {
  const weight = Number(view.weight.toFixed(4));
  const parts = data.quantity ? [data.quantity] : [];
  if (view.grouped) return [...parts, ...describeGroups(data.bands, panels[0], view, weight, visible, traces)];
  const shown = panels.flatMap((panel) => panel.runs);
  const isReduced = shown.some((run) => !run.exact && !view.hidden.has(run.label));
  const few = visible.length <= MANY;
  if (view.weight > 0) parts.push(`line: moving average (EMA) with weight ${weight}` + (few ? `, faint: ${isReduced ? 'range of logged values' : 'logged values'}` : ''));
  else if (isReduced && few) parts.push('faint: range from min to max');
  if (isReduced) parts.push(`${count(panels.reduce((sum, panel) => sum + panel.points, 0))} points are too many for one page: each shown point is the mean, min and max of neighbouring steps`);
  const unstyled = visible.filter(isUnstyled).length;
  if (unstyled > 0) parts.push(`${visible.length - unstyled} of ${plural(visible.length, 'run', 'runs')} in colour: collapsed, exploded, highest and lowest; grey: the others`);
  const withoutClock = visible.length - traces.length;
  if (withoutClock > 0) parts.push(`${plural(withoutClock, 'run has', 'runs have')} no clock and cannot be shown over time`);
  if (data.names_note) parts.push(data.names_note);
  return parts;
}

/** The description of means and bands, in parts. */
function describeGroups(bands, { runs, groups }, view, weight, visible, traces) {
  const parts = [];
  const first = traces.every((trace) => trace.isComputable || trace.lineAt(view.weight).weight !== undefined);
  const how = first ? `, each smoothed by EMA with weight ${weight} first` : `, smoothed by EMA with weight ${weight} after averaging`;
  parts.push(`line: mean over runs${view.weight > 0 ? how : ''}`);
  if (traces.some((trace) => trace.lineAt(view.weight).low.some((low) => !Number.isNaN(low)))) parts.push(`band: ${bands.words}`);
  if (isWithMembers(traces) && (view.weight > 0 || traces.some((trace) => trace.traces.length > 1))) parts.push('faint: runs as logged');
  if (bands.interpolated) parts.push('interpolated between logged points');
  if (traces.some((trace) => trace.segments.some((segment) => segment.runs < trace.traces.length))) parts.push('dashed, lighter: fewer runs than n');
  const every = Math.max(1, ...traces.map((trace) => trace.every));
  if (every > 1) parts.push(`up to ${count(every - 1)} steps are left out between two points`);
  const without = visible.length - traces.length;
  if (without > 0) parts.push(`${plural(without, 'group has', 'groups have')} no mean: the runs share no step`);
  const alone = runs.filter((run) => !groups.some((group) => group.members.includes(run))).length;
  if (alone > 0) parts.push(`${plural(alone, 'run is', 'runs are')} in no group or not recorded`);
  return parts;
}

const MAX_NAMED = 3; // runs that lack a quantity

/** The heading of the panel of another quantity: its name, unit and keys, and which of the runs lack it. */
function panelHeading(panel, runs) {
  const has = new Set(panel.runs.map((run) => run.index));
  const names = runs.filter((run) => !has.has(run.index)).map((run) => run.name);
  const lacking = `not logged by ${plural(names.length, 'run', 'runs')}: ${names.slice(0, MAX_NAMED).join(', ')}${names.length > MAX_NAMED ? ', …' : ''}`;
  return make('p', { class: 'panel-title' },
    make('span', {}, make('b', {}, panel.title), panel.unit ? ` (${panel.unit})` : ''),
    panel.title === panel.keys ? null : make('span', { class: 'muted', title: panel.keys }, panel.keys),
    names.length === 0 ? null : make('span', { class: 'muted lacking', title: names.join(', ') }, lacking));
}

/** The range of the x axis as text. */
function spanText([from, to], axis, unit) {
  return axis === 'time' ? `${short(from)} to ${short(to)} ${unit[1]}` : `${stepText(Math.round(from))} to ${stepText(Math.round(to))} steps`;
}
