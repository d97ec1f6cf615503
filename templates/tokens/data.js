/*
 * The token sections: fills <section id="tokens"> from the JSON in <script id="tokens-data">, which
 * src/report/tokens.rs makes and describes. The files of this folder share one scope.
 *
 * Text from a dump is only ever added as text nodes. There are no style attributes, as the content security policy
 * requires: colours are classes of tokens.css.
 */
const section = document.getElementById('tokens');
const source = document.getElementById('tokens-data');
if (!section) return;
if (!source || !source.textContent.trim()) {
  section.hidden = true;
  return;
}
const data = JSON.parse(source.textContent);
const { scale, settings, steps, kinds, responses, excerpts, groupings } = data;

const several = data.sources.length > 1;
const stepName = (step) => (several ? `${data.sources[step.source]} · ` : '') + `step ${step.step}`;
const tokenText = ([id, shown]) => shown ?? `⟨${id}⟩`;
/** The text of a token in a table, without line breaks. */
const flatText = (kind) => tokenText(kinds[kind]).replace(/\n/g, '');
const topName = `top ${settings.top * 100} %`;

/** All groups that can be chosen, in the order of `groups` of a step. */
const groupNames = groupings.flatMap((grouping) => grouping.groups.map((name) => ({ grouping, name })));

/** What is chosen: the indices of the step (initially the last) and of the group, and what a position is. */
const view = { step: steps.length - 1, group: null, positions: 'positions', cell: null, response: null, order: 'file' };

/** The numbers of the chosen group at a step; null if the step has no such response. */
const sliceOf = (step) => (view.group === null ? step.all : step.groups[view.group]);
const chosenStep = () => steps[view.step];
const chosenSlice = () => sliceOf(chosenStep());
const inGroup = (response) => view.group === null || response.groups.includes(view.group);
const groupName = () => (view.group === null ? '' : `${groupNames[view.group].grouping.title}: ${groupNames[view.group].name}`);
/** The steps of the chosen source, as indices. */
const ofSource = () => steps.map((_, i) => i).filter((i) => steps[i].source === chosenStep().source);

const share = (value) => (value === null || value === undefined ? '–' : `${(value * 100).toFixed(1)} %`);
const nats = (value) => (value === null || value === undefined ? '–' : decimalText(value));
/** A number of any size. */
const figure = (value) => (value === null || value === undefined ? '–'
  : Number.isInteger(value) && Math.abs(value) < 1e6 ? minus(String(value))
  : Math.abs(value) < 0.001 ? minus(value.toExponential(2)) : decimalText(value));
/** Half the width of an interval. */
const plusMinus = (mean, high) => (high === null || high === undefined ? '–' : `±${figure(high - mean)}`);
const percentile = (entropy, percent) => entropy.percentiles[settings.percents.indexOf(percent)];

/** The position of an entropy on the colour scale, from 0 to 1: by square root, since most entropies are small. */
const along = (entropy) => Math.min(Math.sqrt(Math.max(entropy, 0) / scale.max), 1);

/** The class with the colour of an entropy; no colour without one. */
const level = (entropy) => (entropy === null || entropy === undefined ? 'uncoloured'
  : `h${Math.min(Math.floor(along(entropy) * scale.levels), scale.levels - 1)}`);

/** The width for which the page is drawn, in px. */
let pageWidth = 0;

/** Whether a part must be drawn anew: what it shows of all steps depends on the group, the dump and the width. */
function isStale(target, ...more) {
  const key = [view.group, chosenStep().source, pageWidth, ...more].join(' ');
  const stale = target.drawnFor !== key;
  target.drawnFor = key;
  return stale;
}

/** The range of positions of a bin, in words. */
function binName(bin) {
  if (view.positions === 'tenths') return `${bin * 10}–${bin * 10 + 10} % of the response`;
  const width = settings.position_width;
  return width === 1 ? `token ${count(bin)}` : `tokens ${count(bin * width)}–${count((bin + 1) * width - 1)}`;
}

