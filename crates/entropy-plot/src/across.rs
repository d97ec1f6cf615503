//! What the x axis counts, in words: steps, steps since the start, or time.

use entropy_history::number::{exact, short};
use entropy_history::stats::smooth::Smoothing;

/// What the x axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Across {
    /// Training steps.
    #[default]
    Steps,
    /// Steps since the first of each run.
    StepsIn,
    /// Time since the first step of each run.
    Time(Unit),
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days.
    Days,
}

impl Unit {
    /// How many seconds it has.
    pub fn seconds(self) -> f64 {
        match self {
            Unit::Seconds => 1.0,
            Unit::Minutes => 60.0,
            Unit::Hours => 3600.0,
            Unit::Days => 86_400.0,
        }
    }

    /// The unit that so many seconds are best told in.
    pub fn fitting(seconds: f64) -> Unit {
        match seconds {
            259_200.0.. => Unit::Days,
            10_800.0.. => Unit::Hours,
            180.0.. => Unit::Minutes,
            _ => Unit::Seconds,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Minutes => "minutes",
            Unit::Hours => "hours",
            Unit::Days => "days",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Minutes => "min",
            Unit::Hours => "h",
            Unit::Days => "d",
        }
    }
}

impl Across {
    /// The name of the axis.
    pub fn axis_name(self) -> &'static str {
        match self {
            Across::Steps => "training step",
            Across::StepsIn => "steps since the run’s first",
            Across::Time(Unit::Seconds) => "seconds since the run’s first step",
            Across::Time(Unit::Minutes) => "minutes since the run’s first step",
            Across::Time(Unit::Hours) => "hours since the run’s first step",
            Across::Time(Unit::Days) => "days since the run’s first step",
        }
    }

    /// What a place on it is called.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Across::Steps => "step",
            Across::StepsIn => "steps since the start",
            Across::Time(_) => "time",
        }
    }

    /// A place, after «at», «from» and «up to»: `step 62`, `3.20 h`.
    pub(super) fn place(self, x: f64) -> String {
        match self {
            Across::Steps => format!("step {}", exact(x)),
            Across::StepsIn => format!("{} steps in", exact(x)),
            Across::Time(_) => self.at(x),
        }
    }

    /// The same behind an @, where the picture says elsewhere what is counted.
    pub(super) fn at(self, x: f64) -> String {
        match self {
            Across::Steps | Across::StepsIn => exact(x),
            Across::Time(unit) => format!("{} {}", short(x), unit.symbol()),
        }
    }

    /// A part of the axis.
    pub(super) fn range(self, from: f64, to: f64) -> String {
        match self {
            Across::Steps => format!("steps {} to {}", exact(from), exact(to)),
            Across::StepsIn => format!("{} to {} steps in", exact(from), exact(to)),
            Across::Time(_) => format!("{} to {}", self.at(from), self.at(to)),
        }
    }

    /// How curves are smoothed; a Gaussian is as wide as the axis counts.
    pub(super) fn smoothing(self, smoothing: Smoothing) -> String {
        match (self, smoothing) {
            (Across::Time(unit), Smoothing::Gaussian(sigma)) => {
                format!("Gaussian of {sigma} {}", unit.symbol())
            }
            _ => smoothing.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_say_what_the_axis_counts() {
        assert_eq!(Across::Steps.place(62.0), "step 62");
        assert_eq!(Across::StepsIn.place(61.0), "61 steps in");
        assert_eq!(Across::Time(Unit::Hours).place(3.2049), "3.20 h");
        assert_eq!(Across::Time(Unit::Minutes).range(0.5, 12.0), "0.500 min to 12.00 min");
        let gaussian = Smoothing::Gaussian(0.5);
        assert_eq!(Across::Time(Unit::Hours).smoothing(gaussian), "Gaussian of 0.5 h");
        assert_eq!(Across::StepsIn.smoothing(gaussian), "Gaussian of 0.5 steps");
    }

    #[test]
    fn the_unit_fits_what_is_shown() {
        let cases =
            [(0.0, "seconds"), (179.0, "seconds"), (180.0, "minutes"), (3.0 * 3600.0, "hours")];
        for (seconds, unit) in cases.into_iter().chain([(86_400.0, "hours"), (1e7, "days")]) {
            assert_eq!(Unit::fitting(seconds).name(), unit, "{seconds}");
        }
    }
}
