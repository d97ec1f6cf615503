//! Draws the curves and the statistics of `plot` and `auto`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::args::ChartArgs;
use super::graphics::Screen;
use entropy_history::history::{Comparison, Run};
use entropy_history::stats::group::Group;
use entropy_history::stats::{Analysis, analyse, analyse_window};
use entropy_history::x_axis::XAxis;
use entropy_plot::{
    Beside, ChartOptions, Emphasis, Encoding, Picture, RunColours, StatsChart, chooses_by_state,
};
use entropy_shell::{CliError, Terminal};

/// One of the two charts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ChartKind {
    Curves,
    Stats,
}

/// Which charts to draw, and how.
#[derive(Clone, Copy)]
pub(super) struct ChartRequest<'a> {
    pub(super) args: &'a ChartArgs,
    pub(super) x_axis: XAxis,
    /// The charts to draw; curves are always one of them.
    pub(super) kinds: &'a [ChartKind],
    /// How statistics are drawn; `None` as the style says.
    pub(super) stats_chart: Option<StatsChart>,
    /// The file types to write of each chart.
    pub(super) encodings: &'a [Encoding],
    /// The screen that the curves are fitted to; `None` for files.
    pub(super) screen: Option<&'a Screen>,
}

/// Draws all charts in all encodings in parallel, then calls `write` for each; if one fails, nothing is written. Returns
/// the analysis of the steps shown.
///
/// # Errors
/// When there is nothing to draw, or a picture cannot be written.
pub(super) fn draw(
    comparison: &Comparison,
    request: &ChartRequest<'_>,
    terminal: &Terminal,
    write: impl Fn(Encoding, ChartKind, &[u8]) -> Result<(), CliError>,
) -> Result<Analysis, CliError> {
    let start = Instant::now();
    let &ChartRequest { args, x_axis, kinds, encodings, stats_chart, screen } = request;
    let window = args.steps.window(comparison, terminal)?;
    // Curves need all points of the runs shown: smoothing starts at the first one.
    let (whole, cut) = window.as_ref().map_or((comparison, comparison), |w| (&w.whole, &w.cut));
    let grouped = args.groups.grouped(Some(&args.bands), whole)?;
    let thresholds = args.health.thresholds();
    let emphasis = args.emphasis.emphasis(whole)?;
    // Of many runs, those that stand out depend on the states, so the analysis comes first.
    let known = chooses_by_state(whole, &emphasis).then(|| analyse(whole, &thresholds));
    let facets = args.facets.panels(whole, terminal)?;
    let colours = match &facets {
        None => RunColours::choose(whole.runs(), known.as_ref(), &emphasis),
        Some(panels) => colours_in_panels(panels, whole, known.as_ref(), &emphasis),
    };
    let mut options = ChartOptions {
        groups: grouped,
        colours: Some(colours),
        facets,
        ..args.options(whole, x_axis)
    };
    options.stats_chart = stats_chart.unwrap_or(options.stats_chart);
    let quantities = args.with.quantities(whole, options.groups.as_ref(), terminal)?;
    let dpi = screen.map(|screen| {
        options.theme = args.picture.theme_on(screen.background());
        screen.fit(&mut options, quantities.len())
    });
    let beside: Vec<Beside> = quantities.iter().map(|q| Beside::of(q, &options)).collect();
    let renderer = args.picture.renderer(whole, options, terminal)?;
    let renderer = match dpi {
        Some(dpi) => renderer.at(dpi),
        None => renderer,
    };
    let (curves, (whole_analysis, cut_analysis)) = rayon::join(
        || renderer.curves(whole, &beside),
        || {
            let cut = window.as_ref().map(|window| analyse_window(window, &thresholds));
            (known.unwrap_or_else(|| analyse(whole, &thresholds)), cut)
        },
    );
    let curves = curves?;
    let shown = cut_analysis.as_ref().unwrap_or(&whole_analysis);
    terminal.verbose(|| format!("analysed and laid out in {:.1?}", start.elapsed()));

    let start = Instant::now();
    let encode_all = |picture: Picture| {
        let encode = |&encoding: &Encoding| Ok((encoding, renderer.encode(&picture, encoding)?));
        let files: Result<Vec<_>, CliError> = encodings.iter().map(encode).collect();
        (picture.warnings, files)
    };
    let (curves, stats) = rayon::join(
        || encode_all(curves.picture(&whole_analysis)),
        || kinds.contains(&ChartKind::Stats).then(|| encode_all(renderer.bars(cut, shown))),
    );
    terminal.verbose(|| format!("drawn in {:.1?}", start.elapsed()));
    let mut files = Vec::new();
    for (kind, drawn) in [(ChartKind::Curves, Some(curves)), (ChartKind::Stats, stats)] {
        let Some((warnings, encoded)) = drawn else { continue };
        warnings.iter().for_each(|warning| terminal.warn(warning));
        for (encoding, bytes) in encoded? {
            files.push((encoding, kind, bytes));
        }
    }
    for (encoding, kind, bytes) in &files {
        write(*encoding, *kind, bytes)?;
    }
    Ok(cut_analysis.unwrap_or(whole_analysis))
}

/// The colours of the runs in panels; the others are not drawn and take no colour from them.
fn colours_in_panels(
    panels: &[Group],
    comparison: &Comparison,
    states: Option<&Analysis>,
    emphasis: &Emphasis,
) -> RunColours {
    let mut drawn: Vec<usize> = panels.iter().flat_map(|panel| &panel.members).copied().collect();
    drawn.sort_unstable();
    let runs: Vec<Run> = drawn.iter().map(|index| comparison.runs()[*index].clone()).collect();
    let of_drawn = |states: &Analysis| {
        let mut states = states.clone();
        states.runs = drawn.iter().map(|index| states.runs[*index].clone()).collect();
        states
    };
    RunColours::choose(&runs, states.map(of_drawn).as_ref(), emphasis)
}

/// The path of the statistics of a picture: `<stem>_stats.<ext>`.
pub(super) fn stats_path(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension() {
        Some(extension) => {
            path.with_file_name(format!("{stem}_stats.{}", extension.to_string_lossy()))
        }
        None => path.with_file_name(format!("{stem}_stats")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_path_keeps_directory_and_extension() {
        assert_eq!(stats_path(Path::new("a/b.c.png")), Path::new("a/b.c_stats.png"));
        assert_eq!(stats_path(Path::new("plot")), Path::new("plot_stats"));
    }
}
