//! From rows of a prompt file to token ids: templates, tokenisation, and rows that cannot be used.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use entropy_shell::compute::{ChatTemplates, ComputeArgs};
use entropy_shell::{CliError, WithHint, io_message};
use serde_json::{Value, json};

use crate::bare_chat::{BareChats, RowReading, is_any_bare, read_rows};
use crate::bounded;
use crate::chat::{ChatTemplate, PromptTemplate, template_arg};
use crate::prompts::{GivenResponse, MaskError, Prompt, PromptRow, own_tokens};
use crate::response::ResponseRecord;
use crate::row_counts::RowCounts;
use crate::share::RowShare;
use crate::text_limit::check_lengths;
use crate::tokenizer::Tokenizer;
use crate::turns::{Turn, turns};

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
    pub(crate) counts: RowCounts,
}

/// The rows to tokenise.
pub(crate) struct FileRows<'a> {
    /// The file or the directory, for messages.
    pub(crate) file: &'a Path,
    /// All rows of the file.
    pub(crate) rows: &'a [PromptRow],
    /// The share of them to tokenise; `None` for all.
    pub(crate) share: Option<RowShare>,
}

/// The token ids of a response, and which of them the policy wrote if that is known without a mask.
struct ResponseTokens {
    tokens: Vec<i64>,
    own: Option<Vec<bool>>,
}

/// The token ids of a prompt, and of its response if that is given.
struct Sequence {
    prompt: Vec<i64>,
    response: Option<Vec<i64>>,
    /// See [`ResponseRecord::own`].
    own: Option<Vec<bool>>,
    /// See [`ResponseRecord::turn`].
    turn: Option<usize>,
    /// See [`ResponseRecord::given`].
    given: Option<(usize, usize)>,
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

    /// Tokenises the rows of a file. `context` is the model's maximum sequence length, `vocabulary` its number of token ids;
    /// `picture_tokens` stand for pictures, which are not supported.
    pub(crate) fn encode(
        &self,
        given: FileRows<'_>,
        tokenizer: Option<&Tokenizer>,
        chat: Option<&ChatTemplate>,
        context: Option<i64>,
        vocabulary: Option<i64>,
        picture_tokens: &[i64],
    ) -> Result<EncodedPrompts, CliError> {
        let FileRows { file, rows, share } = given;
        let mut encoded = EncodedPrompts::default();
        let place_of = |row: &PromptRow| format!("cannot use {}: {}", file.display(), row.place);
        for row in rows {
            check_lengths(row).map_err(|failure| CliError {
                error: failure.error.context(place_of(row)),
                ..failure
            })?;
        }
        let has_row = |row: usize| share.is_none_or(|share| share.has(row));
        let readings = match self.bare_chats(tokenizer, chat) {
            Some(bare) => {
                let (readings, counts) = read_rows(&bare, rows, has_row)
                    .map_err(|error| error.context(format!("cannot use {}", file.display())))?;
                encoded.counts.bare = counts;
                readings
            }
            None => vec![RowReading::Plain; rows.len()],
        };
        for (i, (row, reading)) in rows.iter().zip(readings).enumerate() {
            if !has_row(i) {
                continue;
            }
            let place = || place_of(row);
            if row.response.is_some() {
                encoded.counts.long_answers += row.long_answers;
            }
            let in_row =
                |failure: CliError| CliError { error: failure.error.context(place()), ..failure };
            for sequence in self.sequences(row, reading, tokenizer, chat).map_err(in_row)? {
                let used = sequence.prompt.iter().chain(sequence.response.iter().flatten());
                if let Some(vocabulary) = vocabulary
                    && let Some(token) =
                        used.copied().find(|token| !(0..vocabulary).contains(token))
                {
                    return Err(anyhow!(
                        "token id {token} is outside of the model's vocabulary of {vocabulary}"
                    )
                    .context(place()))
                    .hint("the token ids come from the tokenizer of another model");
                }
                let mut used = sequence.prompt.iter().chain(sequence.response.iter().flatten());
                if let Some(token) = used.find(|token| picture_tokens.contains(token)) {
                    return Err(anyhow!("token id {token} stands for a picture, video or sound")
                        .context(place()))
                    .hint("only text is supported; remove rows with pictures");
                }
                self.add(&mut encoded, i, row, sequence, context);
            }
        }
        Ok(encoded)
    }

    /// Rebuilds chats that lost their special tokens; `None` where no text can be such a chat, or where flags say what
    /// texts are.
    fn bare_chats<'a>(
        &'a self,
        tokenizer: Option<&'a Tokenizer>,
        chat: Option<&'a ChatTemplate>,
    ) -> Option<BareChats<'a>> {
        let is_open = self.chat_templates == ChatTemplates::Auto
            && self.wrapper.is_none()
            && self.system.is_none();
        BareChats::new(chat.filter(|_| is_open)?, tokenizer?, &self.arguments)
    }

    /// Whether some of the rows are chats that lost their special tokens.
    pub(crate) fn has_bare_chats(
        &self,
        rows: &[PromptRow],
        tokenizer: &Tokenizer,
        chat: &ChatTemplate,
    ) -> bool {
        self.bare_chats(Some(tokenizer), Some(chat)).is_some_and(|bare| is_any_bare(&bare, rows))
    }

    /// Adds the responses of a sequence, or counts why it is left out.
    fn add(
        &self,
        encoded: &mut EncodedPrompts,
        row_index: usize,
        row: &PromptRow,
        sequence: Sequence,
        context: Option<i64>,
    ) {
        let Sequence { mut prompt, response, own, turn, given } = sequence;
        if prompt.is_empty() {
            encoded.counts.without_prompt += 1;
            return;
        }
        if response.as_ref().is_some_and(Vec::is_empty) {
            encoded.counts.empty_responses += 1;
            return;
        }
        if own.as_ref().is_some_and(|own| !own.contains(&true)) {
            encoded.counts.without_own += 1;
            return;
        }
        // A response that is to be sampled needs room for at least one token.
        let room = context.map_or(usize::MAX, |context| context as usize);
        let needed = response.as_ref().map_or(1, Vec::len);
        if prompt.len() + needed > room {
            if !self.truncate || needed >= room {
                encoded.counts.too_long += 1;
                return;
            }
            // A response that is to be sampled gets --max-new-tokens, but at most half of the context.
            let needed =
                response.as_ref().map_or(self.max_new_tokens.min(room / 2).max(1), Vec::len);
            prompt.drain(..prompt.len() + needed - room);
            encoded.counts.truncated += 1;
        }
        let is_text = !matches!(row.response, None | Some(GivenResponse::Tokens(_)));
        encoded.counts.from_text += usize::from(is_text);
        let prompt: Arc<[i64]> = prompt.into();
        match response {
            Some(tokens) => encoded.records.push(ResponseRecord {
                own,
                turn,
                given,
                ..ResponseRecord::given(row_index, prompt, tokens)
            }),
            None => {
                let record = |sample| ResponseRecord::to_sample(row_index, sample, prompt.clone());
                encoded.records.extend((0..self.samples).map(record));
                encoded.counts.sampled += self.samples;
            }
        }
    }

    /// The token ids of a row: one sequence, or one for each turn of a conversation.
    fn sequences(
        &self,
        row: &PromptRow,
        reading: RowReading,
        tokenizer: Option<&Tokenizer>,
        chat: Option<&ChatTemplate>,
    ) -> Result<Vec<Sequence>, CliError> {
        let (prompt, response) = match reading {
            RowReading::Unclear(_) => return Ok(Vec::new()),
            RowReading::Turns(turns) => return Ok(of_turns(turns)),
            RowReading::Response { prompt, tokens } => {
                (Some(prompt), Some(ResponseTokens { tokens, own: None }))
            }
            RowReading::Prompt(prompt) => (Some(prompt), None),
            RowReading::Plain => (None, None),
        };
        if let Some(GivenResponse::Messages(replies)) = &row.response {
            refuse_pictures(replies)?;
            let Some(messages) = self.messages(row)? else {
                return Err(anyhow!("the response is a chat, but the prompt is not"))
                    .hint("--chat-template always turns a text prompt into a user message");
            };
            let (chat, tokenizer) = (require_template(chat)?, require(tokenizer)?);
            let arguments = self.arguments(row);
            let is_cut = row.finish_reason.as_deref() == Some("length");
            return Ok(of_turns(turns(&messages, replies, is_cut, &arguments, chat, tokenizer)?));
        }
        let prompt = prompt.map_or_else(|| self.prompt(row, tokenizer, chat), Ok)?;
        let response =
            response.map_or_else(|| self.response(row, tokenizer), |known| Ok(Some(known)))?;
        let Some(ResponseTokens { mut tokens, own }) = response else {
            return Ok(vec![Sequence {
                prompt,
                response: None,
                own: None,
                turn: None,
                given: None,
            }]);
        };
        let given = Some((prompt.len(), tokens.len()));
        let masked = own_tokens(&row.masks, prompt.len(), tokens.len());
        let mut own = masked.map_err(|error| mask_error(row, error))?.or(own);
        // After the policy's last token nothing is scored: tool output, or padding.
        if let Some(own) = &mut own
            && let Some(last) = own.iter().rposition(|own| *own)
        {
            tokens.truncate(last + 1);
            own.truncate(last + 1);
        }
        Ok(vec![Sequence { prompt, response: Some(tokens), own, turn: None, given }])
    }

    fn prompt(
        &self,
        row: &PromptRow,
        tokenizer: Option<&Tokenizer>,
        chat: Option<&ChatTemplate>,
    ) -> Result<Vec<i64>, CliError> {
        if let Prompt::Tokens(tokens) = &row.prompt {
            return Ok(tokens.clone());
        }
        if let Some(messages) = self.messages(row)? {
            let text = require_template(chat)?.render(&messages, &self.arguments(row))?;
            return require(tokenizer)?.encode(&text, false).map_err(CliError::from);
        }
        let Prompt::Text(text) = &row.prompt else {
            return Err(anyhow!("BUG: a chat has messages").into());
        };
        if self.system.is_some() {
            return Err(anyhow!("--system requires chats, but the prompt is plain text"))
                .hint("--chat-template always turns each text into a user message");
        }
        require(tokenizer)?.encode_prompt(&self.wrap(text)?).map_err(CliError::from)
    }

    /// The messages of a prompt, or of a text that becomes a message; `None` for other texts and for token ids.
    fn messages(&self, row: &PromptRow) -> Result<Option<Vec<Value>>, CliError> {
        let messages = match &row.prompt {
            Prompt::Messages(_) if self.chat_templates == ChatTemplates::Never => {
                return Err(anyhow!("the prompt is a chat, but --chat-template is never"))
                    .hint("use --chat-template auto, or give the prompts as text");
            }
            Prompt::Messages(messages) => {
                refuse_pictures(messages)?;
                self.wrap_last(messages)?
            }
            Prompt::Text(text) if self.chat_templates == ChatTemplates::Always => {
                vec![json!({"role": "user", "content": self.wrap(text)?})]
            }
            Prompt::Text(_) | Prompt::Tokens(_) => return Ok(None),
        };
        Ok(Some(self.with_system(messages)))
    }

    /// A text with `--prompt-template` applied.
    fn wrap(&self, text: &str) -> Result<String, CliError> {
        match &self.wrapper {
            Some(wrapper) => Ok(wrapper.render(text)?),
            None => Ok(text.to_owned()),
        }
    }

    /// The variables of the chat template; those of `--template-arg` take precedence over the row's tools.
    fn arguments(&self, row: &PromptRow) -> Vec<(String, Value)> {
        let tools = row.tools.iter().map(|tools| ("tools".to_owned(), tools.clone()));
        tools.chain(self.arguments.iter().cloned()).collect()
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

    /// The token ids of a response, and which of them the policy wrote if that is known without a mask.
    fn response(
        &self,
        row: &PromptRow,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<Option<ResponseTokens>, CliError> {
        match &row.response {
            // Messages have turns of their own.
            None | Some(GivenResponse::Messages(_)) => Ok(None),
            Some(GivenResponse::Tokens(tokens)) => {
                Ok(Some(ResponseTokens { tokens: tokens.clone(), own: None }))
            }
            Some(GivenResponse::Text(text)) => {
                let tokenizer = require(tokenizer)?;
                let mut tokens = tokenizer.encode(text, false)?;
                if row.finish_reason.as_deref() == Some("stop") {
                    tokens.extend(tokenizer.eos_token_id.filter(|id| tokens.last() != Some(id)));
                }
                Ok(Some(ResponseTokens { tokens, own: None }))
            }
            Some(GivenResponse::Parts(parts)) => {
                let (mut tokens, mut own) = (Vec::new(), Vec::new());
                for part in parts {
                    tokens.extend(require(tokenizer)?.encode(&part.text, false)?);
                    own.resize(tokens.len(), part.own);
                }
                Ok(Some(ResponseTokens { tokens, own: Some(own) }))
            }
        }
    }
}

/// A sequence for each turn of a conversation.
fn of_turns(turns: Vec<Turn>) -> Vec<Sequence> {
    let sequences = turns.into_iter().enumerate().map(|(turn, part)| Sequence {
        prompt: part.context,
        response: Some(part.tokens),
        own: None,
        turn: Some(turn),
        given: None,
    });
    sequences.collect()
}

/// Whether a row has text that must become tokens.
pub(crate) fn has_text(rows: &[PromptRow]) -> bool {
    rows.iter().any(|row| {
        !matches!(row.prompt, Prompt::Tokens(_))
            || !matches!(row.response, None | Some(GivenResponse::Tokens(_)))
    })
}

fn mask_error(row: &PromptRow, error: MaskError) -> CliError {
    let is_text = !matches!(row.response, Some(GivenResponse::Tokens(_)));
    let hint = match is_text {
        true => {
            "the tokens come from tokenising the text again; dump their ids as \"response_token_ids\""
        }
        false => "a mask has one value per token of the response, or of prompt and response",
    };
    CliError { error: error.into(), hint: Some(hint.to_owned()) }
}

/// Rejects messages with parts that are not text.
fn refuse_pictures(messages: &[Value]) -> Result<(), CliError> {
    for (number, message) in messages.iter().enumerate() {
        let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
        let kinds = parts.filter_map(|part| part.get("type").and_then(Value::as_str));
        let media = ["image", "image_url", "video", "video_url", "audio", "input_audio"];
        if let Some(kind) = kinds.clone().find(|kind| media.contains(kind)) {
            return Err(anyhow!("message {} has a part of type {kind:?}", number + 1))
                .hint("only text is supported; remove rows with pictures");
        }
    }
    Ok(())
}

fn require_template(chat: Option<&ChatTemplate>) -> Result<&ChatTemplate, CliError> {
    chat.ok_or_else(|| anyhow!("the prompt is a chat, but the checkpoint has no chat template"))
        .hint("give a directory with one (chat_template.jinja, or in tokenizer_config.json) with --tokenizer")
}

fn require(tokenizer: Option<&Tokenizer>) -> Result<&Tokenizer, CliError> {
    tokenizer
        .ok_or_else(|| anyhow!("text requires a tokenizer, but the model has none"))
        .hint("give one with --tokenizer DIR, or use prompt_token_ids and response_token_ids")
}
