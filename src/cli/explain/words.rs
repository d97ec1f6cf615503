//! What the numbers say, in sentences. A sentence about a number is written only if the interval of the number carries
//! it; else it says "not clear".

use serde::Serialize;

use super::phrases::{joined, nats, percent, range, share, signed};
use super::scoring::Scoring;
use crate::cli::tokens::cells::{number, token};
use entropy_history::label::visible;
use entropy_shell::plural;
use entropy_tokens::{
    Analysis, Change, Changes, Dimension, Direction, Interval, OtherChange, OutcomeRule, PartRow,
    Quantity, SignAgreement, Split,
};

/// Parts of less than this share of the change are left to the table.
const SMALL: f64 = 0.05;
/// The largest number of forking kinds that a sentence names.
const MAX_KINDS: usize = 6;
/// Chance agreement at or above this is not clear.
const CHANCE: f64 = 0.05;

/// Whether the numbers carry a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strength {
    /// Its interval excludes the opposite, or it states a number without a claim.
    Clear,
    /// Nothing can be said.
    NotClear,
}

/// A sentence.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sentence {
    /// What it is about.
    pub(super) topic: &'static str,
    pub(super) strength: Strength,
    pub(super) text: String,
}

fn clear(topic: &'static str, text: String) -> Sentence {
    Sentence { topic, strength: Strength::Clear, text }
}

fn not_clear(topic: &'static str, text: String) -> Sentence {
    Sentence { topic, strength: Strength::NotClear, text }
}

fn fell(direction: Direction) -> &'static str {
    match direction {
        Direction::Fall => "fell",
        Direction::Rise => "rose",
    }
}

/// The noun of the main change.
fn fall(direction: Direction) -> &'static str {
    match direction {
        Direction::Fall => "fall",
        Direction::Rise => "rise",
    }
}

/// All sentences about a dump, the main one first.
pub(super) fn sentences(
    changes: &Changes,
    analysis: &Analysis,
    scoring: &Scoring,
) -> Vec<Sentence> {
    let Some(main) = &changes.main else {
        return vec![no_change_possible(changes)];
    };
    let mut found = vec![main_change(main)];
    let others = [&changes.whole, &changes.opposite].into_iter().flatten();
    found.extend(others.map(|change| further_change(change, main)));
    found.extend(changes.splits.iter().filter_map(|split| of_split(split, main, changes.outcome)));
    let is_off_policy = scoring.caution(main).is_some() && *scoring != Scoring::TrainedOn;
    found.extend(changes.agreement.as_ref().map(|found| agreement(found, is_off_policy)));
    found.extend(changes.others.iter().filter_map(|other| other_change(other, main)));
    found.extend(mismatch(analysis, main));
    found.extend(scoring.caution(main).map(|text| clear("scoring", text)));
    found
}

fn no_change_possible(changes: &Changes) -> Sentence {
    let text = match changes.steps.first() {
        Some(step) => format!(
            "Entropies are known at one step only, step {}: {} nats per token. A change needs two.",
            step.step,
            nats(step.mean)
        ),
        None => "No entropies are known.".to_owned(),
    };
    not_clear("change", text)
}

fn between(change: &Change) -> String {
    let interval = range(&change.change, signed);
    format!(
        "from {} to {} nats per token between steps {} and {} ({}{interval})",
        nats(change.from.mean),
        nats(change.to.mean),
        change.from.step,
        change.to.step,
        signed(change.change.value),
    )
}

fn main_change(change: &Change) -> Sentence {
    if change.is_clear {
        return clear("change", format!("Entropy {} {}.", fell(change.direction), between(change)));
    }
    let text = match change.change.low {
        Some(_) => format!(
            "No clear change of entropy: the largest is {}, and the interval includes 0.",
            between(change)
        ),
        None => format!(
            "The entropy went {}. Whether that is more than noise cannot be said: a step has one response only.",
            between(change)
        ),
    };
    not_clear("change", text)
}

fn further_change(change: &Change, main: &Change) -> Sentence {
    let is_opposite = change.direction != main.direction && change.is_clear;
    match (change.is_clear, is_opposite) {
        (true, true) => {
            clear("change", format!("It {} {}.", fell(change.direction), between(change)))
        }
        (true, false) => clear(
            "change",
            format!(
                "From the first to the last step it {} {}.",
                fell(change.direction),
                between(change)
            ),
        ),
        (false, _) => not_clear(
            "change",
            format!(
                "From the first to the last step the change is not clear: {}.",
                between(change)
            ),
        ),
    }
}

fn of_split(split: &Split, main: &Change, outcome: Option<OutcomeRule>) -> Option<Sentence> {
    let noun = fall(main.direction);
    match split.by {
        Dimension::Outcome => Some(by_outcome(split, main, outcome)),
        Dimension::Position => Some(by_rows("position", split, main, str::to_owned)),
        Dimension::TopTokens => top_tokens(split, main),
        Dimension::ForkingKinds => Some(forking(split, noun)),
        Dimension::Turn => Some(by_rows("turn", split, main, |name| format!("turn {name}"))),
        Dimension::Role => {
            Some(by_rows("role", split, main, |name| format!("role {}", visible(name))))
        }
        Dimension::Column => Some(by_rows("group", split, main, |name| visible(name).into_owned())),
    }
}

/// Whether a part is clear and not small.
fn counts(within: &Interval, share: &Interval) -> bool {
    within.excludes(0.0) && share.value.abs() >= SMALL
}

/// A split that cannot be made, because a group is there at one step only, or has tokens of too few prompts.
fn inseparable(
    topic: &'static str,
    split: &Split,
    main: &Change,
    name: impl Fn(&str) -> String,
) -> Option<Sentence> {
    let noun = fall(main.direction);
    let row_of = |name_of: &String| split.rows.iter().find(|row| row.name == *name_of);
    let step = |of: usize| if of == 0 { main.from.step } else { main.to.step };
    let absent = split.at_one_step.iter().filter_map(row_of).map(|row| {
        format!("no {} at step {}", name(&row.name), step(usize::from(row.tokens[0] > 0)))
    });
    let absent: Vec<String> = absent.collect();
    if !absent.is_empty() {
        let text =
            format!("The {noun} cannot be split by {topic}: there are {}.", absent.join(" and "));
        return Some(not_clear(topic, text));
    }
    let thin = split.thin.iter().filter_map(row_of).map(|row| {
        let of = usize::from(row.prompts[1] < row.prompts[0]);
        let all: u64 = split.rows.iter().map(|row| row.tokens[of]).sum();
        format!(
            "at step {}, {} are {} % of the tokens and of {} only",
            step(of),
            name(&row.name),
            percent(row.tokens[of] as f64 / all as f64),
            plural(row.prompts[of], "prompt", "prompts"),
        )
    });
    let thin: Vec<String> = thin.collect();
    (!thin.is_empty()).then(|| {
        not_clear(
            topic,
            format!("How the {noun} splits by {topic} is not clear: {}.", thin.join(", and ")),
        )
    })
}

fn by_outcome(split: &Split, main: &Change, outcome: Option<OutcomeRule>) -> Sentence {
    let noun = fall(main.direction);
    let rule = outcome.map_or_else(String::new, |rule| format!(" ({})", rule.words()));
    if let Some(mut sentence) =
        inseparable("outcome", split, main, |name| format!("{name} answers"))
    {
        sentence.text = format!("{}{rule}.", sentence.text.trim_end_matches('.'));
        return sentence;
    }
    let name = |row: &PartRow| match row.name.as_str() {
        "neither" => "responses that are neither",
        "right" => "right answers",
        _ => "wrong answers",
    };
    let clear_rows: Vec<&PartRow> =
        split.rows.iter().filter(|row| counts(&row.within, &row.within_share)).collect();
    let mut parts: Vec<String> = clear_rows
        .iter()
        .map(|row| format!("{} is on {}", share(&row.within_share), name(row)))
        .collect();
    let right = |of: usize| {
        let all: u64 = split.rows.iter().map(|row| row.tokens[of]).sum();
        let right =
            split.rows.iter().find(|row| row.name == "right").map_or(0, |row| row.tokens[of]);
        percent(right as f64 / all as f64)
    };
    if counts(&split.mix, &split.mix_share) {
        parts.push(format!(
            "{} comes from the mix, because right answers went from {} to {} % of the tokens",
            share(&split.mix_share),
            right(0),
            right(1)
        ));
    }
    if parts.is_empty() {
        return not_clear(
            "outcome",
            format!(
                "Which part of the {noun} is on right and which on wrong answers is not clear{rule}."
            ),
        );
    }
    let of_rows = split.rows.iter().filter(|row| !row.within.excludes(0.0));
    let mut unclear: Vec<String> = of_rows.map(|row| format!("on {}", name(row))).collect();
    if !split.mix.excludes(0.0) && split.mix_share.value.abs() >= SMALL {
        unclear.push(format!("of the changed mix, {},", share(&split.mix_share)));
    }
    let rest = match unclear.is_empty() {
        true => String::new(),
        false => format!("; the part {} is not clear", unclear.join(" and that ")),
    };
    clear("outcome", format!("Of this {noun}, {}{rest}{rule}.", joined(&parts)))
}

/// The group whose part exceeds its share of the tokens most clearly, or that none does.
fn by_rows(
    topic: &'static str,
    split: &Split,
    main: &Change,
    name: impl Fn(&str) -> String,
) -> Sentence {
    let noun = fall(main.direction);
    if let Some(sentence) = inseparable(topic, split, main, |of| format!("tokens of {}", name(of)))
    {
        return sentence;
    }
    let excess = |row: &PartRow| row.within_share.value - row.token_share;
    let mut above: Vec<&PartRow> = split
        .rows
        .iter()
        .filter(|row| row.within_share.low.is_some_and(|low| low > row.token_share))
        .filter(|row| counts(&row.within, &row.within_share))
        .collect();
    above.sort_by(|a, b| excess(b).total_cmp(&excess(a)));
    let mix = match counts(&split.mix, &split.mix_share) {
        true => format!("; {} comes from a changed mix", share(&split.mix_share)),
        false => String::new(),
    };
    if above.is_empty() {
        let text = match split.rows.iter().any(|row| row.within_share.low.is_some()) {
            true => format!(
                "By {topic}, no group has clearly more of the {noun} than of the tokens{mix}."
            ),
            false => format!("Which {topic} the {noun} belongs to is not clear."),
        };
        return not_clear(topic, text);
    }
    let parts: Vec<String> = above
        .iter()
        .take(2)
        .map(|row| {
            format!(
                "{} of the {noun} is on {}, which have {} % of the tokens",
                share(&row.within_share),
                name(&row.name),
                percent(row.token_share)
            )
        })
        .collect();
    clear(topic, format!("{}{mix}.", joined(&parts)))
}

fn top_tokens(split: &Split, main: &Change) -> Option<Sentence> {
    let row = split.rows.first().filter(|row| counts(&row.within, &row.within_share))?;
    let held = row.mean[0]? * row.tokens[0] as f64 / (main.from.mean * main.from.tokens as f64);
    Some(clear(
        "top tokens",
        format!(
            "The 20 % of tokens with the highest entropy carry {} of the {}; they held {} % of the entropy at step {}.",
            share(&row.within_share),
            fall(main.direction),
            percent(held),
            main.from.step
        ),
    ))
}

fn forking(split: &Split, noun: &str) -> Sentence {
    let named: Vec<String> =
        split.kinds.iter().take(MAX_KINDS).map(|kind| format!("“{}”", token(kind))).collect();
    let more = split.kinds.len().saturating_sub(MAX_KINDS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let kinds = plural(split.kinds.len(), "kind", "kinds");
    let subject =
        format!("The {kinds} of tokens with the highest mean entropy ({}{more})", named.join(" "));
    let Some(row) = split.rows.first() else {
        return not_clear("forking tokens", format!("{subject} have no part that is clear."));
    };
    let [from, to] = [0, 1].map(|of| {
        let all: u64 = split.rows.iter().map(|row| row.tokens[of]).sum();
        percent(row.tokens[of] as f64 / all as f64)
    });
    let tokens = match from == to {
        true => format!("are {from} % of the tokens"),
        false => format!("went from {from} to {to} % of the tokens"),
    };
    let own = counts(&row.within, &row.within_share);
    let rarer = counts(&split.mix, &split.mix_share);
    let text = match (own, rarer) {
        (false, false) => {
            let text = format!("{subject} {tokens}; their part of the {noun} is not clear.");
            return not_clear("forking tokens", text);
        }
        (true, false) => {
            format!("{subject} {tokens} and carry {} of the {noun}.", share(&row.within_share))
        }
        (false, true) => format!(
            "{subject} {tokens}, and this change of the mix is {} of the {noun}; the part of their own entropy is not clear.",
            share(&split.mix_share)
        ),
        (true, true) => format!(
            "{subject} {tokens}: this change of the mix is {} of the {noun}, and their own entropy {}.",
            share(&split.mix_share),
            share(&row.within_share)
        ),
    };
    clear("forking tokens", text)
}

fn agreement(found: &SignAgreement, is_off_policy: bool) -> Sentence {
    let SignAgreement { same, of, by_chance, one_sided, .. } = found;
    let what = format!(
        "The change of entropy that the covariance of log-prob and advantage predicts has the same sign as the actual one in {same} of {of} {} between dumps",
        if *of == 1 { "interval" } else { "intervals" }
    );
    if is_off_policy {
        let text = format!(
            "{what}. The prediction is meant for the policy that sampled the responses, which at most one of them did."
        );
        return not_clear("covariance", text);
    }
    let chance = format!("a coin would reach this with a probability of {}", number(*by_chance));
    if *by_chance >= CHANCE {
        return not_clear("covariance", format!("{what}; {chance}, so this is not clear."));
    }
    match one_sided {
        true => not_clear(
            "covariance",
            format!(
                "{what}. All changes have one sign, so that any constant prediction would agree as often."
            ),
        ),
        false => clear("covariance", format!("{what} ({chance}).")),
    }
}

fn other_change(other: &OtherChange, main: &Change) -> Option<Sentence> {
    let (topic, name, unit) = match &other.quantity {
        Quantity::Reward => ("reward", "The mean reward", ""),
        Quantity::Length => ("length", "The mean length of a response", " tokens"),
        Quantity::Column("kl") => ("KL", "KL(policy ‖ reference)", " nats per token"),
        Quantity::Column("kl_reverse") => ("KL", "KL(reference ‖ policy)", " nats per token"),
        Quantity::Column(_) => return None,
    };
    let change = format!("({}{})", signed(other.change.value), range(&other.change, signed));
    let (from, to) = (nats(other.from), nats(other.to));
    let steps = format!("between steps {} and {}", main.from.step, main.to.step);
    if other.from == other.to {
        return Some(clear(topic, format!("{name} is {from}{unit} at both steps.")));
    }
    if !other.is_clear {
        let text =
            format!("{name} went from {from} to {to}{unit} {steps} {change}, which is not clear.");
        return Some(not_clear(topic, text));
    }
    let verb = if other.to > other.from { "rose" } else { "fell" };
    Some(clear(topic, format!("{name} {verb} from {from} to {to}{unit} {steps} {change}.")))
}

/// The numbers of scored against sampled log-probs at both steps.
fn mismatch(analysis: &Analysis, main: &Change) -> Option<Sentence> {
    let at = |step: u64| {
        let found = analysis.steps.iter().find(|found| found.step == step)?;
        Some(&found.mismatch.as_ref()?.mismatch)
    };
    let (from, to) = (at(main.from.step)?, at(main.to.step)?);
    let text = format!(
        "Scored and sampled log-probs differ by {} nats per token at step {} and by {} at step {} (mean of |d|; k3 estimate of the KL: {} and {}).",
        number(from.mean_abs_difference),
        main.from.step,
        number(to.mean_abs_difference),
        main.to.step,
        number(from.k3),
        number(to.k3),
    );
    Some(clear("mismatch", text))
}
