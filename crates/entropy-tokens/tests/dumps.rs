//! Broken and odd dumps: everything that is left out is counted.

use std::io::{self, Read, Write};

use entropy_history::formats::Source;
use entropy_tokens::{
    AnalysisOptions, ClusterKind, Columns, Reason, Section, TokenTable, analyse, read,
};
use serde_json::{Value, json};

use crate::{entropies, fixture, left_out, line, read_fixtures, read_text, table, try_read};

#[test]
fn unusable_responses_are_counted_by_reason_with_their_first_place() {
    let cases = [
        (json!({"entropies": [1.0]}), Reason::Lengths, "it has 2 tokens and 1 in \"entropies\""),
        (
            json!({"entropies": [true, 0.5]}),
            Reason::BadNumbers,
            "\"entropies\" is not a list of numbers",
        ),
        (
            json!({"log_probs": [-0.5, false]}),
            Reason::BadNumbers,
            "\"log_probs\" is not a list of numbers",
        ),
        (json!({"log_probs": [0.0]}), Reason::Lengths, "it has 2 tokens and 1 in \"log_probs\""),
        (json!({"tokens": ["a"]}), Reason::Lengths, "it has 2 tokens and 1 texts"),
        (
            json!({"response_mask": [1]}),
            Reason::MaskLength,
            "it has 2 tokens and 1 values in \"response_mask\"",
        ),
        (
            json!({"response_mask": ["a", "b"]}),
            Reason::BadNumbers,
            "\"response_mask\" is not a list of 0 and 1",
        ),
        (json!({"loss_mask": "10"}), Reason::BadNumbers, "\"loss_mask\" is not a list of 0 and 1"),
        (
            json!({"agent_mask": [1, 0]}),
            Reason::UnknownMask,
            "\"agent_mask\"; name it response_mask if 1 is for tokens of the policy",
        ),
        (
            json!({"loss_mask": [0, 1, 0, 1, 1]}),
            Reason::MaskInPrompt,
            "\"loss_mask\" marks token 2 of the 3 of the prompt",
        ),
        (json!({"response_mask": [0, 0]}), Reason::Empty, "it has no token that the policy wrote"),
        (
            json!({"response_token_ids": null, "tokens": null}),
            Reason::NoIds,
            "it has no list of token ids",
        ),
        (
            json!({"response_token_ids": [1.5, 2]}),
            Reason::BadIds,
            "\"tokens\" is not a list of token ids",
        ),
        (
            json!({"entropies": null, "log_probs": null}),
            Reason::NoScores,
            "it has no entropies and no log-probs",
        ),
        (
            json!({"entropies": [1.0, "x"]}),
            Reason::BadNumbers,
            "\"entropies\" is not a list of numbers",
        ),
        (json!({"step": "a"}), Reason::BadStep, "\"step\" is not a whole number from 0"),
        (json!({"step": -1}), Reason::BadStep, "\"step\" is not a whole number from 0"),
        (
            json!({"response_token_ids": null, "tokens": [1, 2, 3]}),
            Reason::Lengths,
            "it has 0 tokens and 2 in \"entropies\"",
        ),
    ];
    for (change, reason, what) in cases {
        let broken = line(&change);
        let found = table(&[line(&json!({})), broken.clone(), line(&json!({})), broken].concat());
        let expected = (reason, 2, format!("dump: line 2: {what}"));
        assert_eq!(left_out(&found), [expected], "{change}");
        assert_eq!(found.responses().len(), 2, "{change}");
    }
}

#[test]
fn step_of_null_is_no_step() {
    let null = line(&json!({"step": 123_456})).replace("123456", "null");
    let found = table(&[line(&json!({})), null].concat());
    assert_eq!(
        left_out(&found),
        [(Reason::BadStep, 1, "dump: line 2: \"step\" is null".to_owned())]
    );
}

#[test]
fn step_in_the_repeated_columns_is_not_that_of_the_row() {
    let of_rollout = line(&json!({"step": 123_456, "dump": {"step": 7}}));
    let null = of_rollout.replace("123456", "null");
    let found = table(&[of_rollout, null].concat());
    assert_eq!(
        left_out(&found),
        [(Reason::BadStep, 1, "dump: line 2: \"step\" is null".to_owned())]
    );
    assert_eq!(found.responses()[0].step(), 123_456);
}

#[test]
fn rows_without_texts_have_the_kinds_of_rows_with_texts() {
    let (with, without) = (line(&json!({})), line(&json!({"tokens": null})));
    for text in [[&*with, &without].concat(), [&*without, &with].concat()] {
        let found = table(&text);
        let [a, b] = [0, 1].map(|at| found.kinds_of(&found.responses()[at]));
        assert_eq!(a, b);
        assert!(a.iter().all(|kind| found.kinds()[*kind as usize].text.is_some()));
    }
    // An id with two texts in one file may be either.
    let other = line(&json!({"tokens": ["8", "!"]}));
    let found = table(&[with, other, without].concat());
    let kinds = [0, 1, 2].map(|at| found.kinds_of(&found.responses()[at])[0]);
    assert!(kinds[0] != kinds[1] && kinds[1] != kinds[2] && kinds[0] != kinds[2], "{kinds:?}");
}

#[test]
fn flags_are_no_numbers_of_tokens() {
    for (name, reason) in [
        ("kl", Reason::BadColumn),
        ("advantages", Reason::BadAdvantage),
        ("rollout_log_probs", Reason::BadSampler),
    ] {
        let found = table(&line(&json!({name: [true, 0.5]})));
        assert_eq!(left_out(&found), [(reason, 1, format!("dump: line 1: {name:?}"))]);
    }
}

#[test]
fn several_masks_all_apply() {
    let of_response = json!({"response_mask": [1, 1], "tool_masks": null, "loss_masks": [0, 1]});
    assert_eq!(entropies(&table(&line(&of_response)), 0), [0.5]);
    let of_all = json!({
        "response_token_ids": null, "tokens": null, "token_ids": [1, 2, 3, 22, 30],
        "loss_mask": [0, 0, 0, 1, 1], "tool_mask": [1, 0],
    });
    assert_eq!(entropies(&table(&line(&of_all)), 0), [2.5]);
    let of_both = json!({
        "response_token_ids": null, "tokens": null, "token_ids": [1, 2, 3, 22, 30],
        "response_length": 2, "loss_mask": [0, 0, 0, 0, 1], "tool_mask": [1, 1],
    });
    assert_eq!(entropies(&table(&line(&of_both)), 0), [0.5]);
}

#[test]
fn large_ids_of_prompts_are_exact() {
    let rows = [9_007_199_254_740_992_i64, 9_007_199_254_740_993]
        .map(|uid| [0, 1].map(|reward| line(&json!({"uid": uid, "reward": reward}))).concat());
    let analysis = analyse(&table(&rows.concat()), &AnalysisOptions::default());
    assert_eq!(analysis.steps[0].diversity.as_ref().unwrap().prompts, 2);
}

/// Rows that NeMo-RL 0.7.0's own logger wrote: `idx` is the number of the row, and not that of the prompt.
#[test]
fn rows_of_nemo_rl_are_grouped_by_their_prompts() {
    let table = read_fixtures(&["dumps/nemo-rl/train_data_step40.jsonl"], &Columns::default());
    assert_eq!(left_out(&table), []);
    assert_eq!(table.names().groups, ["the prompt's token ids"]);
    assert_eq!(table.names().advantages, ["advantages"]);
    let step = &analyse(&table, &AnalysisOptions::default()).steps[0];
    assert_eq!((step.step, step.responses, step.prompts), (40, 4, 2));
    assert!(step.covariance.as_ref().unwrap().advantages_of_dump);
    let responses = fixture("token_groups/run.jsonl");
    let rows = std::fs::read_to_string(responses).unwrap();
    let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lengths: Vec<usize> = rows
        .filter(|row| row["step"] == 40)
        .map(|row| row["response_token_ids"].as_array().unwrap().len())
        .collect();
    assert!(table.responses().iter().all(|response| lengths.contains(&response.tokens())));
}

/// `rollout_id` of slime 0.3.1's samples is not the step; it is null unless the rollout function sets it.
#[test]
fn id_of_a_slime_sample_is_not_its_step() {
    let text = std::fs::read_to_string(fixture("dumps/slime-0.3.1/samples.jsonl")).unwrap();
    assert!(text.contains("\"rollout_id\": null"));
    for text in [text.clone(), text.replace("\"rollout_id\": null", "\"rollout_id\": 17")] {
        let table = table(&text);
        assert_eq!(left_out(&table), []);
        let analysis = analyse(&table, &AnalysisOptions::default());
        let [step] = &analysis.steps[..] else { panic!("{:?}", analysis.steps.len()) };
        assert_eq!((step.step, step.responses, step.prompts), (0, 4, 2));
        assert!(step.mismatch.is_some());
    }
}

#[test]
fn rewards_that_are_no_numbers_are_counted_and_the_response_is_kept() {
    let rows = [
        json!({"reward": "good"}),
        json!({"reward": [1, 2]}),
        json!({"reward": {"a": 1}}),
        json!({"reward": null}),
    ];
    let text: String = rows.iter().map(line).chain([line(&json!({}))]).collect();
    let found = table(&text);
    assert_eq!(found.responses().len(), 5);
    let all: Vec<(Reason, u64)> =
        found.left_out().iter().map(|(reason, left_out)| (reason, left_out.count)).collect();
    assert_eq!(all, [(Reason::TextReward, 1), (Reason::NestedReward, 2), (Reason::NoReward, 1)]);
    let chosen = Columns { reward: Some("reward.a".to_owned()), ..Columns::default() };
    let (found, _) = read_text(&text, &chosen).unwrap();
    let analysis = analyse(&found, &AnalysisOptions::default());
    assert_eq!(analysis.steps[0].mean_reward, Some(1.0));
}

#[test]
fn tokens_of_others_are_left_out_by_the_mask() {
    let row = line(&json!({
        "response_token_ids": [5, 6, 7], "tokens": ["a", "b", "c"], "entropies": [1.0, null, 3.0],
        "log_probs": [-1, null, -3], "response_mask": [1, 0, 1],
    }));
    // A mask of prompt and response together, as bools.
    let whole = row.replace("[1,0,1]", "[false,false,false,true,false,true]");
    for text in [row, whole] {
        let found = table(&text);
        assert_eq!(left_out(&found), [], "{text}");
        assert_eq!(entropies(&found, 0), [1.0, 3.0]);
        let kinds = found.kinds_of(&found.responses()[0]);
        let texts: Vec<_> =
            kinds.iter().map(|kind| found.kinds()[*kind as usize].text.as_deref()).collect();
        assert_eq!(texts, [Some("a"), Some("c")]);
    }
}

#[test]
fn lists_of_prompt_and_response_are_cut_to_the_response() {
    let found = table(&line(&json!({"entropies": [9, 9, 9, 2.5, 0.5]})));
    assert_eq!(entropies(&found, 0), [2.5, 0.5]);
}

#[test]
fn lines_that_are_not_json_are_counted_and_a_cut_last_line_is_noted() {
    let good = line(&json!({}));
    let text = format!("{good}Traceback (most recent call last):\n\n{{\"step\": 1,\n{good}");
    let found = table(&text);
    assert_eq!(
        left_out(&found),
        [(Reason::Unreadable, 2, "dump: line 2: column 1: it is not an object".to_owned())]
    );
    for end in 1..good.len() - 1 {
        let text = format!("{good}{}", &good[..end]);
        let (found, notes) = read_text(&text, &Columns::default()).unwrap();
        assert_eq!((found.responses().len(), left_out(&found).len()), (1, 0), "cut at {end}");
        let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            ["the file ends inside a line (line 2); 1 complete line was read"],
            "cut at {end}"
        );
        assert!(read_text(&good[..end], &Columns::default()).is_err(), "cut at {end}");
    }
}

#[test]
fn files_without_a_response_are_errors_that_say_why() {
    let message = |text: &str| read_text(text, &Columns::default()).unwrap_err().to_string();
    assert_eq!(message(""), "the file is empty");
    assert_eq!(message(" \n\n"), "the file holds nothing but white space");
    assert_eq!(message("[1]\n"), "it is not a dump of tokens: it begins with \"[1]\"");
    assert_eq!(
        message("{\"prompt\":\"a\",\"response\":\"b\"}\n{\"prompt\":\"a\"}\n"),
        "none of its 2 rows is a response with token ids and entropies or log-probs; line 1: it has no list of token ids"
    );
}

#[test]
fn any_compression_is_read() {
    let bytes = std::fs::read(fixture("token_groups/run.jsonl")).unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("run.jsonl.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bytes).unwrap();
    std::fs::write(&path, packed.finish().unwrap()).unwrap();
    let (found, _) = try_read(&[path], &Columns::default()).unwrap();
    assert_eq!((found.responses().len(), found.tokens()), (48, 948));
}

#[test]
fn truncated_or_flipped_parquet_is_an_error_or_counted_not_a_panic() {
    let bytes = std::fs::read(fixture("token_groups/run.parquet")).unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("broken.parquet");
    let mut errors = 0;
    for at in (4..bytes.len()).step_by(311) {
        std::fs::write(&path, &bytes[..at]).unwrap();
        assert!(try_read(std::slice::from_ref(&path), &Columns::default()).is_err(), "cut at {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        std::fs::write(&path, &flipped).unwrap();
        // A damaged file adds nothing to those before it.
        let mut table = read_fixtures(&["token_groups/run.jsonl"], &Columns::default());
        let mut file = std::fs::File::open(&path).unwrap();
        let source = Source { reader: &mut file, path: Some(&path) };
        if read(source, "broken", &Columns::default(), &mut table).is_err() {
            errors += 1;
            assert_eq!((table.responses().len(), table.tokens()), (48, 948), "flipped at {at}");
        }
    }
    assert!(errors > 5, "{errors}");
}

#[test]
fn two_tokenizers_are_noticed() {
    let text = line(&json!({})) + &line(&json!({"tokens": ["8", "?"]}));
    assert_eq!(table(&text).ids_with_several_texts(), (1, 2));
    assert_eq!(
        read_fixtures(&["token_groups/run.jsonl"], &Columns::default()).ids_with_several_texts().0,
        0
    );
}

#[test]
fn groups_of_one_have_no_covariance_and_the_reason_is_given() {
    let text = line(&json!({})) + &line(&json!({"prompt_token_ids": [9], "reward": 0}));
    let analysis = analyse(&table(&text), &AnalysisOptions::default());
    let reason = |section| {
        let missing = analysis.missing.iter().find(|missing| missing.section == section);
        missing.map(|missing| missing.reason.as_str())
    };
    assert_eq!(
        reason(Section::Covariance),
        Some("no prompt has two responses, and there are no advantages")
    );
    assert_eq!(reason(Section::Diversity), Some("no prompt has two responses"));
    assert_eq!(reason(Section::Outcome), None);
}

#[test]
fn turns_of_a_conversation_are_one_trajectory_of_their_first_prompt() {
    let turn = |id: u64, sample: u64, turn: u64, prompt: &[u64], reward: f64| {
        line(
            &json!({"id": id, "sample": sample, "turn": turn, "prompt_token_ids": prompt, "reward": reward}),
        )
    };
    let text = [
        turn(0, 0, 0, &[1], 1.0),
        turn(0, 0, 1, &[1, 22, 30, 4], 1.0),
        turn(0, 1, 0, &[1], 0.0),
        turn(0, 1, 1, &[1, 22, 30, 5], 0.0),
    ];
    let analysis = analyse(&table(&text.concat()), &AnalysisOptions::default());
    let step = &analysis.steps[0];
    assert_eq!((step.responses, step.prompts, step.mean_reward), (4, 1, Some(0.5)));
    let turns: Vec<(&str, u64)> =
        step.by_turn.iter().map(|group| (group.name.as_str(), group.responses)).collect();
    assert_eq!(turns, [("0", 2), ("1", 2)]);
    let diversity = step.diversity.as_ref().unwrap();
    assert_eq!((diversity.prompts, diversity.pass_at_k[1].value), (1, 1.0));
    assert_eq!(step.covariance.as_ref().unwrap().covariance.tokens, 8);
}

#[test]
fn reference_answers_are_recognised() {
    let row = |reward: f64| line(&json!({"answer": "42", "reward": reward}));
    let analysis = analyse(&table(&(row(1.0) + &row(0.0))), &AnalysisOptions::default());
    assert!(analysis.steps[0].diversity.as_ref().unwrap().answers.unwrap().look_like_references);
}

#[test]
fn answers_are_found_by_a_regex_in_the_text_or_the_tokens() {
    let regex = Some(regex::Regex::new(r"(\d)\?").unwrap());
    let columns = Columns { answer_regex: regex, ..Columns::default() };
    let rows = [json!({}), json!({"tokens": ["8", "?"]}), json!({"response": "first 1? then 7?"})];
    let text: String = rows.iter().map(line).collect();
    let (found, _) = read_text(&text, &columns).unwrap();
    let analysis = analyse(&found, &AnalysisOptions::default());
    let answers = analysis.steps[0].diversity.as_ref().unwrap().answers.unwrap();
    assert_eq!((answers.distinct, answers.responses_without), (2.0, 0));
}

#[test]
fn chosen_steps_that_are_missing_are_named() {
    let found = read_fixtures(&["token_groups/run.jsonl"], &Columns::default());
    let options = AnalysisOptions { steps: vec![80, 90], ..AnalysisOptions::default() };
    let analysis = analyse(&found, &options);
    assert_eq!(analysis.steps.iter().map(|step| step.step).collect::<Vec<_>>(), [80]);
    assert_eq!(analysis.missing_steps, [90]);
}

#[test]
fn other_columns_of_tokens_have_means() {
    let rows = [
        json!({"kl": [0.5, 0.1], "ranks": [0, 3]}),
        json!({"kl": [null, 0.3]}),
        json!({"kl": [1.0]}),
    ];
    let text: String = rows.iter().map(line).collect();
    let found = table(&text);
    let analysis = analyse(&found, &AnalysisOptions::default());
    let columns = &analysis.steps[0].token_columns;
    assert_eq!((columns[0].name, columns[0].tokens), ("kl", 3));
    assert!((columns[0].mean.mean - 0.3).abs() < 1e-12);
    assert_eq!((columns[1].name, columns[1].mean.mean), ("ranks", 1.5));
    let expected = [
        (Reason::BadColumn, 1, "dump: line 3: \"kl\"".to_owned()),
        (Reason::ValueNotFinite, 1, "dump: line 2: \"kl\", 1 of 2 tokens".to_owned()),
    ];
    assert_eq!(left_out(&found), expected);
}

/// A dump of responses: step, id, tokens, and the entropy of each token.
fn responses(rows: &[(u64, u64, &[u32], &[f64])]) -> TokenTable {
    let row = |(step, id, tokens, entropies): &(u64, u64, &[u32], &[f64])| {
        format!(
            "{}\n",
            json!({"step": step, "id": id, "response_token_ids": tokens, "entropies": entropies})
        )
    };
    table(&rows.iter().map(row).collect::<String>())
}

fn shared(table: &TokenTable, steps: usize) -> Vec<entropy_tokens::SharedTokens> {
    let steps: Vec<usize> = (0..steps).collect();
    entropy_tokens::shared_tokens(table, &AnalysisOptions::default(), &steps)
}

#[test]
fn steps_are_compared_over_the_same_tokens_only() {
    let dump = responses(&[
        (1, 0, &[5, 6, 7], &[1.0, 2.0, 3.0]),
        (2, 0, &[5, 6], &[1.0, 2.0]),
        (3, 0, &[5, 6, 7], &[3.0, 2.0, 1.0]),
    ]);
    let found = shared(&dump, 3);
    let pairs: Vec<_> = found.iter().map(|pair| (pair.a, pair.b, pair.agreement.tokens)).collect();
    assert_eq!(pairs, [(0, 2, 3)]);
    assert_eq!(found[0].agreement.pearson, Some(-1.0));
}

#[test]
fn repeated_responses_are_paired_in_order() {
    let dump = responses(&[
        (1, 0, &[5, 5], &[1.0, 1.5]),
        (1, 0, &[5, 5], &[2.0, 2.5]),
        (2, 0, &[5, 5], &[1.0, 1.5]),
        (2, 0, &[5, 5], &[2.0, 2.5]),
        (2, 0, &[5, 5], &[9.0, 9.5]),
    ]);
    let found = &shared(&dump, 2)[0];
    assert_eq!((found.responses, found.agreement.pearson), (2, Some(1.0)));
}

#[test]
fn steps_that_score_the_same_responses_are_recognised() {
    let rows = |step: u64, ids: [u32; 2]| {
        line(&json!({"step": step, "response_token_ids": ids, "id": 1}))
            + &line(&json!({"step": step, "response_token_ids": [ids[1], ids[0]], "id": 2}))
    };
    let text = rows(1, [5, 6]) + &rows(2, [7, 8]) + &rows(3, [5, 6]) + &rows(4, [7, 8]);
    let same = |text: &str| -> Vec<Option<usize>> {
        let analysis = analyse(&table(text), &AnalysisOptions::default());
        analysis.steps.iter().map(|step| step.same_responses_as).collect()
    };
    assert_eq!(same(&text), [None, None, Some(0), Some(1)]);
    // The same tokens to other prompts are other responses.
    let other = rows(3, [5, 6]).replace("[1,2,3]", "[1,2,4]");
    assert_ne!(other, rows(3, [5, 6]));
    assert_eq!(same(&(rows(1, [5, 6]) + &other)), [None, None]);
    let scored = read_fixtures(&["tokens/run.jsonl"], &Columns::default());
    let analysis = analyse(&scored, &AnalysisOptions::default());
    let same: Vec<_> = analysis.steps.iter().map(|step| step.same_responses_as).collect();
    assert_eq!(same, [None, Some(0), Some(0)]);
}

#[test]
fn responses_without_a_prompt_are_alone() {
    let row = |reward: f64| json!({"response_token_ids": [22, 30], "entropies": [0.5, 1.0], "log_probs": [-0.5, -1.0], "reward": reward});
    let text = format!("{}\n{}\n", row(1.0), row(0.0));
    let found = table(&text);
    assert_eq!(found.without_prompt(), 2);
    let step = &analyse(&found, &AnalysisOptions::default()).steps[0];
    assert_eq!((step.prompts, step.clusters.of), (2, ClusterKind::Responses));
    assert!(step.diversity.is_none() && step.covariance.is_none());
}

#[test]
fn responses_to_one_prompt_are_one_cluster() {
    let row = |prompt: u32, first: f64| {
        line(&json!({"prompt_token_ids": [prompt], "entropies": [first, 1.0]}))
    };
    let clusters = |text: &str| {
        let step = &analyse(&table(text), &AnalysisOptions::default()).steps[0];
        (step.clusters.of, step.clusters.count, step.entropy.as_ref().unwrap().mean)
    };
    let (of, count, mean) = clusters(&(row(1, 0.0) + &row(1, 0.0) + &row(2, 2.0) + &row(2, 2.0)));
    assert_eq!((of, count), (ClusterKind::Prompts, 2));
    // Two means, 0.5 and 1.5: scipy 1.17: stats.t.ppf(0.975, 1) * stats.sem([0.5, 1.5]) = 6.353102368087352
    assert!((mean.high.unwrap() - 1.0 - 6.353_102_368_087_352).abs() < 1e-9, "{mean:?}");
    let (of, count, mean) = clusters(&(row(1, 0.0) + &row(1, 2.0)));
    assert_eq!((of, count), (ClusterKind::Responses, 2), "one prompt");
    assert!(mean.high.is_some());
}

#[test]
fn null_in_the_first_column_of_answers_or_rewards_is_none() {
    let row = |pred: serde_json::Value, reward: serde_json::Value| {
        line(
            &json!({"prompt_token_ids": [1], "pred": pred, "answer": "7", "reward": reward, "score": 100}),
        )
    };
    let text = row(json!("null"), json!("null")).replace("\"null\"", "null")
        + &row(json!(1), json!(1))
        + &row(json!("1"), json!(0))
        + &row(json!(" 1 "), json!(1));
    let found = table(&text);
    assert_eq!(
        (&found.names().answers[..], &found.names().rewards[..]),
        (&["pred".to_owned()][..], &["reward".to_owned()][..])
    );
    let step = &analyse(&found, &AnalysisOptions::default()).steps[0];
    assert_eq!(step.mean_reward, Some(2.0 / 3.0));
    let answers = step.diversity.as_ref().unwrap().answers.unwrap();
    assert_eq!((answers.distinct, answers.responses_without), (1.0, 1));
}

struct BrokenDisk;

impl Read for BrokenDisk {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is broken"))
    }
}

#[test]
fn skipped_file_leaves_nothing_behind() {
    let good = line(&json!({"response_token_ids": [1, 2], "tokens": ["a", "b"]}));
    // Its tokens have texts of their own. Its disk fails after blocks of rows were added.
    let bad = line(&json!({
        "response_token_ids": [1, 9], "tokens": ["x", "y"], "reward": "text", "extra": 1, "pad": "y".repeat(1 << 20),
    }));
    let before_failure = bad.repeat(18);
    let read_both = |second: &str| {
        let mut found = table(&good);
        let mut bytes = second.as_bytes();
        let source = Source { reader: &mut bytes, path: None };
        let error = read(source, "bad", &Columns::default(), &mut found);
        (found, error.is_err())
    };
    let mut found = table(&good);
    let mut reader = before_failure.as_bytes().chain(BrokenDisk);
    let source = Source { reader: &mut reader, path: None };
    assert!(read(source, "bad", &Columns::default(), &mut found).is_err());
    let (no_response, failed) = read_both("{\"id\": 1}\n");
    assert!(failed);
    for found in [&found, &no_response] {
        assert_eq!(found.kinds().len(), 2);
        assert_eq!(found.responses().len(), 1);
        assert_eq!(left_out(found), left_out(&table(&good)));
        assert_eq!(found.columns(), table(&good).columns());
        assert_eq!(found.ids_with_several_texts(), (0, 2));
    }
    // The kinds of a later file are found, and new.
    let mut bytes = bad.as_bytes();
    let source = Source { reader: &mut bytes, path: None };
    read(source, "later", &Columns::default(), &mut found).unwrap();
    let texts: Vec<_> = found.kinds().iter().map(|kind| kind.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["a", "b", "x", "y"]);
}
