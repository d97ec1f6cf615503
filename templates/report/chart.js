// --- The drawing of curves ---------------------------------------------------------------------------
//
// uPlot has the axes, the grid, the selection and the cursor; the lines are drawn here, since runs have
// steps of their own and uPlot wants one list of places for all.

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

const TILE = 32;

/**
 * Ink on a picture of its own, laid over the chart when all lines are in it. A line goes from left to right, so
 * in each column of pixels it covers one stretch: its lowest to its highest place there, and half its width at
 * both ends, which are blended. Columns stand one behind the other in memory, so a stretch is filled at once; the
 * time depends on the columns and not on what is in them, where a browser's own strokes take seconds for many
 * dense lines.
 */
function makeInk() {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  let [width, height] = [0, 0];
  let [pixels, image, rows] = [null, null, null];
  let [top, bottom] = [null, null];

  /** Begins an empty picture. */
  function begin(columns, lines) {
    if (columns !== width || lines !== height) {
      [width, height] = [columns, lines];
      [canvas.width, canvas.height] = [width, height];
      pixels = new Uint32Array(width * height);
      image = context.createImageData(width, height);
      rows = new Uint32Array(image.data.buffer);
      [top, bottom] = [new Float64Array(width), new Float64Array(width)];
    }
    pixels.fill(0);
  }

  // Here and below, what runs for each place or column makes no arrays.

  function extend(column, y) {
    if (y < top[column]) top[column] = y;
    if (y > bottom[column]) bottom[column] = y;
  }

  /** The stretches that a line covers. */
  function cover({ x, breaks }, ys, from, to, scale) {
    let x0 = NaN;
    let y0 = NaN;
    for (let i = from; i < to; i++) {
      const x1 = scale.x(x[i]);
      const y1 = scale.y(ys[i]);
      if (Number.isNaN(y1)) {
        x0 = NaN;
        continue;
      }
      if (Number.isNaN(x0) || breaks[i] === 1) {
        if (x1 >= 0 && x1 < width) extend(Math.floor(x1), y1);
        else if (x1 === width) extend(width - 1, y1);
      } else {
        const first = Math.max(Math.floor(x0), 0);
        const last = Math.min(Math.floor(x1), width - 1);
        const slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0;
        for (let column = first; column <= last; column++) {
          extend(column, column <= x0 ? y0 : y0 + (column - x0) * slope);
          extend(column, column + 1 >= x1 ? y1 : y0 + (column + 1 - x0) * slope);
        }
      }
      x0 = x1;
      y0 = y1;
    }
  }

  /** One pixel, covered in part. */
  function blend(at, red, green, blue, share) {
    const under = pixels[at];
    if (under === 0) {
      pixels[at] = ((Math.round(share * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
      return;
    }
    if (under >= 0xff000000) {
      const over = Math.round(share * 256);
      const below = 256 - over;
      pixels[at] = (0xff000000 | (((blue * over + ((under >> 16) & 255) * below) >> 8) << 16) |
        (((green * over + ((under >> 8) & 255) * below) >> 8) << 8) | ((red * over + (under & 255) * below) >> 8)) >>> 0;
      return;
    }
    // Over what is itself seen through in part.
    const below = ((under >>> 24) / 255) * (1 - share);
    const alpha = share + below;
    const b = (blue * share + ((under >> 16) & 255) * below) / alpha;
    const g = (green * share + ((under >> 8) & 255) * below) / alpha;
    const r = (red * share + (under & 255) * below) / alpha;
    pixels[at] = ((Math.round(alpha * 255) << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r)) >>> 0;
  }

  /** Fills a column from one place to another. */
  function fill(column, from, to, red, green, blue) {
    const start = Math.max(from, 0);
    const end = Math.min(to, height);
    if (!(end > start)) return;
    const first = Math.floor(start);
    const last = Math.floor(end);
    const base = column * height;
    if (first === last) {
      blend(base + first, red, green, blue, end - start);
      return;
    }
    const whole = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    if (start > first) blend(base + first, red, green, blue, first + 1 - start);
    for (let at = base + (start > first ? first + 1 : first); at < base + last; at++) pixels[at] = whole;
    if (end > last && last < height) blend(base + last, red, green, blue, end - last);
  }

  /** Draws the line of `ys`; dashes are lengths along x. */
  function line(track, ys, from, to, scale, thick, colour, dash) {
    top.fill(Infinity);
    bottom.fill(-Infinity);
    cover(track, ys, from, to, scale);
    const [red, green, blue] = parts(colour);
    const columns = Math.max(1, Math.round(thick));
    const [before, behind] = [(columns - 1) >> 1, columns >> 1];
    const period = dash.reduce((sum, part) => sum + part, 0);
    for (let column = 0; column < width; column++) {
      if (period > 0 && !isOn(dash, column % period)) continue;
      let high = Infinity;
      let low = -Infinity;
      for (let near = Math.max(column - before, 0); near <= column + behind && near < width; near++) {
        if (top[near] < high) high = top[near];
        if (bottom[near] > low) low = bottom[near];
      }
      if (low >= high) fill(column, high - thick / 2, low + thick / 2, red, green, blue);
    }
  }

  /** Fills the area between the lowest and the highest values. */
  function area(track, from, to, scale, colour) {
    top.fill(Infinity);
    bottom.fill(-Infinity);
    cover(track, track.low, from, to, scale);
    cover(track, track.high, from, to, scale);
    const [red, green, blue] = parts(colour);
    for (let column = 0; column < width; column++) {
      if (bottom[column] >= top[column]) fill(column, top[column] - 0.5, bottom[column] + 0.5, red, green, blue);
    }
  }

  /** Lays the picture over another. */
  function lay(over, x0, y0) {
    // Columns become rows by tiles, which stay in the processor's cache.
    for (let left = 0; left < width; left += TILE) {
      const right = Math.min(left + TILE, width);
      for (let upper = 0; upper < height; upper += TILE) {
        const lower = Math.min(upper + TILE, height);
        for (let y = upper; y < lower; y++) {
          for (let x = left; x < right; x++) rows[y * width + x] = pixels[x * height + y];
        }
      }
    }
    context.putImageData(image, 0, 0);
    over.drawImage(canvas, x0, y0);
  }

  return { begin, line, area, lay };
}

const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Whether a place in the period of a dash has ink. */
function isOn(dash, place) {
  let on = true;
  for (const part of dash) {
    if (place < part) return on;
    place -= part;
    on = !on;
  }
  return false;
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

