//! From the values of a row to a response: the numbers of the tokens that the policy wrote.

use std::hash::{DefaultHasher, Hash, Hasher};

use entropy_history::dump::{ColumnValue, Membership};

use super::cells::{Cell, Cells, Texts};
use super::layout::{Layout, Rejected, Scores, scores, texts};
use super::log_probs::{NULL_LOG_PROB, is_above, is_below, is_error};
use crate::columns::Columns;
use crate::interner::{BatchKinds, Interner, RawText};
use crate::json::Scalar;
use crate::left_out::{LeftOutCounts, Reason};
use crate::names::{
    ADVANTAGES, ANSWERS, ENTROPIES, GROUPS, OF_SLIME_SAMPLE, PROMPT_TEXTS, RESPONSE_TEXTS, REWARDS,
    ROLLOUT_ID, SAMPLER, SCORED, STEPS, TOKEN_COLUMNS,
};
use crate::stats::mismatch::{MismatchSums, Usable, WorstToken, WorstTokens};
use crate::table::{Advantage, Batch, Response, UsedNames, note};

/// Stands for an entropy of null.
const NULL: f64 = f64::NEG_INFINITY;

/// Builds the responses of some rows.
pub(crate) struct BatchBuilder<'a> {
    columns: &'a Columns,
    /// The step that the name of the file has.
    step: Option<u64>,
    kinds: BatchKinds,
    tokens: Vec<u32>,
    entropies: Vec<f64>,
    log_probs: Vec<f64>,
    responses: Vec<Response>,
    worst: WorstTokens,
    left_out: LeftOutCounts,
    names: UsedNames,
    column_names: Vec<String>,
}

/// The text of a response: a column, else the texts of its own tokens.
fn response_text(
    cells: &impl Cells,
    texts: Option<&(Texts<'_>, usize)>,
    own: &[usize],
) -> Option<String> {
    for name in RESPONSE_TEXTS {
        if let Some(Scalar::Text(text)) = cells.scalar(name) {
            return Some(text.into_owned());
        }
    }
    let (texts, first) = texts?;
    Some(own.iter().filter_map(|at| texts.get(first + at).text()).collect())
}

/// `rank/sequence`, which names a sequence of prime-rl's token export.
fn sequence_name(cells: &impl Cells) -> Option<String> {
    let whole = |name| cells.scalar(name).and_then(|value| value.whole());
    Some(format!("{}/{}", whole("rank").unwrap_or(0), whole("export_sequence_idx")?))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new(); // SipHash with fixed keys
    value.hash(&mut hasher);
    hasher.finish()
}

impl<'a> BatchBuilder<'a> {
    pub(crate) fn new(columns: &'a Columns, step: Option<u64>) -> BatchBuilder<'a> {
        BatchBuilder {
            columns,
            step,
            kinds: BatchKinds::Ids,
            tokens: Vec::new(),
            entropies: Vec::new(),
            log_probs: Vec::new(),
            responses: Vec::new(),
            worst: WorstTokens::default(),
            left_out: LeftOutCounts::default(),
            names: UsedNames::default(),
            column_names: Vec::new(),
        }
    }

    /// Counts a row that cannot be read.
    pub(crate) fn leave_out(&mut self, reason: Reason, place: &str, what: &str) {
        self.left_out.add(reason, 1, || format!("{place}: {what}"));
    }

    /// Adds the response of a row, or counts the reason why the row has none.
    pub(crate) fn add(&mut self, cells: &impl Cells, place: &impl Fn() -> String) {
        if let Err((reason, what)) = self.try_add(cells, place) {
            self.left_out.add(reason, 1, || format!("{}: {what}", place()));
        }
    }

    fn try_add(&mut self, cells: &impl Cells, place: &impl Fn() -> String) -> Result<(), Rejected> {
        let step = self.step_of(cells)?;
        let layout = Layout::of(cells)?;
        let entropies = scores(cells, &ENTROPIES, NULL, &layout)?;
        let scored = scores(cells, &SCORED, NULL_LOG_PROB, &layout)?;
        if entropies.is_none() && scored.is_none() {
            let what = "it has no list of entropies and none of log-probs".to_owned();
            return Err((Reason::NoScores, what));
        }
        let own = self.own_tokens(&layout, entropies.as_ref(), place)?;
        if let Some((name, scored)) = &scored
            && let Some(at) = own.iter().find(|at| is_error(scored[**at]))
        {
            let what = format!("{name:?} of token {} is {}", at + 1, scored[*at]);
            return Err((Reason::BadLogProb, what));
        }
        let texts = texts(cells, &layout)?;

        // From here on the response is taken.
        let at_step = || format!("{}, step {step}", place());
        if self.responses.is_empty() {
            self.column_names = cells.scalar_names();
        }
        let start = self.tokens.len();
        self.add_tokens(&layout, texts.as_ref(), &own);
        let (mut entropy_sum, mut log_prob_sum, mut log_prob_count) = (0.0, 0.0, 0);
        let mut log_probs_missing = 0;
        let mut entropy_max = f64::NEG_INFINITY;
        match &entropies {
            Some((name, entropies)) => {
                note(&mut self.names.entropies, name);
                for &at in &own {
                    entropy_sum += entropies[at];
                    entropy_max = entropy_max.max(entropies[at]);
                    self.entropies.push(entropies[at]);
                }
                self.count_impossible(
                    Reason::EntropyBelowZero,
                    (name, entropies),
                    &own,
                    is_below,
                    &at_step,
                );
            }
            None => self.entropies.resize(start + own.len(), 0.0),
        }
        match &scored {
            Some((name, scored)) => {
                note(&mut self.names.scored, name);
                for &at in &own {
                    self.log_probs.push(scored[at]);
                    if scored[at].is_finite() {
                        log_prob_sum += scored[at];
                        log_prob_count += 1;
                    }
                    log_probs_missing += u32::from(scored[at].is_nan());
                }
                if log_probs_missing > 0 {
                    let first = || {
                        format!(
                            "{}: {name:?} of {log_probs_missing} of {} tokens",
                            at_step(),
                            own.len()
                        )
                    };
                    let missing = u64::from(log_probs_missing);
                    self.left_out.add(Reason::TokenWithoutLogProb, missing, first);
                }
                self.count_impossible(
                    Reason::LogProbAboveZero,
                    (name, scored),
                    &own,
                    is_above,
                    &at_step,
                );
            }
            None => self.log_probs.resize(start + own.len(), 0.0),
        }

        let id = cells.scalar("id").or_else(|| cells.scalar("sample_id"));
        let id = id.and_then(|id| id.name());
        let turn = cells.scalar("turn").and_then(|turn| turn.whole());
        let trajectory = turn.is_some().then(|| {
            let sample = cells.scalar("sample").and_then(|sample| sample.whole());
            hash(&(&id, sample))
        });
        let (group, prompt) = self.group_of(cells, &layout, id.as_deref());
        let mut response = Response {
            source: 0,
            step,
            // Without a prompt, all have the hash of no id.
            group: group.unwrap_or_else(|| hash(&None::<&str>)),
            has_prompt: group.is_some(),
            trajectory,
            segment: 0,
            start: start as u32,
            tokens: own.len() as u32,
            has_entropies: entropies.is_some(),
            has_log_probs: scored.is_some(),
            entropy_sum,
            entropy_max,
            log_prob_sum,
            log_prob_count,
            log_probs_missing,
            prompt: prompt.map(String::into_boxed_str),
            sample: cells.scalar("sample").and_then(|sample| sample.whole()),
            finish: cells
                .scalar("finish_reason")
                .and_then(|why| why.name())
                .map(String::into_boxed_str),
            turn: turn.and_then(|turn| u32::try_from(turn).ok()),
            role: cells.scalar("role").and_then(|role| role.name()).map(String::into_boxed_str),
            by: self.by_of(cells),
            reward: self.reward_of(cells, place),
            advantage: self.advantage_of(cells, &layout, &own, place),
            answer: self.answer_of(cells, texts.as_ref(), &own),
            mismatch: None,
            token_columns: self.token_columns_of(cells, &layout, &own, place),
            id: id.or_else(|| sequence_name(cells)).map(String::into_boxed_str),
        };
        if let Some((_, scored)) = &scored {
            response.mismatch = self.mismatch_of(cells, &layout, &own, scored, step, place);
        }
        self.responses.push(response);
        Ok(())
    }

    /// Counts values that no policy has; they are kept.
    fn count_impossible(
        &mut self,
        reason: Reason,
        (name, values): (&str, &[f64]),
        own: &[usize],
        is_impossible: impl Fn(f64) -> bool,
        place: &impl Fn() -> String,
    ) {
        let mut impossible = own.iter().filter(|at| is_impossible(values[**at]));
        if let Some(at) = impossible.next() {
            let first = || format!("{}: {name:?} of token {} is {}", place(), at + 1, values[*at]);
            self.left_out.add(reason, 1 + impossible.count() as u64, first);
        }
    }

    /// Adds the ids of tokens, or from the first text on the numbers of their kinds.
    fn add_tokens(
        &mut self,
        layout: &Layout<'_>,
        texts: Option<&(Texts<'_>, usize)>,
        own: &[usize],
    ) {
        let ids = own.iter().map(|at| layout.ids[layout.offset + at]);
        if let BatchKinds::Ids = self.kinds {
            if texts.is_none() {
                return self.tokens.extend(ids);
            }
            let mut kinds = Interner::default();
            self.tokens.iter_mut().for_each(|token| *token = kinds.kind(*token, RawText::None));
            self.kinds = BatchKinds::Kinds(kinds);
        }
        if let BatchKinds::Kinds(kinds) = &mut self.kinds {
            let text =
                |at: &usize| texts.map_or(RawText::None, |(texts, first)| texts.get(first + at));
            let kind = |(id, at)| kinds.kind(id, text(at));
            self.tokens.extend(ids.zip(own).map(kind));
        }
    }

    /// Indices in the response of the tokens that the policy wrote and that have an entropy, if any has. prime-rl writes
    /// null for a number that is not finite; a bare NaN is an error of the program that wrote it.
    fn own_tokens(
        &mut self,
        layout: &Layout<'_>,
        entropies: Option<&Scores<'_>>,
        place: &impl Fn() -> String,
    ) -> Result<Vec<usize>, Rejected> {
        let mut own: Vec<usize> = layout.own_indices().collect();
        if let Some((name, entropies)) = entropies {
            let all = own.len();
            own.retain(|&at| entropies[at] != NULL);
            if let Some(at) = own.iter().find(|at| !entropies[**at].is_finite()) {
                let what = format!("{name:?} of token {} is {}", at + 1, entropies[*at]);
                return Err((Reason::BadEntropy, what));
            }
            let missing = all - own.len();
            if missing > 0 {
                let first = || format!("{}: {missing} of {all} tokens", place());
                self.left_out.add(Reason::TokenWithoutEntropy, missing as u64, first);
            }
        }
        match own.is_empty() {
            true => Err((Reason::Empty, "it has no token that the policy wrote".to_owned())),
            false => Ok(own),
        }
    }

    /// The step of a row. One in `dump` is that of the rollouts, which another checkpoint may have scored.
    fn step_of(&self, cells: &impl Cells) -> Result<u64, Rejected> {
        let mut is_null = None;
        let is_sample = cells.has_own(OF_SLIME_SAMPLE);
        for name in STEPS.into_iter().filter(|name| !is_sample || *name != ROLLOUT_ID) {
            if let Some(value) = cells.own_scalar(name) {
                let bad = || (Reason::BadStep, format!("{name:?} is not a whole number from 0"));
                return value.whole().ok_or_else(bad);
            }
            is_null = is_null.or(cells.has_own(name).then_some(name));
        }
        match (self.step, is_null) {
            (None, Some(name)) => Err((Reason::BadStep, format!("{name:?} is null"))),
            (step, _) => Ok(step.unwrap_or(0)),
        }
    }

    /// What names the prompt of a response, as a hash: a column, else the prompt itself, else the id; `None` if there is
    /// none of them. Also the value of the column.
    fn group_of(
        &mut self,
        cells: &impl Cells,
        layout: &Layout<'_>,
        id: Option<&str>,
    ) -> (Option<u64>, Option<String>) {
        let chosen = self.columns.prompt.as_deref();
        let names =
            chosen.as_slice().iter().chain(if chosen.is_none() { &GROUPS[..] } else { &[] });
        for name in names {
            if let Some(value) = cells.scalar(name).and_then(|value| value.name()) {
                note(&mut self.names.groups, name);
                return (Some(hash(&value)), Some(value));
            }
        }
        if !layout.prompt().is_empty() {
            note(&mut self.names.groups, "the prompt's token ids");
            return (Some(hash(&layout.prompt())), None);
        }
        for name in PROMPT_TEXTS {
            if let Some(Scalar::Text(text)) = cells.scalar(name) {
                note(&mut self.names.groups, "the prompt's text");
                return (Some(hash(&text)), None);
            }
        }
        if id.is_some() {
            note(&mut self.names.groups, "id");
        }
        (id.map(|id| hash(&Some(id))), None)
    }

    fn by_of(&self, cells: &impl Cells) -> Option<Box<str>> {
        let by = self.columns.by.as_ref()?;
        let value = cells.scalar(by.column())?;
        let value = match value {
            Scalar::Number(number) => ColumnValue::Number(number, number.to_string()),
            Scalar::Whole(number) => ColumnValue::Number(number as f64, number.to_string()),
            Scalar::Flag(flag) => ColumnValue::Flag(flag),
            Scalar::Text(text) => ColumnValue::Text(text),
            Scalar::Nested => ColumnValue::Nested,
        };
        match by.group_of(&value) {
            Membership::Group(name) => Some(name.into_boxed_str()),
            Membership::Missing | Membership::Unfit => None,
        }
    }

    fn reward_of(&mut self, cells: &impl Cells, place: &impl Fn() -> String) -> Option<f64> {
        let chosen = self.columns.reward.as_deref();
        let names =
            chosen.as_slice().iter().chain(if chosen.is_none() { &REWARDS[..] } else { &[] });
        let mut reason = (Reason::NoReward, String::from("it has no reward"));
        for name in names {
            let Some(value) = cells.scalar(name) else {
                if !cells.has(name) {
                    continue;
                }
                // Another column may hold another reward.
                reason = (Reason::NoReward, format!("{name:?} is null"));
                break;
            };
            match (value.number(), &value) {
                (Some(reward), _) if reward.is_finite() => {
                    note(&mut self.names.rewards, name);
                    return Some(reward);
                }
                (_, Scalar::Text(_)) => {
                    reason = (Reason::TextReward, format!("{name:?} is a text"));
                }
                (_, Scalar::Nested) => {
                    reason = (Reason::NestedReward, format!("{name:?} is a list or an object"));
                }
                _ => reason = (Reason::NoReward, format!("{name:?} is not finite")),
            }
        }
        self.left_out.add(reason.0, 1, || format!("{}: {}", place(), reason.1));
        None
    }

    fn advantage_of(
        &mut self,
        cells: &impl Cells,
        layout: &Layout<'_>,
        own: &[usize],
        place: &impl Fn() -> String,
    ) -> Advantage {
        for name in ADVANTAGES {
            if let Some(value) = cells.scalar(name).and_then(|value| value.number())
                && value.is_finite()
            {
                note(&mut self.names.advantages, name);
                return Advantage::Response(value);
            }
            let values = match cells.floats(name, f64::NAN) {
                Cell::Missing => continue,
                Cell::Bad => None,
                Cell::List(list) => layout
                    .part(&list)
                    .map(|list| own.iter().map(|&at| list[at]).collect::<Vec<f64>>())
                    .filter(|values| values.iter().all(|value| value.is_finite())),
            };
            let Some(values) = values else {
                self.left_out.add(Reason::BadAdvantage, 1, || format!("{}: {name:?}", place()));
                return Advantage::Unknown;
            };
            note(&mut self.names.advantages, name);
            return match values.iter().all(|value| *value == values[0]) {
                true => Advantage::Response(values[0]),
                false => Advantage::Tokens(values.into_boxed_slice()),
            };
        }
        Advantage::Unknown
    }

    fn answer_of(
        &mut self,
        cells: &impl Cells,
        texts: Option<&(Texts<'_>, usize)>,
        own: &[usize],
    ) -> Option<u64> {
        if let Some(regex) = &self.columns.answer_regex {
            let text = response_text(cells, texts, own)?;
            let found = regex.captures_iter(&text).last()?;
            let found = found.get(1).or_else(|| found.get(0))?;
            note(&mut self.names.answers, "--answer-regex");
            return Some(hash(&found.as_str().trim()));
        }
        let chosen = self.columns.answer.as_deref();
        let names =
            chosen.as_slice().iter().chain(if chosen.is_none() { &ANSWERS[..] } else { &[] });
        for name in names {
            if let Some(value) = cells.scalar(name).and_then(|value| value.name()) {
                note(&mut self.names.answers, name);
                return Some(hash(&value.trim()));
            }
            if cells.has(name) {
                // No answer was found in this response. Another column may hold the reference answer.
                note(&mut self.names.answers, name);
                return None;
            }
        }
        None
    }

    fn mismatch_of(
        &mut self,
        cells: &impl Cells,
        layout: &Layout<'_>,
        own: &[usize],
        scored: &[f64],
        step: u64,
        place: &impl Fn() -> String,
    ) -> Option<Box<MismatchSums>> {
        for name in SAMPLER {
            let list = match cells.floats(name, f64::NAN) {
                Cell::Missing => continue,
                Cell::Bad => None,
                Cell::List(list) => layout.part_of(list),
            };
            let Some(list) = list else {
                self.left_out.add(Reason::BadSampler, 1, || format!("{}: {name:?}", place()));
                return None;
            };
            note(&mut self.names.sampler, name);
            let at_step = || format!("{}, step {step}", place());
            self.count_impossible(Reason::LogProbAboveZero, (name, &list), own, is_above, &at_step);
            let mut sums = MismatchSums::default();
            let kinds = &self.tokens[self.tokens.len() - own.len()..];
            for (position, (&at, &kind)) in own.iter().zip(kinds).enumerate() {
                let (scored, sampled) = (scored[at], list[at]);
                if sums.add(scored, sampled) == Usable::Yes {
                    let position = position as u32;
                    self.worst.offer(WorstToken {
                        source: 0,
                        step,
                        kind,
                        position,
                        scored,
                        sampled,
                    });
                }
            }
            return Some(Box::new(sums));
        }
        None
    }

    /// Sums of the other columns of tokens. A value that is null or not finite does not count.
    fn token_columns_of(
        &mut self,
        cells: &impl Cells,
        layout: &Layout<'_>,
        own: &[usize],
        place: &impl Fn() -> String,
    ) -> Vec<(u8, f64, u32)> {
        let mut found = Vec::new();
        for (index, name) in (0..).zip(TOKEN_COLUMNS) {
            let list = match cells.floats(name, f64::NAN) {
                Cell::Missing => continue,
                Cell::Bad => None,
                Cell::List(list) => layout.part_of(list),
            };
            let Some(list) = list else {
                self.left_out.add(Reason::BadColumn, 1, || format!("{}: {name:?}", place()));
                continue;
            };
            let values = own.iter().map(|&at| list[at]).filter(|value| value.is_finite());
            let (sum, count) =
                values.fold((0.0, 0), |(sum, count): (f64, u32), value| (sum + value, count + 1));
            let missing = own.len() as u64 - u64::from(count);
            if missing > 0 {
                self.left_out.add(Reason::ValueNotFinite, missing, || {
                    format!("{}: {name:?}, {missing} of {} tokens", place(), own.len())
                });
            }
            found.push((index, sum, count));
        }
        found
    }

    /// The responses so far.
    pub(crate) fn finish(self) -> Batch {
        Batch {
            kinds: self.kinds,
            tokens: self.tokens,
            entropies: self.entropies,
            log_probs: self.log_probs,
            responses: self.responses,
            worst: self.worst.into_tokens(),
            left_out: self.left_out,
            names: self.names,
            columns: self.column_names,
        }
    }
}
