//! The single values of a row: its step, its prompt, its group, its reward and its answer.

use entropy_history::dump::{ColumnValue, Membership};

use super::cells::{Cells, Texts};
use super::layout::{Layout, Rejected};
use super::own_tokens::OwnTokens;
use super::row::{BatchBuilder, hash};
use crate::json::Scalar;
use crate::left_out::Reason;
use crate::names::{
    ANSWERS, GROUPS, OF_SLIME_SAMPLE, PROMPT_TEXTS, RESPONSE_TEXTS, REWARDS, ROLLOUT_ID, STEPS,
};
use crate::table::note;

/// The text of a response: a column, else the texts of its own tokens.
fn response_text(
    cells: &impl Cells,
    texts: Option<&(Texts<'_>, usize)>,
    own: &OwnTokens,
) -> Option<String> {
    for name in RESPONSE_TEXTS {
        if let Some(Scalar::Text(text)) = cells.scalar(name) {
            return Some(text.into_owned());
        }
    }
    let (texts, first) = texts?;
    Some(own.indices().filter_map(|at| texts.get(first + at).text()).collect())
}

impl BatchBuilder<'_> {
    /// The step of a row. One in `dump` is that of the rollouts, which another checkpoint may have scored.
    pub(super) fn step_of(&self, cells: &impl Cells) -> Result<u64, Rejected> {
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
    pub(super) fn group_of(
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

    pub(super) fn by_of(&self, cells: &impl Cells) -> Option<Box<str>> {
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

    pub(super) fn reward_of(
        &mut self,
        cells: &impl Cells,
        place: &impl Fn() -> String,
    ) -> Option<f64> {
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

    pub(super) fn answer_of(
        &mut self,
        cells: &impl Cells,
        texts: Option<&(Texts<'_>, usize)>,
        own: &OwnTokens,
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
}
