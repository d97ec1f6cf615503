//! The sections of the tables of `tokens`.

use super::cells::{
    different_tops, entropy, fixed, half_width, number, optional, percent, plus_minus, prediction,
    share_name, token,
};
use super::table::Report;
use entropy_history::label::visible;
use entropy_shell::plural;
use entropy_tokens::stats::covariance::{MIN_TOP_CLUSTERS, MIN_TOP_TOKENS, TOP_SHARES};
use entropy_tokens::{CovarianceLeftOut, GroupStats, MismatchLeftOut, StepAnalysis, StepLeftOut};

/// The largest number of rows of a table of groups.
const MAX_GROUP_ROWS: usize = 40;
/// The number of forking tokens and other tokens that are printed.
const MAX_TOKENS: usize = 10;

/// What is counted, in the singular and the plural.
const RESPONSES: [&str; 2] = ["response", "responses"];
const TOKENS: [&str; 2] = ["token", "tokens"];

/// What is left out of a section, how much of it, and why.
type LeftOutLine<T> = ([&'static str; 2], fn(&T) -> u64, &'static str);

impl Report<'_> {
    pub(super) fn entropy(&self) -> String {
        let thresholds = self.steps().find_map(|step| step.entropy.as_ref()).map(|e| &e.thresholds);
        let Some(thresholds) = thresholds else { return String::new() };
        let shares: Vec<String> = thresholds
            .iter()
            .enumerate()
            .map(|(at, threshold)| match at {
                0 => format!("<{}", threshold.threshold),
                _ => format!(">{}", threshold.threshold),
            })
            .collect();
        let mut heads = vec!["mean", "±", "50 %", "95 %"];
        heads.extend(shares.iter().map(String::as_str));
        heads.extend(["top 20 %", "tokens", "resp."]);
        let rows = self.by_step(&heads, |step| {
            let stats = step.entropy.as_ref()?;
            let mut cells = vec![number(stats.mean.mean), plus_minus(&stats.mean)];
            let of = |percent: f64| stats.percentiles.iter().find(|p| p.percent == percent);
            cells.extend([50.0, 95.0].map(|p| of(p).map_or_else(String::new, |p| number(p.value))));
            for (at, threshold) in stats.thresholds.iter().enumerate() {
                cells.push(percent(if at == 0 { threshold.below } else { threshold.above }));
            }
            cells.push(stats.top_share.map_or_else(|| "–".to_owned(), percent));
            cells.extend([stats.tokens.to_string(), stats.responses.to_string()]);
            Some(cells)
        });
        let clusters = self.clusters(|step| step.entropy.is_some());
        let what = format!(
            "mean with its 95 % interval over {clusters}, quantiles, shares of tokens, share of the entropy in the top 20 %"
        );
        let left_out =
            self.left_out(RESPONSES, |out| out.responses_without_entropies, "without entropies");
        self.heading(&format!("Entropy of tokens in nats: {what}")) + &rows + &left_out
    }

    /// A line about what all steps leave out of a section, also those that do not have it; empty if it is nothing.
    fn left_out(
        &self,
        [one, several]: [&str; 2],
        count: impl Fn(&StepLeftOut) -> u64,
        why: &str,
    ) -> String {
        let count: u64 = self.analysis.steps.iter().map(|step| count(&step.left_out)).sum();
        match count {
            0 => String::new(),
            count => format!("left out: {} {why}\n", plural(count as usize, one, several)),
        }
    }

    /// Means of columns such as `kl`.
    pub(super) fn token_columns(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for column in self.steps().flat_map(|step| &step.token_columns) {
            if !names.contains(&column.name) {
                names.push(column.name);
            }
        }
        let heads: Vec<&str> = names.iter().flat_map(|name| [*name, "±"]).collect();
        let rows = self.by_step(&heads, |step| {
            let cells = names.iter().flat_map(|name| {
                let column = step.token_columns.iter().find(|column| column.name == *name);
                let none = || ["–".to_owned(), "–".to_owned()];
                column.map_or_else(none, |column| {
                    [number(column.mean.mean), plus_minus(&column.mean)]
                })
            });
            (!step.token_columns.is_empty()).then(|| cells.collect())
        });
        match rows.is_empty() {
            true => rows,
            false => {
                let clusters = self.clusters(|step| !step.token_columns.is_empty());
                let what = format!("means over tokens with their 95 % intervals over {clusters}");
                self.heading(&format!("Other columns: {what}")) + &rows
            }
        }
    }

    pub(super) fn tenths(&self) -> String {
        if self.steps().all(|step| step.tenths.is_empty()) {
            return String::new();
        }
        let heads: Vec<String> =
            (0..10).map(|tenth| format!("{}–{} %", tenth * 10, (tenth + 1) * 10)).collect();
        let short: Vec<&str> =
            heads.iter().map(|head| head.split('–').next().unwrap_or_default()).collect();
        let rows = self.by_step(&short, |step| {
            let cell = |tenth: usize| {
                let bin = step.tenths.get(tenth).and_then(|bin| bin.entropy);
                bin.map_or_else(|| "–".to_owned(), |mean| fixed(mean.mean, 2))
            };
            (!step.tenths.is_empty()).then(|| (0..10).map(cell).collect())
        });
        self.heading("By position: mean entropy of each tenth of the response (from 0, 10, 20 … %)")
            + &rows
    }

    pub(super) fn groups(
        &self,
        title: &str,
        note: Option<String>,
        groups: impl Fn(&StepAnalysis) -> &Vec<GroupStats>,
    ) -> String {
        let mut rows = Vec::new();
        let mut left_out = 0;
        for step in self.steps() {
            for group in groups(step) {
                if rows.len() == MAX_GROUP_ROWS {
                    left_out += 1;
                    continue;
                }
                let [mean, half] = entropy(group);
                rows.push(vec![
                    self.name(step),
                    visible(&group.name).into_owned(),
                    mean,
                    half,
                    group.responses.to_string(),
                    fixed(group.mean_length, 1),
                    optional(group.mean_log_prob),
                    optional(group.mean_reward),
                ]);
            }
        }
        if rows.is_empty() {
            return String::new();
        }
        let heads = ["step", "group", "entropy", "±", "resp.", "length", "log-prob", "reward"];
        let note = note.map_or_else(String::new, |note| format!(" ({note})"));
        let mut text = self.heading(&format!("{title}{note}")) + &self.table(&heads, &rows, 2);
        if left_out > 0 {
            text.push_str(&format!("{} more with --json\n", plural(left_out, "row", "rows")));
        }
        text
    }

    pub(super) fn forking(&self) -> String {
        let Some(step) = self.last().filter(|step| !step.forking.is_empty()) else {
            return String::new();
        };
        let rows: Vec<Vec<String>> = step
            .forking
            .iter()
            .take(MAX_TOKENS)
            .map(|fork| vec![token(&fork.token), number(fork.mean), fork.count.to_string()])
            .collect();
        let table = self.table(&["token", "mean entropy", "occurrences"], &rows, 1);
        let mut text = self.heading(&format!(
            "Forking tokens of step {}: highest mean entropy of {} with 20 or more occurrences",
            self.name(step),
            plural(step.frequent_kinds, "kind", "kinds"),
        ));
        text.push_str(&table);
        let last = self.analysis.steps.len() - 1;
        for overlap in self.analysis.overlaps.iter().filter(|overlap| overlap.b == last) {
            let (a, b) = (&self.analysis.steps[overlap.a], &self.analysis.steps[overlap.b]);
            text.push_str(&format!(
                "steps {} and {} share {} of {} of their top 30 (Jaccard {})\n",
                self.name(a),
                self.name(b),
                overlap.overlap.shared,
                overlap.overlap.either,
                fixed(overlap.overlap.jaccard, 2),
            ));
        }
        text
    }

    pub(super) fn covariance(&self) -> String {
        let shown = different_tops(self.analysis.steps.iter());
        let shares: Vec<String> = shown.iter().map(|&at| share_name(TOP_SHARES[at])).collect();
        let found = || self.steps().filter_map(|step| step.covariance.as_ref());
        // A share that is too small for intervals at every step has no column for them.
        let with_ends = |at: usize| found().any(|found| found.covariance.top[at].low.is_some());
        let parts: Vec<String> = shares.iter().map(|share| format!("part of {share}")).collect();
        let mut heads = vec!["mean cov", "±", "prediction"];
        for names in [&shares, &parts] {
            for (name, &at) in names.iter().zip(&shown) {
                heads.push(name);
                heads.extend(with_ends(at).then_some("±"));
            }
        }
        let rows = self.by_step(&heads, |step| {
            let found = &step.covariance.as_ref()?.covariance;
            let mut cells = vec![number(found.mean), half_width(found.mean, found.high, number)];
            cells.push(prediction(found.prediction).to_owned());
            for &at in &shown {
                let top = &found.top[at];
                cells.push(number(top.mean));
                cells.extend(with_ends(at).then(|| half_width(top.mean, top.high, number)));
            }
            for &at in &shown {
                let top = &found.top[at];
                cells.push(top.of_positive.map_or_else(|| "–".to_owned(), percent));
                let part = top.of_positive.unwrap_or(f64::NAN);
                // One end may be cut off at 0 or at 100 %.
                let ends = top.of_positive_low.zip(top.of_positive_high);
                let end = ends.map(|(low, high)| part + (part - low).max(high - part));
                cells.extend(with_ends(at).then(|| half_width(part, end, percent)));
            }
            Some(cells)
        });
        if rows.is_empty() {
            return String::new();
        }
        let clusters = self.clusters(|step| step.covariance.is_some());
        let what = format!(
            "mean with its 95 % interval over {clusters}, and what it predicts for the entropy to first order (unclear: 0 \
             is inside the interval); mean of the largest {} of tokens, their part of all positive covariance",
            shares.join(", "),
        );
        let mut text =
            self.heading(&format!("Covariance of log-prob and advantage: {what}")) + &rows;
        if shown.len() < TOP_SHARES.len() {
            let left_out: Vec<String> = (0..TOP_SHARES.len())
                .filter(|at| !shown.contains(at))
                .map(|at| share_name(TOP_SHARES[at]))
                .collect();
            text.push_str(&self.heading(&format!(
                "the top {} has the same tokens as the next larger share, since there are few tokens: it is left out",
                left_out.join(" and ")
            )));
        }
        if shown.iter().any(|&at| !with_ends(at)) {
            text.push_str(&self.heading(&format!(
                "an interval of the largest needs {MIN_TOP_TOKENS} tokens from {MIN_TOP_CLUSTERS} {clusters}"
            )));
        }
        if let Some(note) = self.same_responses() {
            text.push_str(&self.heading(&format!(
                "{note}: the prediction is meant for the step whose weights sampled them"
            )));
        }
        let sections = || self.analysis.steps.iter().filter_map(|step| step.covariance.as_ref());
        if let Some(formula) = sections().find_map(|section| section.formula) {
            text.push_str(&self.heading(&format!("advantages: {formula}")));
        }
        let counts: [LeftOutLine<CovarianceLeftOut>; 5] = [
            (RESPONSES, |out| out.responses_alone, "alone with their prompt"),
            (RESPONSES, |out| out.responses_without_advantage, "without advantage or reward"),
            (RESPONSES, |out| out.responses_without_log_probs, "without log-probs"),
            (TOKENS, |out| out.tokens_without_log_prob, "without a scored log-prob"),
            (TOKENS, |out| out.impossible_tokens, "with a scored probability of 0"),
        ];
        for (what, count, why) in counts {
            text.push_str(&self.left_out(what, |out| count(&out.covariance), why));
        }
        let last = self
            .analysis
            .steps
            .iter()
            .rev()
            .find_map(|step| Some((step, step.covariance.as_ref()?)));
        if let Some((step, section)) = last {
            let rows = section.top_tokens.iter().take(MAX_TOKENS).map(|top| {
                vec![
                    token(&top.token),
                    number(top.covariance),
                    number(top.log_prob),
                    number(top.advantage),
                    top.position.to_string(),
                ]
            });
            let heads = ["token", "covariance", "log-prob", "advantage", "position"];
            let table = self.table(&heads, &rows.collect::<Vec<_>>(), 1);
            text.push_str(&format!(
                "the tokens of step {} with the largest covariance:\n{table}",
                self.name(step)
            ));
        }
        text
    }

    pub(super) fn mismatch(&self) -> String {
        let heads = ["mean |d|", "k1", "k3", "ppl ratio", "ESS tokens", "ESS resp.", "tokens"];
        let rows = self.by_step(&heads, |step| {
            let found = &step.mismatch.as_ref()?.mismatch;
            Some(vec![
                number(found.mean_abs_difference),
                number(found.k1),
                number(found.k3),
                fixed(found.perplexity_ratio, 4),
                fixed(found.ess_tokens, 3),
                fixed(found.ess_responses, 3),
                found.tokens.to_string(),
            ])
        });
        if rows.is_empty() {
            return String::new();
        }
        let mut text =
            format!("Mismatch: d = scored − sampled log-prob, in nats per token\n{rows}");
        if let Some(note) = self.same_responses() {
            text.push_str(&self.heading(&format!(
                "{note}: at the step whose weights sampled them, this is the mismatch of the two engines; at other steps, \
                 it has the change of the policy since then too"
            )));
        }
        let counts: [LeftOutLine<MismatchLeftOut>; 4] = [
            (TOKENS, |out| out.tokens.tokens_without_sampler, "without a sampled log-prob"),
            (TOKENS, |out| out.tokens.tokens_without_scored, "without a scored log-prob"),
            (TOKENS, |out| out.tokens.impossible_tokens, "with a scored probability of 0"),
            (RESPONSES, |out| out.responses_without, "without both log-probs"),
        ];
        for (what, count, why) in counts {
            text.push_str(&self.left_out(what, |out| count(&out.mismatch), why));
        }
        let last =
            self.analysis.steps.iter().rev().find_map(|step| Some((step, step.mismatch.as_ref()?)));
        if let Some((step, section)) = last {
            let rows = section.worst_tokens.iter().take(MAX_TOKENS).map(|worst| {
                vec![
                    token(&worst.token),
                    number(worst.difference),
                    number(worst.scored),
                    number(worst.sampler),
                    worst.position.to_string(),
                ]
            });
            let heads = ["token", "difference", "scored", "sampler", "position"];
            let table = self.table(&heads, &rows.collect::<Vec<_>>(), 1);
            text.push_str(&format!("the worst tokens of step {}:\n{table}", self.name(step)));
        }
        text
    }

    pub(super) fn diversity(&self) -> String {
        let sections = || self.steps().filter_map(|step| step.diversity.as_ref());
        let mut ks: Vec<u64> =
            sections().flat_map(|d| d.pass_at_k.iter().map(|pass| pass.k)).collect();
        ks.sort_unstable();
        ks.dedup();
        let has_answers = sections().any(|diversity| diversity.answers.is_some());
        let mut heads: Vec<String> = Vec::new();
        heads.extend(ks.iter().map(|k| format!("pass@{k}")));
        if has_answers {
            heads.extend(["answers".to_owned(), "their entropy".to_owned()]);
        }
        heads.extend([1, 2, 3].map(|n| format!("{n}-grams")));
        heads.push("prompts".to_owned());
        // Entropies differ by step even if responses do not.
        let is_repeated = self.steps().any(|step| step.same_responses_as.is_some());
        if !ks.is_empty() && !is_repeated {
            heads.push("with entropy".to_owned());
        }
        let with_entropy = |diversity: &entropy_tokens::Diversity| {
            diversity.pass_entropy_pearson.map_or_else(|| "–".to_owned(), |r| fixed(r, 2))
        };
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let rows = self.by_step(&heads, |step| {
            let found = step.diversity.as_ref().filter(|_| step.same_responses_as.is_none())?;
            let mut cells = Vec::new();
            for k in &ks {
                let pass = found.pass_at_k.iter().find(|pass| pass.k == *k);
                cells.push(optional(pass.map(|pass| pass.value)));
            }
            if has_answers {
                cells.push(optional(found.answers.map(|answers| answers.distinct)));
                cells.push(optional(found.answers.map(|answers| answers.entropy)));
            }
            for n in 1..=3 {
                let grams = found.distinct_ngrams.iter().find(|grams| grams.n == n);
                cells.push(grams.map_or_else(|| "–".to_owned(), |grams| percent(grams.share)));
            }
            cells.push(found.prompts.to_string());
            if !ks.is_empty() && !is_repeated {
                cells.push(with_entropy(found));
            }
            Some(cells)
        });
        if rows.is_empty() {
            return String::new();
        }
        let mut parts = Vec::new();
        if !ks.is_empty() {
            parts.push("pass@k");
        }
        if has_answers {
            parts.push("distinct answers and their entropy in nats");
        }
        parts.push("distinct n-grams");
        if !ks.is_empty() {
            parts.push("correlation of pass@1 with entropy over prompts");
        }
        let what = parts.join("; ");
        let mut text =
            self.heading(&format!("Diversity of the responses to a prompt: {what}")) + &rows;
        if let Some(note) = self.same_responses() {
            text.push_str(&self.heading(&format!("{note}: their numbers are shown once")));
            if !ks.is_empty() {
                text.push_str(&self.by_step(&["pass@1 with entropy"], |step| {
                    Some(vec![with_entropy(step.diversity.as_ref()?)])
                }));
            }
        }
        let of_responses =
            || self.analysis.steps.iter().filter(|step| step.same_responses_as.is_none());
        let sections = || of_responses().filter_map(|step| step.diversity.as_ref());
        let alone: u64 = sections().map(|diversity| diversity.prompts_alone).sum();
        if alone > 0 {
            let prompts = plural(alone as usize, "prompt", "prompts");
            text.push_str(&format!("left out: {prompts} with one response\n"));
        }
        let without: u64 =
            sections().filter_map(|d| d.answers).map(|answers| answers.responses_without).sum();
        if without > 0 {
            let responses = plural(without as usize, "response", "responses");
            text.push_str(&format!("left out of answers: {responses} without one\n"));
        }
        text
    }
}
