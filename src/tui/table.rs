//! The table of a frame: name, last value, last step, change and state of each run.
//!
//! If not all runs fit, it shows those around the selected one and the number of runs above and below. If not all
//! names fit, the parts that they share are shown only in the heading, and names that are still too wide are shortened so
//! that they stay distinct. Of a state that is too wide, whole parts are omitted: a step without its last digits
//! would be read as another step.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Row, Table, Widget};
use unicode_width::UnicodeWidthStr;

use super::run_status::RunStatus;
use super::scene::{Scene, fit, truncate};
use entropy_history::label::{ShortNames, visible};
use entropy_history::number::{exact, short};
use entropy_history::stats::health::{State, state_words};

/// Columns before the name: the cursor, the legend symbol, a space.
const SYMBOL: usize = 4;
/// Columns between two cells.
const SPACING: usize = 2;
/// The smallest width of the names.
const MIN_NAME: usize = 8;

/// The texts of a row after the name.
struct TableRow {
    numbers: [String; 3],
    /// The parts of the state, the most important first.
    state: Vec<String>,
}

impl TableRow {
    fn of(status: &RunStatus) -> TableRow {
        let numbers = [
            short(status.last.entropy),
            exact(status.last.step),
            status.change.map_or("–".to_owned(), signed),
        ];
        let is_over = matches!(status.state, Some(State::Collapsed | State::Exploded));
        let mut state = Vec::new();
        if is_over || !status.stale {
            state.push(state_words(status.state).to_owned());
            state.extend(status.state_step.map(|step| format!(" @ {}", exact(step))));
        }
        if status.stale {
            let comma = if is_over { ", " } else { "" };
            state.push(format!("{comma}stale"));
            state.extend(status.idle.map(|idle| format!(" {}", duration_text(idle.as_secs()))));
        }
        TableRow { numbers, state }
    }

    /// The parts of the state that fit; the first part is truncated if it is too wide.
    fn state_within(&self, width: usize) -> String {
        let mut text = String::new();
        for part in &self.state {
            if text.width() + part.width() > width {
                break;
            }
            text.push_str(part);
        }
        match (text.is_empty(), self.state.first()) {
            (true, Some(first)) => truncate(first, width),
            _ => text,
        }
    }
}

/// A difference with a sign.
fn signed(change: f64) -> String {
    let text = short(change);
    if change > 0.0 { format!("+{text}") } else { text }
}

/// A duration in the most suitable unit.
fn duration_text(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The column with the names of all runs.
struct NameColumn {
    shown: Vec<String>,
    head: String,
    width: usize,
}

impl NameColumn {
    /// A column of at most `room` columns of the screen, but at least [`MIN_NAME`].
    fn within(labels: &[String], room: usize) -> NameColumn {
        let room = room.max(MIN_NAME);
        let widest = |names: &[String]| names.iter().map(|name| name.width()).max().unwrap_or(0);
        let (mut names, mut head) = (labels.to_vec(), "run".to_owned());
        if widest(labels) > room {
            let short = ShortNames::of(labels.iter().map(String::as_str));
            names = short.names().to_vec();
            if !short.shared().is_empty() {
                head = short.shared().to_owned();
            }
        }
        let width = widest(&names).max(head.width()).min(room);
        NameColumn { shown: distinct(&names, width), head: fit(&head, width), width }
    }
}

/// Shortens the names to a width; names that would become equal start where they differ.
pub fn distinct(names: &[String], width: usize) -> Vec<String> {
    let mut shown: Vec<String> = names.iter().map(|name| fit(name, width)).collect();
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, name) in shown.iter().enumerate() {
        alike.entry(name.clone()).or_default().push(i);
    }
    for group in alike.into_values().filter(|group| group.len() > 1) {
        let first: Vec<char> = names[group[0]].chars().collect();
        let same =
            |i: &usize| first.iter().zip(names[*i].chars()).take_while(|(a, b)| **a == *b).count();
        let shared = group[1..].iter().map(same).min().unwrap_or(0);
        for i in group {
            let rest: String = names[i].chars().skip(shared).collect();
            shown[i] = truncate(&format!("…{rest}"), width);
        }
    }
    shown
}

/// Draws the table into an area.
pub(super) fn draw_table(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let statuses = scene.statuses;
    let rows: Vec<TableRow> = statuses.iter().map(TableRow::of).collect();
    let heads = ["last", "step", &format!("Δ{}", exact(scene.change_steps))].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.numbers[column].width());
        cells.chain([heads[column].width()]).max().unwrap_or(0)
    };
    let widths: [usize; 3] = std::array::from_fn(width);
    let states = rows.iter().map(|row| row.state.iter().map(|part| part.width()).sum());
    let state = states.chain(["state".width()]).max().unwrap_or(0);
    let numbers = widths.iter().map(|width| width + SPACING).sum::<usize>() + SPACING;
    let labels: Vec<String> = statuses.iter().map(|s| visible(&s.label).into_owned()).collect();
    let room = usize::from(area.width);
    let names = NameColumn::within(&labels, room.saturating_sub(SYMBOL + numbers + state));
    let state_room = room.saturating_sub(SYMBOL + names.width + numbers);

    let muted = scene.palette.muted();
    let (from, to) = visible_rows(scene, usize::from(area.height - 1));
    let cells = |name: Line<'static>, numbers: &[String; 3], style: Style, state: Span<'static>| {
        let number = |text: &String| Line::from(Span::styled(text.clone(), style)).right_aligned();
        let numbers = numbers.iter().map(number);
        Row::new([name].into_iter().chain(numbers).chain([Line::from(state)]))
    };
    let head = Line::from_iter([" ".repeat(SYMBOL).into(), Span::styled(names.head, muted)]);
    let state_head = Span::styled(state_head(from, statuses.len() - to, state_room), muted);
    let body = (from..to).map(|index| {
        let status = &statuses[index];
        let shown = scene.view.is_shown(&status.label);
        let (symbol, symbol_style, mut style) = match shown {
            true => (scene.palette.sample(index), scene.palette.curve(index), Style::new()),
            false => ("○ ".to_owned(), muted, muted),
        };
        let mut cursor = " ";
        if scene.view.is_selected(&status.label) {
            (cursor, style) = ("▸", style.add_modifier(Modifier::BOLD));
        }
        let name = Line::from_iter([
            cursor.into(),
            Span::styled(symbol, symbol_style),
            " ".into(),
            Span::styled(names.shown[index].clone(), style),
        ]);
        let state_style = scene.palette.state(status.state, status.stale);
        let state = Span::styled(rows[index].state_within(state_room), state_style);
        cells(name, &rows[index].numbers, style, state)
    });
    // A column that does not fit is omitted: a number without its last digits would be read as another number.
    let mut left = room;
    let mut fitting = |width: usize| {
        let width = if width <= left { width } else { 0 };
        left = left.saturating_sub(width + SPACING);
        Constraint::Length(width as u16)
    };
    let columns = [(SYMBOL + names.width).min(room), widths[0], widths[1], widths[2], state_room];
    Table::new(body, columns.map(&mut fitting))
        .header(cells(head, &heads, muted, state_head))
        .column_spacing(SPACING as u16)
        .render(area, buffer);
}

/// The heading of the states, with the number of runs above and below the shown ones, as far as there is room.
fn state_head(above: usize, below: usize, room: usize) -> String {
    let (long, brief) = match (above, below) {
        (0, 0) => return "state".to_owned(),
        (0, n) => (format!("↓ {n} more"), format!("↓{n}")),
        (n, 0) => (format!("↑ {n} more"), format!("↑{n}")),
        (a, b) => (format!("↑ {a} ↓ {b} more"), format!("↑{a} ↓{b}")),
    };
    let gap = |text: &str| room.checked_sub("state".width() + text.width()).filter(|gap| *gap >= 2);
    match (gap(&long), gap(&brief)) {
        (Some(gap), _) => format!("state{}{long}", " ".repeat(gap)),
        (None, Some(gap)) => format!("state{}{brief}", " ".repeat(gap)),
        _ if long.width() <= room => long,
        _ => brief,
    }
}

/// The first and the last index (exclusive) of the runs that fit, around the selected run.
fn visible_rows(scene: &Scene<'_>, room: usize) -> (usize, usize) {
    let all = scene.statuses.len();
    let selected = scene.statuses.iter().position(|s| scene.view.is_selected(&s.label));
    let from = selected.unwrap_or(0).saturating_sub(room / 2).min(all.saturating_sub(room));
    (from, (from + room).min(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str], room: usize) -> (String, Vec<String>) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let NameColumn { head, shown, .. } = NameColumn::within(&labels, room);
        (head, shown)
    }

    #[test]
    fn long_names_lose_their_shared_parts_and_stay_distinct() {
        let runs = ["qwen3-tiny_solver_s1", "qwen3-tiny_solver_s2", "qwen3-tiny_questioner_s1"];
        assert_eq!(names(&runs, 30), ("run".to_owned(), runs.map(str::to_owned).to_vec()));
        let short = ["solver_s1", "solver_s2", "questioner_s1"].map(str::to_owned).to_vec();
        assert_eq!(names(&runs, 20), ("qwen3-tiny_…".to_owned(), short));

        let alike =
            ["lr1e-5_a_long_name_of_the_model-final", "lr1e-6_a_long_name_of_the_model-final"];
        assert_eq!(names(&alike, 12).1, ["lr1e-5", "lr1e-6"]);
        // Shortened in the middle, both would be "al…ending-now".
        let alike =
            ["alonglongname1withoutawordending-now", "alonglongname2withoutawordending-now"];
        let (_, shown) = names(&alike, 12);
        assert!(shown[0] != shown[1] && shown[0].contains('1'), "{shown:?}");
        assert!(shown.iter().all(|name| name.width() <= 12), "{shown:?}");
    }

    #[test]
    fn narrow_state_loses_whole_parts() {
        let state = [" @ 21", ", stale", " 12 min"].map(str::to_owned);
        let row = TableRow {
            numbers: Default::default(),
            state: [vec!["collapsed".to_owned()], state.to_vec()].concat(),
        };
        let within = [5, 9, 13, 14, 21, 28].map(|width| row.state_within(width));
        let whole = "collapsed @ 21, stale 12 min";
        assert_eq!(within, ["coll…", "collapsed", "collapsed", &whole[..14], &whole[..21], whole]);
    }

    #[test]
    fn state_heading_counts_the_hidden_rows() {
        assert_eq!(state_head(0, 52, 20), "state      ↓ 52 more");
        assert_eq!(state_head(0, 52, 10), "state  ↓52");
        assert_eq!(state_head(0, 52, 9), "↓ 52 more");
        assert_eq!(state_head(3, 52, 7), "↑3 ↓52");
        assert_eq!(state_head(0, 0, 7), "state");
    }
}
