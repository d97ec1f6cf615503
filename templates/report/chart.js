// --- One chart: the axes, the curves, and a layer for the cursor ------------------------------------------
//
// The section has one for the entropy, and below it one for the panel of each other quantity. All share the x axis.

const BOX = 30; // a drag selects a box if it goes further than this along both axes
const MIN_HEIGHT = 260; // of the chart of the entropy in CSS pixels
const MARGIN_BELOW = 36; // below it: room for the line of keys
const PANEL_HEIGHTS = [120, 180]; // of another chart, without its ticks of the x axis

/**
 * A chart in `element`. `panel` is what it shows: its `y` is the shown range of values, `place` is `only`, `first`, `middle` or
 * `last` among the charts. `section` has what the charts share: `view`, `x()` the shown range, `unit()`, `axisWidth()` the room
 * for the ticks of the y axis, `scene(panel)`, `width()`, and functions for what the reader does.
 */
function makeChart(element, panel, section) {
  const { view } = section;
  const [raster, overlayRaster] = [makeRaster(), makeRaster()];
  let [plot, overlay] = [null, null];
  const isLog = () => panel.name === '' && view.log;
  const xTicks = (width = plot?.width ?? size().width) => linearTicks(section.x(), Math.max(width / 68, 2));
  const tickDistance = panel.name === '' ? 42 : 32; // least, in CSS pixels
  const yTicks = (height = plot?.height ?? size().height) => (isLog() ? logTicks(panel.y, Math.max(height / 30, 3)) : linearTicks(panel.y, Math.min(Math.max(height / tickDistance, 2), 9)));
  const yTexts = (ticks) => yTickTexts(ticks, isLog());

  /** The data for uPlot: the range of x, and no values. */
  const noValues = () => [section.x(), [null, null]];

  /** The chart of the entropy ends above the lower edge of the window if the texts above it leave room. */
  function size() {
    const width = section.width();
    if (panel.name !== '') {
      const [least, most] = PANEL_HEIGHTS;
      return { width, height: Math.round(Math.min(Math.max(0.2 * width, least), most)) + (panel.place === 'last' ? 52 : 0) };
    }
    const wanted = Math.min(Math.max(0.52 * width, MIN_HEIGHT), 440);
    const room = innerHeight - (element.getBoundingClientRect().top + scrollY) - MARGIN_BELOW;
    return { width, height: Math.round(view.width === null && room >= MIN_HEIGHT ? Math.min(wanted, room) : wanted) };
  }

  function options() {
    const { colours, font: family } = section.look();
    const font = `12px ${family}`;
    const axisOf = (more) => ({ stroke: () => colours.muted, font, ticks: { show: false }, ...more });
    const isLast = panel.place === 'only' || panel.place === 'last';
    const title = isLast ? { label: axisTitle(view.axis, section.unit()), labelSize: 22, labelFont: font, labelGap: 0 } : {};
    return {
      ...size(),
      padding: [10, 18, panel.place === 'middle' ? 8 : 0, 0],
      legend: { show: false },
      scales: { x: { time: false, range: () => section.x() }, y: { distr: isLog() ? 3 : 1, range: () => panel.y } },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axisOf({ show: panel.place !== 'middle', grid: { show: false }, gap: 8, size: 30, space: 68, ...title,
          splits: () => xTicks(), filter: (_, splits) => splits, values: (_, splits) => xTickTexts(splits, view.axis) }),
        axisOf({ grid: { stroke: () => colours.hairline, width: 1 }, gap: 6, space: 42, size: () => section.axisWidth(),
          splits: () => yTicks(), filter: (_, splits) => splits, values: (_, splits) => yTexts(splits) }),
      ],
      cursor: {
        x: false, y: false, points: { show: false }, drag: { x: true, y: true, uni: BOX, setScale: false, dist: 4 },
        bind: { dblclick: () => () => { section.zoomAll(); return null; } },
      },
      hooks: {
        draw: [
          (u) => drawCurves(u.ctx, u.bbox, uPlot.pxRatio, raster, section.scene(panel)),
          () => { if (overlay) section.drawn(); },
        ],
        setSelect: [selected],
        setCursor: [({ cursor: { left, top } }) => { if (left !== undefined && left >= 0 && !view.isFixed) section.pointTo(panel, left, top); }],
      },
    };
  }

  /** Zooms into the dragged box. A drag along one axis selects all of the other. */
  function selected(u) {
    const { left, top, width, height } = u.select;
    if (width < 3 && height < 3) return;
    const isWhole = (length, all) => length >= all - 1;
    const xs = isWhole(width, u.over.clientWidth) ? null : [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')];
    const ys = isWhole(height, u.over.clientHeight) ? null : [u.posToVal(top + height, 'y'), u.posToVal(top, 'y')];
    section.zoomBox(panel, xs, ys);
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  function build() {
    plot?.destroy();
    [plot, overlay] = [null, null];
    plot = new uPlot(options(), noValues(), element);
    overlay = make('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    plot.over.append(overlay);
    let pressed = [0, 0];
    plot.over.addEventListener('pointerdown', (event) => { pressed = [event.clientX, event.clientY]; });
    plot.over.addEventListener('click', (event) => {
      if (Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4) return; // the end of a drag
      section.clickAt(panel, ...placeOf(event));
    });
    // Touch has no hover: dragging a finger moves the cursor, and a finger that leaves does not take the values with it.
    plot.over.addEventListener('pointermove', (event) => { if (event.pointerType === 'touch' && !view.isFixed) section.pointTo(panel, ...placeOf(event)); });
    plot.over.addEventListener('pointerleave', (event) => { if (!view.isFixed && event.pointerType !== 'touch') section.leave(); });
    // Without a key the wheel scrolls the page. A pinch on a touch pad comes as a wheel with Ctrl.
    plot.over.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      section.zoomBy(Math.exp(Math.min(Math.max(event.deltaY, -60), 60) / 100), plot.posToVal(placeOf(event)[0], 'x'));
    }, { passive: false });
  }

  /** The position of an event in the plot area. */
  function placeOf(event) {
    const { left, top } = plot.over.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  return {
    element, panel, build, yTicks, yTexts,
    destroy() { plot?.destroy(); },
    redraw() { plot.setData(noValues(), true); },
    /** Fits the chart into a new width. */
    resize() {
      const { width, height } = size();
      if (plot && width !== plot.width) plot.setSize({ width, height });
    },
    xAt: (left) => plot.posToVal(left, 'x'),
    leftOf: (x) => plot.valToPos(x, 'x'),
    /** The plot area in the window. */
    box: () => plot.over.getBoundingClientRect(),
    /** An empty layer above the curves with its scale; null before the chart is laid out: it calls again. */
    layer() {
      const pixel = uPlot.pxRatio;
      const { clientWidth, clientHeight } = plot.over;
      if (clientWidth === 0) return null;
      const [width, height] = [Math.round(clientWidth * pixel), Math.round(clientHeight * pixel)];
      if (overlay.width !== width) overlay.width = width;
      if (overlay.height !== height) overlay.height = height;
      const context = overlay.getContext('2d');
      context.clearRect(0, 0, width, height);
      return { context, pixel, raster: overlayRaster, scale: scales({ left: 0, top: 0, width, height }, section.x(), panel.y, isLog()) };
    },
  };
}
