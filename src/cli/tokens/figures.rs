//! The figures of `tokens`: what each shows of an analysis.

use clap::ValueEnum;

use super::cells::{different_tops, share_name};
use super::table::{clusters, same_responses};
use entropy_history::dump::GroupBy;
use entropy_history::label::visible;
use entropy_plot::{
    AxisBase, ChartOptions, HeatMap, LineShape, Panel, PanelLine, Panels, ValueScale, Xy,
};
use entropy_shell::plural;
use entropy_tokens::stats::covariance::{Covariance, TOP_SHARES};
use entropy_tokens::{Analysis, GroupStats, OutcomeRule, StepAnalysis};

/// The largest number of steps whose lines are drawn in one picture.
const MAX_STEPS: usize = 3;
/// The largest number of groups that are drawn.
const MAX_GROUPS: usize = 6;

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FigureKind {
    /// Distribution of token entropies.
    Histogram,
    /// Mean entropy by token position, with intervals.
    Profile,
    /// Mean entropy by token position and step.
    HeatMap,
    /// Mean entropy by tenth of the response and step.
    HeatMapTenths,
    /// Quantiles and shares over steps.
    Steps,
    /// Right and wrong responses over steps.
    Outcome,
    /// The groups of --by over steps.
    Groups,
    /// Covariance of log-prob and advantage over steps.
    Covariance,
    /// Scored against sampled log-probs over steps.
    Mismatch,
    /// pass@k and distinct answers over steps.
    Diversity,
}

impl FigureKind {
    /// Its name on the command line and in file names.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What is drawn.
pub(super) enum Drawn {
    Panels(Panels),
    HeatMap(HeatMap),
}

/// A figure with its value scale.
pub(super) struct Figure {
    pub(super) drawn: Drawn,
    pub(super) scale: ValueScale,
}

impl Figure {
    /// All texts that may be drawn.
    pub(super) fn texts(&self, options: &ChartOptions) -> Vec<String> {
        let given = [&options.title, &options.footer, &options.x_label, &options.y_label];
        let mut texts: Vec<&str> = given.into_iter().flatten().map(String::as_str).collect();
        match &self.drawn {
            Drawn::Panels(Panels { title, subject, subtitle, x_name, panels, .. }) => {
                texts.extend([title.as_str(), subject, x_name]);
                texts.extend(subtitle.iter().map(String::as_str));
                let names = panels.iter().flat_map(|panel| {
                    let lines = panel.lines.iter().map(|line| line.name.as_str());
                    lines.chain([panel.name.as_str()])
                });
                texts.extend(names);
            }
            Drawn::HeatMap(map) => {
                texts.extend([
                    map.title.as_str(),
                    &map.subject,
                    &map.x_name,
                    &map.y_name,
                    &map.value_name,
                ]);
                texts.extend(map.subtitle.iter().chain(&map.columns).map(String::as_str));
            }
        }
        texts.into_iter().map(|text| visible(text).into_owned()).collect()
    }
}

/// The figure of a source.
///
/// # Errors
/// When the dump cannot carry it; the text says why.
pub(super) fn figure(
    kind: FigureKind,
    analysis: &Analysis,
    source: usize,
    name: &str,
    by: Option<&GroupBy>,
) -> Result<Figure, String> {
    let steps: Vec<&StepAnalysis> =
        analysis.steps.iter().filter(|step| step.source == source).collect();
    let figures = Figures { analysis, steps, source: name };
    let (drawn, scale) = match kind {
        FigureKind::Histogram => (Drawn::Panels(figures.histogram()?), ValueScale::Log),
        FigureKind::Profile => (Drawn::Panels(figures.profile()?), ValueScale::Linear),
        FigureKind::HeatMap => (Drawn::HeatMap(figures.heat_map()?), ValueScale::Linear),
        FigureKind::HeatMapTenths => {
            (Drawn::HeatMap(figures.heat_map_tenths()?), ValueScale::Linear)
        }
        FigureKind::Steps => (Drawn::Panels(figures.quantiles()?), ValueScale::Linear),
        FigureKind::Outcome => (Drawn::Panels(figures.outcome()?), ValueScale::Linear),
        FigureKind::Groups => (Drawn::Panels(figures.groups(by)?), ValueScale::Linear),
        FigureKind::Covariance => (Drawn::Panels(figures.covariance()?), ValueScale::Linear),
        FigureKind::Mismatch => (Drawn::Panels(figures.mismatch()?), ValueScale::Linear),
        FigureKind::Diversity => (Drawn::Panels(figures.diversity()?), ValueScale::Linear),
    };
    Ok(Figure { drawn, scale })
}

pub(super) struct Figures<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) steps: Vec<&'a StepAnalysis>,
    pub(super) source: &'a str,
}

fn line(name: impl Into<String>, points: Vec<Xy>) -> PanelLine {
    let shape = LineShape::Straight;
    PanelLine { name: name.into(), points, band: Vec::new(), shape, style: None }
}

fn panel(name: &str, base: AxisBase, lines: Vec<PanelLine>) -> Panel {
    Panel { name: name.to_owned(), base, lines }
}

impl Figures<'_> {
    /// The numbers of steps and responses, for the subtitle.
    pub(super) fn size(&self) -> String {
        let tokens: u64 = self.steps.iter().map(|step| step.tokens).sum();
        let responses: usize = self.steps.iter().map(|step| step.responses).sum();
        let tokens = plural(tokens as usize, "token", "tokens");
        format!("{tokens} of {}", plural(responses, "response", "responses"))
    }

    pub(super) fn panels(
        &self,
        title: &str,
        subtitle: &[&str],
        x_name: &str,
        panels: Vec<Panel>,
    ) -> Panels {
        let mut parts: Vec<String> = subtitle.iter().map(|part| (*part).to_owned()).collect();
        parts.push(self.size());
        Panels {
            title: title.to_owned(),
            subject: subject(self.source),
            subtitle: parts,
            x_name: x_name.to_owned(),
            x_from: None,
            panels,
        }
    }

    /// The first, the middle and the last of the steps that have something.
    pub(super) fn some_steps(&self, has: impl Fn(&StepAnalysis) -> bool) -> Vec<&StepAnalysis> {
        let all: Vec<&StepAnalysis> = self.steps.iter().copied().filter(|step| has(step)).collect();
        match all.len() {
            0..=MAX_STEPS => all,
            count => [0, (count - 1) / 2, count - 1].map(|at| all[at]).to_vec(),
        }
    }

    /// The points of a number over the steps that have it.
    pub(super) fn over_steps(&self, value: impl Fn(&StepAnalysis) -> Option<f64>) -> Vec<Xy> {
        let point = |step: &&StepAnalysis| Some((step.step as f64, value(step)?));
        self.steps.iter().filter_map(point).collect()
    }

    /// A band of intervals over the steps that have one.
    fn bands(&self, ends: impl Fn(&StepAnalysis) -> Option<(f64, f64)>) -> Vec<(f64, f64, f64)> {
        let band =
            |step: &&StepAnalysis| ends(step).map(|(low, high)| (step.step as f64, low, high));
        self.steps.iter().filter_map(band).collect()
    }

    /// The part of the subtitle that says what the bands are.
    pub(super) fn band_note(&self, has: impl Fn(&StepAnalysis) -> bool) -> String {
        let clusters = clusters(self.steps.iter().copied().filter(|step| has(step)));
        format!("band: 95 % interval over {clusters}")
    }

    /// A note if some steps have the same responses.
    fn same_responses(&self) -> Option<String> {
        let steps = self.steps.iter().copied();
        same_responses(self.analysis, steps, &|step| step.step.to_string())
    }

    /// An error, with `what` is missing, unless two steps have it.
    pub(super) fn several(
        &self,
        what: &str,
        has: impl Fn(&StepAnalysis) -> bool,
    ) -> Result<(), String> {
        match self.steps.iter().filter(|step| has(step)).count() {
            0 => Err(format!("no {what}")),
            1 => Err(format!("one step with {what}; lines need two")),
            _ => Ok(()),
        }
    }

    fn quantiles(&self) -> Result<Panels, String> {
        self.several("entropies", |step| step.entropy.is_some())?;
        let quantile = |percent: f64| {
            self.over_steps(|step| {
                let found =
                    step.entropy.as_ref()?.percentiles.iter().find(|p| p.percent == percent)?;
                Some(found.value)
            })
        };
        let mut lines: Vec<PanelLine> = [95.0, 80.0, 50.0]
            .iter()
            .map(|percent| line(format!("{percent} % quantile"), quantile(*percent)))
            .collect();
        let mut mean = line("mean", self.over_steps(|step| Some(step.entropy.as_ref()?.mean.mean)));
        mean.band = self.bands(|step| {
            let mean = &step.entropy.as_ref()?.mean;
            Some((mean.low?, mean.high?))
        });
        lines.push(mean);
        let thresholds: Vec<f64> = self
            .steps
            .iter()
            .find_map(|step| step.entropy.as_ref())
            .map_or_else(Vec::new, |stats| stats.thresholds.iter().map(|t| t.threshold).collect());
        let mut shares = vec![line(
            "entropy in top 20 %",
            self.over_steps(|step| Some(100.0 * step.entropy.as_ref()?.top_share?)),
        )];
        for (at, threshold) in thresholds.iter().enumerate() {
            let points = self.over_steps(|step| {
                let found = step.entropy.as_ref()?.thresholds.get(at)?;
                Some(100.0 * if at == 0 { found.below } else { found.above })
            });
            let sign = if at == 0 { "<" } else { ">" };
            shares.push(line(format!("tokens {sign} {threshold}"), points));
        }
        let panels = vec![
            panel("entropy of tokens (nats)", AxisBase::NotNegative, lines),
            panel("share (%)", AxisBase::Zero, shares),
        ];
        let band = self.band_note(|step| step.entropy.is_some());
        let subtitle = [band.as_str()];
        Ok(self.panels("Token entropies", &subtitle, "step", panels))
    }

    /// Mean entropies of groups over steps, one line per group. The groups of `order` are the first.
    fn group_lines(
        &self,
        order: &[String],
        groups: impl Fn(&StepAnalysis) -> &Vec<GroupStats>,
    ) -> Result<(Vec<PanelLine>, usize), String> {
        let mut sizes: Vec<(String, u64)> = Vec::new();
        for group in
            self.steps.iter().flat_map(|step| groups(step)).filter(|group| group.entropy.is_some())
        {
            match sizes.iter_mut().find(|(name, _)| *name == group.name) {
                Some((_, tokens)) => *tokens += group.tokens,
                None => sizes.push((group.name.clone(), group.tokens)),
            }
        }
        let all = sizes.len();
        sizes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sizes.truncate(MAX_GROUPS);
        sizes.sort();
        // The first of the named groups has the first colour in every figure, even if the other one is missing.
        let style = |name: &str| order.iter().position(|known| known == name);
        sizes.sort_by_key(|(name, _)| style(name)); // stable
        let lines = sizes.iter().map(|(name, _)| {
            let of = |step: &StepAnalysis| {
                groups(step).iter().find(|group| group.name == *name)?.entropy
            };
            let mut found = line(name.clone(), self.over_steps(|step| Some(of(step)?.mean)));
            found.band = self.bands(|step| {
                let mean = of(step)?;
                Some((mean.low?, mean.high?))
            });
            found.style = style(name);
            found
        });
        let lines: Vec<PanelLine> = lines.collect();
        match lines.iter().any(|line| line.points.len() > 1) {
            true => Ok((lines, all)),
            false => Err("no group with entropies at two steps".to_owned()),
        }
    }

    fn outcome(&self) -> Result<Panels, String> {
        let order = ["right", "wrong"].map(str::to_owned);
        let (lines, _) = self.group_lines(&order, |step| &step.by_outcome)?;
        let rule = self.analysis.outcome.map_or_else(String::new, OutcomeRule::words);
        let panel = panel("mean entropy of tokens (nats)", AxisBase::NotNegative, lines);
        let band = self.band_note(|step| !step.by_outcome.is_empty());
        let subtitle = [band.as_str(), rule.as_str()];
        Ok(self.panels("Right and wrong responses", &subtitle, "step", vec![panel]))
    }

    fn groups(&self, by: Option<&GroupBy>) -> Result<Panels, String> {
        let Some(by) = by else { return Err("no --by".to_owned()) };
        // As right and wrong: responses for which the comparison holds have the first colour.
        let order = match by {
            GroupBy::Comparison(comparison) => {
                [true, false].map(|is_true| comparison.group(is_true)).to_vec()
            }
            GroupBy::Values(_) => Vec::new(),
        };
        let (lines, all) = self.group_lines(&order, |step| &step.by_column)?;
        let more = match all > lines.len() {
            true => format!("the {} largest of {all} groups", lines.len()),
            false => plural(all, "group", "groups"),
        };
        let panel = panel("mean entropy of tokens (nats)", AxisBase::NotNegative, lines);
        let band = self.band_note(|step| !step.by_column.is_empty());
        let subtitle = [band.as_str(), more.as_str()];
        Ok(self.panels(&format!("Entropy by {}", by.text()), &subtitle, "step", vec![panel]))
    }

    fn covariance(&self) -> Result<Panels, String> {
        self.several("covariance", |step| step.covariance.is_some())?;
        fn of(step: &StepAnalysis) -> Option<&Covariance> {
            step.covariance.as_ref().map(|found| &found.covariance)
        }
        let mut mean = line("all tokens", self.over_steps(|step| Some(of(step)?.mean)));
        mean.band = self.bands(|step| Some((of(step)?.low?, of(step)?.high?)));
        let lines = different_tops(self.steps.iter().copied()).into_iter().map(|at| {
            let top = |step: &StepAnalysis| of(step)?.top.get(at).copied();
            let name = format!("top {}", share_name(TOP_SHARES[at]));
            let mut found = line(name, self.over_steps(|step| Some(top(step)?.mean)));
            found.band = self.bands(|step| Some((top(step)?.low?, top(step)?.high?)));
            found
        });
        let panels = vec![
            panel(
                "mean covariance (above 0: a fall is predicted)",
                AxisBase::AroundZero,
                vec![mean],
            ),
            panel("mean of the largest covariances", AxisBase::AroundZero, lines.collect()),
        ];
        let formula = self
            .steps
            .iter()
            .filter_map(|step| step.covariance.as_ref())
            .find_map(|found| found.formula);
        let advantages = match formula {
            Some(_) => "advantages: rewards normalised over the responses of a prompt",
            None => "advantages of the dump",
        };
        let band = self.band_note(|step| step.covariance.is_some());
        let subtitle = [band.as_str(), advantages];
        Ok(self.panels("Covariance with the advantage", &subtitle, "step", panels))
    }

    fn mismatch(&self) -> Result<Panels, String> {
        self.several("log-probs of the sampler", |step| step.mismatch.is_some())?;
        let of = |value: fn(&entropy_tokens::MismatchSection) -> f64| {
            self.over_steps(|step| step.mismatch.as_ref().map(value))
        };
        let panels = vec![
            panel(
                "KL of sampler and scored policy (nats per token)",
                AxisBase::AroundZero,
                vec![
                    line("k1", of(|found| found.mismatch.k1)),
                    line("k3", of(|found| found.mismatch.k3)),
                ],
            ),
            panel(
                "effective sample size (share)",
                AxisBase::Zero,
                vec![
                    line("of tokens", of(|found| found.mismatch.ess_tokens)),
                    line("of responses", of(|found| found.mismatch.ess_responses)),
                ],
            ),
        ];
        let note = self.same_responses();
        let note = note.as_deref();
        Ok(self.panels("Scored and sampled log-probs", note.as_slice(), "step", panels))
    }

    fn diversity(&self) -> Result<Panels, String> {
        self.several("prompts with two responses", |step| step.diversity.is_some())?;
        let has =
            |step: &StepAnalysis| step.diversity.is_some() && step.same_responses_as.is_none();
        let note = self.same_responses();
        if let Some(note) = note.as_ref().filter(|_| self.several("", has).is_err()) {
            return Err(format!("{note}; lines need two steps with different ones"));
        }
        let once = note.map(|note| format!("{note}: drawn once"));
        let of = |step: &StepAnalysis| step.diversity.clone().filter(|_| has(step));
        let pass = |at: usize| self.over_steps(|step| Some(of(step)?.pass_at_k.get(at)?.value));
        let ks: Vec<u64> = self
            .steps
            .iter()
            .filter_map(|step| step.diversity.as_ref())
            .map(|found| found.pass_at_k.iter().map(|pass| pass.k).collect::<Vec<_>>())
            .max_by_key(Vec::len)
            .unwrap_or_default();
        let passes: Vec<PanelLine> = ks
            .iter()
            .enumerate()
            .filter(|(at, _)| *at == 0 || *at + 1 == ks.len() || ks.len() <= 4)
            .map(|(at, k)| line(format!("pass@{k}"), pass(at)))
            .collect();
        let answers = self.over_steps(|step| Some(of(step)?.answers?.entropy));
        let grams = [1, 2, 3].map(|n| {
            let points = self.over_steps(|step| {
                let diversity = of(step)?;
                let found = diversity.distinct_ngrams.iter().find(|grams| grams.n == n)?;
                Some(100.0 * found.share)
            });
            line(format!("{n}-grams"), points)
        });
        let mut panels = Vec::new();
        if !passes.is_empty() {
            panels.push(panel("pass@k", AxisBase::Zero, passes));
        }
        if answers.len() > 1 {
            let lines = vec![line("answers", answers)];
            panels.push(panel("entropy of answers (nats)", AxisBase::Zero, lines));
        }
        panels.push(panel("distinct n-grams (%)", AxisBase::Zero, grams.to_vec()));
        panels.truncate(2);
        let mut subtitle: Vec<&str> = once.as_deref().into_iter().collect();
        subtitle.push("means over prompts");
        Ok(self.panels("Diversity of responses", &subtitle, "step", panels))
    }
}

/// What a figure is of, for its title: the name of a source without directories and extension. Empty if that only says that
/// it is a dump.
pub(super) fn subject(source: &str) -> String {
    const COMMON: [&str; 8] =
        ["", "-", "tokens", "token_exports", "dump", "dumps", "all dumps", "rollouts"];
    let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or(source);
    let stem =
        name.split_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    if COMMON.contains(&stem) { String::new() } else { visible(stem).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn titles_do_not_say_tokens_twice() {
        for (source, name) in [
            ("runs/solver_v1.jsonl.gz", "solver_v1"),
            ("tokens.jsonl", ""),
            ("runs/tokens.parquet", ""),
            ("base", "base"),
            ("-", ""),
            ("train_data/", "train_data"),
        ] {
            assert_eq!(subject(source), name, "{source}");
        }
    }
}
