//! The choice of experts for each token, from the logits of a router.

use anyhow::bail;
use tch::{Kind, TchError, Tensor};

/// How a router chooses experts and weighs them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Routing {
    pub(crate) scores: Scores,
    /// The choice is from the experts of the best groups only.
    pub(crate) groups: Option<Groups>,
    /// Whether the weights of the chosen experts are scaled to sum to 1.
    pub(crate) norm_topk_prob: bool,
    /// Added to the sum that they are divided by.
    pub(crate) sum_epsilon: f64,
    /// Factor of the weights.
    pub(crate) scale: f64,
    pub(crate) precision: Precision,
    pub(crate) weighs: Weighs,
}

/// The scores of experts for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scores {
    /// Softmax of the logits of all experts.
    Softmax,
    /// The logits, of which the highest are chosen; the weights are the softmax of the chosen.
    Logits,
    /// σ of each logit. The choice, not the weight, also depends on a stored bias of each expert, whose tensor has
    /// this name in the module of the experts.
    Sigmoid { bias: Option<&'static str> },
}

/// Groups of consecutive experts, all of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Groups {
    pub(crate) count: i64,
    /// How many groups are chosen for a token.
    pub(crate) chosen: i64,
    /// The score of a group is the sum of this many highest scores in it.
    pub(crate) best: i64,
}

/// The number type in which a router computes its logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// That of the model.
    Model,
    /// Always f32.
    Single,
}

/// What the weight of an expert multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weighs {
    Output,
    Input,
}

impl Routing {
    /// Softmax over all experts, in the number type of the model, as in Qwen and Mixtral.
    pub(super) fn softmax(norm_topk_prob: bool) -> Routing {
        Routing {
            scores: Scores::Softmax,
            groups: None,
            norm_topk_prob,
            // For sums that are 0, as in transformers; it changes no other.
            sum_epsilon: 1e-20,
            scale: 1.0,
            precision: Precision::Model,
            weighs: Weighs::Output,
        }
    }

    /// Whether `count` experts can be grouped so that `experts_per_token` can be chosen.
    ///
    /// # Errors
    /// A text without the file, which names the keys of config.json.
    pub(super) fn check(&self, count: i64, experts_per_token: i64) -> anyhow::Result<()> {
        let Some(Groups { count: groups, chosen, best }) = self.groups else { return Ok(()) };
        if groups > count || count % groups != 0 {
            bail!("{count} experts cannot be divided into {groups} groups (n_group)");
        }
        let size = count / groups;
        if size < best {
            bail!("groups of {size} experts are too small (n_group is {groups})");
        }
        if chosen > groups || chosen * size < experts_per_token {
            bail!(
                "cannot choose {experts_per_token} experts (num_experts_per_tok) from {chosen} (topk_group) of \
                 {groups} groups of {size} experts"
            );
        }
        Ok(())
    }

    /// The weights, in f32, and indices of the experts of each token, both tokens × experts per token. `logits` are
    /// tokens × experts; `bias` is that of [`Scores::Sigmoid`], in f32.
    pub(super) fn choose(
        &self,
        logits: &Tensor,
        bias: Option<&Tensor>,
        experts_per_token: i64,
    ) -> Result<(Tensor, Tensor), TchError> {
        let scores = match self.scores {
            Scores::Softmax => logits.f_softmax(-1, Kind::Float)?,
            Scores::Logits => logits.f_to_kind(Kind::Float)?,
            Scores::Sigmoid { .. } => logits.f_to_kind(Kind::Float)?.f_sigmoid()?,
        };
        let ranked = match bias {
            Some(bias) => scores.f_add(bias)?,
            None => scores.shallow_clone(),
        };
        let ranked = match &self.groups {
            Some(groups) => groups.keep_best(&ranked)?,
            None => ranked,
        };
        let (_, experts) = ranked.f_topk(experts_per_token, -1, true, true)?;
        let mut weights = scores.f_gather(1, &experts, false)?;
        if self.scores == Scores::Logits {
            weights = weights.f_softmax(-1, Kind::Float)?;
        }
        if self.norm_topk_prob {
            let sum = weights.f_sum_dim_intlist(-1, true, None::<Kind>)?;
            weights = weights.f_div(&sum.f_add_scalar(self.sum_epsilon)?)?;
        }
        if self.scale != 1.0 {
            weights = weights.f_mul_scalar(self.scale)?;
        }
        Ok((weights, experts))
    }
}

impl Groups {
    /// The scores, tokens × experts, with −∞ for experts of groups that are not chosen.
    fn keep_best(&self, scores: &Tensor) -> Result<Tensor, TchError> {
        let by_group = scores.f_view([scores.size()[0], self.count, -1])?;
        let (best, _) = by_group.f_topk(self.best, -1, true, true)?;
        let (_, chosen) =
            best.f_sum_dim_intlist(-1, false, None::<Kind>)?.f_topk(self.chosen, -1, true, true)?;
        let left_out =
            Tensor::f_ones([scores.size()[0], self.count], (Kind::Bool, scores.device()))?
                .f_scatter_value(1, &chosen, 0)?
                .f_unsqueeze(2)?;
        by_group.f_masked_fill(&left_out, f64::NEG_INFINITY)?.f_view_as(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sigmoid(groups: Groups) -> Routing {
        Routing {
            scores: Scores::Sigmoid { bias: None },
            groups: Some(groups),
            ..Routing::softmax(true)
        }
    }

    #[test]
    fn only_experts_of_the_best_groups_are_chosen() {
        // The best expert is in the first group, but the two best of the second group have the higher sum.
        let logits = Tensor::from_slice(&[9.0f32, -9.0, 2.0, 2.5]).view([1, 4]);
        let routing = sigmoid(Groups { count: 2, chosen: 1, best: 2 });
        let (weights, experts) = routing.choose(&logits, None, 2).unwrap();
        assert_eq!(Vec::<i64>::try_from(experts.view([-1])).unwrap(), [3, 2]);
        let (a, b) = (1.0 / (1.0 + (-2.5f64).exp()), 1.0 / (1.0 + (-2.0f64).exp()));
        let weights = Vec::<f32>::try_from(weights.view([-1])).unwrap();
        assert!((f64::from(weights[0]) - a / (a + b)).abs() < 1e-6, "{weights:?}");
        let routing = sigmoid(Groups { count: 2, chosen: 1, best: 1 });
        let (_, experts) = routing.choose(&logits, None, 2).unwrap();
        assert_eq!(Vec::<i64>::try_from(experts.view([-1])).unwrap(), [0, 1]);
    }

    #[test]
    fn a_bias_changes_the_choice_but_not_the_weights() {
        let logits = Tensor::from_slice(&[1.0f32, 0.0, -1.0]).view([1, 3]);
        let bias = Tensor::from_slice(&[0.0f32, 0.0, 2.0]);
        let routing = Routing {
            scores: Scores::Sigmoid { bias: Some("bias") },
            scale: 2.5,
            ..Routing::softmax(false)
        };
        let (weights, experts) = routing.choose(&logits, Some(&bias), 1).unwrap();
        assert_eq!(i64::try_from(experts.view([-1])).unwrap(), 2);
        let expected = 2.5 / (1.0 + 1f64.exp());
        assert!((f64::try_from(weights.view([-1])).unwrap() - expected).abs() < 1e-6);
    }

    #[test]
    fn a_softmax_of_the_chosen_does_not_underflow() {
        // Of the softmax of all, f32 would leave 0 for all but the first.
        let logits = Tensor::from_slice(&[-150.0f32, 200.0, -149.0, -151.0]).view([1, 4]);
        let routing = Routing { scores: Scores::Logits, ..Routing::softmax(false) };
        let (weights, experts) = routing.choose(&logits, None, 3).unwrap();
        assert_eq!(Vec::<i64>::try_from(experts.view([-1])).unwrap(), [1, 2, 0]);
        assert_eq!(Vec::<f32>::try_from(weights.view([-1])).unwrap(), [1.0, 0.0, 0.0]);
        let (weights, _) = routing.choose(&logits.narrow(1, 2, 2), None, 2).unwrap();
        let expected = 1.0 / (1.0 + (-2f64).exp());
        assert!((f64::try_from(weights.get(0).get(0)).unwrap() - expected).abs() < 1e-6);
    }

    #[test]
    fn groups_that_do_not_fit_are_errors() {
        for (groups, words) in [
            (Groups { count: 3, chosen: 1, best: 2 }, "8 experts cannot be divided into 3 groups"),
            (Groups { count: 8, chosen: 8, best: 2 }, "groups of 1 experts are too small"),
            (Groups { count: 4, chosen: 1, best: 2 }, "cannot choose 4 experts"),
        ] {
            let error = sigmoid(groups).check(8, 4).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        sigmoid(Groups { count: 4, chosen: 2, best: 2 }).check(8, 4).unwrap();
    }
}
