//! Keys of the configurations of runs, as columns of `stats` and for groups.

use clap::Args;

use crate::cli::hints::cli_error;
use entropy_history::history::Comparison;
use entropy_history::run_config::{ConfigColumn, ConfigKeys, RunConfig, columns};
use entropy_history::store::{AuxRequest, ConfigRequest, LoadError};
use entropy_shell::{CliError, Terminal, plural};

use super::names::list;

/// Which keys of the configurations are shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Runs")]
pub(in crate::cli) struct ColumnArgs {
    /// Keys of the configuration to show for each run, e.g. lr,seed,kl_coef.
    ///
    /// The configuration is what the trainer wrote into the log or the directory of the run. A key may be given by its last
    /// parts: lr for actor.optim.lr.
    #[arg(long, value_name = "KEY,…", value_parser = ConfigKeys::parse)]
    columns: Option<ConfigKeys>,
}

impl ColumnArgs {
    /// What these columns need in addition to `aux`.
    pub(in crate::cli) fn added_to(&self, aux: AuxRequest) -> AuxRequest {
        match self.columns {
            Some(_) => AuxRequest { config: ConfigRequest::Read, ..aux },
            None => aux,
        }
    }

    /// The columns with a value for each run, if it has one; none without the flag. Warns about runs that have none of
    /// the keys.
    ///
    /// # Errors
    /// When no configuration has a key, or it may be several keys.
    pub(in crate::cli) fn columns(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<Vec<ConfigColumn>, CliError> {
        let Some(keys) = &self.columns else { return Ok(Vec::new()) };
        let columns = config_columns(keys, comparison)?;
        let is_empty = |run: &usize| columns.iter().all(|column| column.values[*run].is_none());
        let without = (0..comparison.runs().len()).filter(is_empty);
        let without: Vec<&str> =
            without.map(|run| comparison.runs()[run].history.label()).collect();
        columns.iter().filter_map(ConfigColumn::warning).for_each(|text| terminal.warn(&text));
        if !without.is_empty() {
            let runs = plural(without.len(), "run", "runs");
            let labels = list(&without);
            terminal.warn(&format!("--columns has no value for {runs}: {labels}"));
        }
        Ok(columns)
    }
}

/// The values of keys in the configurations of these runs.
///
/// # Errors
/// When no configuration has a key, or it may be several keys.
pub(super) fn config_columns(
    keys: &ConfigKeys,
    comparison: &Comparison,
) -> Result<Vec<ConfigColumn>, CliError> {
    let none = RunConfig::default();
    let configs: Vec<&RunConfig> =
        comparison.runs().iter().map(|run| run.config.as_deref().unwrap_or(&none)).collect();
    columns(keys, &configs).map_err(|error| cli_error(LoadError::ConfigKey(error)))
}
