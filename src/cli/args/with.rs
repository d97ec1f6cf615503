//! `--with`: quantities that are drawn below the entropy, in a picture and on a page.

use anyhow::anyhow;
use clap::Args;

use crate::tui::quantity::Quantity;
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::quantity_names::{self, QUANTITIES};
use entropy_history::quantity_runs::QuantityRuns;
use entropy_history::stats::group::Group;
use entropy_history::store::AuxRequest;
use entropy_history::text::nearest_name;
use entropy_plot::GroupOptions;
use entropy_shell::{CliError, Terminal, WithHint, plural};

/// The largest number of runs that a warning names.
const MAX_NAMED: usize = 3;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Curves")]
pub(in crate::cli) struct WithArgs {
    /// Other quantities, each in a panel: reward, kl, length, lr, … or a key.
    ///
    /// Known names are reward, kl (to the reference policy), ppo_kl (old policy to new), mismatch_kl (sampler to
    /// trainer), length (of responses), clip (share of clipped tokens), lr and grad_norm: each stands for the keys under
    /// which trainers log it. Anything else is a key or a quoted glob, which must match one key of each log.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = quantity_name)]
    with: Vec<String>,
}

/// A name or a key without spaces around it.
pub(in crate::cli) fn quantity_name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is empty; known names are ".to_owned() + &known_names()),
        name => Ok(name.to_owned()),
    }
}

/// The names of quantities with known keys.
fn known_names() -> String {
    QUANTITIES.map(|quantity| quantity.name).join(", ")
}

impl WithArgs {
    /// The names, each once.
    pub(in crate::cli) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.with.iter().map(String::as_str) {
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

    /// The panels of the terminal: the wanted quantities as far as the logs have them yet.
    pub(in crate::cli) fn in_terminal(&self, comparison: &Comparison) -> Vec<Quantity> {
        let names = self.names().into_iter().enumerate();
        names.map(|named| Quantity::of(named, comparison)).collect()
    }

    /// The wanted quantities of the runs. Warns about runs that lack one, and about groups whose mean in its panel is of
    /// fewer runs than that of the entropy.
    ///
    /// # Errors
    /// When no run has one.
    pub(in crate::cli) fn quantities(
        &self,
        comparison: &Comparison,
        grouped: Option<&GroupOptions>,
        terminal: &Terminal,
    ) -> Result<Vec<QuantityRuns>, CliError> {
        let (found, missing) = self.found(comparison);
        if let Some(name) = missing.first() {
            return self.no_run_has(name);
        }
        for quantity in &found {
            let lacking = quantity.labels_without(comparison);
            if !lacking.is_empty() {
                let runs = plural(lacking.len(), "run has", "runs have");
                let shown = lacking.iter().take(MAX_NAMED).map(|label| visible(label));
                let shown = shown.collect::<Vec<_>>().join(", ");
                let more = if lacking.len() > MAX_NAMED { ", …" } else { "" };
                let name = quantity.name();
                terminal.warn(&format!("{runs} no {name} and no line in its panel: {shown}{more}"));
            }
            for Group { name, members } in grouped.iter().flat_map(|grouped| &grouped.groups) {
                let (with, all) = (quantity.members(members).len(), members.len());
                let line = match with {
                    0 => "it has no line there",
                    1 => "its line there is that of this run, not a mean",
                    _ => "its mean there is of these alone",
                };
                if with < all {
                    let has = if with == 1 { "has" } else { "have" };
                    let (name, what) = (visible(name), quantity.name());
                    terminal
                        .warn(&format!("group {name}: {with} of {all} runs {has} {what}: {line}"));
                }
            }
        }
        Ok(found)
    }

    /// The wanted quantities that at least one run has, and the names of the others.
    pub(in crate::cli) fn found(&self, comparison: &Comparison) -> (Vec<QuantityRuns>, Vec<&str>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (index, name) in self.names().into_iter().enumerate() {
            match QuantityRuns::of((index, name), comparison) {
                Some(quantity) => found.push(quantity),
                None => missing.push(name),
            }
        }
        (found, missing)
    }

    /// The error for a quantity that no run has.
    fn no_run_has<T>(&self, name: &str) -> Result<T, CliError> {
        let searched = quantity_names::keys_of(name);
        let wanted = self.names();
        let is_wanted = |key: &&String| *key != name && wanted.contains(&key.as_str());
        if let Some(key) = searched.iter().find(is_wanted) {
            return Err(anyhow!("cannot draw {name:?} beside {key:?}, which is one of its keys"))
                .hint("leave one of them out");
        }
        let what = match quantity_names::named(name) {
            Some(_) => {
                format!("no log has a finite value of one of its keys {}", searched.join(", "))
            }
            None if name.contains(['*', '?', '[']) => {
                "no log has one key that it matches, with a finite value".to_owned()
            }
            None => "no log has a finite value of this key".to_owned(),
        };
        let names = QUANTITIES.iter().map(|quantity| quantity.name);
        let keys = QUANTITIES.iter().flat_map(|quantity| quantity.keys).copied();
        let nearest = nearest_name(name, names).or_else(|| nearest_name(name, keys));
        let meant = nearest.map_or(String::new(), |nearest| format!("did you mean {nearest:?}? "));
        Err(anyhow!("cannot draw {name:?}: {what}")).hint(format!(
            "{meant}`entropy-viz inspect FILE` lists the keys of a log; known names are {}",
            known_names()
        ))
    }
}
