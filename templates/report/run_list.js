// --- The list of runs beside the chart ------------------------------------------------------------------

/**
 * The list with its buttons. `view.hidden` has the labels of the hidden runs; `onToggle()` is called when it has
 * changed, `onPoint(run)` when the pointer enters a run, or with null when it leaves.
 */
function runList(view, onToggle, onPoint) {
  let rows = [];
  const list = make('ul', { class: 'legend', 'aria-label': 'Runs' });
  const heading = make('p', { class: 'values-at' });
  const filter = make('input', { type: 'search', placeholder: 'Find a run', 'aria-label': 'Find a run', oninput: applyFilter });
  const element = make('div', { class: 'side' },
    make('div', { class: 'controls' },
      smallButton('All', 'Show all runs', () => showOnly(() => true)), smallButton('None', 'Hide all runs', () => showOnly(() => false)), filter),
    heading, list);

  /** Shows the runs for which `isShown` is true and hides the others. */
  function showOnly(isShown) {
    for (const { run } of rows) view.hidden[isShown(run) ? 'delete' : 'add'](run.label);
    markHidden();
    onToggle();
  }

  function rowOf(run) {
    const box = make('input', {
      type: 'checkbox', onchange: () => showOnly((other) => (other === run ? box.checked : !view.hidden.has(other.label))),
    });
    const value = make('span', { class: 'value' });
    const row = make('li', { onpointerenter: () => onPoint(run), onpointerleave: () => onPoint(null) },
      make('label', { title: run.label }, box, swatch(run), make('span', { class: 'name' }, run.name)),
      value,
      make('button', { type: 'button', class: 'only', 'aria-label': `Show only ${run.name}`, onclick: () => showOnly((other) => other === run) }, 'only'));
    return { run, box, value, row };
  }

  function markHidden() {
    for (const { run, box, row } of rows) {
      box.checked = !view.hidden.has(run.label);
      row.classList.toggle('off', !box.checked);
    }
  }

  function applyFilter() {
    const wanted = filter.value.toLowerCase();
    for (const { run, row } of rows) row.hidden = !run.label.toLowerCase().includes(wanted);
  }

  return {
    element,
    show(runs) {
      rows = runs.map(rowOf);
      list.replaceChildren(...rows.map(({ row }) => row));
      filter.hidden = runs.length <= MAX_LABELLED;
      markHidden();
      applyFilter();
    },
    /** Shows a value beside each name; `where` says at which position. */
    showValues(where, textOf) {
      heading.textContent = where;
      for (const { run, value } of rows) {
        const text = textOf(run);
        if (value.textContent !== text) value.textContent = text;
      }
    },
  };
}

const smallButton = (text, label, onclick) => make('button', { type: 'button', class: 'small', 'aria-label': label, title: label, onclick }, text);

