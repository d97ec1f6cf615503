// --- Drawing dense lines --------------------------------------------------------------------------------

const TILE = 32;

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

  function extend(column, y) {
    if (y < top[column]) top[column] = y;
    if (y > bottom[column]) bottom[column] = y;
  }

  /** Extends the interval of each column that a line crosses. */
  function traceLine({ x, breaks }, ys, from, to, scale) {
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

  return { begin, line, area, drawOn };
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

