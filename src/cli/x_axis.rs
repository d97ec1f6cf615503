//! `--x`: what the x axis of curves shows.

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::hints::CLOCK_HINT;
use entropy_history::history::{Comparison, Run};
use entropy_history::store::{AuxRequest, ClockRequest};
use entropy_history::x_axis::{self, Reindexed, TimeUnit, XAxis};
use entropy_shell::{CliError, Terminal, WithHint, plural};

/// What the x axis shows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Axes")]
pub(super) struct XAxisArgs {
    /// X axis.
    ///
    /// --from-step, --to-step and the width of --smooth gaussian are in the unit of the axis.
    #[arg(long = "x", value_enum, value_name = "AXIS", default_value_t = XAxisName::Step)]
    name: XAxisName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum XAxisName {
    /// Training steps, as logged.
    Step,
    /// Steps since the first step of each run.
    Relative,
    /// Wall-clock time since the first step of each run, in a suitable unit.
    Time,
    /// Wall-clock time in seconds.
    Seconds,
    /// Wall-clock time in minutes.
    Minutes,
    /// Wall-clock time in hours.
    Hours,
    /// Wall-clock time in days.
    Days,
}

impl XAxisArgs {
    /// The auxiliary series that the axis needs.
    pub(super) fn aux_request(&self) -> AuxRequest {
        let clock = match self.name {
            XAxisName::Step | XAxisName::Relative => ClockRequest::Skip,
            _ => ClockRequest::Required,
        };
        AuxRequest { clock, ..AuxRequest::default() }
    }

    /// Whether the axis shows anything other than the steps as logged.
    pub(super) fn is_moved(&self) -> bool {
        self.name != XAxisName::Step
    }

    /// Re-indexes the runs by the chosen x axis; warns about points without a position.
    ///
    /// # Errors
    /// When the axis shows time and a run has no usable clock.
    pub(super) fn reindex(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<(Comparison, XAxis), CliError> {
        let x_axis = match self.name {
            XAxisName::Step => XAxis::Step,
            XAxisName::Relative => XAxis::RelativeStep,
            XAxisName::Time => {
                let seconds = comparison.runs().iter().filter_map(x_axis::duration);
                XAxis::WallTime(TimeUnit::fitting(seconds.fold(0.0, f64::max)))
            }
            XAxisName::Seconds => XAxis::WallTime(TimeUnit::Seconds),
            XAxisName::Minutes => XAxis::WallTime(TimeUnit::Minutes),
            XAxisName::Hours => XAxis::WallTime(TimeUnit::Hours),
            XAxisName::Days => XAxis::WallTime(TimeUnit::Days),
        };
        let mut runs = Vec::new();
        for run in comparison.runs() {
            let (moved, reindexed) = x_axis::reindex(run, x_axis)
                .map_err(|e| anyhow!("cannot place {} in time: {e}", run.source))
                .hint(CLOCK_HINT)?;
            warn(run, reindexed, terminal);
            runs.push(moved);
        }
        Ok((Comparison::new(runs)?, x_axis))
    }
}

fn warn(run: &Run, reindexed: Reindexed, terminal: &Terminal) {
    let source = &run.source;
    let clock = run.clock.as_ref().map_or("", |clock| clock.metric());
    let Reindexed { without_time, reordered, same_time } = reindexed;
    if without_time > 0 {
        let points = plural(without_time, "point has", "points have");
        terminal.warn(&format!("{source}: {points} no {clock:?} and cannot be placed in time"));
    }
    if reordered > 0 {
        let points = plural(reordered, "point is", "points are");
        terminal.warn(&format!(
            "{source}: {points} earlier by {clock:?} than the step before; sorted by time"
        ));
    }
    if same_time > 0 {
        let points = plural(same_time, "point has", "points have");
        terminal.warn(&format!("{source}: {points} the same {clock:?} as a later step; left out"));
    }
}
