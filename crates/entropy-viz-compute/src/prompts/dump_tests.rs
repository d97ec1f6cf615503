//! Rows as trainers dump them. The shapes are those of their sources at the commits in docs/compute.md.

use serde_json::{Value as Json, json};

use super::*;
use std::fs;

pub(super) fn read_rows(
    text: &str,
    selected: SelectedKeys<'_>,
) -> Result<Vec<PromptRow>, PromptError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p.jsonl");
    fs::write(&path, text).unwrap();
    read(&path, selected, 0)
}

pub(super) fn rows(row: &Json) -> Vec<PromptRow> {
    read_rows(&row.to_string(), SelectedKeys::default()).unwrap()
}

fn one(row: &Json) -> PromptRow {
    let mut rows = rows(row);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

fn refusal(row: &Json) -> (String, String) {
    let error = read_rows(&row.to_string(), SelectedKeys::default()).unwrap_err();
    (error.to_string(), error.hint().unwrap_or_default())
}

fn user(content: &str) -> Json {
    json!({"role": "user", "content": content})
}

fn text(text: &str) -> Option<GivenResponse> {
    Some(GivenResponse::Text(text.to_owned()))
}

fn ids(ids: &[i64]) -> Option<GivenResponse> {
    Some(GivenResponse::Tokens(ids.to_vec()))
}

fn mask(row: &PromptRow) -> Vec<u8> {
    row.masks[0].values.iter().map(|own| u8::from(*own)).collect()
}

#[test]
fn texts_are_found_under_the_names_of_trainers() {
    for (row, trainer) in [
        (json!({"step": 7, "prompt": "a", "completion": "b", "advantage": 0.5}), "TRL"),
        (
            json!({"task_id": 3, "seqlen": 2, "prompt_len": 1, "prompt": "a", "completion": "b"}),
            "AReaL",
        ),
        (json!({"input_prompt": "a", "output_response": "b", "stop_reason": "stop"}), "SkyRL"),
        (json!({"input": "a", "output": "b", "gts": "c", "score": 1.0}), "verl"),
        (json!({"prompt": "a", "responses": ["b"]}), "verl's generation"),
        (json!({"prompt": "a", "response": "b", "status": "completed"}), "slime"),
    ] {
        let row = one(&row);
        assert_eq!(row.prompt, Prompt::Text("a".to_owned()), "{trainer}");
        assert_eq!(row.response, text("b"), "{trainer}");
    }
    assert_eq!(
        one(&json!({"prompt": "a", "response": "b", "status": "truncated"}))
            .finish_reason
            .as_deref(),
        Some("length")
    );
    let skyrl = json!({"input_prompt": "a", "output_response": "b", "stop_reason": "stop"});
    assert_eq!(one(&skyrl).finish_reason.as_deref(), Some("stop"));
}

#[test]
fn token_ids_are_found_under_the_names_of_trainers() {
    for (row, trainer) in [
        (
            json!({"prompt_tokens": [1, 2], "response_tokens": [3, 4], "finish_reason": "stop"}),
            "open-instruct",
        ),
        (json!({"prompt_token_ids": [1, 2], "response_ids": [3, 4]}), "SkyRL"),
        (json!({"prompt_ids": [1, 2], "completion_ids": [3, 4]}), "TRL"),
        (
            json!({"prompt_ids": [0, 1, 2], "prompt_mask": [0, 1, 1], "completion_ids": [3, 4]}),
            "TRL, padded",
        ),
        (json!({"input_ids": [1, 2], "output_ids": [3, 4]}), "SGLang"),
        (json!({"input_ids": [1, 2, 3, 4], "output_ids": [3, 4]}), "both in input_ids"),
        (
            json!({"prompt": "a", "response": "b", "tokens": [1, 2, 3, 4], "response_length": 2}),
            "slime",
        ),
        (
            json!({"token_ids": [[1, 2, 3, 4, 9]], "input_lengths": [4], "prompt_length": [2]}),
            "padded",
        ),
        (json!({"prompt_token_ids": [1, 2], "token_ids": [1, 2, 3, 4]}), "prompt and both"),
    ] {
        let row = one(&row);
        assert_eq!(row.prompt, Prompt::Tokens(vec![1, 2]), "{trainer}");
        assert_eq!(row.response, ids(&[3, 4]), "{trainer}");
    }
    // The usage of an API has counts of tokens.
    let counts =
        json!({"prompt": "a", "completion": "b", "prompt_tokens": 7, "completion_tokens": 3});
    assert_eq!(one(&counts).response, text("b"));
}

#[test]
fn response_of_one_sequence_begins_at_the_first_own_token() {
    // NeMo-RL: lists of one, padding, floats.
    let nemo = json!({
        "content": ["…"], "rewards": [1.0], "input_lengths": [5], "token_ids": [[1, 2, 3, 4, 5, 0, 0]],
        "token_loss_mask": [[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]], "sample_loss_mask": [1.0], "idx": [6],
    });
    // AReaL's tensors, padded at both sides.
    let areal = json!({"input_ids": [9, 1, 2, 3, 4, 5, 9], "loss_mask": [0, 0, 0, 1, 0, 1, 0], "attention_mask": [0, 1, 1, 1, 1, 1, 0]});
    let prime = json!({"step": 3, "token_ids": [1, 2, 3, 4, 5], "loss_mask": [false, false, true, false, true], "entropy": [null]});
    for row in [nemo, areal, prime] {
        let row = one(&row);
        assert_eq!(row.prompt, Prompt::Tokens(vec![1, 2]));
        assert_eq!(row.response, ids(&[3, 4, 5]));
        assert_eq!(mask(&row), [0, 0, 1, 0, 1]);
    }
    let (error, _) = refusal(&json!({"tokens": [1, 2], "response_length": 3}));
    assert_eq!(error, "line 1: \"response_length\" is 3, but it has 2 token ids");
}

#[test]
fn object_of_lists_is_one_row_per_response() {
    // ms-swift's completions.jsonl.
    let step = json!({"step": 7, "prompt": ["a", "c"], "completion": ["b", "d"], "advantages": [1, -1], "entropy": [0.5, 0.25]});
    let all = rows(&step);
    let read: Vec<_> = all
        .iter()
        .map(|row| (row.prompt.clone(), row.response.clone(), row.place.as_str()))
        .collect();
    assert_eq!(
        read,
        [
            (Prompt::Text("a".to_owned()), text("b"), "line 1, item 1"),
            (Prompt::Text("c".to_owned()), text("d"), "line 1, item 2"),
        ]
    );
    // Several samples of one prompt.
    let all = rows(&json!({"prompt": [{"role": "user", "content": "a"}], "responses": ["b", "c"]}));
    assert_eq!(
        all.iter().map(|row| row.response.clone()).collect::<Vec<_>>(),
        [text("b"), text("c")]
    );
    assert!(all.iter().all(|row| matches!(row.prompt, Prompt::Messages(_))));
    let (error, _) = refusal(&json!({"prompt": ["a", "b"], "completion": ["c"]}));
    assert_eq!(error, "line 1: it has 2 values in \"prompt\" and 1 in \"completion\"");
}

#[test]
fn conversations_of_trl_and_verifiers_are_messages() {
    let (user, reply) =
        (json!({"role": "user", "content": "a"}), json!({"role": "assistant", "content": "b"}));
    let row = one(&json!({"prompt": [user], "completion": [reply], "reward": 1.0}));
    assert_eq!(row.prompt, Prompt::Messages(vec![user]));
    assert_eq!(row.response, Some(GivenResponse::Messages(vec![reply])));
}

#[test]
fn completion_of_one_row_makes_no_conversation_of_another() {
    let (user, reply) =
        (json!({"role": "user", "content": "a"}), json!({"role": "assistant", "content": "b"}));
    let first = json!({"prompt": [user], "completion": [reply]});
    let second = json!({"prompt": [user, reply, user], "completion": null});
    let rows = read_rows(&format!("{first}\n{second}"), SelectedKeys::default()).unwrap();
    assert_eq!(
        (rows[1].response.clone(), &rows[1].prompt),
        (None, &Prompt::Messages(vec![user.clone(), reply, user]))
    );
}

#[test]
fn assistant_turns_of_messages_are_the_response() {
    let reply = |content: &str| json!({"role": "assistant", "content": content});
    let (tool, chat) = (json!({"role": "tool", "content": "t"}), [user("a"), reply("b")]);
    let row = one(&json!({"messages": chat}));
    assert_eq!(row.prompt, Prompt::Messages(vec![user("a")]));
    assert_eq!(row.response, Some(GivenResponse::Messages(vec![reply("b")])));
    let row = one(&json!({"messages": chat, "response": "c"}));
    assert_eq!(row.response, Some(GivenResponse::Text("c".to_owned())));
    assert_eq!(row.prompt, Prompt::Messages(chat.to_vec()));

    // A conversation that ends with a tool's output is a prompt on its own, but not among conversations.
    let open = json!({"messages": [user("a"), reply("b"), tool]}).to_string();
    assert_eq!(read_rows(&open, SelectedKeys::default()).unwrap()[0].response, None);
    let both = format!("{open}\n{}", json!({"messages": chat}));
    let rows = read_rows(&both, SelectedKeys::default()).unwrap();
    assert_eq!(rows[0].response, Some(GivenResponse::Messages(vec![reply("b"), tool])));
    assert_eq!(rows[0].prompt_text, Some(json!([user("a")])));

    // A prompt is not split: its last message may be the beginning of a reply.
    assert_eq!(
        refusal(&json!({"prompt": chat})).0,
        "line 1: its last message is from the assistant, and it has no \"response\""
    );
    assert!(refusal(&json!({"messages": [reply("b")]})).0.contains("its last message is from"));
}

#[test]
fn tools_are_a_list_of_objects_or_its_json() {
    let tool = json!([{"type": "function"}]);
    for given in [tool.clone(), json!(tool.to_string())] {
        let chat = json!([{"role": "user", "content": "a"}]);
        assert_eq!(one(&json!({"messages": chat, "tools": given})).tools, Some(tool.clone()));
    }
    let chat =
        |tools: Json| json!({"messages": [{"role": "user", "content": "a"}], "tools": tools});
    assert_eq!(one(&chat(json!([tool[0].to_string()]))).tools, Some(tool.clone()));
    assert!(refusal(&chat(json!("a hammer"))).0.contains("\"tools\" is not a list of functions"));
    assert_eq!(one(&chat(json!(null))).tools, None);
    assert_eq!(one(&json!({"prompt": "a", "tools": "a hammer"})).tools, None);
}

#[test]
fn segments_of_areal_mark_the_text_of_the_policy() {
    let part = |role: &str, text: &str| json!({"role": role, "len": 1, "text": text});
    let row = one(&json!({
        "prompt": "a", "completion": "bcd",
        "segments": [part("prompt", "a"), part("gen", "b"), part("context", "c"), part("gen", "d")],
    }));
    let part = |text: &str, own| ResponsePart { text: text.to_owned(), own };
    let parts = vec![part("b", true), part("c", false), part("d", true)];
    assert_eq!(row.response, Some(GivenResponse::Parts(parts)));
    assert!(
        refusal(&json!({"prompt": "a", "completion": "b", "segments": []})).0.contains("segments")
    );
}

#[test]
fn rows_of_openai_batches_have_prompt_and_response() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function"}]});
    let input =
        json!({"custom_id": "q-7", "method": "POST", "url": "/v1/chat/completions", "body": body});
    let row = one(&input);
    assert_eq!((row.id, row.response), (json!("q-7"), None));
    assert_eq!(row.prompt, Prompt::Messages(vec![json!({"role": "user", "content": "a"})]));
    assert_eq!(row.tools, Some(json!([{"type": "function"}])));

    let reply = |text: &str| json!({"role": "assistant", "content": text});
    let choices = json!([
        {"index": 0, "message": reply("b"), "finish_reason": "stop"},
        {"index": 1, "message": reply("c"), "finish_reason": "length"},
    ]);
    let mut joined = input.clone();
    joined["response"] = json!({"status_code": 200, "body": {"choices": choices}});
    joined["error"] = Json::Null;
    let all = rows(&joined);
    assert_eq!(all[1].response, Some(GivenResponse::Messages(vec![reply("c")])));
    assert_eq!(
        (all[1].finish_reason.as_deref(), all[1].place.as_str()),
        (Some("length"), "line 1, choice 2")
    );
    joined["response"]["body"] =
        json!({"prompt_token_ids": [1], "choices": [{"message": reply("b"), "token_ids": [2, 3]}]});
    assert_eq!(one(&joined).response, ids(&[2, 3]));

    let output =
        json!({"id": "r", "custom_id": "q-7", "response": joined["response"], "error": null});
    let (error, hint) = refusal(&output);
    assert_eq!(error, "line 1: it is a row of a batch output, which has no prompt");
    assert!(hint.contains("custom_id"));
    let mut failed = input;
    failed["error"] = json!({"code": "expired"});
    assert!(refusal(&failed).0.contains("its request failed"));
}

#[test]
fn row_with_a_response_of_unknown_name_is_not_sampled() {
    for (key, value) in [
        ("output", json!("b")),
        ("generated_text", json!("b")),
        ("modelOutput", json!(["b"])),
        ("outputs", json!([{"text": "b"}])),
        ("rollout_ids", json!([1, 2])),
    ] {
        let (error, hint) = refusal(&json!({"prompt": "a", key: value}));
        assert_eq!(error, format!("line 1: it has no \"response\", but {key:?} looks like one"));
        assert_eq!(
            hint,
            format!(
                "score it with --response-key {key}, or sample new responses with --response-key none"
            )
        );
    }
    // A prompt file: reference answers, settings, and empty columns.
    let plain = json!({
        "prompt": "a", "answer": "7", "solution": "3 + 4", "ground_truth": "7", "expected_output": "7", "output_format": "box",
        "response_length": 12, "generated_text": "", "outputs": [], "reward_model": {"style": "rule"}, "output_tokens": 3,
    });
    assert_eq!(one(&plain).response, None);
    assert_eq!(one(&json!({"prompt": "a", "completions": 8, "completion": false})).response, None);
    let rated = refusal(&json!({"prompt": "a", "completions": [{"model": "m", "response": "b"}]}));
    assert!(rated.0.contains("not of messages") && rated.1.contains("--response-key none"));
    // Beside a response, other names do not matter.
    assert_eq!(
        one(&json!({"prompt": "a", "response": "b", "generated_text": "c"})).response,
        text("b")
    );
}

#[test]
fn response_key_selects_text_messages_or_ids_or_none() {
    let row = |key: &str| {
        let row = json!({
            "prompt": "a", "response": "b", "output": "c", "draft_ids": [5, 6], "empty": null,
            "chat": [{"role": "assistant", "content": "d"}], "loss_mask": [1, 0],
        });
        read_rows(&row.to_string(), SelectedKeys { response: Some(key), ..SelectedKeys::default() })
    };
    let response = |key| row(key).unwrap().remove(0).response;
    assert_eq!(response("output"), text("c"));
    assert_eq!(response("draft_ids"), ids(&[5, 6]));
    assert_eq!(response("none"), None);
    assert_eq!(row("none").unwrap()[0].masks, []);
    assert!(row("chat").unwrap_err().to_string().contains("a list of messages, whose tokens"));
    assert!(row("empty").unwrap_err().to_string().contains("the row has no response"));
    let error = row("completion").unwrap_err().to_string();
    assert!(error.starts_with("line 1: it has no \"completion\", only \"prompt\""), "{error}");
}

#[test]
fn attention_mask_removes_padding_of_separate_ids() {
    let row = one(&json!({
        "prompt_token_ids": [0, 0, 5, 6], "response_token_ids": [7, 8, 9, 0, 0, 0],
        "attention_mask": [0, 0, 1, 1, 1, 1, 1, 0, 0, 0], "response_mask": [1, 0, 1, 0, 0, 0],
    }));
    assert_eq!(row.prompt, Prompt::Tokens(vec![5, 6]));
    assert_eq!(row.response, Some(GivenResponse::Tokens(vec![7, 8, 9])));
    assert_eq!(row.masks[0].values, [true, false, true]);
    let of_prompt =
        json!({"prompt_ids": [0, 5], "completion_ids": [7, 8, 9], "attention_mask": [0, 1]});
    assert_eq!(one(&of_prompt).prompt, Prompt::Tokens(vec![5]));
    for wrong in [
        json!({"prompt_ids": [0, 5], "completion_ids": [7, 8], "attention_mask": [1, 1, 1]}),
        json!({"prompt_ids": [0, 5], "completion_ids": [7, 8], "prompt_mask": [1, 1, 1]}),
        json!({"input_ids": [0, 5, 7], "loss_mask": [0, 0, 1], "attention_mask": [1, 1]}),
    ] {
        assert!(refusal(&wrong).0.contains("_mask\" has"), "{}", refusal(&wrong).0);
    }
}

#[test]
fn masks_under_other_names_are_read_or_refused() {
    let row = |name: &str| json!({"prompt_token_ids": [1, 2], "response_token_ids": [3, 4, 5], name: [1, 0, 1]});
    for name in ["action_mask", "assistant_tokens_mask", "completion_masks"] {
        assert_eq!(one(&row(name)).masks[0].values, [true, false, true], "{name}");
    }
    for name in ["policy_mask", "mask", "turnMask"] {
        assert!(refusal(&row(name)).0.contains("looks like a mask of its tokens"), "{name}");
    }
    // A list of another length is not of the tokens.
    let other =
        json!({"prompt_token_ids": [1, 2], "response_token_ids": [3], "image_mask": [1, 0, 1, 1]});
    assert!(one(&other).masks.is_empty());
}

fn fixture(name: &str) -> Vec<PromptRow> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/dumps");
    let selected = SelectedKeys { others: true, ..SelectedKeys::default() };
    read(&root.join(name), selected, 0).unwrap()
}

/// Files that the trainers' own functions wrote: tests/fixtures/make/trainer_dumps_make.py.
#[test]
fn dumps_of_verl_are_read_as_its_releases_write_them() {
    for release in ["0.4.1", "0.9.1", "0.9.1-v1"] {
        let rows = fixture(&format!("verl/{release}/40.jsonl"));
        assert_eq!(rows.len(), 4, "{release}");
        for row in &rows {
            let Prompt::Text(prompt) = &row.prompt else { panic!("{release}: {:?}", row.prompt) };
            assert!(prompt.starts_with("user\nWhat is 3 + "), "{release}: {prompt}");
            assert!(matches!(&row.response, Some(GivenResponse::Text(text)) if !text.is_empty()));
            assert!(row.columns["score"].is_number() && row.columns["step"] == 40, "{release}");
            // The result of the reward function; uid and request_id are not repeated.
            assert_eq!(row.columns.contains_key("pred"), release != "0.9.1-v1");
            assert!(!row.columns.contains_key("uid") && !row.columns.contains_key("gts"));
        }
    }
}

#[test]
fn samples_of_slime_and_rows_of_nemo_rl_are_read_as_they_are_written() {
    let responses = |name: &str| {
        let rows = fixture(name);
        let ids = rows.into_iter().map(|row| match row.response {
            Some(GivenResponse::Tokens(ids)) => ids,
            other => panic!("{name}: {other:?}"),
        });
        ids.collect::<Vec<_>>()
    };
    // NeMo-RL pads, slime has prompt and response in one list: the ids of the responses are equal.
    let expected = responses("nemo-rl/train_data_step40.jsonl");
    assert!(expected.len() == 4 && expected.iter().all(|ids| ids.len() > 4), "{expected:?}");
    for name in ["slime-0.3.1/40.pt", "slime-0.3.1/samples.jsonl"] {
        assert_eq!(responses(name), expected, "{name}");
    }
}
