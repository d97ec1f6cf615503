//! The frame that lines are drawn in: its place in the picture, its scales and its axes.

use crate::axis::{Axis, Scale, log_axis, value_axis};
use crate::canvas::{Anchor, Layer, Mark};
use crate::fonts::{Fonts, Weight};
use crate::header::{BODY, text};
use crate::ink::{Xy, between_x, between_y};
use crate::{ChartOptions, ValueScale};
use entropy_history::history::{History, Point};
use entropy_history::label::shorten_middle;

/// More than a scale may be off by, and less than can be seen, in px.
const ROUNDING: f64 = 1e-3;

/// The frame that curves are drawn in.
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    pub(crate) limited: bool, // some points may be outside, or have no place
}

impl Frame {
    /// Whether a place is inside; what the scales round past an edge is on it.
    pub(crate) fn contains(&self, (x, y): Xy) -> bool {
        let within =
            |low: f64, value: f64, high: f64| (low - ROUNDING..=high + ROUNDING).contains(&value);
        within(self.left, x, self.right) && within(self.top, y, self.bottom)
    }

    /// The curve in px, cut into the parts that are inside the frame.
    pub(super) fn parts(&self, history: &History) -> Vec<Vec<Xy>> {
        let place = |p: &Point| (self.x.at(p.step), self.y.at(p.entropy));
        let segments = history.segments();
        segments.flat_map(|segment| self.inside(segment.iter().map(place).collect())).collect()
    }

    /// The parts of a line in px that are inside the frame.
    pub(super) fn inside(&self, places: Vec<Xy>) -> Vec<Vec<Xy>> {
        if !self.limited {
            return vec![places];
        }
        let mut parts = Vec::new();
        // Logarithms of what is not positive are not finite and break the line.
        for part in places.split(|p| !p.1.is_finite()).filter(|part| !part.is_empty()) {
            let inside = between_x(part, self.left, self.right);
            if !inside.is_empty() {
                parts.extend(between_y(&inside, self.top, self.bottom));
            }
        }
        parts
    }
}

/// The value axis: from 0 unless that would waste two thirds of the height.
pub(super) fn values_axis(low: f64, high: f64, look: &ChartOptions, most: usize) -> Axis {
    let fixed = (look.y_min.is_some(), look.y_max.is_some());
    let given = (look.y_min.unwrap_or(low), look.y_max.unwrap_or(high));
    if look.scale == ValueScale::Log {
        let (low, high) = given;
        // One value stands in the middle.
        let (low, high) = match high > low {
            true => (low, high),
            false if fixed.1 => (high / 2.0, high),
            false if fixed.0 => (low, low * 2.0),
            false => (low / 1.5, low * 1.5),
        };
        return log_axis(low, high, fixed);
    }
    let (mut low, mut high) = given;
    let worth = |near: f64, far: f64| near == far || near.abs() <= far.abs() * 2.0 / 3.0;
    if !fixed.0 && low > 0.0 && worth(low, high) {
        low = 0.0;
    }
    if !fixed.1 && high < 0.0 && worth(high, low) {
        high = 0.0;
    }
    if low >= high {
        // All values are 0, or the user's limits leave one value: some height is needed.
        if fixed.1 { low = high - 1.0 } else { high = low + 1.0 }
    }
    value_axis(low, high, fixed, most)
}

pub(crate) fn grid(frame: &Frame, values: &Axis, look: &ChartOptions, fonts: &Fonts) -> Layer {
    let mut marks = Vec::new();
    let base = if values.low <= 0.0 && values.high >= 0.0 { 0.0 } else { values.low };
    let mut free = f64::INFINITY;
    for (value, words) in &values.ticks {
        let y = frame.y.at(*value);
        if (y - frame.bottom).abs() > 1.0 {
            let zero = *value == 0.0 && base == 0.0;
            let colour = if zero { look.theme.quiet } else { look.theme.hairline };
            marks.push(Mark::Line(vec![(frame.left, y), (frame.right, y)], 1.0, colour));
        }
        if y + 0.5 * BODY > free {
            continue;
        }
        free = y - 0.5 * BODY;
        let at = (frame.left - 8.0, y + 0.36 * BODY);
        marks.push(Mark::Text(text(
            fonts,
            words,
            at,
            Anchor::End,
            BODY,
            Weight::Regular,
            look.theme.quiet,
        )));
    }
    Layer { name: "value axis".to_owned(), marks }
}

/// The ticks of the x axis, and its name: the user's, or the first of `names` that there is room for.
pub(crate) fn x_ticks(
    frame: &Frame,
    axis: &Axis,
    names: &[&str],
    look: &ChartOptions,
    fonts: &Fonts,
) -> Layer {
    let quiet = look.theme.quiet;
    let (left, right, bottom) = (frame.left, frame.right, frame.bottom);
    let mut marks = Vec::new();
    let words = |words: &str, at| {
        Mark::Text(text(fonts, words, at, Anchor::Middle, BODY, Weight::Regular, quiet))
    };
    marks.push(Mark::Line(vec![(left, bottom), (right, bottom)], 1.1, quiet));
    let mut free = f64::NEG_INFINITY;
    for (step, tick) in &axis.ticks {
        let x = frame.x.at(*step);
        marks.push(Mark::Line(vec![(x, bottom), (x, bottom + 4.5)], 1.1, quiet));
        let half = fonts.width(tick, BODY, Weight::Regular) / 2.0;
        let middle = x.max(half + 4.0); // a long first step must not leave the picture
        if middle - half > free {
            marks.push(words(tick, (middle, bottom + 7.0 + BODY)));
            free = middle + half + 6.0;
        }
    }
    let fits = |t: &str| fonts.width(t, BODY, Weight::Regular) <= right - left;
    let name = match &look.x_label {
        Some(name) => Some(shorten_middle(&entropy_history::label::visible(name), fits)),
        None => names.iter().find(|name| fits(name)).map(|name| (*name).to_owned()),
    };
    if let Some(name) = name {
        marks.push(words(&name, ((left + right) / 2.0, bottom + 2.95 * BODY)));
    }
    Layer { name: "step axis".to_owned(), marks }
}
