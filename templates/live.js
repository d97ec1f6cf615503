// --- Live updates ---------------------------------------------------------------------------------------
//
// The server sends whole documents. The newest is drawn as soon as the page is visible and no pointer button is
// held. Focus, scroll positions and opened details are kept.

(() => {
'use strict';
const status = document.getElementById('live');
let drawn = document.getElementById('report-data').textContent;
let waiting = null; // the newest document, if it is not drawn yet
let pointerDown = false;

function showStatus(state, text) {
  status.dataset.state = state;
  if (status.textContent !== text) status.textContent = text;
}

const FOCUSABLE = 'button, input, summary, [tabindex]';
const SCROLLED = '.scroll, .legend';
const all = (selector) => [...document.querySelectorAll(selector)];

/** Runs a function that replaces parts of the page, and restores focus, scroll positions and opened details. */
function keepingPlace(replace) {
  const focused = all(FOCUSABLE).indexOf(document.activeElement);
  const name = document.activeElement.closest('li, th')?.textContent;
  const scrolled = all(SCROLLED).map((element) => [element.scrollLeft, element.scrollTop]);
  const open = all('details').map((element) => element.open);
  const [left, top] = [scrollX, scrollY];
  replace();
  all('details').forEach((element, i) => { element.open = open[i] ?? false; });
  all(SCROLLED).forEach((element, i) => { [element.scrollLeft, element.scrollTop] = scrolled[i] ?? [0, 0]; });
  if (focused >= 0 && (document.activeElement === document.body || document.activeElement === null)) {
    const again = all(FOCUSABLE)[focused];
    // New runs can move the others: restore the focus only if the element belongs to the same run.
    const same = again?.closest('li, th')?.querySelector('.name')?.textContent;
    if (again && (same === undefined || name === undefined || name.includes(same))) again.focus({ preventScroll: true });
  }
  scrollTo(left, top);
}

function draw() {
  if (waiting === null || pointerDown || document.hidden) return;
  const text = waiting;
  waiting = null;
  if (text === drawn) return;
  keepingPlace(() => globalThis.entropyViz.render(JSON.parse(text)));
  drawn = text;
}

addEventListener('pointerdown', () => { pointerDown = true; }, true);
for (const end of ['pointerup', 'pointercancel', 'blur']) {
  addEventListener(end, (event) => {
    if (end === 'blur' && event.target !== window) return; // an element lost the focus, not the page
    pointerDown = false;
    setTimeout(draw); // after the click event that may follow
  }, true);
}
document.addEventListener('visibilitychange', draw);

function connect() {
  const source = new EventSource('events');
  source.onopen = () => showStatus('live', 'live');
  source.onmessage = (event) => {
    waiting = event.data;
    draw();
  };
  source.addEventListener('end', () => {
    source.close();
    showStatus('ended', 'entropy-viz watch has ended; no further updates');
  });
  source.onerror = async () => {
    showStatus('lost', 'connection lost, trying again');
    if (source.readyState !== EventSource.CLOSED) return; // the browser reconnects itself
    // The answer was not an event stream: a restarted program has another address.
    const status = await fetch('events', { method: 'HEAD' }).then((answer) => answer.status, () => 0);
    if (status === 404 || status === 403) showStatus('lost', 'this address is no longer valid: open the address that entropy-viz watch printed last');
    else setTimeout(connect, 2000);
  };
}

showStatus('connecting', 'connecting');
connect();
})();
