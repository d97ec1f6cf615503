//! Covariance of log-prob and advantage of a step, and the tokens with the largest.

use std::collections::BTreeMap;

use serde::Serialize;

use super::TokenName;
use super::clusters::Clusters;
use super::units::Units;
use super::view::StepView;
use crate::stats::advantage::{FORMULA, group_normalised};
use crate::stats::covariance::{Covariance, ScanPairs, covariance};
use crate::table::Advantage;

/// The number of tokens, and of kinds of tokens, that are listed.
const MAX_LISTED: usize = 10;

/// A token with a large covariance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopToken {
    /// The token.
    #[serde(flatten)]
    pub token: TokenName,
    /// Its position among the tokens that the policy wrote, from 0.
    pub position: usize,
    /// Its log-prob in nats.
    pub log_prob: f64,
    /// Its advantage.
    pub advantage: f64,
    /// Its covariance.
    pub covariance: f64,
}

/// A kind of token among those with the largest covariance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindCount {
    /// The token.
    #[serde(flatten)]
    pub token: TokenName,
    /// Number of occurrences in the top 2 %.
    pub count: u64,
    /// Their mean covariance.
    pub mean: f64,
}

/// What the covariance of a step leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CovarianceLeftOut {
    /// Responses that have no log-probs.
    pub responses_without_log_probs: u64,
    /// Responses that have neither an advantage nor a reward.
    pub responses_without_advantage: u64,
    /// Responses with a prompt of which no other response has a reward.
    pub responses_alone: u64,
    /// Tokens of the others whose scored log-prob is missing.
    pub tokens_without_log_prob: u64,
    /// Tokens of the others whose scored probability is 0.
    pub impossible_tokens: u64,
}

/// Covariance of log-prob and advantage of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CovarianceSection {
    /// The numbers.
    #[serde(flatten)]
    pub covariance: Covariance,
    /// Whether advantages are those of the dump, else group-normalised rewards.
    pub advantages_of_dump: bool,
    /// The formula of the advantages, if they are not those of the dump.
    pub formula: Option<&'static str>,
    /// What is left out.
    #[serde(flatten)]
    pub left_out: CovarianceLeftOut,
    /// The tokens with the largest covariance.
    pub top_tokens: Vec<TopToken>,
    /// The kinds that are most frequent among the top 2 % of tokens.
    pub top_kinds: Vec<KindCount>,
}

/// The advantage of each response of a step, of the dump or of one number.
enum ResponseAdvantage<'a> {
    None,
    One(f64),
    PerToken(&'a [f64]),
}

impl ResponseAdvantage<'_> {
    #[inline]
    fn at(&self, token: usize) -> f64 {
        match self {
            ResponseAdvantage::None => f64::NAN,
            ResponseAdvantage::One(advantage) => *advantage,
            ResponseAdvantage::PerToken(advantages) => advantages[token],
        }
    }
}

/// The tokens of a step with a log-prob and an advantage.
struct Tokens<'a, 'b> {
    view: &'b StepView<'a>,
    clusters: &'b Clusters,
    advantages: Vec<ResponseAdvantage<'a>>,
}

impl Tokens<'_, '_> {
    /// Calls `visit` with the response, the position, the log-prob and the advantage of each token.
    fn each(&self, mut visit: impl FnMut(usize, usize, f64, f64)) {
        for (at, response) in self.view.iter().enumerate() {
            let advantage = &self.advantages[at];
            let Some(log_probs) = self.view.table.log_probs(response) else { continue };
            let mut position = 0;
            let mut visit = |log_prob: f64, advantage: f64| {
                if log_prob.is_finite() {
                    visit(at, position, log_prob, advantage);
                }
                position += 1;
            };
            match advantage {
                ResponseAdvantage::None => {}
                ResponseAdvantage::One(advantage) => {
                    log_probs.each(|log_prob| visit(log_prob, *advantage));
                }
                ResponseAdvantage::PerToken(advantages) => {
                    let mut advantages = advantages.iter();
                    log_probs.each(|log_prob| {
                        advantages.next().into_iter().for_each(|a| visit(log_prob, *a));
                    });
                }
            }
        }
    }
}

impl ScanPairs for Tokens<'_, '_> {
    fn scan_pairs(&self, mut visit: impl FnMut(u32, f64, f64)) {
        let clusters = &self.clusters.of_response;
        self.each(|response, _, log_prob, advantage| {
            visit(clusters[response], log_prob, advantage)
        });
    }
}

/// The covariance of a step; if no token has a log-prob and an advantage, only what is left out.
pub(super) fn covariance_of(
    view: &StepView<'_>,
    units: &Units,
    clusters: &Clusters,
) -> (Option<CovarianceSection>, CovarianceLeftOut) {
    let of_dump = view.iter().any(|response| response.advantage != Advantage::Unknown);
    let rewards: Vec<(u64, Option<f64>)> =
        units.units.iter().map(|unit| (unit.group, unit.reward)).collect();
    let normalised = if of_dump { Vec::new() } else { group_normalised(&rewards) };
    let mut left_out = CovarianceLeftOut::default();
    let mut advantages = Vec::with_capacity(view.responses.len());
    for (at, response) in view.iter().enumerate() {
        let advantage = match &response.advantage {
            Advantage::Response(advantage) => ResponseAdvantage::One(*advantage),
            Advantage::Tokens(advantages) => ResponseAdvantage::PerToken(advantages),
            Advantage::Unknown => {
                let unit = units.of_response[at];
                match normalised.get(unit).copied().flatten() {
                    Some(advantage) => ResponseAdvantage::One(advantage),
                    None => {
                        let is_alone = !of_dump && units.units[unit].reward.is_some();
                        if is_alone {
                            left_out.responses_alone += 1
                        } else {
                            left_out.responses_without_advantage += 1
                        }
                        ResponseAdvantage::None
                    }
                }
            }
        };
        match advantage {
            ResponseAdvantage::None => {}
            _ if !response.has_log_probs => left_out.responses_without_log_probs += 1,
            _ => {
                let missing = response.log_probs_missing;
                left_out.tokens_without_log_prob += u64::from(missing);
                left_out.impossible_tokens +=
                    u64::from(response.tokens - response.log_prob_count - missing);
            }
        }
        advantages.push(advantage);
    }
    let tokens = Tokens { view, clusters, advantages };
    let Some(covariance) = covariance(&tokens, clusters.count()) else { return (None, left_out) };
    let (top_tokens, top_kinds) = top(&tokens, &covariance);
    let section = CovarianceSection {
        covariance,
        advantages_of_dump: of_dump,
        formula: (!of_dump).then_some(FORMULA),
        left_out,
        top_tokens,
        top_kinds,
    };
    (Some(section), left_out)
}

/// A token of the top 2 %: covariance, response, position.
type Ranked = (f64, usize, usize);

/// The tokens with the largest covariance, and the kinds that are most frequent in the top 2 %.
fn top(tokens: &Tokens<'_, '_>, covariance: &Covariance) -> (Vec<TopToken>, Vec<KindCount>) {
    let (mean_log_prob, mean_advantage) = (covariance.mean_log_prob, covariance.mean_advantage);
    let Some(widest) = covariance.top.last() else { return (Vec::new(), Vec::new()) };
    let mut ranked: Vec<Ranked> = Vec::with_capacity(widest.tokens as usize);
    let mut equal = widest.tokens - widest.above; // of equal tokens the earlier
    tokens.each(|response, position, log_prob, advantage| {
        let value = (log_prob - mean_log_prob) * (advantage - mean_advantage);
        if value > widest.threshold {
            ranked.push((value, response, position));
        } else if value == widest.threshold && equal > 0 {
            ranked.push((value, response, position));
            equal -= 1;
        }
    });
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0)); // stable
    let view = tokens.view;
    let kind =
        |response: usize, position: usize| view.table.kinds_of(view.response(response))[position];
    let token = |&(covariance, response, position): &Ranked| {
        let log_probs = view.table.log_probs(view.response(response));
        TopToken {
            token: TokenName::of(&view.table.kinds()[kind(response, position) as usize]),
            position,
            log_prob: log_probs.map_or(f64::NAN, |log_probs| log_probs.get(position)),
            advantage: tokens.advantages[response].at(position),
            covariance,
        }
    };
    let mut by_kind: BTreeMap<u32, (u64, f64)> = BTreeMap::new();
    for (value, response, position) in &ranked {
        let (count, sum) = by_kind.entry(kind(*response, *position)).or_default();
        *count += 1;
        *sum += value;
    }
    let mut kinds: Vec<(u32, (u64, f64))> = by_kind.into_iter().collect();
    kinds.sort_by(|(_, a), (_, b)| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let kind_count = |(kind, (count, sum)): &(u32, (u64, f64))| KindCount {
        token: TokenName::of(&view.table.kinds()[*kind as usize]),
        count: *count,
        mean: sum / *count as f64,
    };
    (
        ranked.iter().take(MAX_LISTED).map(token).collect(),
        kinds.iter().take(MAX_LISTED).map(kind_count).collect(),
    )
}
