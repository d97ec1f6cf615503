//! `entropy-viz man`: manual pages, generated from the definitions of the parser.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Command};

use super::target::Target;
use entropy_shell::{CliError, Outcome, Terminal};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write the pages of all commands into this directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl ManArgs {
    pub(super) fn run(
        &self,
        terminal: &Terminal,
        mut command: Command,
    ) -> Result<Outcome, CliError> {
        command.build();
        let Some(dir) = &self.dir else {
            terminal.print(&render(command)?)?;
            return Ok(Outcome::Done);
        };
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let name = format!("entropy-viz-{}", sub.get_name());
            let page = render(sub.clone().name(name.clone()).bin_name(&name))?;
            Target::File(dir.join(format!("{name}.1"))).write(&page, terminal)?;
        }
        Target::File(dir.join("entropy-viz.1")).write(&render(command)?, terminal)?;
        Ok(Outcome::Done)
    }
}

fn render(command: Command) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command);
    man.render(&mut page).map_err(|e| anyhow!("cannot make the manual page: {e}"))?;
    Ok(page)
}
