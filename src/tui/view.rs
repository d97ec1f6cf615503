//! What the user chose to see: smoothing, scale, the stretch of steps, which runs.
//!
//! A stretch is a width and an end; without an end it ends where the training is, so that what is
//! zoomed in moves along.

use std::collections::BTreeSet;

use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// More smoothing.
    Smoother,
    /// Less smoothing.
    Rougher,
    /// The other scale of the y axis.
    Scale,
    /// Half of the steps.
    ZoomIn,
    /// Twice the steps.
    ZoomOut,
    /// Earlier steps.
    Left,
    /// Later steps.
    Right,
    /// Select so many runs further down; negative: up.
    Select(isize),
    /// Show or hide the selected run.
    Toggle,
    /// Show or hide the run of that number, from 0.
    ToggleNumber(usize),
    /// Show the selected run alone, or all again.
    Only,
    /// Show all runs, or none.
    All,
    /// As at the start.
    Reset,
    /// Show or hide the help.
    Help,
}

/// What is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The scale of the y axis.
    pub scale: ValueScale,
    /// Whether the help lies over the chart.
    pub help: bool,
    hidden: BTreeSet<String>,
    selected: Option<String>,
    levels: Vec<Smoothing>,
    level: usize,
    stretch: Option<Stretch>,
    limits: (f64, f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    width: f64,
    end: Option<f64>,
}

/// What is the narrowest stretch, as a share of all steps.
const NARROWEST: f64 = 1.0 / 4096.0;

impl View {
    /// All runs, smoothed and scaled as asked for, between two steps (infinite where not limited).
    pub fn new(smoothing: Smoothing, scale: ValueScale, limits: (f64, f64)) -> View {
        let ladder = [0.5, 0.8, 0.9, 0.95, 0.99].map(Smoothing::Ema);
        let mut levels = vec![Smoothing::None];
        levels.extend(ladder);
        let level = match levels.iter().position(|level| *level == smoothing) {
            Some(level) => level,
            None => {
                levels.insert(1, smoothing); // the first that a key comes to from none
                1
            }
        };
        View {
            scale,
            help: false,
            hidden: BTreeSet::new(),
            selected: None,
            levels,
            level,
            stretch: None,
            limits,
        }
    }

    /// How curves are smoothed.
    pub fn smoothing(&self) -> Smoothing {
        self.levels[self.level]
    }

    /// Whether the run is shown.
    pub fn shows(&self, label: &str) -> bool {
        !self.hidden.contains(label)
    }

    /// Whether the run is the selected one.
    pub fn is_selected(&self, label: &str) -> bool {
        self.selected.as_deref() == Some(label)
    }

    /// Whether a part of the steps is shown.
    pub fn is_zoomed(&self) -> bool {
        self.stretch.is_some()
    }

    /// The steps shown of runs that span `from` to `to`.
    pub fn steps(&self, (from, to): (f64, f64)) -> (f64, f64) {
        let (from, to) = (from.max(self.limits.0), to.min(self.limits.1));
        let Some(Stretch { width, end }) = self.stretch else { return (from, to) };
        let end = end.unwrap_or(to).min(to);
        ((end - width).max(from), end)
    }

    /// Does what a key asks for, with these runs that span `from` to `to`.
    pub fn act(&mut self, act: Act, labels: &[&str], (from, to): (f64, f64)) {
        match act {
            Act::Smoother => self.level = (self.level + 1).min(self.levels.len() - 1),
            Act::Rougher => self.level = self.level.saturating_sub(1),
            Act::Scale => {
                self.scale = match self.scale {
                    ValueScale::Linear => ValueScale::Log,
                    ValueScale::Log => ValueScale::Linear,
                };
            }
            Act::ZoomIn => self.zoom(0.5, (from, to)),
            Act::ZoomOut => self.zoom(2.0, (from, to)),
            Act::Left => self.pan(-0.25, (from, to)),
            Act::Right => self.pan(0.25, (from, to)),
            Act::Select(by) => self.select(by, labels),
            Act::Toggle => {
                if let Some(selected) = self.selected.clone() {
                    self.toggle(&selected);
                }
            }
            Act::ToggleNumber(number) => {
                if let Some(label) = labels.get(number) {
                    self.toggle(label);
                }
            }
            Act::Only => self.only(labels),
            Act::All => {
                let all = labels.iter().all(|label| self.shows(label));
                self.hidden.clear();
                if all {
                    self.hidden.extend(labels.iter().map(|label| (*label).to_owned()));
                }
            }
            Act::Reset => {
                self.stretch = None;
                self.hidden.clear();
            }
            Act::Help => self.help = !self.help,
        }
    }

    fn zoom(&mut self, by: f64, (from, to): (f64, f64)) {
        let all = to - from;
        let (width, end) = match self.stretch {
            Some(Stretch { width, end }) => (width.min(all), end),
            None => (all, None),
        };
        let width = (width * by).max(all * NARROWEST);
        // The middle stays, unless the end is where the training is.
        let end = end.map(|end| end + (width - width / by) / 2.0).filter(|end| *end < to);
        self.stretch = (width < all).then_some(Stretch { width, end });
    }

    fn pan(&mut self, by: f64, (from, to): (f64, f64)) {
        let Some(Stretch { width, end }) = &mut self.stretch else { return };
        let moved = end.unwrap_or(to) + by * *width;
        *end = Some(moved.max(from + *width)).filter(|end| *end < to);
    }

    fn select(&mut self, by: isize, labels: &[&str]) {
        let at = labels.iter().position(|label| self.is_selected(label));
        let last = labels.len().saturating_sub(1);
        let next = match at {
            Some(at) => at.saturating_add_signed(by).min(last),
            None if by > 0 => 0,
            None => last,
        };
        self.selected = labels.get(next).map(|label| (*label).to_owned());
    }

    fn toggle(&mut self, label: &str) {
        if !self.hidden.remove(label) {
            self.hidden.insert(label.to_owned());
        }
    }

    fn only(&mut self, labels: &[&str]) {
        let Some(selected) = self.selected.clone() else { return };
        let others = || labels.iter().filter(|label| **label != selected);
        let alone = self.shows(&selected) && others().all(|label| !self.shows(label));
        self.hidden = match alone {
            true => BTreeSet::new(),
            false => others().map(|label| (*label).to_owned()).collect(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: [&str; 3] = ["a", "b", "c"];
    const ALL: (f64, f64) = (0.0, 100.0);

    fn after(acts: &[Act]) -> View {
        let limits = (f64::NEG_INFINITY, f64::INFINITY);
        let mut view = View::new(Smoothing::None, ValueScale::Linear, limits);
        acts.iter().for_each(|act| view.act(*act, &RUNS, ALL));
        view
    }

    fn shown(acts: &[Act]) -> Vec<&'static str> {
        let view = after(acts);
        RUNS.into_iter().filter(|label| view.shows(label)).collect()
    }

    #[test]
    fn what_is_zoomed_in_follows_the_training_until_it_is_moved() {
        let view = after(&[Act::ZoomIn, Act::ZoomIn]);
        assert_eq!(view.steps(ALL), (75.0, 100.0));
        assert_eq!(view.steps((0.0, 140.0)), (115.0, 140.0));
        let moved = after(&[Act::ZoomIn, Act::ZoomIn, Act::Left]);
        assert_eq!(moved.steps((0.0, 140.0)), (68.75, 93.75));
        assert_eq!(after(&[Act::ZoomIn, Act::Left, Act::Right]).steps((0.0, 140.0)), (90.0, 140.0));
    }

    #[test]
    fn zooming_keeps_the_middle_and_ends_at_all_there_is() {
        let acts = [Act::ZoomIn, Act::ZoomIn, Act::Left, Act::Left, Act::ZoomIn];
        assert_eq!(after(&acts[..4]).steps(ALL), (62.5, 87.5));
        assert_eq!(after(&acts).steps(ALL), (68.75, 81.25));
        assert_eq!(after(&[Act::ZoomIn, Act::ZoomOut]).steps(ALL), ALL);
        assert!(!after(&[Act::ZoomIn, Act::ZoomOut, Act::ZoomOut]).is_zoomed());
        assert_eq!(
            after(&[[Act::ZoomIn; 1].as_slice(), &[Act::Left; 7]].concat()).steps(ALL),
            (0.0, 50.0)
        );
        let deep = after(&[Act::ZoomIn; 60]).steps(ALL);
        assert!(deep.1 - deep.0 > 0.0);
    }

    #[test]
    fn runs_are_hidden_and_come_back() {
        let (down, up) = (Act::Select(1), Act::Select(-1));
        assert_eq!(shown(&[down, Act::Toggle]), ["b", "c"]);
        assert_eq!(shown(&[up, Act::Toggle]), ["a", "b"]);
        assert_eq!(shown(&[down, down, Act::Only]), ["b"]);
        assert_eq!(shown(&[down, down, Act::Only, Act::Only]), RUNS);
        assert_eq!(shown(&[Act::ToggleNumber(1), Act::ToggleNumber(7)]), ["a", "c"]);
        assert_eq!(shown(&[Act::All]), [""; 0]);
        assert_eq!(shown(&[Act::All, Act::All]), RUNS);
        assert_eq!(shown(&[Act::Toggle, Act::Only]), RUNS, "nothing is selected");
    }

    #[test]
    fn smoothing_goes_up_and_down_a_ladder_that_has_what_was_asked_for() {
        assert_eq!(after(&[Act::Smoother, Act::Smoother]).smoothing(), Smoothing::Ema(0.8));
        assert_eq!(after(&[Act::Rougher]).smoothing(), Smoothing::None);
        assert_eq!(after(&[Act::Smoother; 20]).smoothing(), Smoothing::Ema(0.99));
        let mut view = View::new(Smoothing::Mean(5), ValueScale::Linear, ALL);
        assert_eq!(view.smoothing(), Smoothing::Mean(5));
        view.act(Act::Rougher, &RUNS, ALL);
        view.act(Act::Smoother, &RUNS, ALL);
        assert_eq!(view.smoothing(), Smoothing::Mean(5));
    }
}
