//! Which runs are shown, and which of them stand out.

use anyhow::anyhow;
use clap::Args;

use super::names::given;
use entropy_history::history::Comparison;
use entropy_history::label::{LabelGlobError, matching_labels};
use entropy_plot::Emphasis;
use entropy_plot::theme::Rgb;
use entropy_shell::{CliError, Terminal, WithHint, plural};

/// Which runs are used.
#[derive(Debug, Args)]
#[command(next_help_heading = "Runs")]
pub(in crate::cli) struct SelectArgs {
    /// Only runs whose label matches one of these quoted globs.
    ///
    /// Short names match, too.
    #[arg(long, num_args = 1.., value_name = "GLOB")]
    select: Vec<String>,
    /// Leave out runs whose label matches one of these quoted globs.
    #[arg(long, num_args = 1.., value_name = "GLOB")]
    exclude: Vec<String>,
}

/// Which lines stand out.
#[derive(Debug, Args)]
#[command(next_help_heading = "Runs")]
pub(in crate::cli) struct EmphasisArgs {
    /// Draw these runs in colour with their names, the others in grey; labels or quoted globs.
    ///
    /// Without it, all of up to 12 runs have a colour and a name. Of more, up to 8 do: up to six that collapsed or
    /// exploded, then those that end highest and lowest.
    #[arg(long, num_args = 1.., value_name = "LABEL", conflicts_with = "grouping")]
    highlight: Vec<String>,
    /// Colour of a run, e.g. baseline=#888888; labels or quoted globs.
    #[arg(long = "color", alias = "colour", num_args = 1.., value_name = "LABEL=#HEX", value_parser = label_and_colour, conflicts_with = "grouping")]
    colours: Vec<(String, Rgb)>,
}

fn label_and_colour(text: &str) -> Result<(String, Rgb), String> {
    let parts = text.rsplit_once('=').filter(|(label, _)| !label.is_empty());
    let parsed = parts.and_then(|(label, colour)| Some((label.to_owned(), colour.parse().ok()?)));
    parsed.ok_or_else(|| "give a label and a colour, e.g. baseline=#888888".to_owned())
}

impl SelectArgs {
    /// The runs to use; says how many are left out.
    ///
    /// # Errors
    /// When a glob matches no run, or no run is left.
    pub(in crate::cli) fn choose(
        &self,
        comparison: Comparison,
        terminal: &Terminal,
    ) -> Result<Comparison, CliError> {
        if self.select.is_empty() && self.exclude.is_empty() {
            return Ok(comparison);
        }
        let all = comparison.runs().len();
        let mut keep = vec![self.select.is_empty(); all];
        for (flag, globs, is_kept) in
            [("--select", &self.select, true), ("--exclude", &self.exclude, false)]
        {
            for glob in globs {
                let found = matching(flag, glob, &comparison)?;
                keep.iter_mut()
                    .zip(found)
                    .filter(|(_, found)| *found)
                    .for_each(|(k, _)| *k = is_kept);
            }
        }
        let chosen = comparison.only(&keep);
        let chosen = chosen
            .ok_or_else(|| anyhow!("--exclude leaves no run of {}", plural(all, "run", "runs")))
            .hint("exclude fewer runs")?;
        let left_out = all - chosen.runs().len();
        if left_out > 0 {
            let flags = match (self.select.is_empty(), self.exclude.is_empty()) {
                (false, false) => "--select and --exclude",
                (false, true) => "--select",
                _ => "--exclude",
            };
            terminal.info(&format!("{left_out} of {all} runs left out by {flags}"));
        }
        Ok(chosen)
    }
}

impl EmphasisArgs {
    /// The flags that are given.
    pub(in crate::cli) fn given(&self) -> Vec<&'static str> {
        given([(!self.highlight.is_empty(), "--highlight"), (!self.colours.is_empty(), "--color")])
    }

    /// The runs that stand out.
    ///
    /// # Errors
    /// When a label matches no run.
    pub(in crate::cli) fn emphasis(&self, comparison: &Comparison) -> Result<Emphasis, CliError> {
        let mut emphasis = Emphasis::default();
        let labels = || comparison.runs().iter().map(|run| run.history.label().to_owned());
        for glob in &self.highlight {
            let found = matching("--highlight", glob, comparison)?;
            let found = labels().zip(found).filter(|(_, found)| *found);
            emphasis.highlighted.extend(found.map(|(label, _)| label));
        }
        for (glob, colour) in &self.colours {
            let found = matching("--color", glob, comparison)?;
            let found = labels().zip(found).filter(|(_, found)| *found);
            emphasis.colours.extend(found.map(|(label, _)| (label, *colour)));
        }
        Ok(emphasis)
    }
}

/// Which runs the glob of a flag matches.
///
/// # Errors
/// When it matches none.
fn matching(flag: &str, glob: &str, comparison: &Comparison) -> Result<Vec<bool>, CliError> {
    let labels: Vec<&str> = comparison.runs().iter().map(|run| run.history.label()).collect();
    matching_labels(glob, &labels).map_err(|error| {
        let hint = match &error {
            LabelGlobError::NoMatch { known, .. } => known.clone(),
            LabelGlobError::Invalid { .. } => {
                "put * ? or [ in brackets, as in [*], to mean the character".to_owned()
            }
        };
        CliError { error: anyhow!("{flag}: {error}"), hint: Some(hint) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_given_by_label() {
        let parse = |text| label_and_colour(text).ok();
        assert_eq!(parse("a=#ff8000"), Some(("a".to_owned(), Rgb(255, 128, 0))));
        assert_eq!(parse("lr=1=#f80"), Some(("lr=1".to_owned(), Rgb(255, 136, 0))));
        for bad in ["a", "=#fff", "a=red", "a=#ff", "a=#gggggg", "a=#ééé"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
