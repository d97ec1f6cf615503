//! The state of the screen that keys change: smoothing, y scale, zoom, the hidden runs, the filter and the order.
//!
//! The zoom range has a width and a right edge; without a right edge it follows the newest step.

use std::collections::BTreeSet;

use super::rows::{Sort, matches};
use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

/// A change of the view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ViewAction {
    /// Smooth more.
    MoreSmoothing,
    /// Smooth less.
    LessSmoothing,
    /// Switch between a linear and a logarithmic y axis.
    ToggleScale,
    /// Show half of the steps.
    ZoomIn,
    /// Show twice the steps.
    ZoomOut,
    /// Move to earlier steps.
    Left,
    /// Move to later steps.
    Right,
    /// Move the selection down by this number of runs; up if negative.
    Select(isize),
    /// Show or hide the selected run.
    ToggleSelected,
    /// Show or hide the run at an index.
    ToggleNth(usize),
    /// Show only the selected run, or all again.
    SelectedOnly,
    /// Show all runs, or none if all are shown.
    AllOrNone,
    /// Show the next quantity, if there is no room for all.
    NextPanel,
    /// Show all steps and all runs.
    Reset,
    /// Show or hide the help.
    ToggleHelp,
    /// Begin to type a filter, or to change it.
    EditFilter,
    /// Append a character to the filter.
    Type(char),
    /// Remove the last character of the filter.
    Erase,
    /// End typing and keep the filter.
    KeepFilter,
    /// End typing and show all runs again.
    ClearFilter,
    /// Sort the table by the next column.
    NextSort,
    /// Sort in the other direction.
    ReverseSort,
    /// Select the run in a row of the table.
    SelectNth(usize),
    /// Show this multiple of the steps; a step, which follows, stays where it is.
    ZoomAt(f64, f64),
    /// Point at a step; a second time, at none.
    PointAt(f64),
    /// Point at no step.
    ClearPointer,
}

/// What the screen shows, as chosen by the user.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The scale of the y axis.
    pub scale: ValueScale,
    /// Whether the help is shown.
    pub help: bool,
    /// How the table is sorted.
    pub sort: Sort,
    /// Whether a filter is being typed.
    pub is_typing: bool,
    /// The step whose values are shown.
    pub pointer: Option<f64>,
    filter: String,
    hidden: BTreeSet<String>,
    selected: Option<String>,
    smoothings: Vec<Smoothing>,
    smoothing_index: usize,
    zoom_range: Option<ZoomRange>,
    limits: (f64, f64),
    /// How often the next quantity was asked for.
    turns: usize,
}

/// A zoom range: its width in steps, and its right edge (`None` follows the newest step).
#[derive(Debug, Clone, Copy, PartialEq)]
struct ZoomRange {
    width: f64,
    end: Option<f64>,
}

/// The smallest zoom range as a fraction of all steps.
const MIN_ZOOM: f64 = 1.0 / 4096.0;

impl View {
    /// A view of all runs between the steps `limits`, which may be infinite.
    pub fn new(smoothing: Smoothing, scale: ValueScale, limits: (f64, f64)) -> View {
        let mut smoothings = vec![Smoothing::None];
        smoothings.extend([0.5, 0.8, 0.9, 0.95, 0.99].map(Smoothing::Ema));
        let known = smoothings.iter().position(|known| *known == smoothing);
        let smoothing_index = known.unwrap_or_else(|| {
            smoothings.insert(1, smoothing); // so that the first key press after no smoothing selects it
            1
        });
        View {
            scale,
            help: false,
            sort: Sort::GIVEN,
            is_typing: false,
            pointer: None,
            filter: String::new(),
            hidden: BTreeSet::new(),
            selected: None,
            smoothings,
            smoothing_index,
            zoom_range: None,
            limits,
            turns: 0,
        }
    }

    /// The smoothing of the curves.
    pub fn smoothing(&self) -> Smoothing {
        self.smoothings[self.smoothing_index]
    }

    /// Whether the run is drawn: it matches the filter and is not hidden.
    pub fn is_shown(&self, label: &str) -> bool {
        !self.is_hidden(label) && matches(label, &self.filter)
    }

    /// Whether the run was hidden, so that the table shows it without a curve.
    pub fn is_hidden(&self, label: &str) -> bool {
        self.hidden.contains(label)
    }

    /// The words that the label of a run must contain.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Whether the run is selected.
    pub fn is_selected(&self, label: &str) -> bool {
        self.selected.as_deref() == Some(label)
    }

    /// Whether only a part of the steps is shown.
    pub fn is_zoomed(&self) -> bool {
        self.zoom_range.is_some()
    }

    /// The first and last visible step of runs that span the steps `from` to `to`.
    pub fn visible_steps(&self, (from, to): (f64, f64)) -> (f64, f64) {
        let (from, to) = (from.max(self.limits.0), to.min(self.limits.1));
        let Some(ZoomRange { width, end }) = self.zoom_range else { return (from, to) };
        let end = end.unwrap_or(to).min(to);
        ((end - width).max(from), end)
    }

    /// Which of `all` panels are shown, if `fitting` of them fit: the first one always, unless only one fits.
    pub fn panels(&self, all: usize, fitting: usize) -> Vec<usize> {
        match (fitting, all) {
            (fitting, all) if fitting >= all => (0..all).collect(),
            (1, all) => vec![self.turns % all],
            (fitting, all) => {
                let others =
                    (0..fitting.saturating_sub(1)).map(|i| 1 + (self.turns + i) % (all - 1));
                (0..fitting.min(1)).chain(others).collect()
            }
        }
    }

    /// Applies an action. The table lists runs with these labels, and all runs span the steps `from` to `to`.
    pub fn apply(&mut self, action: ViewAction, labels: &[&str], (from, to): (f64, f64)) {
        match action {
            ViewAction::MoreSmoothing => {
                self.smoothing_index = (self.smoothing_index + 1).min(self.smoothings.len() - 1)
            }
            ViewAction::LessSmoothing => {
                self.smoothing_index = self.smoothing_index.saturating_sub(1)
            }
            ViewAction::ToggleScale => {
                self.scale = match self.scale {
                    ValueScale::Linear => ValueScale::Log,
                    ValueScale::Log => ValueScale::Linear,
                };
            }
            ViewAction::ZoomIn => self.zoom(0.5, (from, to)),
            ViewAction::ZoomOut => self.zoom(2.0, (from, to)),
            ViewAction::Left => self.pan(-0.25, (from, to)),
            ViewAction::Right => self.pan(0.25, (from, to)),
            ViewAction::Select(by) => self.select(by, labels),
            ViewAction::ToggleSelected => {
                if let Some(selected) = self.listed_selection(labels) {
                    self.toggle(&selected);
                }
            }
            ViewAction::ToggleNth(number) => {
                if let Some(label) = labels.get(number) {
                    self.toggle(label);
                }
            }
            ViewAction::SelectedOnly => self.only(labels),
            ViewAction::AllOrNone => {
                let all = labels.iter().all(|label| !self.is_hidden(label));
                self.hidden.clear();
                if all {
                    self.hidden.extend(labels.iter().map(|label| (*label).to_owned()));
                }
            }
            ViewAction::NextPanel => self.turns += 1,
            ViewAction::Reset => {
                self.zoom_range = None;
                self.hidden.clear();
                self.filter.clear();
                self.pointer = None;
            }
            ViewAction::ToggleHelp => self.help = !self.help,
            ViewAction::EditFilter => self.is_typing = true,
            ViewAction::Type(character) => self.filter.push(character),
            ViewAction::Erase => drop(self.filter.pop()),
            ViewAction::KeepFilter => self.is_typing = false,
            ViewAction::ClearFilter => {
                self.is_typing = false;
                self.filter.clear();
            }
            ViewAction::NextSort => self.sort = self.sort.next(),
            ViewAction::ReverseSort => self.sort = self.sort.reversed(),
            ViewAction::SelectNth(row) => {
                self.selected = labels.get(row).map(|label| (*label).to_owned());
            }
            ViewAction::ZoomAt(by, step) => self.zoom_at(by, step, (from, to)),
            ViewAction::PointAt(step) => {
                self.pointer = Some(step).filter(|step| self.pointer != Some(*step));
            }
            ViewAction::ClearPointer => self.pointer = None,
        }
    }

    fn zoom(&mut self, by: f64, (from, to): (f64, f64)) {
        let all = to - from;
        let (width, end) = match self.zoom_range {
            Some(ZoomRange { width, end }) => (width.min(all), end),
            None => (all, None),
        };
        let width = (width * by).max(all * MIN_ZOOM);
        // The middle stays, unless the range follows the newest step.
        let end = end.map(|end| end + (width - width / by) / 2.0).filter(|end| *end < to);
        self.zoom_range = (width < all).then_some(ZoomRange { width, end });
    }

    /// Zooms so that `step` stays at its place on the screen, as far as there are steps on both sides.
    fn zoom_at(&mut self, by: f64, step: f64, (from, to): (f64, f64)) {
        let (all, (start, end)) = (to - from, self.visible_steps((from, to)));
        let width = ((end - start) * by).max(all * MIN_ZOOM);
        let moved = step + (end - step) * width / (end - start);
        let end = Some(moved.max(from + width)).filter(|end| *end < to);
        self.zoom_range = (width < all).then_some(ZoomRange { width, end });
    }

    fn pan(&mut self, by: f64, (from, to): (f64, f64)) {
        let Some(ZoomRange { width, end }) = &mut self.zoom_range else { return };
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

    /// The selected run, if the table lists it.
    fn listed_selection(&self, labels: &[&str]) -> Option<String> {
        self.selected.clone().filter(|selected| labels.contains(&selected.as_str()))
    }

    fn toggle(&mut self, label: &str) {
        if !self.hidden.remove(label) {
            self.hidden.insert(label.to_owned());
        }
    }

    fn only(&mut self, labels: &[&str]) {
        let Some(selected) = self.listed_selection(labels) else { return };
        let others = || labels.iter().filter(|label| **label != selected);
        let alone = !self.is_hidden(&selected) && others().all(|label| self.is_hidden(label));
        self.hidden = match alone {
            true => BTreeSet::new(),
            false => others().map(|label| (*label).to_owned()).collect(),
        };
    }
}

#[cfg(test)]
#[path = "view/tests.rs"]
mod tests;
