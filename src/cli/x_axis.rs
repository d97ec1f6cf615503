//! `--x`: what the x axis of curves counts.

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::hints::CLOCK_HINT;
use entropy_history::elapsed::{self, By, Displaced, since_start};
use entropy_history::history::{Comparison, Run};
use entropy_history::store::{AuxRequest, ClockRequest};
use entropy_plot::{Across, Unit};
use entropy_shell::Terminal;
use entropy_shell::plural;
use entropy_shell::{Failure, WithHint};

/// What the x axis counts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Picture")]
pub(super) struct AcrossArgs {
    /// What the x axis counts. --from-step, --to-step and the width of --smooth gaussian are in the unit of
    /// the axis.
    #[arg(long = "x", value_enum, value_name = "WHAT", default_value_t = Name::Step)]
    name: Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Training steps, as logged.
    Step,
    /// Steps since the first of each run.
    Relative,
    /// Time since the first step of each run by the clock of its log, in the unit that fits.
    Time,
    /// The same in seconds.
    Seconds,
    /// The same in minutes.
    Minutes,
    /// The same in hours.
    Hours,
    /// The same in days.
    Days,
}

impl AcrossArgs {
    /// The auxiliary series that the axis needs.
    pub(super) fn aux_request(&self) -> AuxRequest {
        let clock = match self.name {
            Name::Step | Name::Relative => ClockRequest::Skip,
            _ => ClockRequest::Required,
        };
        AuxRequest { clock, ..AuxRequest::default() }
    }

    /// Whether the axis counts anything but the steps as logged.
    pub(super) fn is_moved(&self) -> bool {
        self.name != Name::Step
    }

    /// The runs over what the axis counts, and what that is; what could not be placed is told.
    pub(super) fn place(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<(Comparison, Across), Failure> {
        let fitting = || {
            let seconds = comparison.runs().iter().filter_map(elapsed::seconds);
            Unit::fitting(seconds.fold(0.0, f64::max))
        };
        let across = match self.name {
            Name::Step => return Ok((comparison.clone(), Across::Steps)),
            Name::Relative => Across::StepsIn,
            Name::Time => Across::Time(fitting()),
            Name::Seconds => Across::Time(Unit::Seconds),
            Name::Minutes => Across::Time(Unit::Minutes),
            Name::Hours => Across::Time(Unit::Hours),
            Name::Days => Across::Time(Unit::Days),
        };
        let by = match across {
            Across::Time(unit) => By::Time(unit.seconds()),
            Across::Steps | Across::StepsIn => By::Steps,
        };
        let mut runs = Vec::new();
        for run in comparison.runs() {
            let (moved, displaced) = since_start(run, by)
                .map_err(|e| anyhow!("cannot place {} in time: {e}", run.source))
                .hint(CLOCK_HINT)?;
            tell(run, displaced, terminal);
            runs.push(moved);
        }
        Ok((Comparison::new(runs)?, across))
    }
}

fn tell(run: &Run, displaced: Displaced, terminal: &Terminal) {
    let source = &run.source;
    let clock = run.clock.as_ref().map_or("", |clock| clock.metric());
    let Displaced { timeless, back, same } = displaced;
    if timeless > 0 {
        let points = plural(timeless, "point has", "points have");
        terminal.warn(&format!("{source}: {points} no {clock:?} and cannot be placed in time"));
    }
    if back > 0 {
        let points = plural(back, "point stands", "points stand");
        terminal.warn(&format!(
            "{source}: {points} before an earlier step by {clock:?}; sorted by time"
        ));
    }
    if same > 0 {
        let points = plural(same, "point has", "points have");
        terminal.warn(&format!("{source}: {points} the {clock:?} of a later step, which counts"));
    }
}
