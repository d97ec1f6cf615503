// --- Tables ---------------------------------------------------------------------------------------------

/** A table in a region that scrolls when the table is too wide or too long. */
function scrolling(label, table) {
  return make('div', { class: table.rows.length > 40 ? 'scroll long' : 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, table);
}

/**
 * A table that is sorted by clicking a column heading. Columns are `{head, value, cell, words, format}`: `value` is the
 * sort key of a row, `cell` its content; `words` marks a column of text. `format` makes, from the values of a column,
 * the function that writes a number, which `cell` gets. `sort` keeps the chosen order.
 */
function sortable(label, columns, rows, sort) {
  const body = make('tbody');
  const heads = columns.map((column, i) => {
    const button = make('button', { type: 'button', class: 'sort', onclick: () => sortBy(i) }, column.head);
    return make('th', { scope: 'col', class: column.words ? 'words' : null }, button);
  });
  const formats = columns.map((column) => column.format?.(rows.map(column.value)));
  const lines = rows.map((row) => make('tr', { class: row.hidden ? 'off' : null }, columns.map((column, i) => {
    const cell = column.cell(row, formats[i]);
    return i === 0 ? make('th', { scope: 'row' }, cell) : make('td', { class: column.words ? 'words' : null }, cell);
  })));
  function sortBy(column) {
    sort.falling = sort.column === column ? !sort.falling : !columns[column].words;
    sort.column = column;
    show();
  }
  function show() {
    const order = rows.map((_, i) => i);
    if (sort.column !== null) {
      const keys = rows.map((row) => columns[sort.column].value(row));
      // Missing values are last in both directions.
      const compare = (a, b) => (a === null) - (b === null) ||
        (a === null ? 0 : (typeof a === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : a - b) * (sort.falling ? -1 : 1));
      order.sort((a, b) => compare(keys[a], keys[b]) || a - b);
    }
    heads.forEach((head, i) => {
      if (i === sort.column) head.setAttribute('aria-sort', sort.falling ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
    body.replaceChildren(...order.map((i) => lines[i]));
  }
  show();
  return scrolling(label, make('table', {}, make('thead', {}, make('tr', {}, heads)), body));
}

