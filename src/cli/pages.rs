//! `entropy-viz completions` and `entropy-viz man`: made from the same definitions as the parser.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Command};
use clap_complete::Shell;

use super::chart::{Target, write};
use entropy_shell::Failure;
use entropy_shell::Outcome;
use entropy_shell::Terminal;

/// Prints completions for a shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(
        &self,
        terminal: &Terminal,
        mut command: Command,
    ) -> Result<Outcome, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "entropy-viz", &mut script);
        terminal.print(&script)?;
        Ok(Outcome::Done)
    }
}

/// Prints or writes manual pages.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write the pages of all commands into this directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(
        &self,
        terminal: &Terminal,
        mut command: Command,
    ) -> Result<Outcome, Failure> {
        command.build();
        let render = |command: Command| -> Result<Vec<u8>, Failure> {
            let mut page = Vec::new();
            let page_of = clap_mangen::Man::new(command);
            page_of.render(&mut page).map_err(|e| anyhow!("cannot make the manual page: {e}"))?;
            Ok(page)
        };
        let Some(dir) = &self.dir else {
            terminal.print(&render(command)?)?;
            return Ok(Outcome::Done);
        };
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let name = format!("entropy-viz-{}", sub.get_name());
            let page = render(sub.clone().name(name.clone()).bin_name(&name))?;
            write(&Target::File(dir.join(format!("{name}.1"))), &page, terminal)?;
        }
        write(&Target::File(dir.join("entropy-viz.1")), &render(command)?, terminal)?;
        Ok(Outcome::Done)
    }
}
