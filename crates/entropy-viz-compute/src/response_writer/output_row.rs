//! A row of `--tokens-out` or `--save-rollouts`.

use serde_json::{Map, Value, json};

use crate::prompts::{PromptRow, columns_of_response, text_columns};
use crate::response::{FinishReason, ResponseRecord};
use crate::score_plan::Quantity;

/// A response with the values that output files add to its record.
pub(crate) struct OutputRow<'a> {
    pub(crate) step: u64,
    /// The `settings` of the step's row in the history.
    pub(crate) settings: &'a str,
    pub(crate) prompt_row: &'a PromptRow,
    pub(crate) record: &'a ResponseRecord,
    /// The numbers of its tokens.
    pub(crate) quantities: &'a [Quantity],
    /// Whether prompts have several samples, so that rows need a sample index.
    pub(crate) numbered: bool,
}

impl OutputRow<'_> {
    pub(super) fn sample(&self) -> Option<usize> {
        self.record.sample.filter(|_| self.numbered)
    }

    pub(super) fn finish_reason(&self) -> Option<&str> {
        let sampled = self.record.finish.map(FinishReason::name);
        sampled.or(self.prompt_row.finish_reason.as_deref())
    }

    /// The columns of the prompt file that are repeated.
    pub(super) fn columns(&self) -> Map<String, Value> {
        let columns = &self.prompt_row.columns;
        match self.record.sample {
            Some(_) => text_columns(columns),
            None => columns_of_response(columns, self.record.given, self.record.tokens.len()),
        }
    }

    /// The numbers with this index in `quantities`, one per token of the response: `None` where the policy did not
    /// write the token.
    pub(super) fn numbers(&self, index: usize) -> Vec<Option<f64>> {
        self.record.spread(self.record.scores.column(index))
    }

    /// Like `numbers`, for whole numbers.
    pub(super) fn counts(&self, index: usize) -> Vec<Option<i64>> {
        self.record.spread(self.record.scores.column(index).map(|count| count as i64))
    }

    /// A line of `--tokens-out`; `pieces` are the texts of the tokens.
    pub(super) fn tokens_line(&self, pieces: &[String]) -> Value {
        let mut row = json!({
            "step": self.step,
            "settings": self.settings,
            "id": self.prompt_row.id,
            "prompt_token_ids": self.record.prompt[..],
            "response_token_ids": self.record.tokens,
            "tokens": pieces,
        });
        for (index, quantity) in self.quantities.iter().enumerate() {
            row[quantity.column()] = match quantity.is_count() {
                true => json!(self.counts(index)),
                // JSON has no −∞, the log-prob of a token with probability 0: it is written as null.
                false => json!(self.numbers(index)),
            };
        }
        row["finish_reason"] = json!(self.finish_reason());
        if let Some(sample) = self.sample() {
            row["sample"] = json!(sample);
        }
        if let Some(own) = &self.record.own {
            row["response_mask"] = own.iter().map(|own| u8::from(*own)).collect();
        }
        if let Some(turn) = self.record.turn {
            row["turn"] = json!(turn);
        }
        let columns = self.columns();
        if !columns.is_empty() {
            row["dump"] = Value::Object(columns);
        }
        row
    }

    /// A line of `--save-rollouts`; `text` is that of the response.
    pub(super) fn rollout_line(&self, text: &str) -> Value {
        let mut row = Map::new();
        row.insert("id".to_owned(), self.prompt_row.id.clone());
        let prompt = self.prompt_row.prompt_text.clone();
        row.extend(prompt.map(|prompt| ("prompt".to_owned(), prompt)));
        row.insert("response".to_owned(), json!(text));
        row.insert("prompt_token_ids".to_owned(), json!(self.record.prompt[..]));
        row.insert("response_token_ids".to_owned(), json!(self.record.tokens));
        row.insert("finish_reason".to_owned(), json!(self.finish_reason()));
        row.insert("step".to_owned(), json!(self.step));
        row.insert("settings".to_owned(), json!(self.settings));
        row.extend(self.sample().map(|sample| ("sample".to_owned(), json!(sample))));
        Value::Object(row)
    }
}
