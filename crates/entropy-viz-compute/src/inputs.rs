//! From rows of a prompt file to token ids: templates, tokenising, and what has to be left out.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use entropy_shell::compute::{ChatTemplates, ComputeArgs};
use entropy_shell::{Failure, WithHint, io_message};
use serde_json::{Value, json};

use crate::chat::{ChatTemplate, PromptTemplate, template_arg};
use crate::prompts::{Prompt, Response, Row};
use crate::tokenizer::Tokenizer;

/// How prompts become text, as the flags io_message; the same for every checkpoint of a run.
pub(crate) struct Recipe {
    system: Option<String>,
    wrapper: Option<PromptTemplate>,
    templates: ChatTemplates,
    arguments: Vec<(String, Value)>,
    truncate: bool,
    most_new: usize,
}

/// A row, ready for the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Its place in the file, from 0.
    pub(crate) row: usize,
    pub(crate) prompt: Vec<i64>,
    /// To be scored; to be sampled if there is none.
    pub(crate) response: Option<Vec<i64>>,
}

/// The rows of a file for one model, and what became of the others.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) items: Vec<Item>,
    /// Responses that were tokenised from text.
    pub(crate) from_text: usize,
    /// Rows with more tokens than the model's context.
    pub(crate) too_long: usize,
    /// Prompts cut at their beginning.
    pub(crate) truncated: usize,
    /// Rows whose prompt is no token at all: nothing precedes the first token of a response.
    pub(crate) without_prompt: usize,
    /// Responses of no token.
    pub(crate) empty_responses: usize,
}

impl Recipe {
    /// Reads what the flags name.
    pub(crate) fn new(args: &ComputeArgs) -> Result<Recipe, Failure> {
        let wrapper =
            args.prompt_template.as_deref().map(|path| -> Result<PromptTemplate, Failure> {
                let source = fs::read_to_string(path).map_err(|error| {
                    anyhow!("cannot read {}: {}", path.display(), io_message(&error))
                })?;
                Ok(PromptTemplate::new(&path.display().to_string(), source)?)
            });
        let arguments = args.template_arg.iter().map(|text| template_arg(text));
        let arguments: Result<Vec<_>, String> = arguments.collect();
        Ok(Recipe {
            system: args.system.clone(),
            wrapper: wrapper.transpose()?,
            templates: args.chat_template,
            arguments: arguments.map_err(|why| anyhow!("cannot take --template-arg: {why}"))?,
            truncate: args.truncate_prompts,
            most_new: args.max_new_tokens as usize,
        })
    }

    /// What decides the tokens, for a digest.
    pub(crate) fn describe(&self) -> String {
        let wrapper = self.wrapper.as_ref().map(PromptTemplate::source);
        json!([
            self.system,
            wrapper,
            format!("{:?}", self.templates),
            self.arguments,
            self.truncate
        ])
        .to_string()
    }

    /// Tokenises every row. `context` is the longest sequence the model takes, `vocabulary` its ids'
    /// bound; `file` is for messages.
    pub(crate) fn items(
        &self,
        rows: &[Row],
        tokenizer: Option<&Tokenizer>,
        chat: Option<&ChatTemplate>,
        context: Option<i64>,
        vocabulary: Option<i64>,
        file: &Path,
    ) -> Result<Items, Failure> {
        let mut items = Items::default();
        for (i, row) in rows.iter().enumerate() {
            let place = || format!("cannot use {}: {}", file.display(), row.place);
            let in_row =
                |failure: Failure| Failure { error: failure.error.context(place()), ..failure };
            let mut prompt = self.prompt(row, tokenizer, chat).map_err(in_row)?;
            let response = self.response(row, tokenizer).map_err(in_row)?;
            let used = prompt.iter().chain(response.iter().flatten());
            if let Some(vocabulary) = vocabulary
                && let Some(token) = used.copied().find(|token| !(0..vocabulary).contains(token))
            {
                return Err(anyhow!(
                    "token id {token} is not in the model's vocabulary of {vocabulary}"
                )
                .context(place()))
                .hint("these tokens are of another model's tokenizer");
            }
            if prompt.is_empty() {
                items.without_prompt += 1;
                continue;
            }
            if response.as_ref().is_some_and(Vec::is_empty) {
                items.empty_responses += 1;
                continue;
            }
            // The last token of a response is never run itself; a sampled one needs room for one more.
            let room = context.map_or(usize::MAX, |context| context as usize);
            let needed = response.as_ref().map_or(1, Vec::len);
            if prompt.len() + needed > room {
                if !self.truncate || needed >= room {
                    items.too_long += 1;
                    continue;
                }
                // A response that is to be sampled gets what it may have, if that leaves half to the prompt.
                let needed = response.as_ref().map_or(self.most_new.min(room / 2).max(1), Vec::len);
                prompt.drain(..prompt.len() + needed - room);
                items.truncated += 1;
            }
            items.from_text += usize::from(matches!(row.response, Some(Response::Text(_))));
            items.items.push(Item { row: i, prompt, response });
        }
        Ok(items)
    }

    fn prompt(
        &self,
        row: &Row,
        tokenizer: Option<&Tokenizer>,
        chat: Option<&ChatTemplate>,
    ) -> Result<Vec<i64>, Failure> {
        let messages = match &row.prompt {
            Prompt::Tokens(tokens) => return Ok(tokens.clone()),
            Prompt::Messages(_) if self.templates == ChatTemplates::Never => {
                return Err(anyhow!("the prompt is a chat, and --chat-template is never"))
                    .hint("leave --chat-template at auto, or give the prompts as text");
            }
            Prompt::Messages(messages) => self.wrap_last(messages)?,
            Prompt::Text(text) => {
                let text = match &self.wrapper {
                    Some(wrapper) => wrapper.render(text)?,
                    None => text.clone(),
                };
                if self.templates != ChatTemplates::Always {
                    if self.system.is_some() {
                        return Err(anyhow!("--system needs chats, and the prompt is plain text"))
                            .hint("--chat-template always makes each text the user's message");
                    }
                    return needed(tokenizer)?.encode(&text, true).map_err(Failure::from);
                }
                vec![json!({"role": "user", "content": text})]
            }
        };
        let messages = self.with_system(messages);
        let Some(chat) = chat else {
            return Err(anyhow!("the prompt is a chat, and the checkpoint has no chat template"))
                .hint("--tokenizer names a directory that has one (chat_template.jinja or in tokenizer_config.json)");
        };
        let text = chat.render(&messages, &self.arguments)?;
        needed(tokenizer)?.encode(&text, false).map_err(Failure::from)
    }

    /// The messages, the user's last one wrapped by `--prompt-template`.
    fn wrap_last(&self, messages: &[Value]) -> Result<Vec<Value>, Failure> {
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
        row: &Row,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<Option<Vec<i64>>, Failure> {
        match &row.response {
            None => Ok(None),
            Some(Response::Tokens(tokens)) => Ok(Some(tokens.clone())),
            Some(Response::Text(text)) => {
                let tokenizer = needed(tokenizer)?;
                let mut tokens = tokenizer.encode(text, false)?;
                if row.finish_reason.as_deref() == Some("stop") {
                    tokens.extend(tokenizer.end.filter(|end| tokens.last() != Some(end)));
                }
                Ok(Some(tokens))
            }
        }
    }
}

fn needed(tokenizer: Option<&Tokenizer>) -> Result<&Tokenizer, Failure> {
    tokenizer
        .ok_or_else(|| anyhow!("text needs a tokenizer, and the model has none"))
        .hint("--tokenizer DIR, or give prompt_token_ids and response_token_ids")
}
