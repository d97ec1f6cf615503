//! Chat templates: from messages to the text that the model continues.
//!
//! A checkpoint has its template, written in Jinja for Python. The entropy depends on the exact text of the prompt, so
//! the text must be equal to that of transformers, byte for byte:
//!
//! ```python
//! tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
//! ```
//!
//! minijinja runs the template. [`source`], [`python`] and [`tojson`] correct its differences from Jinja and Python, as
//! far as published templates need it; other features are an error that names them. [`engine`] limits time and memory.

mod engine;
mod python;
mod source;
#[cfg(test)]
mod tests;
mod tojson;

use std::io::ErrorKind;
use std::path::Path;

use minijinja::value::{Serde, Value};
use serde_json::{Map, Value as Json, json};
use thiserror::Error;

use crate::bounded;
use engine::{TagLines, Template, TemplateError};

/// Why a template cannot be loaded or rendered.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum ChatError {
    /// A file of the checkpoint cannot be used.
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    /// There are several templates, none of them the default.
    #[error("{file}: it has the chat templates {names}, but none is called \"default\"")]
    Names { file: String, names: String },
    /// The template is not valid, or it failed.
    #[error("{}: {reason}", place(.file, *.line))]
    Template { file: String, line: Option<usize>, reason: String },
    /// The template called `raise_exception`.
    #[error("{}: the template raised {message:?}", place(.file, *.line))]
    Refused { file: String, line: Option<usize>, message: String },
}

fn place(file: &str, line: Option<usize>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}: line {line}"))
}

impl ChatError {
    fn new(error: TemplateError, file: &str) -> ChatError {
        let file = file.to_owned();
        match error {
            TemplateError::Stopped { line, reason } => ChatError::Template { file, line, reason },
            TemplateError::Raised { line, message } => ChatError::Refused { file, line, message },
        }
    }
}

/// The chat template of a checkpoint, with its special tokens.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    file: String,
    template: Template,
    special_tokens: Map<String, Json>,
}

impl ChatTemplate {
    /// Loads the template of a checkpoint directory from `chat_template.jinja`, else `chat_template.json`, else
    /// `tokenizer_config.json`; `None` if there is none.
    pub(crate) fn load(directory: &Path) -> Result<Option<ChatTemplate>, ChatError> {
        let config = json_file(directory, "tokenizer_config.json")?.unwrap_or_default();
        let Some((file, source)) = find_template(directory, &config)? else {
            return Ok(None);
        };
        // Older versions wrote `special_tokens_map.json`. As in transformers, it takes precedence if the
        // configuration does not list the added tokens, and is ignored otherwise.
        let mut special_tokens = read_special_tokens(&config);
        if !config.contains_key("added_tokens_decoder") {
            let map = json_file(directory, "special_tokens_map.json")?.unwrap_or_default();
            special_tokens.extend(read_special_tokens(&map));
        }
        ChatTemplate::new(file, source, special_tokens).map(Some)
    }

    fn new(
        file: &str,
        source: String,
        special_tokens: Map<String, Json>,
    ) -> Result<ChatTemplate, ChatError> {
        let template = Template::new(&source, TagLines::Stripped)
            .map_err(|error| ChatError::new(error, file))?;
        Ok(ChatTemplate { file: file.to_owned(), template, special_tokens })
    }

    /// The text up to the beginning of the model's reply. `args` are additional variables, which take precedence over
    /// special tokens, `tools`, `documents` and `add_generation_prompt`; later ones take precedence over earlier ones.
    pub(crate) fn render(
        &self,
        messages: &[Json],
        args: &[(String, Json)],
    ) -> Result<String, ChatError> {
        if messages.is_empty() {
            let reason = "there are no messages".to_owned();
            return Err(ChatError::Template { file: self.file.clone(), line: None, reason });
        }
        let mut variables = self.special_tokens.clone();
        for (name, default) in [
            ("tools", Json::Null),
            ("documents", Json::Null),
            ("add_generation_prompt", json!(true)),
        ] {
            variables.insert(name.to_owned(), default);
        }
        variables.extend(args.iter().cloned());
        let messages = messages.iter().map(normalise_message).collect();
        variables.insert("messages".to_owned(), Json::Array(messages));
        self.template
            .render(Value::from(Serde(variables)))
            .map_err(|error| ChatError::new(error, &self.file))
    }
}

/// Normalises a message like transformers 5.23: null keys are removed, and reasoning gets the names that templates use
/// (`_alias_reasoning_fields` in `chat_template_utils.py`).
fn normalise_message(message: &Json) -> Json {
    let Json::Object(keys) = message else {
        return message.clone();
    };
    let keys = keys.iter().filter(|(_, value)| !value.is_null());
    let mut message: Map<String, Json> = keys.map(|(k, v)| (k.clone(), v.clone())).collect();
    let names = ["reasoning_content", "thinking", "reasoning"];
    if let Some(reasoning) = names.iter().find_map(|name| message.get(*name)).cloned() {
        let thinking = message.get("thinking").unwrap_or(&reasoning).clone();
        message.shift_insert(0, "thinking".to_owned(), thinking);
        message.insert("reasoning_content".to_owned(), reasoning);
    }
    Json::Object(message)
}

/// The name of the file with the template, and the template.
fn find_template(
    directory: &Path,
    config: &Map<String, Json>,
) -> Result<Option<(&'static str, String)>, ChatError> {
    let file = "chat_template.jinja";
    if let Some(source) = text_file(directory, file)? {
        return Ok(Some((file, source)));
    }
    let file = "chat_template.json";
    if let Some(content) = json_file(directory, file)?
        && let Some(source) = select_template(&content, file)?
    {
        return Ok(Some((file, source)));
    }
    let file = "tokenizer_config.json";
    Ok(select_template(config, file)?.map(|source| (file, source)))
}

/// The template under the key `chat_template`, which is a string or a list of named templates.
fn select_template(content: &Map<String, Json>, file: &str) -> Result<Option<String>, ChatError> {
    let several: Option<Vec<(&str, &str)>> = match content.get("chat_template") {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(source)) => return Ok(Some(source.clone())),
        Some(Json::Array(list)) => {
            list.iter().map(|t| Some((t["name"].as_str()?, t["template"].as_str()?))).collect()
        }
        Some(Json::Object(map)) => {
            map.iter().map(|(name, source)| Some((name.as_str(), source.as_str()?))).collect()
        }
        Some(_) => None,
    };
    let Some(several) = several else {
        let reason =
            "its \"chat_template\" is neither a string nor a list of named templates".to_owned();
        return Err(ChatError::File { file: file.to_owned(), reason });
    };
    let default = several.iter().rfind(|(name, _)| *name == "default");
    match (default, &several[..]) {
        (Some((_, source)), _) | (None, [(_, source)]) => Ok(Some((*source).to_owned())),
        (None, []) => Ok(None),
        (None, _) => {
            let names: Vec<String> = several.iter().map(|(name, _)| format!("{name:?}")).collect();
            Err(ChatError::Names { file: file.to_owned(), names: names.join(", ") })
        }
    }
}

/// The special tokens by name, such as `bos_token`.
fn read_special_tokens(content: &Map<String, Json>) -> Map<String, Json> {
    let text = |value: &Json| value.as_str().or_else(|| value["content"].as_str()).map(Json::from);
    let named = content.iter().filter(|(key, _)| key.ends_with("_token"));
    let extra = content.get("extra_special_tokens").and_then(Json::as_object);
    let own = content.get("model_specific_special_tokens").and_then(Json::as_object);
    named
        .chain(extra.into_iter().flatten())
        .chain(own.into_iter().flatten())
        .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
        .collect()
}

/// The text of a file; `None` if the file does not exist.
fn text_file(directory: &Path, file: &str) -> Result<Option<String>, ChatError> {
    let refuse = |reason: String| ChatError::File { file: file.to_owned(), reason };
    let bytes = match bounded::read(&directory.join(file), bounded::MAX_JSON) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.to_string())),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        refuse(format!("line {line}: it is not UTF-8"))
    })?;
    Ok(Some(text))
}

fn json_file(directory: &Path, file: &str) -> Result<Option<Map<String, Json>>, ChatError> {
    let Some(text) = text_file(directory, file)? else {
        return Ok(None);
    };
    match serde_json::from_str(&text) {
        Ok(Json::Object(content)) => Ok(Some(content)),
        Ok(_) => Err(ChatError::File {
            file: file.to_owned(),
            reason: "it is not a JSON object".to_owned(),
        }),
        Err(error) => Err(ChatError::File { file: file.to_owned(), reason: error.to_string() }),
    }
}

/// Parses `KEY=VALUE` of `--template-arg`. The value is JSON, `True`, `False` or `None`, else a string.
pub(crate) fn template_arg(text: &str) -> Result<(String, Json), String> {
    let name = |name: &str| {
        name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
            && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
    };
    let Some((key, value)) = text.split_once('=').filter(|(key, _)| name(key)) else {
        return Err(format!("{text:?} is not KEY=VALUE"));
    };
    let value = match value {
        "True" => json!(true),
        "False" => json!(false),
        "None" => Json::Null,
        _ => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
    };
    Ok((key.to_owned(), value))
}

/// EasyR1's `format_prompt`: a Jinja template that adds instructions to a question, its variable `content`.
///
/// EasyR1 renders `jinja2.Template(text.strip())` (`_build_messages` in `verl/utils/dataset.py`), so lines with only a
/// tag are not removed as in chat templates.
#[derive(Debug)]
pub(crate) struct PromptTemplate {
    name: String,
    source: String,
    template: Template,
}

impl PromptTemplate {
    /// `name` is that of the file, for errors.
    pub(crate) fn new(name: &str, source: String) -> Result<PromptTemplate, ChatError> {
        let template = Template::new(source.trim(), TagLines::Kept)
            .map_err(|error| ChatError::new(error, name))?;
        Ok(PromptTemplate { name: name.to_owned(), source, template })
    }

    /// The text of the template, as in the file.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The prompt with this question.
    pub(crate) fn render(&self, content: &str) -> Result<String, ChatError> {
        self.template
            .render(Value::from_pairs([("content", content)]))
            .map_err(|error| ChatError::new(error, &self.name))
    }
}
