//! Covariance of log-prob and advantage of a step, and the tokens with the largest.

use serde::Serialize;

use super::TokenName;
use super::clusters::Clusters;
use super::units::Units;
use super::view::StepView;
use crate::floats::Floats;
use crate::response::Advantage;
use crate::stats::advantage::{FORMULA, group_normalised};
use crate::stats::covariance::{Covariance, covariance};
use crate::stats::order::first_sorted;
use crate::stats::pairs::{Advantages, Pairs, ScanPairs};

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

/// The tokens of a step with a log-prob and an advantage.
struct Tokens<'a, 'b> {
    view: &'b StepView<'a>,
    clusters: &'b Clusters,
    /// The advantages of each response.
    advantages: Vec<Option<Advantages<'a>>>,
}

impl Tokens<'_, '_> {
    /// Calls `visit` with each response that has both: its index, the positions of its tokens with a finite log-prob (all if
    /// `None`), and these tokens.
    fn each(&self, mut visit: impl FnMut(usize, Option<&[usize]>, Pairs<'_>)) {
        for (at, response) in self.view.iter().enumerate() {
            let (Some(log_probs), Some(advantages)) =
                (self.view.table.log_probs(response), self.advantages[at])
            else {
                continue;
            };
            let cluster = self.clusters.of_response[at];
            if response.log_prob_count == response.tokens {
                visit(at, None, Pairs { cluster, log_probs, advantages });
                continue;
            }
            let is_finite = |&position: &usize| log_probs.get(position).is_finite();
            let positions: Vec<usize> = (0..log_probs.len()).filter(is_finite).collect();
            let finite: Vec<f64> = positions.iter().map(|&at| log_probs.get(at)).collect();
            let log_probs = Floats::Exact(&finite);
            match advantages {
                Advantages::One(_) => {
                    visit(at, Some(&positions), Pairs { cluster, log_probs, advantages });
                }
                Advantages::PerToken(all) => {
                    let of_finite: Vec<f64> = positions.iter().map(|&at| all[at]).collect();
                    let advantages = Advantages::PerToken(&of_finite);
                    visit(at, Some(&positions), Pairs { cluster, log_probs, advantages });
                }
            }
        }
    }
}

impl ScanPairs for Tokens<'_, '_> {
    fn scan_pairs(&self, mut visit: impl FnMut(Pairs<'_>)) {
        self.each(|_, _, pairs| visit(pairs));
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
            Advantage::Response(advantage) => Some(Advantages::One(*advantage)),
            Advantage::Tokens(advantages) => Some(Advantages::PerToken(advantages)),
            Advantage::Unknown => {
                let unit = units.of_response[at];
                match normalised.get(unit).copied().flatten() {
                    Some(advantage) => Some(Advantages::One(advantage)),
                    None => {
                        let is_alone = !of_dump && units.units[unit].reward.is_some();
                        if is_alone {
                            left_out.responses_alone += 1
                        } else {
                            left_out.responses_without_advantage += 1
                        }
                        None
                    }
                }
            }
        };
        match advantage {
            None => {}
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

/// A token of the top 2 %.
struct Ranked {
    covariance: f64,
    response: u32,
    position: u32,
}

/// The tokens with the largest covariance, and the kinds that are most frequent in the top 2 %.
fn top(tokens: &Tokens<'_, '_>, covariance: &Covariance) -> (Vec<TopToken>, Vec<KindCount>) {
    let means = covariance.means();
    let Some(widest) = covariance.top.last() else { return (Vec::new(), Vec::new()) };
    let mut ranked: Vec<Ranked> = Vec::with_capacity(widest.tokens as usize);
    let mut equal = widest.tokens - widest.above; // of equal tokens the earlier
    let mut covariances = Vec::new();
    tokens.each(|response, positions, pairs| {
        pairs.covariances(&means, &mut covariances);
        for (at, &covariance) in covariances.iter().enumerate() {
            if covariance < widest.threshold || (covariance == widest.threshold && equal == 0) {
                continue;
            }
            equal -= u64::from(covariance == widest.threshold);
            let position = positions.map_or(at, |positions| positions[at]) as u32;
            ranked.push(Ranked { covariance, response: response as u32, position });
        }
    });
    let view = tokens.view;
    let kind = |token: &Ranked| {
        view.table.kinds_of(view.response(token.response as usize))[token.position as usize]
    };
    let mut of_kind = vec![(0u64, 0.0); view.table.kinds().len()];
    for token in &ranked {
        let (count, sum) = &mut of_kind[kind(token) as usize];
        (*count, *sum) = (*count + 1, *sum + token.covariance);
    }
    let kinds = of_kind.into_iter().enumerate().filter(|(_, (count, _))| *count > 0).collect();
    let kinds: Vec<(usize, (u64, f64))> = first_sorted(kinds, MAX_LISTED, |(i, a), (j, b)| {
        b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(i.cmp(j))
    });
    let ranked = first_sorted(ranked, MAX_LISTED, |a, b| {
        let place = |token: &Ranked| (token.response, token.position);
        b.covariance.total_cmp(&a.covariance).then_with(|| place(a).cmp(&place(b)))
    });
    let token = |token: &Ranked| {
        let (response, position) = (token.response as usize, token.position as usize);
        let log_probs = view.table.log_probs(view.response(response));
        TopToken {
            token: TokenName::of(&view.table.kinds()[kind(token) as usize]),
            position,
            log_prob: log_probs.map_or(f64::NAN, |log_probs| log_probs.get(position)),
            advantage: match tokens.advantages[response] {
                None => f64::NAN,
                Some(Advantages::One(advantage)) => advantage,
                Some(Advantages::PerToken(advantages)) => advantages[position],
            },
            covariance: token.covariance,
        }
    };
    let kind_count = |(kind, (count, sum)): &(usize, (u64, f64))| KindCount {
        token: TokenName::of(&view.table.kinds()[*kind]),
        count: *count,
        mean: sum / *count as f64,
    };
    (ranked.iter().map(token).collect(), kinds.iter().map(kind_count).collect())
}
