//! The numbers of the tokens of a response.

/// The numbers of each token that the policy wrote, in the order of
/// [`ScorePlan::quantities`](crate::score_plan::ScorePlan::quantities).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TokenScores {
    /// Numbers per token; 0 without tokens.
    width: usize,
    /// Tokens × width.
    values: Vec<f64>,
}

impl TokenScores {
    /// The numbers of tokens, `width` of each.
    pub(crate) fn new(width: usize, values: Vec<f64>) -> TokenScores {
        TokenScores { width, values }
    }

    /// Adds a token. All tokens have equally many numbers.
    pub(crate) fn push(&mut self, values: &[f64]) {
        self.width = values.len();
        self.values.extend_from_slice(values);
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// The numbers with this index of all tokens.
    pub(crate) fn column(&self, index: usize) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.values.chunks_exact(self.width.max(1)).map(move |token| token[index])
    }

    /// Entropies of all tokens, in nats.
    pub(crate) fn entropies(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.column(0)
    }

    /// Log-probs of all tokens, in nats.
    pub(crate) fn log_probs(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.column(1)
    }
}
