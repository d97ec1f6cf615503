//! Keys, lengths and masks of a row that contradict each other, or only seem to.

use serde_json::{Value as Json, json};

use super::dump_tests::{read_rows, rows};
use super::*;

fn reason(row: &Json, selected: SelectedKeys<'_>) -> String {
    read_rows(&row.to_string(), selected).unwrap_err().to_string()
}

fn tokens(row: &PromptRow) -> (Prompt, Option<GivenResponse>) {
    (row.prompt.clone(), row.response.clone())
}

fn both(prompt: &[i64], response: &[i64]) -> (Prompt, Option<GivenResponse>) {
    (Prompt::Tokens(prompt.to_vec()), Some(GivenResponse::Tokens(response.to_vec())))
}

#[test]
fn lengths_of_a_padded_row_never_give_a_wrong_response() {
    // Both lengths: what follows is padding.
    let padded = json!({"input_ids": [1, 2, 3, 4, 0, 0], "prompt_len": 2, "response_length": 2, "loss_mask": [0, 0, 1, 1, 0, 0]});
    assert_eq!(tokens(&rows(&padded)[0]), both(&[1, 2], &[3, 4]));
    assert_eq!(rows(&padded)[0].masks[0].values, [false, false, true, true]);
    // verl: the prompt is padded on the left, the response on the right, and its length counts the padding.
    let mut verl = json!({"input_ids": [0, 1, 2, 3, 4, 5, 0, 0], "attention_mask": [0, 1, 1, 1, 1, 1, 0, 0], "response_length": 4});
    let said = reason(&verl, SelectedKeys::default());
    assert!(said.contains("attention_mask") && said.contains("may count padding"), "{said}");
    verl["response_mask"] = json!([0, 0, 0, 0, 1, 1, 0, 0]);
    assert_eq!(tokens(&rows(&verl)[0]), both(&[1, 2, 3], &[4, 5]));
    // Without padding in the response, both agree.
    let left = json!({"input_ids": [0, 1, 2, 3], "attention_mask": [0, 1, 1, 1], "response_length": 2, "loss_mask": [1, 0]});
    assert_eq!(tokens(&rows(&left)[0]), both(&[1], &[2, 3]));
    let long = json!({"input_ids": [1, 2, 3], "prompt_len": 2, "response_length": 2});
    assert!(reason(&long, SelectedKeys::default()).contains("2 and 2 tokens are more than its 3"));
}

#[test]
fn masks_that_begin_at_different_tokens_are_decided_by_name_or_an_error() {
    let row = json!({"token_ids": [1, 2, 3, 4], "response_mask": [0, 1, 1, 1], "loss_mask": [0, 0, 0, 1]});
    assert_eq!(tokens(&rows(&row)[0]), both(&[1], &[2, 3, 4]));
    let row = json!({"token_ids": [1, 2, 3, 4], "response_mask": [0, 0, 1, 1], "loss_mask": [0, 1, 1, 1]});
    let said = reason(&row, SelectedKeys::default());
    assert!(
        said.contains("token 3 by \"response_mask\"") && said.contains("token 2 by \"loss_mask\""),
        "{said}"
    );
}

#[test]
fn a_named_key_takes_precedence_over_token_ids() {
    let given = json!({"question": "q", "answer": "a", "prompt_token_ids": [1, 2], "response_token_ids": [3, 4], "loss_mask": [0, 0, 1, 0]});
    let named = |prompt, response| SelectedKeys { prompt, response, ..SelectedKeys::default() };
    let row = read_rows(&given.to_string(), named(Some("question"), None)).unwrap().remove(0);
    assert_eq!(row.prompt, Prompt::Text("q".to_owned()));
    assert_eq!(row.response, Some(GivenResponse::Tokens(vec![3, 4])));
    assert_eq!(row.masks[0].values, [true, false]);
    let said = reason(&given, named(None, Some("answer")));
    assert!(said.contains("\"loss_mask\"") && said.contains("\"answer\""), "{said}");
    let mut unmasked = given.clone();
    unmasked.as_object_mut().unwrap().remove("loss_mask");
    let row = read_rows(&unmasked.to_string(), named(Some("question"), Some("answer")))
        .unwrap()
        .remove(0);
    assert_eq!(row.prompt, Prompt::Text("q".to_owned()));
    assert_eq!(row.response, Some(GivenResponse::Text("a".to_owned())));
}

#[test]
fn without_responses_the_last_reply_is_sampled_anew() {
    let (user, reply) =
        (json!({"role": "user", "content": "a"}), json!({"role": "assistant", "content": "b"}));
    let none = SelectedKeys { response: Some(NO_RESPONSE), ..SelectedKeys::default() };
    for key in ["messages", "prompt"] {
        let row = json!({key: [user, reply, user, reply]}).to_string();
        let row = read_rows(&row, none).unwrap().remove(0);
        assert_eq!(row.prompt_text, Some(json!([user, reply, user])));
        assert_eq!((row.response, row.is_conversation), (None, false));
    }
    assert!(reason(&json!({"messages": [reply]}), none).contains("nothing to reply to"));
}

#[test]
fn lists_over_a_padded_prompt_lose_its_padding() {
    let row = json!({"prompt_ids": [0, 0, 1], "prompt_mask": [0, 0, 1], "completion_ids": [2, 3], "logprobs": [9, 9, 1, 2, 3], "loss_mask": [0, 0, 0, 1, 0]});
    let all = SelectedKeys { others: true, ..SelectedKeys::default() };
    let row = read_rows(&row.to_string(), all).unwrap().remove(0);
    assert_eq!(tokens(&row), both(&[1], &[2, 3]));
    assert_eq!(row.columns["logprobs"], json!([1, 2, 3]));
    assert_eq!(row.masks[0].values, [false, true, false]);
}

#[test]
fn responses_under_unknown_names_are_never_sampled_in_silence() {
    for name in [
        "model_output",
        "assistant",
        "generations",
        "pred",
        "prediction",
        "sampled_response",
        "gen",
    ] {
        let said = reason(&json!({"prompt": "a", name: "b"}), SelectedKeys::default());
        assert!(said.contains(&format!("{name:?} looks like one")), "{said}");
    }
    for (name, value) in [("generation", json!({"text": "b"})), ("choices", json!([{"text": "b"}]))]
    {
        let said = reason(&json!({"prompt": "a", name: value}), SelectedKeys::default());
        assert!(said.contains(&format!("{name:?} looks like one")), "{said}");
    }
    assert_eq!(rows(&json!({"prompt": "a", "choices": ["b", "c"]}))[0].response, None);
}

#[test]
fn numbers_that_python_writes_as_nan_are_null() {
    let text = r#"{"prompt_token_ids": [1], "response_token_ids": [2, 3], "reward": NaN, "logprobs": [-Infinity, null]}"#;
    let row = read_rows(text, SelectedKeys { others: true, ..SelectedKeys::default() })
        .unwrap()
        .remove(0);
    assert_eq!(row.columns["logprobs"], json!([null, null]));
    assert!(!row.columns.contains_key("reward"));
}
