// --- The drawing of curves ---------------------------------------------------------------------------
//
// uPlot has the axes, the grid, the selection and the cursor; the lines are drawn here, since runs have
// steps of their own and uPlot wants one list of places for all. A line with more places than pixels is
// drawn by its extremes in each column of pixels, which looks the same.

/** The colours of the page as they are now. */
function colours(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return { ground: of('--ground'), text: of('--text'), quiet: of('--quiet'), hairline: of('--hairline') };
}

/** How lines look, by the class of their style; asked for once a redraw of all. */
function lookup(parent) {
  const known = new Map();
  return (style) => {
    let look = known.get(style);
    if (!look) {
      const probe = make('i', { class: style, hidden: true });
      parent.append(probe);
      const computed = getComputedStyle(probe);
      const of = (name) => computed.getPropertyValue(name).trim();
      const dash = of('--dash');
      look = {
        line: of('--line'), faint: of('--faint'), name: of('--name'),
        dash: dash === '' || dash === 'none' ? [] : dash.split(' ').map(Number),
      };
      probe.remove();
      known.set(style, look);
    }
    return look;
  };
}

/** Places of a chart in px: x linear, y linear or logarithmic. */
function scales(box, [x0, x1], [y0, y1], log) {
  const kx = box.width / (x1 - x0);
  const of = log ? Math.log10 : (y) => y;
  const [low, ky] = [of(y0), box.height / (of(y1) - of(y0))];
  return {
    x: (x) => box.left + (x - x0) * kx,
    y: log ? (y) => (y > 0 ? box.top + box.height - (Math.log10(y) - low) * ky : NaN) : (y) => box.top + box.height - (y - low) * ky,
  };
}

/** Adds the line of `ys` between two indices to the current path; single places become dots. */
function trace(context, { x, breaks }, ys, from, to, scale, pixel) {
  let open = false; // whether the pen is on the paper
  let alone = NaN; // where a part began that has one place so far
  const begin = (px, py) => {
    context.moveTo(px, py);
    alone = px;
    open = true;
  };
  const end = (px, py) => {
    if (open && alone === px) {
      context.moveTo(px - pixel, py);
      context.lineTo(px + pixel, py);
    }
    open = false;
  };
  if (to - from < 3 * (scale.x(x[to - 1]) - scale.x(x[from])) / pixel || to - from < 500) {
    let [px, py] = [NaN, NaN];
    for (let i = from; i < to; i++) {
      const y = scale.y(ys[i]);
      if (breaks[i] || Number.isNaN(y)) end(px, py);
      if (Number.isNaN(y)) continue;
      [px, py] = [scale.x(x[i]), y];
      if (open) {
        context.lineTo(px, py);
        alone = NaN;
      } else {
        begin(px, py);
      }
    }
    end(px, py);
    return;
  }
  // First, lowest, highest and last of each column, in that order of need.
  let [column, low, high, last] = [NaN, 0, 0, 0];
  const close = () => {
    if (Number.isNaN(column)) return;
    if (low !== high) {
      context.lineTo(column, low);
      context.lineTo(column, high);
      alone = NaN;
    }
    context.lineTo(column, last);
  };
  for (let i = from; i < to; i++) {
    const y = scale.y(ys[i]);
    const px = Math.round(scale.x(x[i]) / pixel) * pixel;
    if (breaks[i] || Number.isNaN(y)) {
      close();
      end(column, last);
      column = NaN;
      if (Number.isNaN(y)) continue;
    }
    if (px !== column) {
      close();
      if (open) {
        context.lineTo(px, y);
        alone = NaN;
      } else {
        begin(px, y);
      }
      [column, low, high, last] = [px, y, y, y];
    } else {
      if (y < low) low = y;
      if (y > high) high = y;
      last = y;
    }
  }
  close();
  end(column, last);
}

/** Adds the area between the lowest and the highest values to the current path. */
function area(context, { x, low, high, breaks }, from, to, scale) {
  let start = from;
  for (let i = from + 1; i <= to; i++) {
    if (i < to && !breaks[i]) continue;
    for (let j = start; j < i; j++) context[j === start ? 'moveTo' : 'lineTo'](scale.x(x[j]), scale.y(high[j]));
    for (let j = i - 1; j >= start; j--) context.lineTo(scale.x(x[j]), scale.y(low[j]));
    context.closePath();
    start = i;
  }
}

/** The indices of a track that a range of x needs: those inside, and one at each side. */
function within(track, [x0, x1]) {
  const from = Math.max(firstFrom(track.x, x0) - 1, 0);
  let to = firstFrom(track.x, x1);
  while (to < track.x.length && track.x[to] <= x1) to++;
  return [from, Math.min(to + 1, track.x.length)];
}

/** The smallest and the largest of what is drawn, of the places inside; log axes have no room for the rest. */
function extent(tracks, range, log, valuesOf) {
  let [low, high] = [Infinity, -Infinity];
  for (const track of tracks) {
    const from = firstFrom(track.x, range[0]);
    for (const values of valuesOf(track)) {
      for (let i = from; i < values.length && track.x[i] <= range[1]; i++) {
        const value = values[i];
        if (log && !(value > 0)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
  }
  return low <= high ? [low, high] : null;
}

/** Limits of the value axis: from 0 unless that would waste two thirds of the height. */
function limits(extent, log) {
  if (!extent) return log ? [0.1, 10] : [0, 1];
  let [low, high] = extent;
  if (log) {
    if (low === high) return [low / 2, high * 2];
    const room = (high / low) ** 0.04;
    return [low / room, high * room];
  }
  if (low === high) {
    const room = Math.abs(low) / 2 || 0.5;
    return low > 0 ? [0, low + room] : [low - room, high + room];
  }
  const room = 0.05 * (high - low);
  const fromZero = low >= 0 && low <= (2 / 3) * high;
  const toZero = high <= 0 && high >= (2 / 3) * low;
  return [fromZero ? 0 : low - room, toZero ? 0 : high + room];
}

