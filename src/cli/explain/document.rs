//! The document of `explain --json`, and the section of the page.

use serde::Serialize;
use serde_json::{Value, json};

use super::prepare::{LeftOut, Prepared};
use super::scoring::Scoring;
use super::words::{Sentence, Strength};
use crate::cli::tokens::cells::{fixed, number, token};
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::quantity::EntropyKind;
use entropy_tokens::{Analysis, Changes, Dimension, Interval, Section, Split};

/// The label of the computed entropies on the page.
pub(super) const COMPUTED: &str = "computed from tokens";

/// Something that the data cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct MissingPart {
    pub(super) part: &'static str,
    pub(super) reason: String,
}

/// Everything that is said about a run.
pub(super) struct Explanation<'a> {
    pub(super) run: String,
    pub(super) prepared: &'a Prepared,
    pub(super) sentences: Vec<Sentence>,
    pub(super) missing: Vec<MissingPart>,
    pub(super) warnings: &'a [String],
    pub(super) changes: &'a Changes,
    pub(super) right_above: f64,
}

/// The document; keys are only ever added.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    unit: &'static str,
    run: &'a str,
    dumps: &'a [String],
    scoring: Scoring,
    notes: &'a [String],
    left_out: &'a [LeftOut],
    right_above: f64,
    sentences: &'a [Sentence],
    missing: &'a [MissingPart],
    warnings: &'a [String],
    #[serde(flatten)]
    changes: &'a Changes,
}

impl Serialize for Explanation<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = Document {
            schema: 1,
            unit: "nats",
            run: &self.run,
            dumps: &self.prepared.dumps,
            scoring: self.prepared.scoring,
            notes: &self.prepared.notes,
            left_out: &self.prepared.left_out,
            right_above: self.right_above,
            sentences: &self.sentences,
            missing: &self.missing,
            warnings: self.warnings,
            changes: self.changes,
        };
        document.serialize(serializer)
    }
}

/// What the sections of the explanation lack.
pub(super) fn missing(analysis: &Analysis, changes: &Changes, logged: usize) -> Vec<MissingPart> {
    let said = [
        Section::Outcome,
        Section::Covariance,
        Section::Mismatch,
        Section::Diversity,
        Section::Turn,
    ];
    let of_dump = analysis.missing.iter().filter(|missing| said.contains(&missing.section));
    let mut found: Vec<MissingPart> = of_dump
        .map(|missing| MissingPart {
            part: missing.section.words(),
            reason: missing.reason.clone(),
        })
        .collect();
    let mut note = |part, reason: &str| found.push(MissingPart { part, reason: reason.to_owned() });
    if let Some(main) = &changes.main {
        let prompts = main.from.prompts.min(main.to.prompts);
        if prompts == 1 {
            note(
                "intervals over prompts",
                "a step has one prompt: intervals are over its responses",
            );
        }
        if !main.is_clear {
            note("parts of the change", "the change is not clear");
        }
        let has_kl = changes.others.iter().any(|other| {
            matches!(other.quantity, entropy_tokens::Quantity::Column("kl" | "kl_reverse"))
        });
        if !has_kl {
            note("KL to a reference", "no column kl; compute it with `-- --reference DIR`");
        }
    }
    if logged == 0 {
        note("the trainer's own entropy", "no log of an entropy was found in the run");
    }
    found
}

/// What the trainer logged at the steps of the main change.
pub(super) fn logged(
    comparison: &Comparison,
    changes: &Changes,
    scoring: Scoring,
) -> Option<Sentence> {
    let main = changes.main.as_ref()?;
    let steps = [scoring.dump_of(main.from.step)?, scoring.dump_of(main.to.step)?];
    let of_policy = [EntropyKind::TokenMean, EntropyKind::SequenceMean, EntropyKind::ExactMean];
    let runs = comparison.runs().iter().filter(|run| run.history.label() != COMPUTED);
    let (metric, values) =
        runs.filter(|run| of_policy.contains(&run.history.kind())).find_map(|run| {
            let at = |step: u64| {
                let points = run.history.points();
                points.iter().find(|point| point.step == step as f64).map(|point| point.entropy)
            };
            Some((&run.metric, [at(steps[0])?, at(steps[1])?]))
        })?;
    let text = format!(
        "The trainer logged {} at step {} and {} at step {} ({}).",
        number(values[0]),
        steps[0],
        number(values[1]),
        steps[1],
        visible(metric),
    );
    Some(Sentence { topic: "log", strength: Strength::Clear, text })
}

/// What the tokens are grouped by, as a heading.
pub(super) fn heading(by: Dimension) -> &'static str {
    match by {
        Dimension::Outcome => "By outcome",
        Dimension::Position => "By position",
        Dimension::TopTokens => "The 20 % of tokens with the highest entropy",
        Dimension::ForkingKinds => "Forking tokens: the kinds with the highest mean entropy",
        Dimension::Turn => "By turn",
        Dimension::Role => "By role",
        Dimension::Column => "By --by",
    }
}

/// The heads of the table of a split.
pub(super) const HEADS: [&str; 9] = [
    "group",
    "tokens",
    "→",
    "entropy",
    "→ ",
    "share of tokens",
    "within (nats)",
    "% of change",
    "mix (nats)",
];

/// The rows of a split as texts; the last row is the sum.
pub(super) fn rows(split: &Split) -> Vec<Vec<String>> {
    let mean = |mean: Option<f64>| mean.map_or_else(|| "–".to_owned(), number);
    let percent = |share: f64| fixed(100.0 * share, 0);
    let mut rows: Vec<Vec<String>> = split
        .rows
        .iter()
        .map(|row| {
            vec![
                visible(&row.name).into_owned(),
                row.tokens[0].to_string(),
                row.tokens[1].to_string(),
                mean(row.mean[0]),
                mean(row.mean[1]),
                format!("{} %", percent(row.token_share)),
                with_interval(&row.within, number),
                with_interval(&row.within_share, percent),
                number(row.mix.value),
            ]
        })
        .collect();
    let sum = |of: usize| split.rows.iter().map(|row| row.tokens[of]).sum::<u64>().to_string();
    rows.push(vec![
        "all".to_owned(),
        sum(0),
        sum(1),
        String::new(),
        String::new(),
        "100 %".to_owned(),
        with_interval(&split.within, number),
        with_interval(&split.within_share, percent),
        format!(
            "{} = {} % of change",
            with_interval(&split.mix, number),
            with_interval(&split.mix_share, percent)
        ),
    ]);
    rows
}

/// What is said below the table of a split whose intervals cannot be trusted.
pub(super) fn thin(split: &Split) -> Option<String> {
    let names: Vec<_> = split.thin.iter().map(|name| visible(name)).collect();
    (!names.is_empty()).then(|| {
        format!("few prompts at a step: {}; intervals here are too narrow", names.join(", "))
    })
}

/// A number with its interval.
pub(super) fn with_interval(interval: &Interval, text: impl Fn(f64) -> String) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => {
            format!("{} [{}, {}]", text(interval.value), text(low), text(high))
        }
        _ => text(interval.value),
    }
}

/// How the numbers are computed, for the page and the text.
pub(super) fn method(changes: &Changes) -> Vec<String> {
    let Some(main) = &changes.main else { return Vec::new() };
    let unit = match main.from.prompts.min(main.to.prompts) {
        0 | 1 => format!("responses ({} and {})", main.from.responses, main.to.responses),
        _ => format!("prompts ({} and {})", main.from.prompts, main.to.prompts),
    };
    let pairing = match main.same_prompts {
        true => "both steps have the same prompts and lose one together",
        false => "the steps have prompts of their own",
    };
    vec![
        format!("Numbers in brackets are 95 % intervals of Student's t with jackknife errors over {unit}; {pairing}."),
        format!(
            "The steps are the shortest stretch with at least 90 % of the largest change between two of {} steps; the interval of \
             the change holds for all {} pairs at once (Bonferroni).",
            changes.steps.len(),
            main.pairs
        ),
        "Parts of the change (Kitagawa 1955): within = mean share of the tokens × change of the group's own mean; mix = change \
         of the share × (mean of the group − mean of all). All parts add up to the change; a group's part can exceed 100 %."
            .to_owned(),
    ]
}

impl Explanation<'_> {
    /// The document of the page's section: texts only, and the parts of the bars.
    pub(super) fn section(&self) -> Value {
        let sentences: Vec<Value> = self
            .sentences
            .iter()
            .map(|sentence| json!({"topic": sentence.topic, "clear": sentence.strength == Strength::Clear, "text": visible(&sentence.text)}))
            .collect();
        let change = self.changes.main.as_ref().map_or(0.0, |main| main.change.value);
        let splits: Vec<Value> = self.changes.splits.iter().map(|split| {
            let part = |name: &str, interval: &Interval, share: &Interval, tokens: Option<f64>| json!({
                "name": visible(name), "value": interval.value, "low": interval.low, "high": interval.high,
                "share": share.value, "tokens": tokens,
            });
            let mut parts: Vec<Value> = split.rows.iter()
                .map(|row| part(&row.name, &row.within, &row.within_share, Some(row.token_share)))
                .collect();
            parts.push(part("changed mix", &split.mix, &split.mix_share, None));
            let kinds: Vec<String> = split.kinds.iter().map(token).collect();
            json!({"heading": heading(split.by), "heads": HEADS, "rows": rows(split), "parts": parts, "kinds": kinds, "at_one_step": split.at_one_step, "thin": thin(split)})
        }).collect();
        let predictions: Vec<Vec<String>> = self
            .changes
            .agreement
            .iter()
            .flat_map(|found| &found.predictions)
            .map(|p| {
                vec![
                    format!("{} → {}", p.from, p.to),
                    number(p.covariance),
                    number(p.change),
                    if p.agrees { "yes" } else { "no" }.to_owned(),
                ]
            })
            .collect();
        let steps: Vec<Vec<String>> = self
            .changes
            .steps
            .iter()
            .map(|step| {
                vec![
                    step.step.to_string(),
                    number(step.mean),
                    step.tokens.to_string(),
                    step.responses.to_string(),
                    step.prompts.to_string(),
                ]
            })
            .collect();
        let others: Vec<Vec<String>> = self
            .changes
            .others
            .iter()
            .map(|other| {
                vec![
                    quantity(&other.quantity),
                    number(other.from),
                    number(other.to),
                    with_interval(&other.change, number),
                ]
            })
            .collect();
        let show = |texts: &[String]| {
            texts.iter().map(|text| visible(text).into_owned()).collect::<Vec<_>>()
        };
        json!({
            "schema": 1,
            "change": change,
            "sentences": sentences,
            "splits": splits,
            "steps": steps,
            "others": others,
            "predictions": predictions,
            "missing": self.missing.iter().map(|missing| format!("{}: {}", missing.part, visible(&missing.reason))).collect::<Vec<_>>(),
            "notes": show(&self.prepared.notes),
            "warnings": show(self.warnings),
            "method": method(self.changes),
        })
    }
}

/// The name of another mean.
pub(super) fn quantity(quantity: &entropy_tokens::Quantity) -> String {
    match quantity {
        entropy_tokens::Quantity::Reward => "reward".to_owned(),
        entropy_tokens::Quantity::Length => "tokens per response".to_owned(),
        entropy_tokens::Quantity::Column(name) => (*name).to_owned(),
    }
}
