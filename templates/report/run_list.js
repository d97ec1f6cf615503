// --- The list of runs beside the chart ------------------------------------------------------------------
//
// The chart shows entries: the runs, or the groups of runs.

/** The hidden entries: labels of runs, or names of groups. */
const hiddenOf = (view) => (view.grouped ? view.hiddenGroups : view.hidden);

const isMatch = (view, entry) => entry.label.toLowerCase().includes(view.query.toLowerCase());

/** Whether an entry is drawn. */
const isShown = (view, entry) => !hiddenOf(view).has(entry.label) && (!view.onlyMatches || isMatch(view, entry));

/**
 * The list with its buttons; `onToggle()` is called when other entries are shown, `onSearch()` when the search has
 * another text, `onPoint(entry)` when the pointer enters an entry, or with null when it leaves.
 */
function runList(view, onToggle, onSearch, onPoint) {
  let rows = [];
  const list = make('ul', { class: 'legend', 'aria-label': 'Runs' });
  const heading = make('p', { class: 'values-at' });
  const filter = make('input', { type: 'search', placeholder: 'Find a run', 'aria-label': 'Find a run', oninput: () => {
    view.query = filter.value;
    applyFilter();
    if (view.onlyMatches) onToggle();
    else onSearch();
  } });
  const matches = make('input', { type: 'checkbox', id: 'only-matches', onchange: () => {
    view.onlyMatches = matches.checked;
    markHidden();
    onToggle();
  } });
  const search = make('div', { class: 'find' }, filter, make('span', { class: 'control' }, matches, make('label', { for: 'only-matches' }, 'Show only matches')));
  const element = make('div', { class: 'side' },
    make('div', { class: 'controls' },
      smallButton('All', 'Show all runs', () => showOnly(() => true)), smallButton('None', 'Hide all runs', () => showOnly(() => false)), heading),
    search, list);

  /** Shows the entries for which `isChosen` is true and hides the others. */
  function showOnly(isChosen) {
    for (const { run } of rows) hiddenOf(view)[isChosen(run) ? 'delete' : 'add'](run.label);
    markHidden();
    onToggle();
  }

  function rowOf(run) {
    const box = make('input', {
      type: 'checkbox', onchange: () => showOnly((other) => (other === run ? box.checked : !hiddenOf(view).has(other.label))),
    });
    const value = make('span', { class: 'value' });
    const row = make('li', { onpointerenter: () => onPoint(run), onpointerleave: () => onPoint(null) },
      make('label', { title: run.label }, box, swatch(run), fittedName(run.name),
        run.members ? make('span', { class: 'muted' }, `n = ${run.members.length}`) : null),
      value,
      make('button', { type: 'button', class: 'only', 'aria-label': `Show only ${run.name}`, onclick: () => showOnly((other) => other === run) }, 'only'));
    return { run, box, value, row };
  }

  function markHidden() {
    for (const { run, box, row } of rows) {
      box.checked = !hiddenOf(view).has(run.label);
      row.classList.toggle('off', !isShown(view, run));
    }
  }

  function applyFilter() {
    for (const { run, row } of rows) row.hidden = !isMatch(view, run);
    if (view.onlyMatches) markHidden();
  }

  return {
    element,
    show(runs) {
      rows = runs.map(rowOf);
      list.replaceChildren(...rows.map(({ row }) => row));
      search.hidden = runs.length <= MAX_LABELLED && view.query === '' && !view.onlyMatches;
      if (filter.value !== view.query) filter.value = view.query;
      matches.checked = view.onlyMatches;
      markHidden();
      applyFilter();
    },
    /** Shows a value beside each name; `where` says at which position. */
    showValues(where, textOf) {
      if (heading.textContent !== where) heading.textContent = where;
      for (const { run, value } of rows) {
        const text = textOf(run);
        if (value.textContent !== text) value.textContent = text;
      }
    },
  };
}

const smallButton = (text, label, onclick) => make('button', { type: 'button', class: 'small', 'aria-label': label, title: label, onclick }, text);
