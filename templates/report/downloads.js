// --- Files of what the chart shows, and the command that shows it in a terminal --------------------------------

/** Hands a file to the reader. */
function download(name, blob) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A file name made of a title: letters, digits and single underscores. */
const fileName = (title, extension) =>
  `${title.replace(/[^\p{L}\p{N}.]+/gu, '_').replace(/^[_.]+|[_.]+$/g, '').slice(0, 80) || 'entropy'}.${extension}`;

/** A table as CSV. Text that a spreadsheet would evaluate as a formula gets an apostrophe in front. */
function csvOf(rows) {
  const cell = (value) => {
    if (typeof value === 'number') return Number.isNaN(value) ? '' : String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('');
}

/**
 * The shown points as rows: exact values of runs, buckets with their range, or means of groups with their band. `charts` are pairs of
 * a panel and its traces; with several, the first column says of which quantity a row is.
 */
function shownRows(charts, [from, to], { axis, weight, grouped }, unit) {
  const traces = charts.flatMap(([, own]) => own);
  const isReduced = traces.some(({ run }) => !run.exact);
  const isSeveral = charts.length > 1;
  const position = { step: [], relative: ['steps_since_first'], time: [unit?.[1]] }[axis];
  const smooth = weight > 0 ? [`ema_${weight}`] : [];
  const value = isSeveral ? 'value' : 'entropy';
  const heads = grouped ? ['group', 'step', 'mean', 'low', 'high', 'runs']
    : isReduced ? ['run', 'first_step', 'last_step', ...position, 'steps', 'mean', 'min', 'max', ...smooth] : ['run', 'step', ...position, value, ...smooth];
  const rowOf = (trace, at) => {
    const { run } = trace;
    const values = smoothed(trace, weight);
    if (grouped) {
      const { low, high } = trace.lineAt(weight);
      return [run.label, trace.x[at], values[at], low[at], high[at], trace.runsAt[at]];
    }
    const point = trace.indices ? trace.indices[at] : at;
    const place = axis === 'step' ? [] : [trace.x[at]];
    const ema = weight > 0 ? [values[at]] : [];
    return isReduced
      ? [run.label, run.from[point], run.to[point], ...place, run.counts ? run.counts[point] : 1, run.y[point], run.low[point], run.high[point], ...ema]
      : [run.label, run.from[point], ...place, run.y[point], ...ema];
  };
  const rows = [isSeveral ? ['quantity', ...heads] : heads];
  for (const [panel, own] of charts) {
    for (const trace of own) {
      for (let at = lowerBound(trace.x, from); at < trace.x.length && trace.x[at] <= to; at++) {
        const row = rowOf(trace, at);
        rows.push(isSeveral ? [panel.title, ...row] : row);
      }
    }
  }
  return rows;
}

/** Copies a text; where the page may not use the clipboard, through a selection. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const box = make('textarea', { class: 'visually-hidden' });
    box.value = text;
    document.body.append(box);
    box.select();
    const isCopied = document.execCommand('copy');
    box.remove();
    return isCopied;
  }
}

/** A word for a POSIX shell. */
const shellWord = (word) => (/^[\p{L}\p{N}_\-./:,=+@%]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The options that leave out the hidden runs: the shorter list of labels, unless the command has `--select` already. */
function hiddenOptions(command, view, { runs, groups }) {
  const isHidden = (run) => (view.grouped ? groups.some((group) => !isShown(view, group) && group.members.includes(run)) : !isShown(view, run));
  const [hidden, shown] = [runs.filter(isHidden), runs.filter((run) => !isHidden(run))];
  if (hidden.length === 0) return [];
  const isShorter = shown.length < hidden.length && !/ --(select|exclude)[ =]/.test(command);
  const [option, chosen] = isShorter ? ['--select', shown] : ['--exclude', hidden];
  // A label that begins with a hyphen would be taken for an option.
  return chosen.map(({ label }) => `${option}=${shellWord(label)}`);
}

/** The options of the view, for a command that reads the same logs. */
function viewOptions({ command, has_ranges: hasRanges }, view, panel) {
  const { axis, range, weight, log } = view;
  const words = hasRanges ? hiddenOptions(command, view, panel) : [];
  if (weight > 0) words.push('--smooth', `ema:${weight}`);
  if (log) words.push('--log-y');
  if (!hasRanges) return words;
  if (axis !== 'step') words.push('--x', axis);
  if (range) words.push(`--from-step=${Number(range[0].toPrecision(8))}`, `--to-step=${Number(range[1].toPrecision(8))}`);
  return words;
}

/** The row of buttons below the chart. `files` are functions that make the content of a file of their type. */
function downloadRow(files, titleOf) {
  const command = make('code', { tabindex: '0', role: 'region', 'aria-label': 'Command for a terminal' });
  const copy = smallButton('Copy', 'Copy the command', async () => {
    copy.textContent = (await copyText(command.textContent)) ? 'Copied' : 'Press Ctrl+C';
    setTimeout(() => { copy.textContent = 'Copy'; }, 1500);
  });
  const inTerminal = make('span', { class: 'in-terminal' }, make('span', { class: 'muted' }, 'In a terminal:'), command, copy);
  const save = (type) => smallButton(type, `Download what is shown as ${type}`, async () => download(fileName(titleOf(), type.toLowerCase()), await files[type]()));
  const element = make('div', { class: 'downloads' }, make('span', {}, Object.keys(files).map(save)), inTerminal);
  return {
    element,
    /** Shows the command for the view of the entropy's panel; hides it if there is none, or no run is shown. */
    showCommand(given, view, panel) {
      inTerminal.hidden = !given || !(view.grouped ? panel.groups : panel.runs).some((entry) => isShown(view, entry));
      if (given) command.textContent = [given.command, ...viewOptions(given, view, panel)].join(' ');
    },
  };
}
