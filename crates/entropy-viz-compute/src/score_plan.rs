//! What is computed for every token, and the names of the numbers in the outputs.

/// The numbers of a token that are computed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScorePlan {
    /// The main temperature.
    pub(crate) temperature: f64,
    /// Further temperatures, for scoring alone.
    pub(crate) other_temperatures: Vec<f64>,
    /// The probability of the set of most probable tokens whose entropy is computed.
    pub(crate) nucleus: Option<f64>,
    /// Whether divergences from a reference model are computed.
    pub(crate) divergences: Divergences,
}

/// Whether divergences from a reference model are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Divergences {
    None,
    /// From both models' rows of logits.
    Computed,
}

/// A number of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Quantity {
    /// Entropy of the full distribution, in nats.
    Entropy,
    /// Log-probability of the token, in nats.
    LogProb,
    /// The number of tokens that are strictly more probable.
    Rank,
    /// The probability of the most probable token.
    PMax,
    /// Rényi entropy of order 2, in nats.
    Renyi2,
    /// Entropy of the set of most probable tokens, in nats.
    EntropyTopP,
    /// Log-probability of the token under the reference model, in nats.
    LogProbReference,
    /// KL(policy ‖ reference) of the distributions that the token is from, in nats.
    Kl,
    /// KL(reference ‖ policy), in nats.
    KlReverse,
    /// Entropy at another temperature, in nats.
    EntropyAt(f64),
    /// Log-probability at another temperature, in nats.
    LogProbAt(f64),
}

impl Quantity {
    /// The key or column of `--tokens-out`, whose values are a list with one number per token of the response.
    pub(crate) fn column(self) -> String {
        match self {
            Quantity::Entropy => "entropies".to_owned(),
            Quantity::LogProb => "log_probs".to_owned(),
            Quantity::Rank => "ranks".to_owned(),
            Quantity::LogProbReference => "log_probs_reference".to_owned(),
            Quantity::Kl => "kl".to_owned(),
            Quantity::KlReverse => "kl_reverse".to_owned(),
            Quantity::EntropyAt(temperature) => format!("entropies@{temperature}"),
            Quantity::LogProbAt(temperature) => format!("log_probs@{temperature}"),
            Quantity::PMax | Quantity::Renyi2 | Quantity::EntropyTopP => self.mean(),
        }
    }

    /// The key of its mean over tokens in a history.
    pub(crate) fn mean(self) -> String {
        match self {
            Quantity::Entropy => "entropy".to_owned(),
            Quantity::LogProb => "log_prob_mean".to_owned(),
            Quantity::Rank => "rank_0_share".to_owned(),
            Quantity::PMax => "p_max".to_owned(),
            Quantity::Renyi2 => "renyi2".to_owned(),
            Quantity::EntropyTopP => "entropy_top_p".to_owned(),
            Quantity::LogProbReference => "log_prob_reference_mean".to_owned(),
            Quantity::Kl => "kl_reference".to_owned(),
            Quantity::KlReverse => "kl_reverse_reference".to_owned(),
            Quantity::EntropyAt(temperature) => format!("entropy@{temperature}"),
            Quantity::LogProbAt(temperature) => format!("log_prob_mean@{temperature}"),
        }
    }

    /// Whether its values are whole numbers.
    pub(crate) fn is_count(self) -> bool {
        self == Quantity::Rank
    }

    /// What a value adds to the mean: of a rank, whether it is 0.
    pub(crate) fn term(self, value: f64) -> f64 {
        match self {
            Quantity::Rank => f64::from(u8::from(value == 0.0)),
            _ => value,
        }
    }
}

impl ScorePlan {
    /// Entropy, log-prob, rank, p_max and Rényi-2 at one temperature.
    pub(crate) fn at(temperature: f64) -> ScorePlan {
        ScorePlan {
            temperature,
            other_temperatures: Vec::new(),
            nucleus: None,
            divergences: Divergences::None,
        }
    }

    /// The plan without a reference model, as when responses are sampled.
    pub(crate) fn without_divergences(&self) -> ScorePlan {
        ScorePlan { divergences: Divergences::None, ..self.clone() }
    }

    /// The numbers of a token, in the order in which [`TokenScores`](crate::token_scores::TokenScores) has them. The
    /// first five are always there.
    pub(crate) fn quantities(&self) -> Vec<Quantity> {
        let mut quantities = vec![
            Quantity::Entropy,
            Quantity::LogProb,
            Quantity::Rank,
            Quantity::PMax,
            Quantity::Renyi2,
        ];
        quantities.extend(self.nucleus.map(|_| Quantity::EntropyTopP));
        if self.divergences == Divergences::Computed {
            quantities.extend([Quantity::LogProbReference, Quantity::Kl, Quantity::KlReverse]);
        }
        for &temperature in &self.other_temperatures {
            quantities.push(Quantity::EntropyAt(temperature));
            quantities.push(Quantity::LogProbAt(temperature));
        }
        quantities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_temperature() {
        let plan = ScorePlan {
            other_temperatures: vec![0.7, 2.0],
            nucleus: Some(0.9),
            ..ScorePlan::at(1.0)
        };
        let names: Vec<_> = plan.quantities().iter().map(|q| (q.column(), q.mean())).collect();
        let names: Vec<_> = names.iter().map(|(column, mean)| (&column[..], &mean[..])).collect();
        assert_eq!(
            names,
            [
                ("entropies", "entropy"),
                ("log_probs", "log_prob_mean"),
                ("ranks", "rank_0_share"),
                ("p_max", "p_max"),
                ("renyi2", "renyi2"),
                ("entropy_top_p", "entropy_top_p"),
                ("entropies@0.7", "entropy@0.7"),
                ("log_probs@0.7", "log_prob_mean@0.7"),
                ("entropies@2", "entropy@2"),
                ("log_probs@2", "log_prob_mean@2"),
            ]
        );
    }
}
