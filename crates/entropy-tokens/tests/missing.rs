//! Values that are missing or that no policy has: they are counted, and what remains is right.

use entropy_tokens::{AnalysisOptions, Reason, analyse};
use serde_json::{Value, json};

use crate::{entropies, left_out, line, table};

#[test]
fn bare_nan_is_left_out_and_null_leaves_out_one_token() {
    let nan = line(&json!({})).replace("2.5,0.5]", "NaN,0.5]");
    let found = table(&[line(&json!({})), nan].concat());
    assert_eq!(left_out(&found)[0].0, Reason::BadEntropy);
    let infinite = line(&json!({})).replace("[-2.5", "[Infinity");
    let found = table(&[line(&json!({})), infinite].concat());
    assert_eq!(left_out(&found)[0].0, Reason::BadLogProb);
    let null = line(&json!({})).replace("2.5,0.5]", "null,0.5]");
    let found = table(&null);
    assert_eq!(entropies(&found, 0), [0.5]);
    assert_eq!(
        left_out(&found),
        [(Reason::TokenWithoutEntropy, 1, "dump: line 1: 1 of 2 tokens".to_owned())]
    );
}

/// `entropies: null` and a list of nulls say the same: the policy's tokens have no entropy.
#[test]
fn list_of_null_entropies_alone_is_a_response_without_entropies() {
    let row = |entropies: Value, log_probs: [f64; 2], reward: u64| {
        let change = json!({"step": 2, "log_probs": log_probs, "reward": reward});
        let text = line(&change);
        text.replace("\"entropies\":[2.5,0.5]", &format!("\"entropies\":{entropies}"))
    };
    let both = |entropies: Value| {
        let second = row(entropies.clone(), [-3.0, -0.25], 0);
        [row(entropies, [-2.0, -0.5], 1), second].concat()
    };
    let masked = r#""response_mask":[1,0],"entropies":[null,7.5]"#;
    let masked = line(&json!({"step": 3})).replace(r#""entropies":[2.5,0.5]"#, masked);
    for nulls in [json!([null, null]), json!(null)] {
        let found = table(&[line(&json!({})), both(nulls.clone()), masked.clone()].concat());
        assert_eq!(left_out(&found), [], "{nulls}");
        let options = AnalysisOptions { steps: vec![2, 3], ..AnalysisOptions::default() };
        let analysis = analyse(&found, &options);
        assert!(analysis.missing_steps.is_empty());
        let step = &analysis.steps[0];
        assert_eq!((step.step, step.responses), (2, 2));
        assert_eq!(step.left_out.responses_without_entropies, 2);
        assert!(step.entropy.is_none());
        // numpy 2: np.mean([-2, -0.5, -3, -0.25]), np.mean([1, 0])
        assert_eq!(step.mean_log_prob, Some(-1.4375));
        let passes = &step.diversity.as_ref().unwrap().pass_at_k;
        assert_eq!((passes[0].k, passes[0].value), (1, 0.5));
        let step = &analysis.steps[1];
        assert_eq!(step.left_out.responses_without_entropies, 1, "the mask leaves out 7.5");
        assert_eq!(step.mean_log_prob, Some(-2.5));
    }

    for nulls in ["null", "[null,null]"] {
        let other = format!("\"entropies\":{nulls},\"token_entropies\":[1.5,0.5]");
        let other = line(&json!({})).replace("\"entropies\":[2.5,0.5]", &other);
        assert_eq!(entropies(&table(&other), 0), [1.5, 0.5], "the next column has them");
    }
    let nothing = line(&json!({"log_probs": null})).replace("[2.5,0.5]", "[null,null]");
    let found = table(&[line(&json!({})), nothing].concat());
    let what = "dump: line 2: it has no entropies and no log-probs".to_owned();
    assert_eq!(left_out(&found), [(Reason::NoScores, 1, what)]);
}

#[test]
fn entropy_of_minus_infinity_is_an_error_and_not_null() {
    let infinite = line(&json!({})).replace("2.5,0.5]", "-Infinity,0.5]");
    let found = table(&[line(&json!({})), infinite].concat());
    let what = "dump: line 2: \"entropies\" of token 1 is -inf".to_owned();
    assert_eq!(left_out(&found), [(Reason::BadEntropy, 1, what)]);
}

#[test]
fn log_prob_of_null_is_missing_and_one_of_minus_infinity_is_a_probability_of_0() {
    let sampled = json!({"generation_logprobs": [-2.0, -0.5], "advantages": 1.0});
    let null = line(&sampled).replace("\"log_probs\":[-2.5", "\"log_probs\":[null");
    let zero = line(&sampled).replace("\"log_probs\":[-2.5", "\"log_probs\":[-Infinity");
    let found = table(&[null, zero, line(&sampled)].concat());
    let first = "dump: line 1, step 1: \"log_probs\" of 1 of 2 tokens".to_owned();
    assert_eq!(left_out(&found), [(Reason::TokenWithoutLogProb, 1, first)]);
    let step = &analyse(&found, &AnalysisOptions::default()).steps[0];
    let covariance = step.left_out.covariance;
    assert_eq!((covariance.tokens_without_log_prob, covariance.impossible_tokens), (1, 1));
    let mismatch = step.left_out.mismatch.tokens;
    assert_eq!((mismatch.tokens_without_scored, mismatch.impossible_tokens), (1, 1));
    assert_eq!(step.covariance.as_ref().unwrap().covariance.tokens, 4);
    assert_eq!(step.mean_log_prob, Some((-0.5 - 0.5 - 2.5 - 0.5) / 4.0));
    assert_eq!(step.entropy.as_ref().unwrap().tokens, 6, "their entropies count");
}

#[test]
fn impossible_values_are_counted_with_their_place_and_kept() {
    let rows = [
        json!({}),
        json!({"log_probs": [-0.5, 0.35], "generation_logprobs": [1.5, -0.5]}),
        json!({"entropies": [-0.5, 1.0], "step": 7}),
        json!({"log_probs": [1e-5, -0.5], "entropies": [-1e-5, 1.0]}), // rounding
    ];
    let found = table(&rows.iter().map(line).collect::<String>());
    let expected = [
        (Reason::EntropyBelowZero, 1, "dump: line 3, step 7: \"entropies\" of token 1 is -0.5"),
        (Reason::LogProbAboveZero, 2, "dump: line 2, step 1: \"log_probs\" of token 2 is 0.35"),
    ];
    assert_eq!(left_out(&found), expected.map(|(reason, n, first)| (reason, n, first.to_owned())));
    assert_eq!(found.left_out().responses(), 0);
    assert_eq!(entropies(&found, 2), [-0.5, 1.0]);
}

#[test]
fn steps_without_log_probs_or_entropies_are_counted() {
    let group = |change: Value| {
        [0, 1]
            .map(|reward| {
                let mut change = change.clone();
                change["reward"] = reward.into();
                line(&change)
            })
            .concat()
    };
    let text = [
        group(json!({"generation_logprobs": [-2.0, -0.5]})),
        group(json!({"step": 2, "log_probs": null})),
        group(json!({"step": 3, "entropies": null})),
    ];
    let steps = analyse(&table(&text.concat()), &AnalysisOptions::default()).steps;
    let counts = steps.iter().map(|step| {
        let out = &step.left_out;
        let without_log_probs = out.covariance.responses_without_log_probs;
        (out.responses_without_entropies, without_log_probs, out.mismatch.responses_without)
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(0, 0, 0), (0, 2, 2), (2, 0, 2)]);
    assert!(steps[1].covariance.is_none() && steps[2].mismatch.is_none());
}

#[test]
fn list_of_null_log_probs_alone_does_not_hide_another_list() {
    let rows = [0, 1].map(|reward| {
        line(&json!({
            "reward": reward, "log_probs": [null, null], "old_log_probs": [-2.5, -0.5],
            "generation_logprobs": [null, null], "rollout_log_probs": [-2.4, -0.5],
        }))
    });
    let found = table(&rows.concat());
    let step = &analyse(&found, &AnalysisOptions::default()).steps[0];
    // (|−2.5 + 2.4| + 0) / 2
    assert!((step.mismatch.as_ref().unwrap().mismatch.mean_abs_difference - 0.05).abs() < 1e-12);
    let nulls = line(&json!({"log_probs": [null, null]}));
    let step = &analyse(&table(&nulls), &AnalysisOptions::default()).steps[0];
    assert!(step.mean_log_prob.is_none());
}
