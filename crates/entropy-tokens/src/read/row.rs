//! From the values of a row to a response: the numbers of the tokens that the policy wrote.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::cells::{Cell, Cells, Texts};
use super::layout::{Layout, Rejected, Scores, scores, texts};
use super::log_probs::{is_above, is_below, is_error, is_null};
use super::own_tokens::OwnTokens;
use crate::columns::Columns;
use crate::floats::{Floats, Precision, Values, max_of};
use crate::interner::{BatchKinds, Interner, RawText};
use crate::left_out::{LeftOutCounts, Reason};
use crate::names::{ADVANTAGES, ENTROPIES, SAMPLER, SCORED, TOKEN_COLUMNS};
use crate::response::{Advantage, Response};
use crate::stats::mismatch::{MismatchSums, Usable, WorstToken, WorstTokens};
use crate::table::{Batch, UsedNames, note};

/// Builds the responses of some rows.
pub(crate) struct BatchBuilder<'a> {
    pub(super) columns: &'a Columns,
    /// The step that the name of the file has.
    pub(super) step: Option<u64>,
    kinds: BatchKinds,
    tokens: Vec<u32>,
    entropies: Values,
    log_probs: Values,
    responses: Vec<Response>,
    worst: WorstTokens,
    pub(super) left_out: LeftOutCounts,
    pub(super) names: UsedNames,
    column_names: Vec<String>,
}

/// `rank/sequence`, which names a sequence of prime-rl's token export.
fn sequence_name(cells: &impl Cells) -> Option<String> {
    let whole = |name| cells.scalar(name).and_then(|value| value.whole());
    Some(format!("{}/{}", whole("rank").unwrap_or(0), whole("export_sequence_idx")?))
}

pub(super) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new(); // SipHash with fixed keys
    value.hash(&mut hasher);
    hasher.finish()
}

impl<'a> BatchBuilder<'a> {
    pub(crate) fn new(
        columns: &'a Columns,
        step: Option<u64>,
        precision: Precision,
    ) -> BatchBuilder<'a> {
        BatchBuilder {
            columns,
            step,
            kinds: BatchKinds::Ids,
            tokens: Vec::new(),
            entropies: Values::new(precision),
            log_probs: Values::new(precision),
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
        let own = layout.own_tokens();
        // A list of nulls alone says as much as none.
        let is_missing =
            |list: &[f64]| own.len() > 0 && own.indices().all(|token| is_null(list[token]));
        let entropies = scores(cells, &ENTROPIES, &layout, is_missing)?;
        let scored = scores(cells, &SCORED, &layout, is_missing)?;
        if entropies.is_none() && scored.is_none() {
            let what = "it has no entropies and no log-probs";
            return Err((Reason::NoScores, what.to_owned()));
        }
        let own = self.tokens_with_entropy(own, entropies.as_ref(), place)?;
        let own_entropies = entropies.as_ref().map(|(_, entropies)| own.of(entropies));
        let own_scored = scored.as_ref().map(|(_, scored)| own.of(scored));
        let finite = |list: &[f64]| Floats::Exact(list).count(f64::is_finite) as usize;
        let log_prob_count = own_scored.as_deref().map_or(0, finite);
        if let (Some((name, _)), Some(scored)) = (&scored, &own_scored)
            && log_prob_count < scored.len()
            && let Some(at) = scored.iter().position(|log_prob| is_error(*log_prob))
        {
            let what = format!("{name:?} of token {} is {}", own.index(at) + 1, scored[at]);
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
        let (mut entropy_sum, mut log_prob_sum, mut log_probs_missing) = (0.0, 0.0, 0);
        let mut entropy_max = f64::NEG_INFINITY;
        let zeros = || std::iter::repeat_n(0.0, own.len());
        match (&entropies, &own_entropies) {
            (Some((name, _)), Some(list)) => {
                note(&mut self.names.entropies, name);
                entropy_sum = Floats::Exact(list).sum_of(|entropy| entropy);
                entropy_max = max_of(list);
                self.count_impossible(
                    Reason::EntropyBelowZero,
                    (name, list),
                    &own,
                    is_below,
                    &at_step,
                );
                self.entropies.extend(list.iter().copied());
            }
            _ => self.entropies.extend(zeros()),
        }
        match (&scored, &own_scored) {
            (Some((name, _)), Some(list)) => {
                note(&mut self.names.scored, name);
                let log_probs = Floats::Exact(list);
                log_prob_sum =
                    log_probs.sum_of(|log_prob| if log_prob.is_finite() { log_prob } else { 0.0 });
                if log_prob_count < list.len() {
                    log_probs_missing = log_probs.count(f64::is_nan) as u32;
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
                    (name, list),
                    &own,
                    is_above,
                    &at_step,
                );
                self.log_probs.extend(list.iter().copied());
            }
            _ => self.log_probs.extend(zeros()),
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
            log_prob_count: log_prob_count as u32,
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
        if let Some(scored) = &own_scored {
            response.mismatch = self.mismatch_of(cells, &layout, &own, scored, step, place);
        }
        self.responses.push(response);
        Ok(())
    }

    /// Counts values of the policy's own tokens that no policy has; they are kept.
    fn count_impossible(
        &mut self,
        reason: Reason,
        (name, values): (&str, &[f64]),
        own: &OwnTokens,
        is_impossible: impl Fn(f64) -> bool,
        place: &impl Fn() -> String,
    ) {
        let count = Floats::Exact(values).count(&is_impossible);
        if count > 0
            && let Some(at) = values.iter().position(|value| is_impossible(*value))
        {
            let token = own.index(at) + 1;
            let first = || format!("{}: {name:?} of token {token} is {}", place(), values[at]);
            self.left_out.add(reason, count, first);
        }
    }

    /// Adds the ids of tokens, or from the first text on the numbers of their kinds.
    fn add_tokens(
        &mut self,
        layout: &Layout<'_>,
        texts: Option<&(Texts<'_>, usize)>,
        own: &OwnTokens,
    ) {
        let ids = own.of(&layout.ids[layout.offset..]);
        if let BatchKinds::Ids = self.kinds {
            if texts.is_none() {
                return self.tokens.extend_from_slice(&ids);
            }
            let mut kinds = Interner::default();
            self.tokens.iter_mut().for_each(|token| *token = kinds.kind(*token, RawText::None));
            self.kinds = BatchKinds::Kinds(kinds);
        }
        if let BatchKinds::Kinds(kinds) = &mut self.kinds {
            let text =
                |at: usize| texts.map_or(RawText::None, |(texts, first)| texts.get(first + at));
            let kind = |(id, at): (&u32, usize)| kinds.kind(*id, text(at));
            self.tokens.extend(ids.iter().zip(own.indices()).map(kind));
        }
    }

    /// The policy's tokens that have an entropy; all without a list of entropies. prime-rl writes null for a number that is not
    /// finite; a bare NaN is an error of the program that wrote it.
    fn tokens_with_entropy(
        &mut self,
        mut own: OwnTokens,
        entropies: Option<&Scores<'_>>,
        place: &impl Fn() -> String,
    ) -> Result<OwnTokens, Rejected> {
        if let Some((name, entropies)) = entropies
            && Floats::Exact(entropies).count(|entropy| !entropy.is_finite()) > 0
        {
            let all = own.len();
            let known: Vec<usize> = own.indices().filter(|&at| !is_null(entropies[at])).collect();
            if let Some(at) = known.iter().find(|at| !entropies[**at].is_finite()) {
                let what = format!("{name:?} of token {} is {}", at + 1, entropies[*at]);
                return Err((Reason::BadEntropy, what));
            }
            let missing = all - known.len();
            if missing > 0 {
                let first = || format!("{}: {missing} of {all} tokens", place());
                self.left_out.add(Reason::TokenWithoutEntropy, missing as u64, first);
            }
            own = OwnTokens::Some(known);
        }
        match own.len() {
            0 => Err((Reason::Empty, "it has no token that the policy wrote".to_owned())),
            _ => Ok(own),
        }
    }

    fn advantage_of(
        &mut self,
        cells: &impl Cells,
        layout: &Layout<'_>,
        own: &OwnTokens,
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
                    .map(|list| own.of(list).into_owned())
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

    fn mismatch_of(
        &mut self,
        cells: &impl Cells,
        layout: &Layout<'_>,
        own: &OwnTokens,
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
            if list.as_deref().is_some_and(|list| own.of(list).iter().all(|value| value.is_nan())) {
                continue;
            }
            let Some(list) = list else {
                self.left_out.add(Reason::BadSampler, 1, || format!("{}: {name:?}", place()));
                return None;
            };
            note(&mut self.names.sampler, name);
            let sampler = own.of(&list);
            let at_step = || format!("{}, step {step}", place());
            self.count_impossible(
                Reason::LogProbAboveZero,
                (name, &sampler),
                own,
                is_above,
                &at_step,
            );
            let mut sums = MismatchSums::default();
            let kinds = &self.tokens[self.tokens.len() - own.len()..];
            let tokens = scored.iter().zip(sampler.iter()).zip(kinds);
            for (position, ((&scored, &sampled), &kind)) in tokens.enumerate() {
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
        own: &OwnTokens,
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
            let values = own.of(&list);
            let values = Floats::Exact(&values);
            let count = values.count(f64::is_finite) as u32;
            let sum = values.sum_of(|value| if value.is_finite() { value } else { 0.0 });
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
