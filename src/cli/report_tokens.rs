//! `report --tokens DUMP`: reads token dumps for the page.

use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::tokens::{Dump, DumpArgs, Unlabelled};
use crate::report::{self, TokenPage};
use entropy_history::dump::GroupBy;
use entropy_shell::{CliError, Terminal, WithHint};

#[derive(Debug, Args)]
#[command(next_help_heading = "Token dumps")]
pub(super) struct TokenArgs {
    /// Token dump to show in the page; repeatable for several models.
    ///
    /// A file, a directory, a quoted glob, - for stdin, or LABEL=DUMP: everything that `tokens` reads.
    #[arg(long = "tokens", value_name = "DUMP")]
    dumps: Vec<String>,
    #[command(flatten)]
    dump: DumpArgs,
}

impl TokenArgs {
    /// The document that the page embeds; `None` without dumps. The files of one argument, e.g. one per rank of
    /// prime-rl, form one dump; the dumps of several arguments are compared. Also the number of files found by a glob or
    /// in a directory that could not be read, which were skipped with a warning.
    ///
    /// # Errors
    /// When a named file cannot be read, or no dump has a token.
    pub(super) fn load(&self, terminal: &Terminal) -> Result<(Option<Value>, usize), CliError> {
        if self.dumps.is_empty() {
            return Ok((None, 0));
        }
        let Dump { table, analysis, options, columns, warnings, skipped } =
            self.dump.load(&self.dumps, Unlabelled::Apart, terminal)?;
        let start = Instant::now();
        let by = columns.by.as_ref().map(GroupBy::text);
        let page = TokenPage { options: &options, by: by.as_deref(), warnings: &warnings };
        let Some(document) = report::tokens(&table, &analysis, &page) else {
            let names = self.dumps.join(", ");
            return Err(anyhow!("cannot show the tokens of {names}: no response has tokens"))
                .hint("leave --tokens out");
        };
        terminal.verbose(|| format!("token sections made in {:.1?}", start.elapsed()));
        Ok((Some(document), skipped))
    }
}
