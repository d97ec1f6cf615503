/*
 * The sections below the responses: each is a part of the page with `show()`, and is left out if the dump cannot carry it.
 */

/** Shows a table with a row per step of all dumps in `holder`; `cells` gives those of a step, or null. */
function showSteps(holder, label, heads, cells) {
  if (isStale(holder)) {
    const rows = steps.map((step, i) => ({ step, i, cells: cells(step) })).filter((row) => row.cells);
    holder.places = rows.map((row) => row.i);
    holder.replaceChildren(make('div', { class: rows.length > 12 ? 'scroll long' : 'scroll', tabindex: '0', role: 'region', 'aria-label': label },
      plainTable(['', ...heads], rows.map((row) => [stepName(row.step), ...row.cells]))));
  }
  const rows = holder.querySelectorAll('tbody tr');
  rows.forEach((row, at) => {
    const isNow = rows.length > 1 && holder.places[at] === view.step;
    row.classList.toggle('marked', isNow);
    if (isNow) row.setAttribute('aria-current', 'true');
    else row.removeAttribute('aria-current');
  });
}

const table = (label, heads, cells) => make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, plainTable(heads, cells));
const chip = (kind, value, more, colour) => make('li', {},
  make('span', { class: `token ${colour ?? 'uncoloured'}`, title: `id ${kinds[kind][0]}` }, flatText(kind)),
  make('span', { class: 'value' }, value),
  make('span', { class: 'secondary' }, more));
/** A cell with a token. */
const tokenCell = (kind) => make('span', { class: 'token uncoloured', title: `id ${kinds[kind][0]}` }, flatText(kind));
/** Notes on what was left out, of `[count, one, many]`. */
const leftOut = (notes) => notes.filter(([n]) => n > 0).map(([n, one, many]) => plural(n, one, many)).join(', ');

/** What a band is, with what the intervals are over. */
const BAND = `band: 95 % interval of the mean over ${settings.clusters}`;
const hasEntropies = steps.some((step) => step.all.entropy);

/** Quantiles and shares over steps. */
function quantilesSection() {
  if (!hasEntropies) return null;
  const [first, second, holder] = [make('figure', { class: 'chart' }), make('figure', { class: 'chart' }), make('div')];
  const entropyOf = (step) => sliceOf(step)?.entropy;
  const limit = (at) => (at === 0 ? '<' : '>');
  const thresholds = settings.thresholds.map((value, at) => ({
    name: `${limit(at)} ${value}`, of: (step) => entropyOf(step)?.[at === 0 ? 'below' : 'above'][at],
  }));
  return {
    id: 'quantiles', title: 'Quantiles and shares', parts: [make('div', { class: 'charts' }, first, second), holder],
    show() {
      overSteps(first, `Entropy of tokens over steps (nats); ${BAND}`, [
        { name: 'mean', of: (step) => entropyOf(step)?.mean },
        ...[50, 80, 95].map((percent) => ({ name: `${percent} %`, of: (step) => entropyOf(step) && percentile(entropyOf(step), percent) })),
      ], nats, 'notNegative');
      overSteps(second, 'Shares over steps (%)', [
        { name: topName, of: (step) => scaled(entropyOf(step)?.top_share) },
        ...thresholds.map(({ name, of }) => ({ name: `tokens ${name}`, of: (step) => scaled(of(step)) })),
      ], (value) => `${value.toFixed(1)} %`, 'zero');
      const heads = ['tokens', 'mean', '±', ...settings.percents.map((percent) => `${percent} %`), ...thresholds.map(({ name }) => name), `entropy in ${topName}`];
      showSteps(holder, 'Quantiles of token entropies', heads, (step) => {
        const entropy = entropyOf(step);
        return entropy && [count(entropy.tokens), nats(entropy.mean[0]), plusMinus(entropy.mean[0], entropy.mean[2]),
          ...entropy.percentiles.map(nats), ...thresholds.map(({ of }) => share(of(step))), share(entropy.top_share)];
      });
    },
  };
}

const scaled = (value) => (value === null || value === undefined ? null : value * 100);

/** One section per grouping: entropy of each group over steps, and the numbers of the chosen step. */
function groupSection(grouping) {
  const chart = make('figure', { class: 'chart wide' });
  const [note, body] = [make('p', { class: 'muted' }), make('div')];
  const first = groupNames.findIndex((group) => group.grouping === grouping);
  const notes = [grouping.note, grouping.left_out > 0 ? `${plural(grouping.left_out, 'group has', 'groups have')} fewer tokens and cannot be chosen` : null];
  note.textContent = notes.filter((words) => words).map((words) => `${words}.`).join(' ');
  return {
    id: grouping.key, title: `By ${grouping.title}`, parts: [note, chart, body],
    show() {
      overSteps(chart, `Mean entropy by ${grouping.title} (nats); ${BAND}`,
        grouping.groups.map((name, i) => ({ name, of: (step) => step.groups[first + i]?.entropy?.mean })), nats, 'notNegative');
      const found = chosenStep().by[grouping.key];
      if (!found) {
        body.replaceChildren(make('p', { class: 'muted' }, `${stepName(chosenStep())} has no groups.`));
        return;
      }
      body.replaceChildren(
        table(`By ${grouping.title}`, [stepName(chosenStep()), 'entropy', '±', 'responses', 'tokens', 'mean length', 'log-prob', 'reward'],
          found.rows.map(([name, n, tokens, mean, , high, length, logProb, reward]) =>
            [name, nats(mean), plusMinus(mean, high), count(n), count(tokens), length.toFixed(1), figure(logProb), figure(reward)])),
        ...(found.left_out > 0 ? [make('p', { class: 'muted' }, `${plural(found.left_out, 'smaller group', 'smaller groups')} not listed.`)] : []));
    },
  };
}

/** Forking tokens, and how many of them steps share. */
function forkingSection() {
  if (!hasEntropies) return null;
  const body = make('div');
  return {
    id: 'forking', title: 'Forking tokens: highest mean entropy', parts: [body],
    show() {
      const slice = chosenSlice();
      if (!slice || slice.forking.length === 0) {
        body.replaceChildren(make('p', { class: 'muted' }, `No token occurs ${settings.occurrences} times here.`));
        return;
      }
      const among = `${plural(slice.frequent, 'distinct token', 'distinct tokens')} ${slice.frequent === 1 ? 'occurs' : 'occur'} at least ${settings.occurrences} times` +
        (slice.forking.length < slice.frequent ? `; the top ${slice.forking.length} are shown.` : '.');
      const pairs = view.group === null ? data.overlaps.filter((pair) => pair.b === view.step) : [];
      const shared = pairs.map((pair) => `${pair.shared} of them are also among those of ${stepName(steps[pair.a])} (Jaccard ${pair.jaccard.toFixed(2)}).`);
      body.replaceChildren(
        make('p', { class: 'muted' }, [among, ...shared].join(' ')),
        make('ol', { class: 'chips' }, ...slice.forking.map(([kind, n, mean]) => chip(kind, nats(mean), `${count(n)} ×`, level(mean)))));
    },
  };
}

/** What is said of steps that score the same responses; empty if none do. */
function repeatsNote(what) {
  const repeats = steps.filter((step) => step.same_responses_as);
  if (repeats.length === 0) return '';
  const firsts = [...new Set(repeats.map((step) => stepName(step.same_responses_as)))];
  const names = repeats.length > 6 ? plural(repeats.length, 'step', 'steps') : repeats.map(stepName).join(', ');
  return ` ${names[0].toUpperCase()}${names.slice(1)} ${repeats.length === 1 ? 'scores' : 'score'} the same responses as ${firsts.length > 3 ? 'earlier steps' : firsts.join(', ')}: ${what}.`;
}

/**
 * The places of the shares of tokens with the largest covariance, without those that have as many tokens as the next larger one
 * at each step: of few tokens, the top 0.02 % and 0.2 % are the same one.
 */
function differentTops(n) {
  const tops = steps.filter((step) => step.covariance).map((step) => step.covariance.top);
  return Array.from({ length: n }, (_, at) => at).filter((at) => at === n - 1 || tops.some((top) => top[at].tokens !== top[at + 1].tokens));
}

function covarianceSection() {
  if (!steps.some((step) => step.covariance)) return null;
  const [chart, second, holder, body] = [make('figure', { class: 'chart' }), make('figure', { class: 'chart' }), make('div'), make('div')];
  const formula = steps.find((step) => step.covariance?.formula)?.covariance.formula;
  const percent = (value) => `${Number((value * 100).toPrecision(3))} %`;
  const shares = steps.find((step) => step.covariance).covariance.top.map((top) => top.share);
  const tops = differentTops(shares.length);
  const same = shares.filter((_, at) => !tops.includes(at)).map(percent);
  return {
    id: 'covariance', title: 'Covariance of log-prob and advantage', parts: [
      make('p', { class: 'muted' }, 'To first order, a policy-gradient step lowers the entropy where the mean is above 0. Advantages: ' +
        `${formula ?? 'those of the dump'}. A prediction is unclear if 0 is inside the 95 % interval of the mean. All responses of a step are used.` +
        repeatsNote('the prediction is meant for the step whose weights sampled them') +
        (same.length > 0 ? ` The top ${same.join(' and ')} has the same tokens as the next larger share, since there are few tokens: it is left out.` : '')),
      make('div', { class: 'charts' }, chart, second), holder, body],
    show() {
      overSteps(chart, `Mean covariance over steps (above 0: entropy is predicted to fall); ${BAND}`,
        [{ name: 'mean', of: ({ covariance }) => covariance && [covariance.mean, covariance.low, covariance.high] }], figure, 'aroundZero');
      overSteps(second, 'Mean of the tokens with the largest covariances', tops.map((at) =>
        ({ name: `top ${percent(shares[at])}`, of: (step) => step.covariance?.top[at].mean })), figure, 'aroundZero');
      const found = chosenStep().covariance;
      showSteps(holder, 'Covariance by step', ['mean', '±', 'prediction', ...tops.map((at) => `mean of ${percent(shares[at])}`), ...tops.map((at) => `share of ${percent(shares[at])}`), 'tokens'],
        ({ covariance }) => covariance && [figure(covariance.mean), plusMinus(covariance.mean, covariance.high), covariance.prediction,
          ...tops.map((at) => figure(covariance.top[at].mean)), ...tops.map((at) => share(covariance.top[at].of_positive)), count(covariance.tokens)]);
      const out = chosenStep().left_out.covariance;
      body.replaceChildren(
        ...leftOutLine([
          [out.responses_alone, 'response alone with its prompt', 'responses alone with their prompt'],
          [out.responses_without_advantage, 'response without advantage or reward', 'responses without advantage or reward'],
          [out.responses_without_log_probs, 'response without log-probs', 'responses without log-probs'],
          [out.tokens_without_log_prob, 'token without a scored log-prob', 'tokens without a scored log-prob'],
          [out.impossible_tokens, 'token with a scored probability of 0', 'tokens with a scored probability of 0']]),
        ...(found ? topTokens(found) : [make('p', { class: 'muted' }, `None at ${stepName(chosenStep())}.`)]));
    },
  };
}

/** What is left out of a section at a step, as a paragraph if it is anything. */
function leftOutLine(counts) {
  const omitted = leftOut(counts);
  return omitted ? [make('p', { class: 'muted' }, `Left out: ${omitted}.`)] : [];
}

function topTokens(found) {
  return [
    make('h4', {}, `The tokens of ${stepName(chosenStep())} with the largest covariance`),
    table('Tokens with the largest covariance', ['', 'covariance', 'log-prob', 'advantage', 'position'],
      found.top_tokens.map((top) => [tokenCell(top.kind), figure(top.covariance), nats(top.log_prob), figure(top.advantage), count(top.position)])),
    make('h4', {}, 'Most frequent in the top 2 %'),
    make('ol', { class: 'chips' }, ...found.top_kinds.map((top) => chip(top.kind, figure(top.mean), `${count(top.count)} ×`))),
  ];
}

function mismatchSection() {
  if (!steps.some((step) => step.mismatch)) return null;
  const [chart, second, holder, body] = [make('figure', { class: 'chart' }), make('figure', { class: 'chart' }), make('div'), make('div')];
  return {
    id: 'mismatch', title: 'Mismatch of scored and sampled log-probs', parts: [
      make('p', { class: 'muted' }, 'd = scored − sampled log-prob of a token, in nats. k1 and k3 estimate KL(sampler ‖ scored) per token. All responses of a step are used.' +
        repeatsNote('only at the step that sampled them is the difference a mismatch of sampler and trainer')),
      make('div', { class: 'charts' }, chart, second), holder, body],
    show() {
      overSteps(chart, 'KL of sampler and scored policy over steps (nats per token)', ['k1', 'k3'].map((name) => ({ name, of: (step) => step.mismatch?.[name] })), figure, 'aroundZero');
      overSteps(second, 'Effective sample size over steps (share)', [
        { name: 'tokens', of: (step) => step.mismatch?.ess_tokens }, { name: 'responses', of: (step) => step.mismatch?.ess_responses }], figure, 'zero');
      const found = chosenStep().mismatch;
      const out = chosenStep().left_out.mismatch;
      showSteps(holder, 'Mismatch by step', ['mean d', 'mean |d|', 'k1', 'k3', 'perplexity ratio', 'ESS of tokens', 'ESS of responses', 'tokens'], ({ mismatch }) => mismatch &&
        [figure(mismatch.mean_difference), figure(mismatch.mean_abs_difference), figure(mismatch.k1), figure(mismatch.k3),
          mismatch.perplexity_ratio.toFixed(4), mismatch.ess_tokens.toFixed(3), mismatch.ess_responses.toFixed(3), count(mismatch.tokens)]);
      body.replaceChildren(
        ...leftOutLine([
          [out.responses_without, 'response without both log-probs', 'responses without both log-probs'],
          [out.tokens_without_sampler, 'token without a sampled log-prob', 'tokens without a sampled log-prob'],
          [out.tokens_without_scored, 'token without a scored log-prob', 'tokens without a scored log-prob'],
          [out.impossible_tokens, 'token with a scored probability of 0', 'tokens with a scored probability of 0']]),
        ...(found ? [make('h4', {}, `The worst tokens of ${stepName(chosenStep())}`),
          table('Tokens with the largest differences', ['', 'difference', 'scored', 'sampled', 'position'],
            found.worst_tokens.map((worst) => [tokenCell(worst.kind), figure(worst.difference), figure(worst.scored), figure(worst.sampler), count(worst.position)]))] : []));
    },
  };
}

/** KL to a reference model, and other columns of numbers of tokens. */
function columnsSection() {
  const names = [...new Set(steps.flatMap((step) => step.all.columns.map((column) => column[0])))];
  if (names.length === 0) return null;
  const words = {
    kl: 'KL to the reference (nats)', kl_reverse: 'KL of the reference to the policy (nats)', p_max: 'probability of the likeliest token',
    renyi2: 'Rényi entropy of order 2 (nats)', entropy_top_p: 'entropy of the top-p set (nats)', ranks: 'rank of the token',
  };
  const charts = names.map(() => make('figure', { class: 'chart' }));
  const holder = make('div');
  const columnOf = (step, name) => sliceOf(step)?.columns.find((column) => column[0] === name);
  return {
    id: 'columns', title: names.some((name) => name.startsWith('kl')) ? 'KL to the reference, and other columns' : 'Other columns',
    parts: [make('div', { class: 'charts' }, ...charts), holder],
    show() {
      names.forEach((name, i) => overSteps(charts[i], `Mean ${words[name] ?? name} over steps; ${BAND}`,
        [{ name, of: (step) => columnOf(step, name)?.slice(2) }], figure));
      showSteps(holder, 'Other columns', names.flatMap((name) => [name, '±']), (step) =>
        names.some((name) => columnOf(step, name)) && names.flatMap((name) => {
          const [, , mean, , high] = columnOf(step, name) ?? [];
          return [figure(mean), plusMinus(mean, high)];
        }));
    },
  };
}

function diversitySection() {
  if (!steps.some((step) => step.diversity)) return null;
  const [chart, second, holder] = [make('figure', { class: 'chart' }), make('figure', { class: 'chart' }), make('div')];
  const all = steps.map((step) => step.diversity).filter((found) => found);
  const ks = [...new Set(all.flatMap((found) => found.pass_at_k.map((pass) => pass.k)))].sort((a, b) => a - b);
  const found = (step) => (step.same_responses_as ? null : step.diversity);
  const passOf = (step, k) => found(step)?.pass_at_k.find((pass) => pass.k === k)?.value ?? null;
  const gramsOf = (step, n) => found(step)?.distinct_ngrams.find((grams) => grams.n === n)?.share ?? null;
  const hasAnswers = all.some((found) => found.answers);
  return {
    id: 'diversity', title: 'Diversity of the responses to a prompt', parts: [
      make('p', { class: 'muted' }, 'Means over prompts with at least two responses. All responses of a step are used.' + repeatsNote('they are shown once')), make('div', { class: 'charts' }, chart, second), holder],
    show() {
      if (ks.length > 0) overSteps(chart, 'pass@k over steps', ks.map((k) => ({ name: `pass@${k}`, of: (step) => passOf(step, k) })), figure, 'zero');
      else if (hasAnswers) overSteps(chart, 'Entropy of the final answers over steps (nats)', [{ name: 'answers', of: (step) => found(step)?.answers?.entropy }], figure, 'zero');
      overSteps(second, 'Distinct n-grams of tokens over steps (%)', [1, 2, 3].map((n) => ({ name: `${n}-grams`, of: (step) => scaled(gramsOf(step, n)) })), (value) => `${value.toFixed(1)} %`, 'zero');
      const heads = [...ks.map((k) => `pass@${k}`), ...(ks.length > 0 ? ['r with entropy'] : []), ...(hasAnswers ? ['answers', 'their entropy'] : []), '1-grams', '2-grams', '3-grams', 'prompts', 'left out'];
      showSteps(holder, 'Diversity by step', heads, (step) => {
        const numbers = found(step);
        return numbers && [...ks.map((k) => figure(passOf(step, k))), ...(ks.length > 0 ? [figure(numbers.pass_entropy_pearson)] : []),
          ...(hasAnswers ? [figure(numbers.answers?.distinct), figure(numbers.answers?.entropy)] : []),
          ...[1, 2, 3].map((n) => share(gramsOf(step, n))), count(numbers.prompts), count(numbers.prompts_alone)];
      });
    },
  };
}

/** The tokens that several steps scored. */
function sharedSection() {
  if (data.shared.length === 0) return null;
  const correlation = (value) => (value === null ? '–' : minus(value.toFixed(3)));
  return {
    id: 'shared', title: 'The same tokens at several steps', parts: [
      make('p', { class: 'muted' },
        'Each step compared with the first and with the previous one, over responses with the same id, prompt and tokens. ' +
        `Overlap: of the tokens in either ${topName}, the share in both; in parentheses the share expected by chance.`),
      make('div', { class: data.shared.length > 12 ? 'scroll long' : 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Overlap of steps' },
        plainTable(['', 'tokens', 'mean', `overlap of the ${topName}`, 'correlation', 'rank correlation'],
          data.shared.map((pair) => [
            `${stepName(steps[pair.a])} → ${several ? stepName(steps[pair.b]) : steps[pair.b].step}`,
            count(pair.tokens), `${nats(pair.mean_a)} → ${nats(pair.mean_b)}`,
            `${share(pair.top_overlap)} (${share(pair.top_overlap_by_chance)})`,
            correlation(pair.pearson), correlation(pair.spearman),
          ])))],
    show() {},
  };
}

