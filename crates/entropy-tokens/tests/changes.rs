//! Where the entropy changed: a real run against NumPy and SciPy (tests/stats/make_change_values.py), and made-up dumps
//! whose answer is known.

use std::fmt::Write;

use entropy_tokens::{
    AnalysisOptions, Changes, Columns, Dimension, Direction, TokenTable, analyse, changes,
};
use serde_json::{Value, json};

use crate::numbers::assert_agrees;
use crate::{fixture, read_fixtures, read_text};

fn of_table(table: &TokenTable) -> Changes {
    let options = AnalysisOptions::default();
    changes(table, &analyse(table, &options), &options, 0)
}

/// The changes of a dump with these rows: step, prompt, reward and entropies.
fn of_rows(rows: &[(u64, u32, f64, Vec<f64>)]) -> Changes {
    let mut text = String::new();
    for (at, (step, prompt, reward, entropies)) in rows.iter().enumerate() {
        let ids: Vec<usize> = (0..entropies.len()).map(|token| 100 * at + token).collect();
        let row = json!({"step": step, "prompt_token_ids": [prompt], "response_token_ids": ids, "entropies": entropies, "reward": reward});
        writeln!(text, "{row}").unwrap();
    }
    of_table(&read_text(&text, &Columns::default()).unwrap().0)
}

#[test]
fn every_number_of_a_real_run_matches_numpy_and_scipy() {
    let columns = Columns { reward: Some("early_vowels".to_owned()), ..Columns::default() };
    let ours = of_table(&read_fixtures(&["grpo/tokens.jsonl.gz"], &columns));
    let text = std::fs::read_to_string(fixture("expected/change.json")).unwrap();
    let theirs: Value = serde_json::from_str(&text).unwrap();
    let ours = serde_json::to_value(&ours).unwrap();

    let steps: Vec<Value> =
        theirs["steps"].as_object().unwrap().values().map(|mean| json!({"mean": mean})).collect();
    assert_agrees(&ours["steps"], &json!(steps), "steps");
    let main = &ours["main"];
    let found = json!({"from": main["from"]["step"], "to": main["to"]["step"], "pairs": main["pairs"], "change": main["change"]});
    for key in ["from", "to", "pairs", "change"] {
        assert_agrees(&found[key], &theirs[key], key);
    }
    assert_eq!((&main["is_clear"], &main["direction"]), (&json!(true), &json!("fall")));
    assert_eq!(main["same_prompts"], true);
    let splits = ours["splits"].as_array().unwrap();
    let names: Vec<&str> = splits.iter().map(|split| split["by"].as_str().unwrap()).collect();
    assert_eq!(names, ["outcome", "position", "top_tokens", "forking_kinds"]);
    for split in splits {
        let by = split["by"].as_str().unwrap();
        assert_agrees(split, &theirs["splits"][by], by);
    }
    let kinds: Vec<&Value> =
        splits[3]["kinds"].as_array().unwrap().iter().map(|kind| &kind["id"]).collect();
    assert_eq!(json!(kinds), theirs["kinds"]);
    assert_agrees(&ours["agreement"], &theirs["agreement"], "agreement");
    for (quantity, other) in [("reward", &ours["others"][0]), ("length", &ours["others"][1])] {
        assert_eq!(other["quantity"], quantity);
        assert_agrees(other, &theirs[quantity], quantity);
    }
}

#[test]
fn steps_without_entropies_are_no_ends_of_a_change() {
    let row = |step: u64, prompt: u32, entropies: Value| {
        json!({"step": step, "prompt_token_ids": [prompt], "response_token_ids": [1, 2], "entropies": entropies,
               "log_probs": [-0.5, -0.25], "reward": prompt % 2})
    };
    let mut text = String::new();
    for prompt in 0..8 {
        let far = f64::from(prompt) / 100.0;
        for (step, entropies) in [
            (1, Value::Null),
            (2, json!([2.0 + far, 1.0])),
            (3, json!([null, null])),
            (4, json!([1.0 + far, 0.25])),
            (5, Value::Null),
        ] {
            writeln!(text, "{}", row(step, prompt, entropies)).unwrap();
        }
    }
    let table = read_text(&text, &Columns::default()).unwrap().0;
    assert_eq!(table.left_out().responses(), 0, "those of step 3 have log-probs");
    let found = of_table(&table);
    assert_eq!(found.steps.iter().map(|step| step.step).collect::<Vec<_>>(), [2, 4]);
    assert!(found.main.unwrap().is_clear);
    // Of 16 tokens, three are above the 80th percentile.
    let top = found.splits.iter().find(|split| split.by == Dimension::TopTokens).unwrap();
    assert_eq!(top.rows.iter().map(|row| row.tokens).collect::<Vec<_>>(), [[3, 3], [13, 13]]);
}

#[test]
fn parts_of_every_split_add_up_to_the_change() {
    let columns = Columns { reward: Some("early_vowels".to_owned()), ..Columns::default() };
    let found = of_table(&read_fixtures(&["grpo/tokens.jsonl.gz"], &columns));
    let change = found.main.unwrap().change.value;
    for split in &found.splits {
        let rows: f64 = split.rows.iter().map(|row| row.within.value + row.mix.value).sum();
        assert!((rows - change).abs() < 1e-12, "{:?}", split.by);
        assert!((split.within.value + split.mix.value - change).abs() < 1e-12, "{:?}", split.by);
        assert!((split.within_share.value + split.mix_share.value - 1.0).abs() < 1e-12);
    }
}

/// Some noise between −0.5 and 0.5.
fn noise(at: u64) -> f64 {
    let mixed = at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64
        - 0.5
}

fn rows(
    steps: &[u64],
    prompts: u32,
    entropy: impl Fn(u64, u32) -> f64,
) -> Vec<(u64, u32, f64, Vec<f64>)> {
    let each = steps.iter().flat_map(|&step| (0..prompts).map(move |prompt| (step, prompt)));
    each.map(|(step, prompt)| {
        let at = step * 1000 + u64::from(prompt);
        (step, prompt, f64::from(prompt % 2), vec![entropy(step, prompt) + 0.2 * noise(at); 5])
    })
    .collect()
}

#[test]
fn noise_is_not_a_change() {
    let found = of_rows(&rows(&[1, 2, 3, 4, 5, 6], 10, |_, _| 1.0));
    let main = found.main.unwrap();
    assert!(!main.is_clear, "{main:?}");
    assert_eq!(main.pairs, 15);
    assert!(found.splits.is_empty() && found.opposite.is_none());
}

#[test]
fn fall_on_right_answers_alone_is_found_there() {
    // Prompts with an odd number have a reward of 1: their entropy falls from 2 to 1, that of the others stays.
    let found =
        of_rows(&rows(
            &[10, 20],
            20,
            |step, prompt| {
                if step == 20 && prompt % 2 == 1 { 1.0 } else { 2.0 }
            },
        ));
    let main = found.main.as_ref().unwrap();
    assert!(main.is_clear && main.direction == Direction::Fall, "{main:?}");
    let [right, wrong] = &found.splits[0].rows[..] else { panic!("{:?}", found.splits[0]) };
    assert!(right.within_share.low.unwrap() > 0.8, "{right:?}");
    assert!(wrong.within_share.high.unwrap() < 0.2, "{wrong:?}");
    assert_eq!(found.splits[0].mix.value, 0.0, "both groups have as many tokens as before");
}

#[test]
fn rise_after_a_fall_is_reported_too() {
    let level = |step: u64| if step == 3 { 0.5 } else { 1.5 + 0.1 * (step as f64) };
    let found = of_rows(&rows(&[1, 2, 3, 4, 5], 12, |step, _| level(step)));
    let main = found.main.unwrap();
    assert_eq!((main.from.step, main.to.step, main.direction), (3, 4, Direction::Rise));
    let opposite = found.opposite.unwrap();
    assert_eq!((opposite.from.step, opposite.to.step), (2, 3));
    assert_eq!(found.whole.unwrap().direction, Direction::Rise);
}

#[test]
fn one_prompt_has_intervals_over_its_responses_and_one_response_none() {
    let several: Vec<_> = rows(&[1, 2], 6, |step, _| 3.0 - step as f64)
        .into_iter()
        .map(|(step, _, reward, entropies)| (step, 7, reward, entropies))
        .collect();
    let main = of_rows(&several).main.unwrap();
    assert!(main.is_clear && main.from.prompts == 1, "{main:?}");
    let main = of_rows(&rows(&[1, 2], 1, |step, _| 3.0 - step as f64)).main.unwrap();
    assert_eq!((main.is_clear, main.change.low), (false, None));
}

#[test]
fn one_step_has_no_change() {
    let found = of_rows(&rows(&[4], 3, |_, _| 1.0));
    assert_eq!((found.steps.len(), found.main), (1, None));
}

#[test]
fn group_that_is_there_at_one_step_only_is_named() {
    let rows = rows(&[1, 2], 10, |step, _| if step == 1 { 2.0 } else { 1.0 });
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(step, prompt, reward, entropies)| {
            (step, prompt, if step == 1 { 0.0 } else { reward }, entropies)
        })
        .collect();
    let found = of_rows(&rows);
    assert_eq!(found.splits[0].at_one_step, ["right"]);
}
