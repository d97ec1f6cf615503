// --- The view in the address ------------------------------------------------------------------------------
//
// The reader's choices are the part of the address after `#`, as `#x=relative&smooth=0.9&hide=run_a`. A copied link,
// a reload and a file on a disk show the same view. Only what differs from how the page opens is written. `low` and `high` are the
// shown values of the entropy, `low:kl` and `high:kl` those of the panel kl.

/** The key of an end of the shown values of a panel. */
const valueKey = (end, panel) => (panel === '' ? end : `${end}:${panel}`);

/** The view as text; empty if it is as the page opens. */
function viewText(view, start, labels) {
  const text = new URLSearchParams();
  const put = (key, value, usual) => { if (value !== usual) text.set(key, value); };
  put('view', view.grouped ? 'groups' : 'runs', start.grouped ? 'groups' : 'runs');
  put('x', view.axis, 'step');
  const putRange = (range, keys) => keys.forEach((key, i) => text.set(key, Number(range[i].toPrecision(12))));
  if (view.range) putRange(view.range, ['from', 'to']);
  for (const [panel, range] of Object.entries(view.valueRanges)) putRange(range, [valueKey('low', panel), valueKey('high', panel)]);
  put('smooth', view.weight, start.smoothing);
  put('log', view.log ? 1 : 0, start.log_y ? 1 : 0);
  const hidden = labels.filter((label) => view.hidden.has(label));
  const shown = labels.filter((label) => !view.hidden.has(label));
  if (hidden.length > 0 && shown.length === 0) text.set('show', '');
  else if (shown.length < hidden.length) shown.forEach((label) => text.append('show', label));
  else hidden.forEach((label) => text.append('hide', label));
  for (const name of view.hiddenGroups) text.append('hide-group', name);
  put('find', view.query, '');
  put('matches', view.onlyMatches ? 1 : 0, 0);
  put('theme', document.documentElement.dataset.theme ?? '', '');
  return text.toString();
}

/** Sets the view to what a text says; choices that it does not name, or cannot be, are as the page opens. */
function readView(view, text, start, labels) {
  const given = new URLSearchParams(text);
  const one = (key, allowed) => (allowed.includes(given.get(key)) ? given.get(key) : null);
  const number = (key) => (given.get(key) && Number.isFinite(Number(given.get(key))) ? Number(given.get(key)) : null);
  const range = (low, high) => (number(low) !== null && number(low) < (number(high) ?? -Infinity) ? [number(low), number(high)] : null);
  const grouped = one('view', ['groups', 'runs']);
  view.grouped = start.hasGroups && (grouped === null ? start.grouped : grouped === 'groups');
  view.axis = one('x', AXES.map(([name]) => name)) ?? 'step';
  view.range = range('from', 'to');
  view.valueRanges = {};
  for (const key of given.keys()) {
    const panel = key === 'low' ? '' : key.startsWith('low:') ? key.slice(4) : null;
    const found = panel === null ? null : range(key, valueKey('high', panel));
    if (found) view.valueRanges[panel] = found;
  }
  view.weight = Math.min(Math.max(number('smooth') ?? start.smoothing, 0), MAX_WEIGHT);
  view.log = one('log', ['0', '1']) === null ? start.log_y : given.get('log') === '1';
  const shown = given.has('show') ? new Set(given.getAll('show')) : null;
  view.hidden = new Set(shown ? labels.filter((label) => !shown.has(label)) : given.getAll('hide'));
  view.hiddenGroups = new Set(given.getAll('hide-group'));
  view.query = given.get('find') ?? '';
  view.onlyMatches = given.get('matches') === '1';
  const theme = one('theme', ['light', 'dark']);
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

/** Whether the part of an address after `#` is a view; otherwise it names a place on the page. */
const isView = (hash) => hash.includes('=');
