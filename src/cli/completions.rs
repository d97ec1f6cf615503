//! `entropy-viz completions`: shell completions, generated from the definitions of the parser.

use clap::{Args, Command};
use clap_complete::Shell;

use entropy_shell::{CliError, Outcome, Terminal};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(
        &self,
        terminal: &Terminal,
        mut command: Command,
    ) -> Result<Outcome, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "entropy-viz", &mut script);
        terminal.print(&script)?;
        Ok(Outcome::Done)
    }
}
