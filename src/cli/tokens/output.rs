//! `-o` and `--figure`: which figures are drawn, and to which files.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::figures::{Drawn, Figure, FigureKind, figure};
use crate::cli::args::PictureArgs;
use crate::cli::target::Target;
use entropy_history::dump::GroupBy;
use entropy_plot::Encoding;
use entropy_shell::{CliError, Terminal, WithHint};
use entropy_tokens::{Analysis, TokenTable};

#[derive(Debug, Args)]
pub(super) struct FigureArgs {
    /// Draw figures: FILE with the name of each before its extension, e.g. tokens_histogram.png.
    ///
    /// One --figure is written to FILE itself. The extension is .png, .svg or .pdf.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Draw only these figures; repeatable, or separated by commas [default: all that the dump carries].
    #[arg(
        long = "figure",
        value_enum,
        value_name = "NAME",
        value_delimiter = ',',
        requires = "output"
    )]
    figures: Vec<FigureKind>,
    #[command(flatten)]
    picture: PictureArgs,
}

impl FigureArgs {
    /// Where to write figures, and how; `None` without `-o`.
    ///
    /// # Errors
    /// When the file type is not known, or stdout is to have several figures.
    pub(super) fn target(&self) -> Result<Option<(Target, Encoding)>, CliError> {
        let Some(output) = &self.output else { return Ok(None) };
        let target = Target::new(output);
        if target == Target::Stdout && self.figures.len() != 1 {
            return Err(anyhow!("stdout takes one figure"))
                .hint("choose it with --figure, e.g. --figure histogram");
        }
        let encoding = self.picture.encoding(&target)?;
        Ok(Some((target, encoding)))
    }

    /// Draws and writes the figures. Those that the dump cannot carry are named with the reason.
    ///
    /// # Errors
    /// When a chosen figure cannot be drawn, or a file cannot be written.
    pub(super) fn write(
        &self,
        target: &Target,
        encoding: Encoding,
        table: &TokenTable,
        analysis: &Analysis,
        by: Option<&GroupBy>,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        let dump = (table, analysis);
        write_chosen(&self.figures, (target, encoding), dump, by, &self.picture, terminal)
    }
}

/// Draws all figures that a dump can carry, each to the file `target` with its name before the extension.
///
/// # Errors
/// When there are none, or a file cannot be written.
pub(in crate::cli) fn write_figures(
    target: (&Target, Encoding),
    dump: (&TokenTable, &Analysis),
    by: Option<&GroupBy>,
    picture: &PictureArgs,
    terminal: &Terminal,
) -> Result<(), CliError> {
    write_chosen(&[], target, dump, by, picture, terminal)
}

/// Draws these figures, or all if none is chosen.
fn write_chosen(
    figures: &[FigureKind],
    (target, encoding): (&Target, Encoding),
    (table, analysis): (&TokenTable, &Analysis),
    by: Option<&GroupBy>,
    args: &PictureArgs,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let chosen = if figures.is_empty() { FigureKind::value_variants() } else { figures };
    let sources = table.sources();
    let (mut drawn, mut missing) = (Vec::new(), Vec::new());
    for (source, name) in sources.iter().enumerate() {
        for kind in chosen {
            match figure(*kind, analysis, source, name, by) {
                Ok(figure) => drawn.push((source, *kind, figure)),
                Err(reason) => missing.push((*kind, reason)),
            }
        }
    }
    let words = |(kind, reason): &(FigureKind, String)| format!("{} ({reason})", kind.name());
    if drawn.is_empty() {
        let missing: Vec<String> = missing.iter().map(words).collect();
        return Err(anyhow!("no figure can be drawn: {}", missing.join("; ")))
            .hint("leave -o out, or choose another --figure");
    }
    if !missing.is_empty() {
        // By default all figures are asked for, so that the missing ones are no fault of the user's; without --by, there is
        // no figure of its groups.
        let is_fault = !figures.is_empty();
        missing.retain(|(kind, _)| is_fault || by.is_some() || *kind != FigureKind::Groups);
        missing.sort_by(|a, b| a.1.cmp(&b.1)); // stable
        let reasons = missing.chunk_by(|a, b| a.1 == b.1).map(|same| {
            let mut names: Vec<String> = same.iter().map(|(kind, _)| kind.name()).collect();
            names.dedup();
            format!("{} ({})", names.join(", "), same[0].1)
        });
        let reasons: Vec<String> = reasons.collect();
        match (reasons.is_empty(), is_fault) {
            (true, _) => {}
            (_, true) => terminal.warn(&format!("not drawn: {}", reasons.join("; "))),
            (_, false) => terminal.info(&format!("not drawn: {}", reasons.join("; "))),
        }
    }
    let is_single = figures.len() == 1 && drawn.len() == 1;
    let names: Vec<&str> = sources.iter().map(String::as_str).collect();
    let options = args.options_of(&names);
    for (source, kind, figure) in drawn {
        let renderer = args.renderer_of(&figure.texts(&options), options.clone(), terminal)?;
        let picture = match &figure {
            Figure { drawn: Drawn::Panels(data), scale } => renderer.panels(data, *scale),
            Figure { drawn: Drawn::HeatMap(map), .. } => renderer.heat_map(map),
        };
        let bytes = renderer.encode(&picture, encoding)?;
        let label = (sources.len() > 1).then(|| sources[source].as_str());
        let target = match target {
            Target::File(path) if !is_single => Target::File(file_name(path, label, &kind.name())),
            target => target.clone(),
        };
        target.write_beside_document(&bytes, terminal)?;
    }
    Ok(())
}

/// `DIR/STEM_LABEL_FIGURE.EXT`; characters of the label that file names may not have become `-`.
pub(in crate::cli) fn file_name(path: &Path, label: Option<&str>, figure: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    let clean = |label: &str| -> String {
        let keep = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '.') { c } else { '-' };
        label.chars().map(keep).collect()
    };
    let label = label.map_or_else(String::new, |label| format!("_{}", clean(label)));
    let name = format!("{stem}{label}_{figure}{}", extension.unwrap_or_default());
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_name_before_the_extension() {
        let path = Path::new("out/tokens.png");
        assert_eq!(
            file_name(path, None, &FigureKind::Histogram.name()),
            Path::new("out/tokens_histogram.png")
        );
        let name = file_name(path, Some("a/b c"), &FigureKind::HeatMap.name());
        assert_eq!(name, Path::new("out/tokens_a-b-c_heat-map.png"));
    }
}
