// --- Drawing dense lines --------------------------------------------------------------------------------

const TILE = 32;
const DENSITY = 0.42; // how much of its colour one of many lines has

/**
 * A separate picture, which is drawn on the chart when it contains all lines. A line goes from left to right, so in
 * each column of pixels it covers one interval: from its lowest to its highest position there, plus half the line
 * width at both ends, which are blended. Pixels are stored by columns, so an interval is contiguous in memory. The
 * time depends on the number of columns, not of points; a browser's own strokes take seconds for many dense lines.
 */
function makeRaster() {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  let [width, height] = [0, 0];
  let [pixels, image, rows] = [null, null, null];
  let [top, bottom] = [null, null];

  /** Starts an empty picture. */
  function begin(newWidth, newHeight) {
    if (newWidth !== width || newHeight !== height) {
      [width, height] = [newWidth, newHeight];
      [canvas.width, canvas.height] = [width, height];
      pixels = new Uint32Array(width * height);
      image = context.createImageData(width, height);
      rows = new Uint32Array(image.data.buffer);
      [top, bottom] = [new Float64Array(width), new Float64Array(width)];
    }
    pixels.fill(0);
  }

  // The code that runs for each point or column allocates no arrays.

  /** Extends the interval of each column that a line crosses. */
  function traceLine({ x, breaks }, ys, from, to, { line: { left, x0: start, kx, base, low, ky, log } }) {
    let x0 = NaN;
    let y0 = NaN;
    for (let i = from; i < to; i++) {
      const x1 = left + (x[i] - start) * kx;
      const value = ys[i];
      const y1 = base - ((log ? (value > 0 ? Math.log10(value) : NaN) : value) - low) * ky;
      if (y1 !== y1) { // not a number
        x0 = NaN;
        continue;
      }
      if (x0 !== x0 || breaks[i] === 1) {
        const column = x1 === width ? width - 1 : Math.floor(x1);
        if (column >= 0 && column < width) {
          if (y1 < top[column]) top[column] = y1;
          if (y1 > bottom[column]) bottom[column] = y1;
        }
      } else {
        const first = x0 > 0 ? Math.floor(x0) : 0;
        const last = x1 < width - 1 ? Math.floor(x1) : width - 1;
        const slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0;
        for (let column = first; column <= last; column++) {
          const a = column <= x0 ? y0 : y0 + (column - x0) * slope;
          const b = column + 1 >= x1 ? y1 : y0 + (column + 1 - x0) * slope;
          if (a < b) {
            if (a < top[column]) top[column] = a;
            if (b > bottom[column]) bottom[column] = b;
          } else {
            if (b < top[column]) top[column] = b;
            if (a > bottom[column]) bottom[column] = a;
          }
        }
      }
      x0 = x1;
      y0 = y1;
    }
  }

  /** Blends a colour over one pixel. */
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
    // The pixel is itself partly transparent.
    const below = ((under >>> 24) / 255) * (1 - share);
    const alpha = share + below;
    const b = (blue * share + ((under >> 16) & 255) * below) / alpha;
    const g = (green * share + ((under >> 8) & 255) * below) / alpha;
    const r = (red * share + (under & 255) * below) / alpha;
    pixels[at] = ((Math.round(alpha * 255) << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r)) >>> 0;
  }

  /** Fills an interval of a column. */
  function fill(column, from, to, red, green, blue, opacity = 1) {
    const start = Math.max(from, 0);
    const end = Math.min(to, height);
    if (!(end > start)) return;
    const first = Math.floor(start);
    const last = Math.floor(end);
    const base = column * height;
    if (first === last) {
      blend(base + first, red, green, blue, (end - start) * opacity);
      return;
    }
    if (opacity < 1) {
      for (let y = first; y <= last && y < height; y++) blend(base + y, red, green, blue, opacity * (Math.min(y + 1, end) - Math.max(y, start)));
      return;
    }
    const whole = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    if (start > first) blend(base + first, red, green, blue, first + 1 - start);
    for (let at = base + (start > first ? first + 1 : first); at < base + last; at++) pixels[at] = whole;
    if (end > last && last < height) blend(base + last, red, green, blue, end - last);
  }

  function clearIntervals() {
    top.fill(Infinity);
    bottom.fill(-Infinity);
  }

  /** Draws the line of `ys`, `lineWidth` pixels wide; dashes are lengths along x. */
  function line(trace, ys, from, to, scale, lineWidth, colour, dash = []) {
    clearIntervals();
    traceLine(trace, ys, from, to, scale);
    const [red, green, blue] = rgb(colour);
    const columns = Math.max(1, Math.round(lineWidth));
    const [before, after] = [(columns - 1) >> 1, columns >> 1];
    const period = dash.reduce((sum, length) => sum + length, 0);
    for (let column = 0; column < width; column++) {
      if (period > 0 && !isDrawn(dash, column % period)) continue;
      let high = Infinity;
      let low = -Infinity;
      for (let near = Math.max(column - before, 0); near <= column + after && near < width; near++) {
        if (top[near] < high) high = top[near];
        if (bottom[near] > low) low = bottom[near];
      }
      if (low >= high) fill(column, high - lineWidth / 2, low + lineWidth / 2, red, green, blue);
    }
  }

  /** Fills the area between two lines, such as the lowest and the highest values. */
  function area(trace, low, high, from, to, scale, colour, opacity = 1) {
    clearIntervals();
    traceLine(trace, low, from, to, scale);
    traceLine(trace, high, from, to, scale);
    const [red, green, blue] = rgb(colour);
    for (let column = 0; column < width; column++) {
      if (bottom[column] >= top[column]) fill(column, top[column] - 0.5, bottom[column] + 0.5, red, green, blue, opacity);
    }
  }

  /**
   * Draws many lines in one colour as density: a pixel is darker where more lines cross it. `lines` have a trace, its
   * values, and the first and last index. The time does not depend on how tall the lines are.
   */
  function density(lines, scale, lineWidth, colour, background) {
    const counts = new Int16Array(width * (height + 1)); // by how many more lines a pixel is crossed than the one above
    for (const [trace, ys, from, to] of lines) {
      clearIntervals();
      traceLine(trace, ys, from, to, scale);
      for (let column = 0; column < width; column++) {
        if (bottom[column] < top[column]) continue;
        const start = Math.min(Math.max(Math.round(top[column] - lineWidth / 2), 0), height);
        const end = Math.min(Math.max(Math.round(bottom[column] + lineWidth / 2), start + 1), height);
        if (end <= start) continue;
        counts[column * (height + 1) + start]++;
        counts[column * (height + 1) + end]--;
      }
    }
    const [ink, paper] = [rgb(colour), rgb(background)];
    const shades = Uint32Array.from({ length: lines.length + 1 }, (_, n) => {
      const share = n === 0 ? 0 : 1 - (1 - DENSITY) ** n;
      const [red, green, blue] = ink.map((part, i) => Math.round(part * share + paper[i] * (1 - share)));
      return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    });
    for (let column = 0; column < width; column++) {
      let n = 0;
      for (let y = 0; y < height; y++) {
        n += counts[column * (height + 1) + y];
        if (n > 0) pixels[column * height + y] = shades[n];
      }
    }
  }

  /** Draws the picture on a canvas. */
  function drawOn(target, x0, y0) {
    // Columns are transposed to rows in tiles that fit into the processor's cache.
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
    target.drawImage(canvas, x0, y0);
  }

  return { begin, line, area, density, drawOn };
}

/** The components of `#rrggbb`. */
const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Whether a position in the period of a dash pattern belongs to a drawn part. */
function isDrawn(dash, position) {
  let drawn = true;
  for (const length of dash) {
    if (position < length) return drawn;
    position -= length;
    drawn = !drawn;
  }
  return false;
}

