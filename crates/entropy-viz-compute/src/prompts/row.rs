//! From the keys of a row to its prompt and its response.

use serde_json::{Map, Value as Json};

use super::invalid_row::{InvalidRow, token_ids};
use super::mask::masks;
use super::names::{self, PROMPT_IDS, PROMPTS, RESPONSE_IDS, RESPONSES, SEQUENCE_IDS, first_of};
use super::raw::{PromptError, RawContent, RawRow, has, json_type};
use super::sequence::{self, SplitIds};
use super::{
    GivenResponse, NO_RESPONSE, Prompt, PromptRow, ResponsePart, SelectedKeys, TokenMask, columns,
};

/// Interprets row `index`, counted from 0.
pub(super) fn interpret(
    raw: RawRow,
    index: usize,
    selected: SelectedKeys<'_>,
) -> Result<PromptRow, PromptError> {
    let RawRow { place, content } = raw;
    let row = match content {
        RawContent::Text(text) => from_text(text, index, selected),
        RawContent::Keys(keys) => from_keys(keys, index, selected),
    };
    match row {
        Ok(row) => Ok(PromptRow { place, ..row }),
        Err(InvalidRow { reason, hint }) => Err(PromptError::Row { place, reason, hint }),
    }
}

fn from_text(
    text: String,
    index: usize,
    selected: SelectedKeys<'_>,
) -> Result<PromptRow, InvalidRow> {
    let response = selected.response.filter(|key| *key != NO_RESPONSE);
    if let Some(key) = selected.prompt.or(response) {
        return Err(format!("it is a string, so it has no key {key:?}").into());
    }
    Ok(PromptRow {
        id: index.into(),
        place: String::new(),
        prompt_text: Some(text.clone().into()),
        prompt: Prompt::Text(text),
        response: None,
        is_conversation: false,
        masks: Vec::new(),
        columns: Map::new(),
        names: Vec::new(),
        long_answers: 0,
        tools: None,
        finish_reason: None,
        response_length: None,
        is_input_output: false,
    })
}

fn from_keys(
    mut keys: Map<String, Json>,
    index: usize,
    selected: SelectedKeys<'_>,
) -> Result<PromptRow, InvalidRow> {
    let key = match selected.prompt {
        Some(key) if !has(&keys, key) => return Err(no_prompt(&keys, selected.prompt)),
        Some(key) => Some(key.to_owned()),
        None => default_key(&keys).map(str::to_owned),
    };
    let finish_reason = finish_reason(&keys)?;
    let lengths = ["response_length", "response_len"];
    let response_length = lengths.iter().find_map(|name| keys.get(*name)?.as_u64());
    let is_input_output = key.as_deref() == Some("input") && has(&keys, "output");
    let named_ids = match selected.prompt {
        Some(key) if names::is_token_list(key) => token_ids(&keys, key)?,
        _ => None,
    };
    let prompt_value = match (&named_ids, &key) {
        (None, Some(key)) => Some(prompt_of(&keys[key], key)?),
        _ => None,
    };
    let mut columns = if selected.others { columns::repeated(&keys) } else { Map::new() };
    let long_answers = if selected.others { columns::long_answers(&keys, selected) } else { 0 };
    // What the user named as the response is no answer besides.
    selected.prompt.iter().chain(&selected.response).for_each(|key| drop(columns.remove(*key)));
    columns.extend(columns::named(&keys, selected.groups));
    let has_all = selected.groups.iter().all(|name| columns.contains_key(*name));
    let names = if index > 0 || has_all { Vec::new() } else { columns::scalar_names(&keys) };
    let Given { prompt: prompt_ids, mut response, masks } =
        given(&keys, key.as_deref(), selected, &mut columns)?;
    // A key that the user named takes precedence over token ids.
    let by_name = named_ids.map(Prompt::Tokens);
    let by_name = by_name.or_else(|| prompt_value.clone().filter(|_| selected.prompt.is_some()));
    let default = || prompt_ids.map(Prompt::Tokens).or(prompt_value);
    let Some(mut prompt) = by_name.or_else(default) else {
        return Err(no_prompt(&keys, selected.prompt));
    };
    let unknown = names::unknown_response(&keys, key.as_deref()).map(str::to_owned);
    let mut prompt_text = key.as_ref().and_then(|key| keys.remove(key));
    if let (Prompt::Messages(messages), Some(NO_RESPONSE)) = (&mut prompt, selected.response)
        && messages.last().is_some_and(is_assistant)
    {
        // The reply to the last other message is sampled anew.
        let Some(last) = messages.iter().rposition(|message| !is_assistant(message)) else {
            return Err(
                "all of its messages are from the assistant, so there is nothing to reply to"
                    .to_owned()
                    .into(),
            );
        };
        messages.truncate(last + 1);
        prompt_text = Some(messages.clone().into());
    }
    let is_sampled = selected.response == Some(NO_RESPONSE);
    let mut is_conversation = false;
    if let (Prompt::Messages(messages), None, false) = (&prompt, &response, is_sampled)
        && messages.last().is_some_and(is_assistant)
    {
        let Some((before, turns)) = split(messages).filter(|_| key.as_deref() != Some("prompt"))
        else {
            return Err(InvalidRow {
                reason: "its last message is from the assistant, and it has no \"response\""
                    .to_owned(),
                hint: Some(
                    "move the last message to the key \"response\", or all of them to \"messages\""
                        .to_owned(),
                ),
            });
        };
        is_conversation = true;
        prompt_text = Some(before.clone().into());
        (prompt, response) = (Prompt::Messages(before), Some(GivenResponse::Messages(turns)));
    }
    if let (None, Some(name), None) = (&response, unknown, selected.response) {
        return Err(InvalidRow {
            reason: format!("it has no \"response\", but {name:?} looks like one"),
            hint: Some(format!(
                "score it with --response-key {name}, or sample new responses with --response-key {NO_RESPONSE}"
            )),
        });
    }
    check_masks(&masks, response.as_ref())?;
    if let (Prompt::Tokens(prompt), Some(GivenResponse::Tokens(response))) = (&prompt, &response) {
        refuse_unknown_masks(&keys, prompt.len(), response.len())?;
    }
    let tools = tools(&keys, &prompt)?;
    let id = keys.get("id").filter(|id| !id.is_null());
    Ok(PromptRow {
        id: id.cloned().unwrap_or_else(|| index.into()),
        place: String::new(),
        prompt,
        prompt_text,
        response,
        is_conversation,
        masks,
        columns,
        names,
        long_answers,
        tools,
        finish_reason,
        response_length,
        is_input_output,
    })
}

/// What a row has besides the text of its prompt.
struct Given {
    prompt: Option<Vec<i64>>,
    response: Option<GivenResponse>,
    masks: Vec<TokenMask>,
}

/// Token ids of the prompt, and the response: its token ids, else its text or messages.
fn given(
    keys: &Map<String, Json>,
    prompt_key: Option<&str>,
    selected: SelectedKeys<'_>,
    columns: &mut Map<String, Json>,
) -> Result<Given, InvalidRow> {
    let response_key = selected.response;
    let ids = |names: &[&str]| {
        let name = names.iter().find(|name| keys.get(**name).is_some_and(Json::is_array));
        // A key of another type is an error if it is the first name; others may be counts of tokens.
        name.or(names.first()).map_or(Ok(None), |name| token_ids(keys, name))
    };
    let prompt_ids = ids(&PROMPT_IDS)?;
    let name = match response_key {
        Some(NO_RESPONSE) => {
            return Ok(Given { prompt: prompt_ids, response: None, masks: Vec::new() });
        }
        Some(key) if !keys.contains_key(key) => {
            let names: Vec<String> = keys.keys().take(12).map(|key| format!("{key:?}")).collect();
            return Err(format!("it has no {key:?}, only {}", names.join(", ")).into());
        }
        Some(key) => Some(key),
        None => {
            let output = (prompt_key == Some("input")).then_some("output");
            let names = RESPONSES.into_iter().chain(output);
            // Under other names than our own, a number is a count of responses.
            let names = names.filter(|name| {
                *name == "response"
                    || !keys.get(*name).is_some_and(|v| v.is_number() || v.is_boolean())
            });
            first_of(keys, &names.collect::<Vec<_>>())
        }
    };
    let mut masks = masks(keys)?;
    let is_ids = |key: &&str| {
        let items = keys[*key].as_array();
        items.is_some_and(|items| !items.is_empty() && items.iter().all(Json::is_number))
    };
    let response_ids = match name.filter(is_ids) {
        Some(key) => token_ids(keys, key)?,
        None if response_key.is_some() => None,
        None => ids(&RESPONSE_IDS)?,
    };
    let SplitIds { prompt, response: response_ids } = match (response_key, response_ids) {
        (Some(key), None) => {
            let of_ids = RESPONSE_IDS.into_iter().chain(SEQUENCE_IDS).find(|name| has(keys, name));
            if let (Some(ids), Some(mask)) = (of_ids, masks.first()) {
                return Err(InvalidRow {
                    reason: format!(
                        "{:?} counts the token ids in {ids:?}, but --response-key names the text {key:?}",
                        mask.column
                    ),
                    hint: Some(
                        "omit --response-key to score the token ids, or remove the mask".to_owned(),
                    ),
                });
            }
            SplitIds { prompt: prompt_ids, response: None }
        }
        (_, ids) => sequence::split(keys, prompt_ids, ids, &mut masks, columns)?,
    };
    // With another prompt, masks and lists of prompt and response lose what belongs to its token ids.
    if let (Some(_), Some(prompt), Some(response)) = (selected.prompt, &prompt, &response_ids)
        && selected.prompt.is_some_and(|key| !PROMPT_IDS.contains(&key))
    {
        sequence::keep_response(prompt.len(), response.len(), &mut masks, columns)?;
    }
    let response = match (response_ids, name) {
        (Some(ids), _) => Some(GivenResponse::Tokens(ids)),
        (None, Some(name)) => match segments(keys)?.filter(|_| name == "completion") {
            Some(parts) => Some(parts),
            None => response_of(keys, name)?,
        },
        (None, None) => None,
    };
    Ok(Given { prompt, response, masks })
}

/// AReaL's parts of a trajectory with several turns: the prompt, then those of the policy (`gen`) and of others.
fn segments(keys: &Map<String, Json>) -> Result<Option<GivenResponse>, InvalidRow> {
    let Some(segments) = keys.get("segments").and_then(Json::as_array) else { return Ok(None) };
    let part = |segment: &Json| {
        let own = segment["role"] == "gen";
        Some(ResponsePart { text: segment["text"].as_str()?.to_owned(), own })
    };
    let parts = segments.iter().skip_while(|segment| segment["role"] != "gen");
    match parts.map(part).collect::<Option<Vec<_>>>() {
        Some(parts) if !parts.is_empty() => Ok(Some(GivenResponse::Parts(parts))),
        _ => Err("\"segments\" is not a list of texts with a \"gen\" among them".to_owned().into()),
    }
}

/// Why a response ended, in the words of OpenAI.
fn finish_reason(keys: &Map<String, Json>) -> Result<Option<String>, InvalidRow> {
    if let Some(reason) = text_of(keys, "finish_reason")? {
        return Ok(Some(reason));
    }
    let text = |key: &str| keys.get(key).and_then(Json::as_str);
    let reason = text("stop_reason").filter(|reason| ["stop", "length"].contains(reason));
    // slime's `status` of a sample.
    let status = match text("status") {
        Some("completed") => Some("stop"),
        Some("truncated") => Some("length"),
        _ => None,
    };
    Ok(reason.or(status).map(str::to_owned))
}

fn is_assistant(message: &Json) -> bool {
    message["role"] == "assistant"
}

/// The messages before the assistant's first reply, and the others; `None` if there is no reply.
pub(super) fn split(messages: &[Json]) -> Option<(Vec<Json>, Vec<Json>)> {
    // A reply needs something to reply to: an assistant's greeting belongs to the prompt.
    let first = messages.iter().skip(1).position(is_assistant)? + 1;
    Some((messages[..first].to_vec(), messages[first..].to_vec()))
}

/// Rejects a list of 0 and 1 per token under a name that looks like that of a mask: which tokens count would be a guess.
fn refuse_unknown_masks(
    keys: &Map<String, Json>,
    prompt: usize,
    response: usize,
) -> Result<(), InvalidRow> {
    let is_flag = |item: &Json| item.is_boolean() || matches!(item.as_f64(), Some(0.0 | 1.0));
    let is_mask = |value: &Json| {
        value.as_array().is_some_and(|items| {
            (items.len() == response || items.len() == prompt + response)
                && items.iter().all(is_flag)
        })
    };
    match keys.iter().find(|(name, value)| names::looks_like_mask(name) && is_mask(value)) {
        None => Ok(()),
        Some((name, _)) => Err(InvalidRow {
            reason: format!("{name:?} looks like a mask of its tokens, but the name is not known"),
            hint: Some(
                "name it response_mask if 1 is for tokens of the policy, else remove it".to_owned(),
            ),
        }),
    }
}

/// A mask counts the tokens of one response.
fn check_masks(masks: &[TokenMask], response: Option<&GivenResponse>) -> Result<(), InvalidRow> {
    let Some(TokenMask { column, values }) = masks.first() else { return Ok(()) };
    let found = values.len();
    let reason = match response {
        None => format!("{column:?} has {found} values, but the row has no response"),
        Some(GivenResponse::Messages(_)) => format!(
            "{column:?} has {found} values, but the response is a list of messages, whose tokens it does not count"
        ),
        Some(_) => return Ok(()),
    };
    Err(InvalidRow {
        reason,
        hint: Some(
            "dump the token ids that the mask belongs to as \"response_token_ids\"".to_owned(),
        ),
    })
}

/// Functions for the chat template: a list of objects, or such a list or objects as JSON text. Only a chat has them.
fn tools(keys: &Map<String, Json>, prompt: &Prompt) -> Result<Option<Json>, InvalidRow> {
    let parsed = |value: &Json| match value {
        Json::String(text) => serde_json::from_str::<Json>(text).ok(),
        other => Some(other.clone()),
    };
    let given = match keys.get("tools") {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(_) if !matches!(prompt, Prompt::Messages(_)) => return Ok(None),
        Some(given) => given,
    };
    let list = parsed(given).and_then(|tools| tools.as_array()?.iter().map(parsed).collect());
    match list.filter(|list: &Vec<Json>| list.iter().all(Json::is_object)) {
        Some(list) => Ok((!list.is_empty()).then_some(Json::Array(list))),
        None => Err(InvalidRow {
            reason:
                "\"tools\" is not a list of functions, so the chat template cannot describe them"
                    .to_owned(),
            hint: Some("give the objects that the chat template got, or remove the key".to_owned()),
        }),
    }
}

/// Text or messages.
fn response_of(keys: &Map<String, Json>, key: &str) -> Result<Option<GivenResponse>, InvalidRow> {
    let Some(value @ Json::Array(items)) = keys.get(key) else {
        return Ok(text_of(keys, key)?.map(GivenResponse::Text));
    };
    if !items.iter().any(is_assistant) {
        return Err(InvalidRow {
            reason: format!("{key:?} is a list, but not of messages with one of the assistant"),
            hint: Some(format!(
                "select the response with --response-key KEY, or sample new ones with --response-key {NO_RESPONSE}"
            )),
        });
    }
    match prompt_of(value, key)? {
        Prompt::Messages(messages) => Ok(Some(GivenResponse::Messages(messages))),
        _ => Err(format!("{key:?} is a list, but not of messages").into()),
    }
}

fn default_key(keys: &Map<String, Json>) -> Option<&'static str> {
    let input = keys.contains_key("output").then_some("input");
    PROMPTS.into_iter().chain(input).find(|key| has(keys, key))
}

fn no_prompt(keys: &Map<String, Json>, prompt_key: Option<&str>) -> InvalidRow {
    let expected = prompt_key.unwrap_or("prompt");
    if keys.contains_key(expected) {
        return format!("{expected:?} is null").into();
    }
    let names: Vec<String> = keys.keys().take(12).map(|key| format!("{key:?}")).collect();
    let more = if keys.len() > names.len() { ", …" } else { "" };
    let common = ["question", "problem", "instruction", "query", "text", "content", "input"];
    let fits = |value: &Json| value.is_string() || value.is_array() || value.is_null();
    let suggestion = common.into_iter().find(|key| keys.get(*key).is_some_and(fits));
    let hint = suggestion.map_or_else(
        || "select the key of the prompt with --prompt-key KEY".to_owned(),
        |key| format!("try --prompt-key {key}"),
    );
    match names.is_empty() {
        true => "it has no keys".to_owned().into(),
        false => InvalidRow {
            reason: format!("it has no {expected:?}, only {}{more}", names.join(", ")),
            hint: Some(hint),
        },
    }
}

/// Text or messages.
fn prompt_of(value: &Json, key: &str) -> Result<Prompt, InvalidRow> {
    let messages = match value {
        Json::String(text) => return Ok(Prompt::Text(text.clone())),
        Json::Array(messages) if messages.is_empty() => {
            return Err(format!("{key:?} is an empty list").into());
        }
        Json::Array(messages) => messages,
        other => {
            return Err(format!("{key:?} is {}, not a string or messages", json_type(other)).into());
        }
    };
    if messages.iter().all(Json::is_number) {
        return Err(InvalidRow {
            reason: format!("{key:?} is a list of numbers, not of messages"),
            hint: Some("use the key \"prompt_token_ids\" for token ids".to_owned()),
        });
    }
    for (index, message) in messages.iter().enumerate() {
        let refuse =
            |reason: String| Err(format!("{key:?}, message {}: {reason}", index + 1).into());
        if !message.is_object() {
            return refuse(format!("it is {}, not an object", json_type(message)));
        }
        match &message["role"] {
            Json::String(_) => {}
            Json::Null => return refuse("it has no \"role\"".to_owned()),
            other => return refuse(format!("\"role\" is {}, not a string", json_type(other))),
        }
        if let content @ (Json::Number(_) | Json::Bool(_)) = &message["content"] {
            return refuse(format!(
                "\"content\" is {}, not a string or a list of parts",
                json_type(content)
            ));
        }
    }
    Ok(Prompt::Messages(messages.clone()))
}

fn text_of(keys: &Map<String, Json>, key: &str) -> Result<Option<String>, InvalidRow> {
    match keys.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("{key:?} is {}, not a string", json_type(other)).into()),
    }
}
