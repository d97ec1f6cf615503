//! Chat templates: from messages to the text a model was trained to continue.
//!
//! A checkpoint brings its template along, written in Jinja for Python. A model that is given another
//! text than in training has another entropy, so the text must be, to the byte, the one that
//! transformers gives:
//!
//! ```python
//! tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
//! ```
//!
//! minijinja runs the template. [`source`] and [`python`] bring it in line with Jinja and Python;
//! [`engine`] keeps a template, which is a stranger's program, from running forever.

mod engine;
mod json;
mod methods;
mod python;
mod source;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use minijinja::value::{Serde, Value};
use serde_json::{Map, Value as Json, json};
use thiserror::Error;

use engine::{Fault, Lines, Template};

/// Why there is no text for these messages.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum ChatError {
    /// A file of the checkpoint cannot be used.
    #[error("{file}: {why}")]
    File { file: String, why: String },
    /// Nothing says which template is for chats.
    #[error("{file}: it has the chat templates {names}, and none is called \"default\"")]
    Names { file: String, names: String },
    /// The template is not valid, or stopped.
    #[error("{}: {why}", place(.file, *.line))]
    Template { file: String, line: Option<usize>, why: String },
    /// The template called `raise_exception`: these messages are not for it.
    #[error("{}: the template says {message:?}", place(.file, *.line))]
    Refused { file: String, line: Option<usize>, message: String },
}

fn place(file: &str, line: Option<usize>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}: line {line}"))
}

impl ChatError {
    fn of(fault: Fault, file: &str) -> ChatError {
        let file = file.to_owned();
        match fault {
            Fault::Stopped { line, why } => ChatError::Template { file, line, why },
            Fault::Raised { line, message } => ChatError::Refused { file, line, message },
        }
    }
}

/// The chat template of a checkpoint, with the checkpoint's special tokens.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    file: String,
    template: Template,
    tokens: Map<String, Json>,
}

impl ChatTemplate {
    /// The template of a checkpoint directory: `chat_template.jinja`, else `chat_template.json`,
    /// else the one in `tokenizer_config.json`. `None` if there is none.
    pub(crate) fn load(directory: &Path) -> Result<Option<ChatTemplate>, ChatError> {
        let config = json_file(directory, "tokenizer_config.json")?.unwrap_or_default();
        let Some((file, source)) = find(directory, &config)? else {
            return Ok(None);
        };
        // `special_tokens_map.json` is what older versions wrote; transformers looks at it, and
        // lets it win, only where the configuration does not list the added tokens.
        let mut tokens = special_tokens(&config);
        if !config.contains_key("added_tokens_decoder") {
            let map = json_file(directory, "special_tokens_map.json")?.unwrap_or_default();
            tokens.extend(special_tokens(&map));
        }
        ChatTemplate::new(file, source, tokens).map(Some)
    }

    fn new(
        file: &str,
        source: String,
        tokens: Map<String, Json>,
    ) -> Result<ChatTemplate, ChatError> {
        let template = Template::new(&source, Lines::TagsStripped)
            .map_err(|fault| ChatError::of(fault, file))?;
        Ok(ChatTemplate { file: file.to_owned(), template, tokens })
    }

    /// The text up to where the model's reply begins. `args` are further variables; they win over
    /// special tokens, `tools`, `documents` and `add_generation_prompt`, and the last of two wins.
    pub(crate) fn render(
        &self,
        messages: &[Json],
        args: &[(String, Json)],
    ) -> Result<String, ChatError> {
        if messages.is_empty() {
            let why = "there are no messages".to_owned();
            return Err(ChatError::Template { file: self.file.clone(), line: None, why });
        }
        let mut variables = self.tokens.clone();
        for (name, default) in [
            ("tools", Json::Null),
            ("documents", Json::Null),
            ("add_generation_prompt", json!(true)),
        ] {
            variables.insert(name.to_owned(), default);
        }
        variables.extend(args.iter().cloned());
        let messages = messages.iter().map(as_transformers_gives_it).collect();
        variables.insert("messages".to_owned(), Json::Array(messages));
        self.template
            .render(Value::from(Serde(variables)))
            .map_err(|fault| ChatError::of(fault, &self.file))
    }
}

/// What transformers does to a message first: a key without a value is as good as none, and
/// reasoning goes by the names that templates read (`_alias_reasoning_fields` of its
/// `chat_template_utils.py`, 5.23).
fn as_transformers_gives_it(message: &Json) -> Json {
    let Json::Object(given) = message else {
        return message.clone();
    };
    let given = given.iter().filter(|(_, value)| !value.is_null());
    let mut message: Map<String, Json> = given.map(|(k, v)| (k.clone(), v.clone())).collect();
    let names = ["reasoning_content", "thinking", "reasoning"];
    if let Some(reasoning) = names.iter().find_map(|name| message.get(*name)).cloned() {
        let thinking = message.get("thinking").unwrap_or(&reasoning).clone();
        message.shift_insert(0, "thinking".to_owned(), thinking);
        message.insert("reasoning_content".to_owned(), reasoning);
    }
    Json::Object(message)
}

/// The file that has the template, and the template.
fn find(
    directory: &Path,
    config: &Map<String, Json>,
) -> Result<Option<(&'static str, String)>, ChatError> {
    let file = "chat_template.jinja";
    if let Some(source) = text_file(directory, file)? {
        return Ok(Some((file, source)));
    }
    let file = "chat_template.json";
    if let Some(content) = json_file(directory, file)?
        && let Some(source) = chosen(&content, file)?
    {
        return Ok(Some((file, source)));
    }
    let file = "tokenizer_config.json";
    Ok(chosen(config, file)?.map(|source| (file, source)))
}

/// The template under the key `chat_template`: a text, or several with names.
fn chosen(content: &Map<String, Json>, file: &str) -> Result<Option<String>, ChatError> {
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
        let why = "its \"chat_template\" is neither a text nor a list of named texts".to_owned();
        return Err(ChatError::File { file: file.to_owned(), why });
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

/// `bos_token`, `eos_token` and the like, as texts.
fn special_tokens(content: &Map<String, Json>) -> Map<String, Json> {
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

/// The text of a file; `None` if there is no such file.
fn text_file(directory: &Path, file: &str) -> Result<Option<String>, ChatError> {
    let refuse = |why: String| ChatError::File { file: file.to_owned(), why };
    let bytes = match fs::read(directory.join(file)) {
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
            why: "it is not a JSON object".to_owned(),
        }),
        Err(error) => Err(ChatError::File { file: file.to_owned(), why: error.to_string() }),
    }
}

/// A variable for the template from `KEY=VALUE`, as of `--template-arg enable_thinking=false`. The
/// value is JSON, or `True`, `False` or `None`, or else a text.
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

/// EasyR1's `format_prompt`: a Jinja text that puts instructions around a question, its `content`.
///
/// EasyR1 renders `jinja2.Template(text.strip())` (`_build_messages` of its
/// `verl/utils/dataset.py`), so a tag's line is not stripped as in a chat template.
#[derive(Debug)]
pub(crate) struct PromptTemplate {
    name: String,
    source: String,
    template: Template,
}

impl PromptTemplate {
    /// `name` is the file's, for errors.
    pub(crate) fn new(name: &str, source: String) -> Result<PromptTemplate, ChatError> {
        let template = Template::new(source.trim(), Lines::AsWritten)
            .map_err(|fault| ChatError::of(fault, name))?;
        Ok(PromptTemplate { name: name.to_owned(), source, template })
    }

    /// The text of the file.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The prompt that asks the question.
    pub(crate) fn render(&self, content: &str) -> Result<String, ChatError> {
        self.template
            .render(Value::from_pairs([("content", content)]))
            .map_err(|fault| ChatError::of(fault, &self.name))
    }
}
