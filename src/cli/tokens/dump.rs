//! Which dumps a command reads, and what it takes from them: the flags that `tokens` and `report --tokens` share.

use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use regex::Regex;

use super::cells;
use super::files::{self, Loaded, Unlabelled};
use crate::cli::args::values::regex;
use entropy_history::dump::GroupBy;
use entropy_history::text::names_hint;
use entropy_shell::{CliError, Terminal, WithHint, plural};
use entropy_tokens::{Analysis, AnalysisOptions, Columns, Reason, Scope, TokenTable, analyse};

/// The flags about the contents of dumps. The dumps are the command's argument `dumps`.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct DumpArgs {
    /// Group responses by a column, or by a comparison of one, e.g. 'reward>0'.
    #[arg(requires = "dumps", long, value_name = "EXPR", value_parser = GroupBy::parse)]
    by: Option<GroupBy>,
    /// Only these steps of the dumps; repeatable, or separated by commas.
    #[arg(requires = "dumps", long = "step", value_name = "N", value_delimiter = ',')]
    steps: Vec<u64>,
    /// Column of the reward [default: reward, score, …].
    ///
    /// A key inside an object is written with a point: rewards.accuracy.
    #[arg(requires = "dumps", long, value_name = "KEY")]
    reward: Option<String>,
    /// Column of the response's final answer [default: pred, prediction, …, answer].
    #[arg(requires = "dumps", long, value_name = "KEY", conflicts_with = "answer_regex")]
    answer: Option<String>,
    /// Find the final answer in the response's text: the last match, its first group if it has one.
    #[arg(requires = "dumps", long, value_name = "REGEX", value_parser = regex)]
    answer_regex: Option<Regex>,
    /// Column that names the prompt of a response [default: group_index, uid, …, else the prompt].
    #[arg(requires = "dumps", long, value_name = "KEY")]
    prompt_id: Option<String>,
    /// A response is right if its reward is above this.
    #[arg(requires = "dumps", long, value_name = "REWARD", default_value_t = 0.0, allow_negative_numbers = true, value_parser = finite)]
    right_above: f64,
    /// Report the share of tokens below and above this entropy; repeatable [default: 0.01 and 0.672].
    #[arg(requires = "dumps", long = "threshold", value_name = "NATS", value_delimiter = ',', value_parser = finite)]
    thresholds: Vec<f64>,
}

fn finite(text: &str) -> Result<f64, String> {
    let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| "give a finite number".to_owned())
}

/// Dumps that were read, with their numbers.
pub(in crate::cli) struct Dump {
    pub(in crate::cli) table: TokenTable,
    pub(in crate::cli) analysis: Analysis,
    pub(in crate::cli) options: AnalysisOptions,
    pub(in crate::cli) columns: Columns,
    /// Warnings, which were printed.
    pub(in crate::cli) warnings: Vec<String>,
    /// Number of files that were skipped.
    pub(in crate::cli) skipped: usize,
}

impl DumpArgs {
    /// The flags with the column of the reward, unless the user chose one.
    pub(in crate::cli) fn with_reward(&self, column: String) -> DumpArgs {
        DumpArgs { reward: self.reward.clone().or(Some(column)), ..self.clone() }
    }

    /// The flags for a dump of which only these steps count, all if there are none. Steps that the user chose stay as they
    /// are: if none of them is there, reading says so.
    pub(in crate::cli) fn of_steps(&self, steps: &[u64]) -> DumpArgs {
        let mut args = self.clone();
        let is_there = |step: &u64| steps.contains(step);
        if args.steps.is_empty() {
            args.steps = steps.to_vec();
        } else if args.steps.iter().any(is_there) {
            args.steps.retain(is_there);
        }
        args
    }

    /// Whether the user chose the column of the reward.
    pub(in crate::cli) fn has_reward(&self) -> bool {
        self.reward.is_some()
    }

    /// Reads and analyses the dumps that `arguments` name, and prints warnings about them.
    ///
    /// # Errors
    /// When a named file cannot be used or none of the found ones, or a chosen step or column does not exist.
    pub(in crate::cli) fn load(
        &self,
        arguments: &[String],
        unlabelled: Unlabelled,
        terminal: &Terminal,
    ) -> Result<Dump, CliError> {
        let columns = Columns {
            reward: self.reward.clone(),
            answer: self.answer.clone(),
            answer_regex: self.answer_regex.clone(),
            prompt: self.prompt_id.clone(),
            by: self.by.clone(),
        };
        let sources = files::resolve(arguments, unlabelled)?;
        let start = Instant::now();
        let Loaded { table, mut warnings, skipped } = files::load(&sources, &columns, terminal)?;
        terminal.verbose(|| {
            let (tokens, responses) = (table.tokens(), table.responses().len());
            let tokens = plural(tokens, "token", "tokens");
            format!(
                "read {tokens} of {} in {:.1?}",
                plural(responses, "response", "responses"),
                start.elapsed()
            )
        });
        let start = Instant::now();
        let mut options = AnalysisOptions {
            right_above: self.right_above,
            steps: self.steps.clone(),
            ..AnalysisOptions::default()
        };
        if !self.thresholds.is_empty() {
            options.thresholds.clone_from(&self.thresholds);
        }
        let analysis = analyse(&table, &options);
        terminal.verbose(|| format!("analysed in {:.1?}", start.elapsed()));
        self.check(&table, &analysis)?;
        let odd = data_warnings(&table, &analysis, self.by.as_ref());
        odd.iter().for_each(|warning| terminal.warn(warning));
        warnings.extend(odd);
        Ok(Dump { table, analysis, options, columns, warnings, skipped })
    }

    /// Checks that the chosen steps and columns exist.
    fn check(&self, table: &TokenTable, analysis: &Analysis) -> Result<(), CliError> {
        if analysis.steps.is_empty() {
            let mut steps: Vec<u64> =
                table.responses().iter().map(|response| response.step()).collect();
            steps.sort_unstable();
            steps.dedup();
            let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
            return Err(anyhow!("the dump has no response of the chosen steps"))
                .hint(format!("its steps are {}", cells::list(&steps, 12)));
        }
        let missing = |flag: &str, key: &str, what: &str| {
            let known = names_hint(key, table.columns());
            let known =
                known.unwrap_or_else(|| "the dump has no columns of single values".to_owned());
            Err(anyhow!("no response has {what} in {key:?}, which {flag} names")).hint(known)
        };
        if let Some(reward) = &self.reward
            && table.names().rewards.is_empty()
        {
            return missing("--reward", reward, "a number");
        }
        if let Some(answer) = &self.answer
            && table.names().answers.is_empty()
        {
            return missing("--answer", answer, "an answer");
        }
        if let Some(prompt) = &self.prompt_id
            && !table.names().groups.contains(prompt)
        {
            return missing("--prompt-id", prompt, "a value");
        }
        if let Some(by) = &self.by
            && analysis.steps.iter().all(|step| step.by_column.is_empty())
        {
            let what = if matches!(by, GroupBy::Comparison(_)) { "a number" } else { "a value" };
            return missing("--by", by.column(), what);
        }
        if self.answer_regex.is_some() && table.names().answers.is_empty() {
            return Err(anyhow!("--answer-regex matches no response")).hint(
                "the text is that of the column response, output or completion, else of the tokens",
            );
        }
        Ok(())
    }
}

/// What a user should know about the data.
fn data_warnings(table: &TokenTable, analysis: &Analysis, by: Option<&GroupBy>) -> Vec<String> {
    let mut warnings = Vec::new();
    let has_rewards = !table.names().rewards.is_empty();
    for (reason, left_out) in table.left_out().iter() {
        let count = left_out.count as usize;
        let (what, first) = (reason.words(), &left_out.first);
        warnings.push(match reason.scope() {
            Scope::Responses => {
                format!(
                    "{} left out, {what}: first {first}",
                    plural(count, "response is", "responses are")
                )
            }
            Scope::Tokens => format!(
                "{} left out, {what}: first {first}",
                plural(count, "token is", "tokens are")
            ),
            Scope::LogProbs => {
                let tokens = plural(count, "token has", "tokens have");
                format!("{tokens} {what}, and not in numbers of log-probs: first {first}")
            }
            Scope::Nothing => {
                let tokens = plural(count, "token has", "tokens have");
                format!("{tokens} {what}; the numbers count it as it is: first {first}")
            }
            // A dump without any rewards lacks the sections that need them, which says so.
            Scope::Rewards if reason == Reason::NoReward && !has_rewards => continue,
            Scope::Rewards | Scope::Advantages | Scope::Sampler | Scope::Columns => {
                let responses = plural(count, "response has", "responses have");
                format!("{responses} {what}: first {first}")
            }
            Scope::Values => {
                let values = plural(count, "value of a column is", "values of columns are");
                format!("{values} {what}, and not in its mean: first {first}")
            }
        });
    }
    let (several, ids) = table.ids_with_several_texts();
    if several > 0 {
        let ids = plural(ids, "token id has", "token ids have");
        warnings.push(format!(
            "{several} of {ids} several texts: these dumps seem to be of different tokenizers, and their tokens \
             are not compared"
        ));
    }
    if table.sources().len() == 1 {
        for (what, names) in [
            ("rewards", &table.names().rewards),
            ("prompts", &table.names().groups),
            ("answers", &table.names().answers),
        ] {
            if names.len() > 1 {
                warnings
                    .push(format!("{what} are taken from several columns: {}", names.join(", ")));
            }
        }
    }
    let without = table.without_prompt();
    if without > 0 {
        let responses = plural(without, "response has", "responses have");
        warnings.push(format!(
            "{responses} nothing that names the prompt: each is taken as the only one to its prompt; name the column \
             with --prompt-id"
        ));
    }
    let references = |step: &entropy_tokens::StepAnalysis| {
        let answers = step.diversity.as_ref().and_then(|diversity| diversity.answers);
        answers.is_some_and(|answers| answers.look_like_references)
    };
    if analysis.steps.iter().any(references) {
        warnings.push(
            "the answers to each prompt are equal although rewards differ: they look like reference answers; name \
             the column of the response's own with --answer, or use --answer-regex"
                .to_owned(),
        );
    }
    if let Some(by) = by {
        let without: u64 = analysis
            .steps
            .iter()
            .map(|step| {
                step.responses as u64
                    - step.by_column.iter().map(|group| group.responses).sum::<u64>()
            })
            .sum();
        if without > 0 {
            let responses = plural(without as usize, "response is", "responses are");
            warnings.push(format!("{responses} in no group: no value of {}", by.column()));
        }
    }
    if !analysis.missing_steps.is_empty() {
        let steps: Vec<String> = analysis.missing_steps.iter().map(u64::to_string).collect();
        warnings.push(format!("no response of step {}", steps.join(", ")));
    }
    if table.is_rounded() {
        warnings.push(format!(
            "{} tokens: quantiles, top shares and covariances are of values rounded to 32 bits (7 digits); means \
             of entropies, log-probs and mismatch are exact",
            table.tokens()
        ));
    }
    warnings
}
