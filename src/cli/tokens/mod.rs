//! `entropy-viz tokens`: where and why the entropy of single tokens changes.

pub(super) mod cells;
mod document;
mod dump;
mod figures;
mod files;
pub(super) mod output;
mod position_figures;
mod sections;
mod table;

use clap::Args;

use super::args::{JsonArgs, to_json};
use super::table::width;
use super::target::Target;
pub(super) use dump::{Dump, DumpArgs};
use entropy_shell::{CliError, Outcome, Terminal};
pub(super) use files::Unlabelled;

const EXAMPLES: &str = "\
Examples:
  entropy-viz tokens tokens.jsonl                          tables of every step
  entropy-viz tokens 'token_exports/*/rank_*.jsonl' -o tokens.png
  entropy-viz tokens train_data/ --reward rewards --answer-regex 'boxed\\{(.*?)\\}'
  entropy-viz tokens tokens.parquet --by env --step 40,120 --json
  entropy-viz tokens base=a.jsonl new=b.jsonl --by 'reward>0.5'

Dumps of `compute --tokens-out`, prime-rl's token export, NeMo-RL's train_data_step*.jsonl, and JSON
lines or Parquet of verl and slime with token ids. Inputs without LABEL= form one dump; those with
labels are dumps of their own. A section that a dump cannot carry is named with the reason.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct TokensArgs {
    /// Token dumps: files, directories, quoted globs, - for stdin, or LABEL=DUMP.
    #[arg(value_name = "DUMP", required = true)]
    dumps: Vec<String>,
    #[command(flatten)]
    dump: DumpArgs,
    /// Exit 0 even if files matched by a glob or directory could not be read.
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    figures: output::FigureArgs,
    #[command(flatten)]
    json: JsonArgs,
}

impl TokensArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let target = self.figures.target()?;
        let dump = self.dump.load(&self.dumps, Unlabelled::OneDump, terminal)?;
        let Dump { table, analysis, options, columns, warnings, skipped } = &dump;

        if let Some((target, encoding)) = &target {
            self.figures.write(
                target,
                *encoding,
                table,
                analysis,
                columns.by.as_ref(),
                terminal,
            )?;
            if *target == Target::Stdout {
                return Ok(self.outcome(*skipped));
            }
        }
        let text = match self.json.json {
            true => to_json(&document::Document::of(table, analysis, columns, options, warnings)),
            false => table::render(table, analysis, columns.by.as_ref(), width()),
        };
        terminal.print(text.as_bytes())?;
        Ok(self.outcome(*skipped))
    }

    fn outcome(&self, skipped: usize) -> Outcome {
        if skipped > 0 && !self.allow_partial { Outcome::Partial } else { Outcome::Done }
    }
}
