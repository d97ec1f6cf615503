//! The flags of `plot` and `auto`, which draw curves.

use anyhow::anyhow;
use clap::Args;

use super::names::given;
use super::{
    BandArgs, CurveArgs, EmphasisArgs, FacetArgs, GroupArgs, HealthArgs, MarkArgs, PictureArgs,
    SelectArgs, StepRangeArgs, ValueRangeArgs, WithArgs,
};
use crate::cli::x_axis::XAxisArgs;
use entropy_history::history::Comparison;
use entropy_history::x_axis::XAxis;
use entropy_plot::ChartOptions;
use entropy_shell::{CliError, WithHint};

#[derive(Debug, Args)]
pub(in crate::cli) struct ChartArgs {
    #[command(flatten)]
    pub(in crate::cli) curves: CurveArgs,
    #[command(flatten)]
    pub(in crate::cli) with: WithArgs,
    #[command(flatten)]
    pub(in crate::cli) marks: MarkArgs,
    #[command(flatten)]
    pub(in crate::cli) x_axis: XAxisArgs,
    #[command(flatten)]
    pub(in crate::cli) steps: StepRangeArgs,
    #[command(flatten)]
    values: ValueRangeArgs,
    #[command(flatten)]
    pub(in crate::cli) groups: GroupArgs,
    #[command(flatten)]
    pub(in crate::cli) bands: BandArgs,
    #[command(flatten)]
    pub(in crate::cli) facets: FacetArgs,
    #[command(flatten)]
    pub(in crate::cli) health: HealthArgs,
    #[command(flatten)]
    pub(in crate::cli) select: SelectArgs,
    #[command(flatten)]
    pub(in crate::cli) emphasis: EmphasisArgs,
    #[command(flatten)]
    pub(in crate::cli) picture: PictureArgs,
}

impl ChartArgs {
    /// Checks that the flags are consistent.
    ///
    /// # Errors
    /// When a lower limit is not below its upper limit, or a logarithmic axis would start at 0 or below.
    pub(in crate::cli) fn validate(&self) -> Result<(), CliError> {
        self.steps.validate()?;
        self.values.validate()?;
        match self.values.y_min {
            Some(min) if self.curves.log_y && min <= 0.0 => {
                Err(anyhow!("a logarithmic axis cannot start at --y-min {min}"))
                    .hint("give a --y-min above 0")
            }
            _ => Ok(()),
        }
    }

    /// The flags that are given and that text cannot show: those without which it would be another chart, and those
    /// without which it shows the same runs.
    pub(in crate::cli) fn only_for_pictures(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let (mut needed, mut rest) = self.picture.only_for_pictures();
        needed.extend(self.marks.only_for_pictures());
        needed.extend(self.emphasis.given());
        needed.extend(given([(self.facets.is_given(), "--facet")]));
        rest.extend(given([
            (self.groups.is_given(), self.groups.flag()),
            (self.values.y_min.is_some(), "--y-min"),
            (self.values.y_max.is_some(), "--y-max"),
        ]));
        (needed, rest)
    }

    /// The options of a chart of these runs.
    pub(in crate::cli) fn options(&self, comparison: &Comparison, x_axis: XAxis) -> ChartOptions {
        ChartOptions {
            scale: self.curves.scale(),
            smoothing: self.curves.smooth,
            x_axis,
            steps: self.steps.limits(),
            y_min: self.values.y_min,
            y_max: self.values.y_max,
            legend: self.marks.legend(&self.picture),
            thresholds: self.health.thresholds(),
            lines: self.marks.lines(),
            ..self.picture.options(comparison)
        }
    }
}
