//! Rows of OpenAI's batch files, which vLLM and SGLang write too, and of both files joined by `custom_id`.
//!
//! ```json
//! {"custom_id": "q-7", "body": {"messages": […]},
//!  "response": {"body": {"choices": [{"message": {…}, "finish_reason": "stop"}]}}}
//! ```
//!
//! An input file has no `response`; an output file has no `body`, so nothing to score its responses with.

use serde_json::{Map, Value as Json, json};

use super::raw::{PromptError, RawContent, RawRow, has};

/// Turns a row of a batch file into rows with the usual keys, one per choice; other rows stay as they are.
pub(super) fn convert(raw: RawRow) -> Result<Vec<RawRow>, PromptError> {
    let RawContent::Keys(keys) = &raw.content else { return Ok(vec![raw]) };
    let body = keys.get("body").filter(|body| body.is_object());
    let response = keys.get("response").filter(|response| response.is_object());
    if !keys.contains_key("custom_id") || (body.is_none() && response.is_none()) {
        return Ok(vec![raw]);
    }
    let refuse = |reason: String, hint: &str| {
        let (place, hint) = (raw.place.clone(), Some(hint.to_owned()));
        Err(PromptError::Row { place, reason, hint })
    };
    let Some(body) = body else {
        return refuse(
            "it is a row of a batch output, which has no prompt".to_owned(),
            "add the \"body\" of the batch input to each row, by its \"custom_id\"",
        );
    };
    let mut row = keys.clone();
    for key in ["body", "response", "error", "custom_id"] {
        row.remove(key);
    }
    row.insert("id".to_owned(), keys["custom_id"].clone());
    for key in ["prompt", "messages", "prompt_token_ids", "tools"] {
        row.extend(body.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    let Some(response) = response else {
        if has(keys, "error") {
            let reason = format!("its request failed: {}", keys["error"]);
            return refuse(reason, "remove the rows of failed requests");
        }
        return Ok(vec![RawRow { place: raw.place, content: RawContent::Keys(row) }]);
    };
    let choices = response["body"]["choices"].as_array().filter(|choices| !choices.is_empty());
    let Some(choices) = choices else {
        let reason =
            format!("its response has no choices; its status is {}", response["status_code"]);
        return refuse(reason, "remove the rows of failed requests");
    };
    let rows = choices.iter().enumerate().map(|(index, choice)| {
        let place = match choices.len() {
            1 => raw.place.clone(),
            _ => format!("{}, choice {}", raw.place, index + 1),
        };
        let mut row = row.clone();
        add_choice(&mut row, choice, &response["body"]);
        RawRow { place, content: RawContent::Keys(row) }
    });
    Ok(rows.collect())
}

/// Adds the response of a choice; vLLM adds token ids if the request had `return_token_ids`.
fn add_choice(row: &mut Map<String, Json>, choice: &Json, body: &Json) {
    let message = choice.get("message").filter(|message| message.is_object());
    let message = message.map(|message| json!([message]));
    let response = message.or_else(|| choice.get("text").cloned()).unwrap_or(Json::Null);
    row.insert("response".to_owned(), response);
    row.insert("finish_reason".to_owned(), choice["finish_reason"].clone());
    let prompt_ids = [choice, body].iter().find_map(|holder| holder["prompt_token_ids"].as_array());
    row.extend(prompt_ids.map(|ids| ("prompt_token_ids".to_owned(), json!(ids))));
    if let (Some(ids), true) = (choice["token_ids"].as_array(), has(row, "prompt_token_ids")) {
        row.insert("response_token_ids".to_owned(), json!(ids));
    }
}
