//! Steps that score the same responses: one dump that several checkpoints scored, as `compute` writes it.
//!
//! At most one of these steps sampled the responses. What speaks of the sampling policy, such as pass@k, is then one number
//! and not one per step.

use rayon::prelude::*;

use super::view::StepView;

/// Responses are the same at two steps if those that both have hold this share of the tokens of each. Checkpoints may leave
/// out different responses, for example those that are too long for them.
const MIN_SHARED: f64 = 0.9;

/// The responses of a step: a hash of prompt and tokens, and the number of tokens, in order.
type Responses = Vec<(u64, u32)>;

/// For each step the first step of its source that has the same responses, if that is an earlier one.
pub(super) fn same_responses(views: &[StepView<'_>]) -> Vec<Option<usize>> {
    let responses: Vec<Responses> = views.par_iter().map(responses_of).collect();
    let mut first_steps: Vec<usize> = Vec::new();
    let mut same = Vec::with_capacity(views.len());
    for (at, view) in views.iter().enumerate() {
        let is_same = |first: &usize| {
            views[*first].source == view.source && are_same(&responses[*first], &responses[at])
        };
        let found = first_steps.iter().copied().find(is_same);
        if found.is_none() {
            first_steps.push(at);
        }
        same.push(found);
    }
    same
}

fn responses_of(view: &StepView<'_>) -> Responses {
    let hash = |kinds: &[u32], prompt: u64| {
        kinds.iter().fold(prompt ^ 0x9e37_79b9_7f4a_7c15, |hash, kind| {
            (hash ^ u64::from(*kind)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
        })
    };
    let mut responses: Responses = view
        .iter()
        .map(|response| {
            let prompt = if response.has_prompt { response.group } else { 0 };
            (hash(view.table.kinds_of(response), prompt), response.tokens)
        })
        .collect();
    responses.sort_unstable();
    responses
}

fn are_same(a: &Responses, b: &Responses) -> bool {
    let tokens = |list: &Responses| list.iter().map(|(_, tokens)| u64::from(*tokens)).sum::<u64>();
    let (mut shared, mut i, mut j) = (0u64, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            shared += u64::from(x.1);
        }
        (i, j) = (i + usize::from(x <= y), j + usize::from(y <= x));
    }
    shared as f64 >= MIN_SHARED * tokens(a).max(tokens(b)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_the_same_if_most_tokens_are() {
        let a: Responses = (0..20).map(|hash| (hash, 10)).collect();
        assert!(are_same(&a, &a));
        assert!(are_same(&a, &a[..18].to_vec()) && !are_same(&a, &a[..17].to_vec()));
        assert!(!are_same(&a, &(20..40).map(|hash| (hash, 10)).collect()));
        // Each of two equal responses counts once.
        assert!(!are_same(&vec![(1, 5), (1, 5)], &vec![(1, 5), (2, 5)]));
    }
}
