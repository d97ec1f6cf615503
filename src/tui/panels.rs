//! The charts of a frame: the entropy, and the quantities of `--with`. All have the same x axis, colours and smoothing.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::braille::{BrailleCurve, Rank};
use super::chart::{Axes, Chart, Margins, PlotPlace, StepLabels};
use super::grid::Grid;
use super::marks::{EndName, LevelLine, Reach};
use super::palette::ColourDepth;
use super::quantity::Quantity;
use super::scene::{Scene, centred, span, truncate, value_at};
use super::table::distinct;
use entropy_history::history::{History, Run};
use entropy_history::label::{ShortNames, visible};
use entropy_history::number::{exact, short};
use entropy_history::quantity::EntropyKind;
use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

/// The smallest width of a chart with names beside its curves, and the largest width of such a name.
const MIN_NAMED_WIDTH: u16 = 60;
const MAX_END_NAME: usize = 24;

/// A chart before its size is known.
struct Panel<'a> {
    quantity: Option<&'a Quantity>,
    title: String,
    scale: ValueScale,
    /// The histories to draw, with the indices of their runs; later ones are on top.
    logged: Vec<(usize, &'a History)>,
    /// They smoothed; empty without smoothing.
    smoothed: Vec<History>,
}

/// Draws as many panels as fit; a line below them names the others. Returns the places of the plots.
pub(super) fn draw_panels(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) -> Vec<PlotPlace> {
    let count = 1 + scene.quantities.len();
    let mut grid = Grid::within(area, count);
    if grid.count() == 0 {
        centred("the screen is too low for a chart", area, scene.palette.muted(), buffer);
        return Vec::new();
    }
    if grid.count() < count && area.height > 0 {
        let (above, below) = (area.height - 1, Rect { y: area.bottom() - 1, height: 1, ..area });
        grid = Grid::within(Rect { height: above, ..area }, count);
        let shown = scene.view.panels(count, grid.count());
        not_shown(scene, &shown, below, buffer);
    }
    let mut places = Vec::new();
    let mut shown = scene.view.panels(count, grid.count()).into_iter();
    for column in &grid.columns {
        let panels: Vec<(Panel<'_>, Rect)> = shown
            .by_ref()
            .map(|index| Panel::of(scene, index))
            .zip(column.iter().copied())
            .collect();
        places.extend(draw_column(scene, &panels, buffer));
    }
    places
}

/// The line with the quantities that are not shown.
fn not_shown(scene: &Scene<'_>, shown: &[usize], area: Rect, buffer: &mut Buffer) {
    let hidden = (0..=scene.quantities.len()).filter(|index| !shown.contains(index));
    let names: Vec<Cow<'_, str>> = hidden
        .map(|index| {
            quantity(scene, index).map_or("entropy".into(), |quantity| visible(&quantity.name))
        })
        .collect();
    let key = if scene.keys { " (Tab: next)" } else { "" };
    let text = format!("{} more{key}: {}", names.len(), names.join(", "));
    let text = truncate(&text, usize::from(area.width));
    Span::styled(text, scene.palette.muted()).render(area, buffer);
}

/// The quantity of a panel; `None` for the entropy, which has the index 0.
fn quantity<'a>(scene: &Scene<'a>, index: usize) -> Option<&'a Quantity> {
    index.checked_sub(1).and_then(|index| scene.quantities.get(index))
}

/// The title of a panel.
fn title(scene: &Scene<'_>, index: usize) -> String {
    if let Some(quantity) = quantity(scene, index) {
        return visible(&quantity.title).into_owned();
    }
    let kinds: Vec<EntropyKind> = scene.runs.iter().map(|run| run.history.kind()).collect();
    let title = match kinds.iter().all(|kind| *kind == kinds[0]) {
        true => kinds[0].describe(),
        false => "different quantities, not comparable",
    };
    if scene.quantities.is_empty() { title.to_owned() } else { format!("entropy · {title}") }
}

/// Draws panels below each other, with their plots between the same columns of the screen.
fn draw_column(
    scene: &Scene<'_>,
    panels: &[(Panel<'_>, Rect)],
    buffer: &mut Buffer,
) -> Vec<PlotPlace> {
    let inner = |area: &Rect| Rect { y: area.y + 1, height: area.height - 1, ..*area };
    let charts: Vec<Option<Chart<'_>>> =
        panels.iter().map(|(panel, area)| panel.chart(scene, inner(area))).collect();
    let margins = charts.iter().flatten().map(Chart::margins);
    let margins = margins.fold(Margins::default(), Margins::max);
    let muted = scene.palette.muted();
    let mut places = Vec::new();
    for (at, ((panel, area), chart)) in panels.iter().zip(&charts).enumerate() {
        let title = truncate(&panel.title_with_value(scene), usize::from(area.width));
        Line::from(Span::styled(title, muted)).render(Rect { height: 1, ..*area }, buffer);
        let is_lowest = at + 1 == panels.len();
        let steps = if is_lowest { StepLabels::Shown } else { StepLabels::Hidden };
        match chart {
            Some(chart) => places.extend(chart.draw(margins, steps, muted, inner(area), buffer)),
            None => centred(panel.why_empty(scene), inner(area), muted, buffer),
        }
    }
    places
}

/// The threshold of a collapse of the run in focus.
fn collapse_line(scene: &Scene<'_>) -> Option<LevelLine> {
    let run = scene.run_in_focus()?;
    let value = run.collapse_level?;
    let label = format!("collapse {}", short(value));
    Some(LevelLine { value, label, style: curve_style(scene, &run.label), reach: Reach::AsIs })
}

/// The style of the curve of a run. A grey run that is selected stands out.
pub(super) fn curve_style(scene: &Scene<'_>, label: &str) -> Style {
    let place = scene.listing.styles.of(label);
    match place {
        None if scene.view.is_selected(label) => scene.palette.selected(),
        place => scene.palette.curve(place),
    }
}

impl<'a> Panel<'a> {
    /// The panel of the entropy, which has the index 0, or of a quantity.
    fn of(scene: &Scene<'a>, index: usize) -> Panel<'a> {
        let quantity = quantity(scene, index);
        let history = |(at, run): (usize, &'a Run)| match quantity {
            Some(quantity) => quantity.histories.get(at)?.as_ref(),
            None => Some(&run.history),
        };
        let shown = scene.runs.iter().enumerate();
        let shown = shown.filter(|(_, run)| scene.view.is_shown(run.history.label()));
        let mut logged: Vec<(usize, &History)> =
            shown.filter_map(|(at, run)| Some((at, history((at, run))?))).collect();
        let is_grey = |label: &str| scene.listing.styles.of(label).is_none();
        logged.sort_by_key(|(_, history)| {
            let label = history.label();
            (scene.view.is_selected(label), !is_grey(label)) // the selected one is drawn last
        });
        let (from, to) = span(scene.runs);
        let smoothed = match scene.view.smoothing() {
            Smoothing::None => Vec::new(),
            smoothing => logged
                .iter()
                .map(|(_, history)| {
                    history.with_values(&smoothing.apply(history.points(), to - from))
                })
                .collect(),
        };
        let scale = if quantity.is_some() { ValueScale::Linear } else { scene.view.scale };
        Panel { quantity, title: title(scene, index), scale, logged, smoothed }
    }

    /// The title, with the value of the run in focus at the step that was pointed at.
    fn title_with_value(&self, scene: &Scene<'_>) -> String {
        let run = scene.run_in_focus();
        let history = run.and_then(|run| self.logged.iter().find(|(_, h)| h.label() == run.label));
        let value = history.zip(scene.view.pointer);
        let value = value.and_then(|((_, history), step)| Some((value_at(history, step)?, step)));
        match value {
            Some((value, step)) => {
                format!("{} at step {} · {}", short(value), exact(step), self.title)
            }
            None => self.title.clone(),
        }
    }

    /// The chart for an area; `None` if it has no values there.
    fn chart(&self, scene: &Scene<'_>, area: Rect) -> Option<Chart<'_>> {
        let palette = scene.palette;
        let curve = |index: usize, history| -> BrailleCurve<'_> {
            let history: &History = history;
            let place = scene.listing.styles.of(history.label());
            BrailleCurve {
                segments: history.segments().collect(),
                style: curve_style(scene, history.label()),
                dash: palette.dash(place),
                phase: 7 * index, // coprime to the periods of all dash patterns
                rank: match place {
                    _ if scene.view.is_selected(history.label()) => Rank::Selected,
                    Some(_) => Rank::Coloured,
                    None => Rank::Grey,
                },
                mark: palette.mark(place).map(|mark| (mark, 5 * index)),
            }
        };
        let is_smoothed = !self.smoothed.is_empty();
        let mut curves: Vec<BrailleCurve<'_>> = Vec::new();
        // Without colours, a reader could not distinguish logged from smoothed curves.
        if !is_smoothed || palette.depth != ColourDepth::Plain {
            let place = |history: &History| scene.listing.styles.of(history.label());
            let logged =
                self.logged.iter().filter(|(_, history)| !is_smoothed || place(history).is_some());
            curves.extend(logged.map(|(index, history)| match is_smoothed {
                false => curve(*index, history),
                true => BrailleCurve {
                    style: palette.faint(place(history)),
                    rank: Rank::Faint,
                    ..curve(*index, history)
                },
            }));
        }
        if is_smoothed {
            let smoothed = self.logged.iter().zip(&self.smoothed);
            curves.extend(smoothed.map(|((index, _), history)| curve(*index, history)));
        }
        let steps = scene.view.visible_steps(span(scene.runs));
        let size = (area.width, area.height);
        let (mut levels, mut end_names) = (Vec::new(), Vec::new());
        if self.quantity.is_none() {
            levels.extend(scene.levels.iter().cloned());
            levels.extend(collapse_line(scene));
            end_names = self.end_names(scene, steps.1, area.width);
        }
        let is_zoomed = scene.view.is_zoomed();
        let axes = Axes::around(&curves, &levels, steps, self.scale, is_zoomed, size)?;
        Some(Chart { curves, axes, levels, end_names, pointer: scene.view.pointer })
    }

    /// The names of the runs with a colour beside their ends, if the others are grey: their rows may not be in the table.
    fn end_names(&self, scene: &Scene<'_>, last: f64, width: u16) -> Vec<EndName> {
        let named = |history: &&History| scene.listing.styles.of(history.label()).is_some();
        let all: Vec<&History> = self.logged.iter().map(|(_, history)| *history).collect();
        if width < MIN_NAMED_WIDTH || all.iter().all(&named) {
            return Vec::new();
        }
        let drawn = |at: usize| self.smoothed.get(at).unwrap_or(all[at]);
        let (places, labels): (Vec<usize>, Vec<&str>) = (0..all.len())
            .filter(|at| named(&all[*at]) || scene.view.is_selected(all[*at].label()))
            .map(|at| (at, all[at].label()))
            .unzip();
        let short = ShortNames::of(all.iter().map(|history| history.label()));
        let names: Vec<String> =
            places.iter().map(|at| visible(&short.names()[*at]).into_owned()).collect();
        let mark = |label: &str| {
            let mark = scene.palette.mark(scene.listing.styles.of(label));
            mark.map_or(String::new(), |mark| format!("{mark} "))
        };
        let widest = usize::from(width / 4).min(MAX_END_NAME);
        let value = |history: &History| value_at(history, last.min(history.last_step()));
        let ends = distinct(&names, widest).into_iter().zip(places).zip(labels);
        ends.filter_map(|((name, at), label)| {
            let (value, name) = (value(drawn(at))?, mark(label) + &name);
            Some(EndName { value, name, style: curve_style(scene, label) })
        })
        .collect()
    }

    /// Why there is no chart.
    fn why_empty(&self, scene: &Scene<'_>) -> &'static str {
        let is_any_shown = scene.runs.iter().any(|run| scene.view.is_shown(run.history.label()));
        match (is_any_shown, self.logged.is_empty()) {
            _ if scene.listing.rows.is_empty() => "no run matches the filter",
            (false, _) => "all runs are hidden",
            (true, true) => "no shown run has it",
            (true, false) => "no values in this range",
        }
    }
}
