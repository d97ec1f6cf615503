//! From rows of a prompt file to token ids: templates, tokenisation, and rows that cannot be used.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use entropy_shell::compute::{ChatTemplates, ComputeArgs};
use entropy_shell::{CliError, WithHint, io_message, plural};
use serde_json::{Value, json};

use crate::bounded;
use crate::chat::{ChatTemplate, PromptTemplate, template_arg};
use crate::prompts::{GivenResponse, Prompt, PromptRow};
use crate::response::ResponseRecord;
use crate::tokenizer::Tokenizer;

/// Maximum length of the text of a prompt or a response, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// Encodes prompts according to the flags; used for all checkpoints of a run.
pub(crate) struct PromptEncoder {
    system: Option<String>,
    wrapper: Option<PromptTemplate>,
    chat_templates: ChatTemplates,
    arguments: Vec<(String, Value)>,
    truncate: bool,
    max_new_tokens: usize,
    samples: usize,
}

/// The responses of a prompt file for one model, and the numbers of rows that were left out or changed.
#[derive(Debug, Default)]
pub(crate) struct EncodedPrompts {
    /// In the order of the file, samples of a prompt after each other.
    pub(crate) records: Vec<ResponseRecord>,
    /// Responses that were tokenised from text.
    pub(crate) from_text: usize,
    /// Rows left out because they exceed the context.
    pub(crate) too_long: usize,
    /// Prompts cut at their beginning.
    pub(crate) truncated: usize,
    /// Rows left out because their prompt has no token: the first token of a response needs one before it.
    pub(crate) without_prompt: usize,
    /// Rows left out because their response has no token.
    pub(crate) empty_responses: usize,
}

impl EncodedPrompts {
    /// The rows that were left out, counted by reason; empty if there are none.
    pub(crate) fn left_out(&self) -> String {
        let reasons = [
            (self.too_long, "longer than the model's context"),
            (self.without_prompt, "with no prompt token"),
            (self.empty_responses, "with an empty response"),
        ];
        let counts = reasons
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, reason)| format!("{} {reason}", plural(*n, "row", "rows")));
        counts.collect::<Vec<_>>().join(", ")
    }
}

impl PromptEncoder {
    /// Reads the settings and the prompt template from the flags.
    pub(crate) fn new(args: &ComputeArgs) -> Result<PromptEncoder, CliError> {
        let wrapper =
            args.prompt_template.as_deref().map(|path| -> Result<PromptTemplate, CliError> {
                let source = bounded::read(path, bounded::MAX_JSON).map_err(|error| {
                    anyhow!("cannot read {}: {}", path.display(), io_message(&error))
                })?;
                let source = String::from_utf8(source)
                    .map_err(|_| anyhow!("cannot read {}: it is not UTF-8", path.display()))?;
                Ok(PromptTemplate::new(&path.display().to_string(), source)?)
            });
        let arguments = args.template_arg.iter().map(|text| template_arg(text));
        let arguments: Result<Vec<_>, String> = arguments.collect();
        Ok(PromptEncoder {
            system: args.system.clone(),
            wrapper: wrapper.transpose()?,
            chat_templates: args.chat_template,
            arguments: arguments.map_err(|why| anyhow!("invalid --template-arg: {why}"))?,
            truncate: args.truncate_prompts,
            max_new_tokens: args.max_new_tokens as usize,
            samples: args.samples as usize,
        })
    }

    /// The settings that determine the tokens, for a digest.
    pub(crate) fn settings(&self) -> String {
        let wrapper = self.wrapper.as_ref().map(PromptTemplate::source);
        json!([
            self.system,
            wrapper,
            format!("{:?}", self.chat_templates),
            self.arguments,
            self.truncate
        ])
        .to_string()
    }

    /// Tokenises all rows. `context` is the model's maximum sequence length, `vocabulary` its number of token ids;
    /// `file` is for messages.
    pub(crate) fn encode(
        &self,
        rows: &[PromptRow],
        tokenizer: Option<&Tokenizer>,
        chat: Option<&ChatTemplate>,
        context: Option<i64>,
        vocabulary: Option<i64>,
        file: &Path,
    ) -> Result<EncodedPrompts, CliError> {
        let mut encoded = EncodedPrompts::default();
        for (i, row) in rows.iter().enumerate() {
            let place = || format!("cannot use {}: {}", file.display(), row.place);
            let in_row =
                |failure: CliError| CliError { error: failure.error.context(place()), ..failure };
            let mut prompt = self.prompt(row, tokenizer, chat).map_err(in_row)?;
            let response = self.response(row, tokenizer).map_err(in_row)?;
            let used = prompt.iter().chain(response.iter().flatten());
            if let Some(vocabulary) = vocabulary
                && let Some(token) = used.copied().find(|token| !(0..vocabulary).contains(token))
            {
                return Err(anyhow!(
                    "token id {token} is outside of the model's vocabulary of {vocabulary}"
                )
                .context(place()))
                .hint("the token ids come from the tokenizer of another model");
            }
            if prompt.is_empty() {
                encoded.without_prompt += 1;
                continue;
            }
            if response.as_ref().is_some_and(Vec::is_empty) {
                encoded.empty_responses += 1;
                continue;
            }
            // A response that is to be sampled needs room for at least one token.
            let room = context.map_or(usize::MAX, |context| context as usize);
            let needed = response.as_ref().map_or(1, Vec::len);
            if prompt.len() + needed > room {
                if !self.truncate || needed >= room {
                    encoded.too_long += 1;
                    continue;
                }
                // A response that is to be sampled gets --max-new-tokens, but at most half of the context.
                let needed =
                    response.as_ref().map_or(self.max_new_tokens.min(room / 2).max(1), Vec::len);
                prompt.drain(..prompt.len() + needed - room);
                encoded.truncated += 1;
            }
            encoded.from_text += usize::from(matches!(row.response, Some(GivenResponse::Text(_))));
            let prompt: Arc<[i64]> = prompt.into();
            match response {
                Some(tokens) => encoded.records.push(ResponseRecord::given(i, prompt, tokens)),
                None => {
                    let record = |sample| ResponseRecord::to_sample(i, sample, prompt.clone());
                    encoded.records.extend((0..self.samples).map(record));
                }
            }
        }
        Ok(encoded)
    }

    fn prompt(
        &self,
        row: &PromptRow,
        tokenizer: Option<&Tokenizer>,
        chat: Option<&ChatTemplate>,
    ) -> Result<Vec<i64>, CliError> {
        check_length("prompt", prompt_length(&row.prompt))?;
        let messages = match &row.prompt {
            Prompt::Tokens(tokens) => return Ok(tokens.clone()),
            Prompt::Messages(_) if self.chat_templates == ChatTemplates::Never => {
                return Err(anyhow!("the prompt is a chat, but --chat-template is never"))
                    .hint("use --chat-template auto, or give the prompts as text");
            }
            Prompt::Messages(messages) => self.wrap_last(messages)?,
            Prompt::Text(text) => {
                let text = match &self.wrapper {
                    Some(wrapper) => wrapper.render(text)?,
                    None => text.clone(),
                };
                if self.chat_templates != ChatTemplates::Always {
                    if self.system.is_some() {
                        return Err(anyhow!(
                            "--system requires chats, but the prompt is plain text"
                        ))
                        .hint("--chat-template always turns each text into a user message");
                    }
                    return require(tokenizer)?.encode(&text, true).map_err(CliError::from);
                }
                vec![json!({"role": "user", "content": text})]
            }
        };
        let messages = self.with_system(messages);
        let Some(chat) = chat else {
            return Err(anyhow!("the prompt is a chat, but the checkpoint has no chat template"))
                .hint("give a directory with one (chat_template.jinja, or in tokenizer_config.json) with --tokenizer");
        };
        let text = chat.render(&messages, &self.arguments)?;
        require(tokenizer)?.encode(&text, false).map_err(CliError::from)
    }

    /// The messages, with `--prompt-template` applied to the last user message.
    fn wrap_last(&self, messages: &[Value]) -> Result<Vec<Value>, CliError> {
        let mut messages = messages.to_vec();
        let Some(wrapper) = &self.wrapper else { return Ok(messages) };
        let last = messages
            .iter_mut()
            .rfind(|message| message.get("role").and_then(Value::as_str) == Some("user"));
        if let Some(content) = last.and_then(|message| message.get_mut("content"))
            && let Some(text) = content.as_str()
        {
            *content = Value::from(wrapper.render(text)?);
        }
        Ok(messages)
    }

    fn with_system(&self, mut messages: Vec<Value>) -> Vec<Value> {
        let has = messages
            .iter()
            .any(|message| message.get("role").and_then(Value::as_str) == Some("system"));
        if let Some(system) = self.system.as_ref().filter(|_| !has) {
            messages.insert(0, json!({"role": "system", "content": system}));
        }
        messages
    }

    fn response(
        &self,
        row: &PromptRow,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<Option<Vec<i64>>, CliError> {
        match &row.response {
            None => Ok(None),
            Some(GivenResponse::Tokens(tokens)) => Ok(Some(tokens.clone())),
            Some(GivenResponse::Text(text)) => {
                check_length("response", text.len())?;
                let tokenizer = require(tokenizer)?;
                let mut tokens = tokenizer.encode(text, false)?;
                if row.finish_reason.as_deref() == Some("stop") {
                    tokens.extend(tokenizer.eos_token_id.filter(|id| tokens.last() != Some(id)));
                }
                Ok(Some(tokens))
            }
        }
    }
}

/// The length in bytes of the texts of a prompt.
fn prompt_length(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Messages(messages) => messages.iter().map(text_length).sum(),
        Prompt::Tokens(_) => 0,
    }
}

fn text_length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_length).sum(),
        Value::Object(keys) => keys.iter().map(|(key, value)| key.len() + text_length(value)).sum(),
        _ => 0,
    }
}

/// Rejects texts beyond the context of every model before they are copied.
fn check_length(what: &str, length: usize) -> Result<(), CliError> {
    if length <= MAX_TEXT {
        return Ok(());
    }
    Err(anyhow!(
        "the {what} has {} MiB of text, more than {} MiB, about two million tokens",
        length >> 20,
        MAX_TEXT >> 20
    ))
    .hint("remove or shorten this row")
}

/// Whether a row has text that must become tokens.
pub(crate) fn has_text(rows: &[PromptRow]) -> bool {
    rows.iter().any(|row| {
        !matches!(row.prompt, Prompt::Tokens(_))
            || matches!(row.response, Some(GivenResponse::Text(_)))
    })
}

fn require(tokenizer: Option<&Tokenizer>) -> Result<&Tokenizer, CliError> {
    tokenizer
        .ok_or_else(|| anyhow!("text requires a tokenizer, but the model has none"))
        .hint("give one with --tokenizer DIR, or use prompt_token_ids and response_token_ids")
}
