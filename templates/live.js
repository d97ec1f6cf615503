// --- Newer data, as they come ---------------------------------------------------------------------------
//
// The server sends whole documents. One is drawn when the reader's hands are off the page and somebody can see
// it; of several that came meanwhile only the last. Focus, scrolled lists and opened notes stay as they are.

(() => {
'use strict';
const status = document.getElementById('live');
let drawn = document.getElementById('report-data').textContent;
let waiting = null; // a document that was not drawn yet
let held = false; // a drag or a click has begun

function say(state, words) {
  status.dataset.state = state;
  if (status.textContent !== words) status.textContent = words;
}

const FOCUSABLE = 'button, input, summary, [tabindex]';
const SCROLLED = '.scroll, .legend';
const all = (selector) => [...document.querySelectorAll(selector)];

/** Does something that makes parts of the page anew, and puts the reader back to where they were. */
function keeping(work) {
  const focused = all(FOCUSABLE).indexOf(document.activeElement);
  const name = document.activeElement.closest('li, th')?.textContent;
  const scrolled = all(SCROLLED).map((element) => [element.scrollLeft, element.scrollTop]);
  const open = all('details').map((element) => element.open);
  const [left, top] = [scrollX, scrollY];
  work();
  all('details').forEach((element, i) => { element.open = open[i] ?? false; });
  all(SCROLLED).forEach((element, i) => { [element.scrollLeft, element.scrollTop] = scrolled[i] ?? [0, 0]; });
  if (focused >= 0 && (document.activeElement === document.body || document.activeElement === null)) {
    const again = all(FOCUSABLE)[focused];
    // New runs move the others; whoever is elsewhere then is left alone.
    const same = again?.closest('li, th')?.querySelector('.name')?.textContent;
    if (again && (same === undefined || name === undefined || name.includes(same))) again.focus({ preventScroll: true });
  }
  scrollTo(left, top);
}

function draw() {
  if (waiting === null || held || document.hidden) return;
  const text = waiting;
  waiting = null;
  if (text === drawn) return;
  keeping(() => globalThis.entropyViz.render(JSON.parse(text)));
  drawn = text;
}

addEventListener('pointerdown', () => { held = true; }, true);
for (const end of ['pointerup', 'pointercancel', 'blur']) {
  addEventListener(end, (event) => {
    if (end === 'blur' && event.target !== window) return; // an element lost the focus, not the page
    held = false;
    setTimeout(draw); // after the click that this may be
  }, true);
}
document.addEventListener('visibilitychange', draw);

function connect() {
  const source = new EventSource('events');
  source.onopen = () => say('live', 'live');
  source.onmessage = (event) => {
    waiting = event.data;
    draw();
  };
  source.addEventListener('end', () => {
    source.close();
    say('ended', 'the watching has ended: this is the last of it');
  });
  source.onerror = async () => {
    say('lost', 'connection lost, trying again');
    if (source.readyState !== EventSource.CLOSED) return; // it tries again itself
    // It was answered, but not with events: another start of the program has another address.
    const status = await fetch('events', { method: 'HEAD' }).then((answer) => answer.status, () => 0);
    if (status === 404 || status === 403) say('lost', 'this address is no longer valid: open the one that watch printed last');
    else setTimeout(connect, 2000);
  };
}

say('connecting', 'connecting');
connect();
})();
