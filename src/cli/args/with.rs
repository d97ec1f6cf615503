//! `--with`: quantities that are drawn below the entropy.

use anyhow::anyhow;
use clap::Args;

use crate::tui::quantity::Quantity;
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::quantity_names::{self, QUANTITIES};
use entropy_history::store::AuxRequest;
use entropy_plot::{Beside, ChartOptions};
use entropy_shell::{CliError, Terminal, WithHint, plural};

/// The largest number of runs that a warning names.
const MAX_NAMED: usize = 3;

#[derive(Debug, Args)]
#[command(next_help_heading = "Curves")]
pub(in crate::cli) struct WithArgs {
    /// Other quantities, each in a panel: reward, kl, length, lr, … or a key.
    ///
    /// Known names are reward, kl (to the reference policy), ppo_kl (old policy to new), mismatch_kl (sampler to
    /// trainer), length (of responses), clip (share of clipped tokens), lr and grad_norm: each stands for the keys under
    /// which trainers log it. Anything else is a key or a quoted glob, which must match one key of each log.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    with: Vec<String>,
}

impl WithArgs {
    /// The names, each once.
    pub(in crate::cli) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.with.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The request with the wanted quantities.
    pub(in crate::cli) fn added_to(&self, aux: AuxRequest) -> AuxRequest {
        let quantities = self.names().into_iter().map(quantity_names::keys_of).collect();
        AuxRequest { quantities, ..aux }
    }

    /// The wanted quantities as far as the logs have them yet.
    pub(in crate::cli) fn found(&self, comparison: &Comparison) -> Vec<Quantity> {
        let names = self.names().into_iter().enumerate();
        names.map(|named| Quantity::of(named, comparison)).collect()
    }

    /// The panels of the wanted quantities. Warns about runs that lack one.
    ///
    /// # Errors
    /// When no run has one.
    pub(in crate::cli) fn beside(
        &self,
        comparison: &Comparison,
        options: &ChartOptions,
        terminal: &Terminal,
    ) -> Result<Vec<Beside>, CliError> {
        let mut panels = Vec::new();
        let wanted = self.names();
        for (index, name) in wanted.iter().copied().enumerate() {
            let lacks = comparison
                .runs()
                .iter()
                .filter(|run| run.quantities.get(index).is_none_or(Option::is_none));
            let lacking: Vec<_> = lacks.map(|run| visible(run.history.label())).collect();
            let Some(panel) = Beside::of((index, name), comparison, options) else {
                let names: Vec<&str> = QUANTITIES.iter().map(|quantity| quantity.name).collect();
                let searched = quantity_names::keys_of(name);
                if let Some(key) =
                    searched.iter().find(|key| *key != name && wanted.contains(&key.as_str()))
                {
                    return Err(anyhow!(
                        "cannot draw {name:?} beside {key:?}, which is one of its keys"
                    ))
                    .hint("leave one of them out");
                }
                let what = match quantity_names::named(name) {
                    Some(_) => format!("no log has one of its keys {}", searched.join(", ")),
                    None if name.contains(['*', '?', '[']) => {
                        "no log has one key that it matches".to_owned()
                    }
                    None => "no log has this key".to_owned(),
                };
                return Err(anyhow!("cannot draw {name:?}: {what}")).hint(format!(
                    "`entropy-viz inspect FILE` lists the keys of a log; known names are {}",
                    names.join(", ")
                ));
            };
            panels.push(panel);
            if !lacking.is_empty() {
                let runs = plural(lacking.len(), "run has", "runs have");
                let shown = &lacking[..lacking.len().min(MAX_NAMED)];
                let more = if lacking.len() > MAX_NAMED { ", …" } else { "" };
                terminal.warn(&format!(
                    "{runs} no {name} and no line in its panel: {}{more}",
                    shown.join(", ")
                ));
            }
        }
        Ok(panels)
    }
}
