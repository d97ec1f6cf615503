//! The panels of other quantities below the chart of the entropy.
//!
//! ```text
//! {"name":"kl","keys":"actor/kl_loss","unit":"nats","points":120,"bands":null,
//!  "runs":[{"run":0,"last":0.21,"series":{…}}]}
//! ```
//!
//! `run` is the index of the run; runs without the quantity are missing. `series` is encoded as that of the entropy, and
//! `bands` as those of the entropy; their members are indices of this list.

use serde::Serialize;

use super::bands::{Bands, MAX_POINTS, bands};
use super::series::{Series, SeriesSource};
use entropy_history::history::{Comparison, Run};
use entropy_history::label::visible;
use entropy_history::quantity_runs::QuantityRuns;
use entropy_plot::GroupOptions;

/// A quantity with the points of its runs.
#[derive(Debug, Serialize)]
pub(super) struct PagePanel {
    /// The name on the command line; unique on the page.
    name: String,
    /// The keys under which the runs log it.
    keys: String,
    unit: Option<&'static str>,
    /// The number of its logged points.
    points: usize,
    bands: Option<Bands>,
    runs: Vec<PanelRun>,
}

#[derive(Debug, Serialize)]
struct PanelRun {
    run: usize,
    last: f64,
    series: Series,
}

/// The means of the groups in the charts of a page: of the entropy, and of each quantity.
pub(super) struct PageBands {
    pub(super) entropy: Option<Bands>,
    quantities: Vec<Option<Bands>>,
}

impl PageBands {
    /// The means of the groups, smoothed with a weight.
    pub(super) fn of(
        comparison: &Comparison,
        quantities: &[QuantityRuns],
        groups: Option<&GroupOptions>,
        weight: f64,
    ) -> PageBands {
        let max_points = MAX_POINTS / (1 + quantities.len());
        let entropy = groups.map(|groups| bands(comparison, groups, weight, max_points));
        let of_quantity = |quantity: &QuantityRuns| {
            let groups = groups?.of_quantity(quantity);
            let own = bands(&quantity.comparison(), &groups, weight, max_points);
            Some(own.with_styles_of(entropy.as_ref()?))
        };
        let quantities = quantities.iter().map(of_quantity).collect();
        PageBands { entropy, quantities }
    }

    /// The approximate length of its JSON in characters.
    pub(super) fn size(&self) -> usize {
        let quantities = self.quantities.iter().flatten();
        self.entropy.iter().chain(quantities).map(Bands::size).sum()
    }
}

/// All series of a page: the entropies of the runs, then each quantity of the runs that have it.
pub(super) fn sources<'a>(
    comparison: &'a Comparison,
    quantities: &'a [QuantityRuns],
) -> Vec<SeriesSource<'a>> {
    let runs = comparison.runs();
    let source =
        |(run, entropy): (&'a Run, &'a Run)| SeriesSource { run, entropy: &entropy.history };
    let entropies = runs.iter().map(|run| source((run, run)));
    let others = quantities.iter().flat_map(|quantity| {
        let own = quantity.runs().iter().zip(runs);
        own.filter_map(|(own, run)| Some(source((own.as_ref()?, run))))
    });
    entropies.chain(others).collect()
}

/// The panels; `series` are those of [`sources`] after the entropies.
pub(super) fn panels(
    quantities: &[QuantityRuns],
    bands: PageBands,
    mut series: impl Iterator<Item = Series>,
) -> Vec<PagePanel> {
    let panel = |(quantity, bands): (&QuantityRuns, Option<Bands>)| {
        let own = quantity.runs().iter().enumerate();
        let own = own.filter_map(|(index, run)| Some((index, run.as_ref()?)));
        let runs = own.map(|(run, own)| PanelRun {
            run,
            last: own.history.points()[own.history.points().len() - 1].entropy,
            series: series.next().expect("BUG: every run with the quantity has a series"),
        });
        let runs = runs.collect();
        let histories = quantity.runs().iter().flatten().map(|run| &run.history);
        PagePanel {
            name: visible(quantity.name()).into_owned(),
            keys: visible(&quantity.keys()).into_owned(),
            unit: quantity.unit(),
            points: histories.map(|history| history.points().len()).sum(),
            bands,
            runs,
        }
    };
    quantities.iter().zip(bands.quantities).map(panel).collect()
}
