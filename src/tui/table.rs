//! The table of a frame: name, last value, last step, change and state of each listed run.
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

use super::panels::curve_style;
use super::rows::{Sort, SortKey, urgency};
use super::run_status::RunStatus;
use super::scene::{Scene, fit, truncate, value_at};
use entropy_history::label::{ShortNames, visible};
use entropy_history::number::{exact, short};
use entropy_history::stats::health::{State, state_words};

/// Columns before the name: the cursor, the legend symbol, a space.
const SYMBOL: usize = 4;
/// Columns between two cells.
const SPACING: usize = 2;
/// The smallest width of the names.
const MIN_NAME: usize = 8;

/// The parts of a state, the most important first.
struct StateCell(Vec<String>);

impl StateCell {
    fn of(status: &RunStatus) -> StateCell {
        let is_over = matches!(status.state, Some(State::Collapsed | State::Exploded));
        let mut parts = Vec::new();
        if is_over || !status.stale {
            parts.push(state_words(status.state).to_owned());
            parts.extend(status.state_step.map(|step| format!(" @ {}", exact(step))));
        }
        if status.stale {
            let comma = if is_over { ", " } else { "" };
            parts.push(format!("{comma}stale"));
            parts.extend(status.idle.map(|idle| format!(" {}", duration_text(idle.as_secs()))));
        }
        StateCell(parts)
    }

    fn width(&self) -> usize {
        self.0.iter().map(|part| part.width()).sum()
    }

    /// The parts that fit; the first part is truncated if it is too wide.
    fn within(&self, width: usize) -> String {
        let mut text = String::new();
        for part in &self.0 {
            if text.width() + part.width() > width {
                break;
            }
            text.push_str(part);
        }
        match (text.is_empty(), self.0.first()) {
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
pub(super) fn duration_text(seconds: u64) -> String {
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
    /// A column of at most `room` columns of the screen, but at least [`MIN_NAME`], whose heading ends with `mark`.
    fn within(labels: &[String], mark: &str, room: usize) -> NameColumn {
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
        head.push_str(mark);
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

/// A column of numbers.
struct NumberColumn {
    head: String,
    cells: Vec<String>,
    width: usize,
}

impl NumberColumn {
    fn new(head: String, cells: Vec<String>) -> NumberColumn {
        let widths = cells.iter().map(|cell| cell.width());
        let width = widths.chain([head.width()]).max().unwrap_or(0);
        NumberColumn { head, cells, width }
    }
}

/// The columns of numbers.
fn number_columns(scene: &Scene<'_>, statuses: &[&RunStatus], sort: Sort) -> Vec<NumberColumn> {
    let column = |head: &str, key: SortKey, cell: &dyn Fn(&RunStatus) -> String| {
        let cells = statuses.iter().map(|status| cell(status)).collect();
        NumberColumn::new(format!("{head}{}", sort.mark(key)), cells)
    };
    let change = format!("Δ{}", exact(scene.change_steps));
    let value = |status: &RunStatus, step: f64| {
        let history = scene.runs.iter().map(|run| &run.history).find(|h| h.label() == status.label);
        history.and_then(|history| value_at(history, step)).map_or("–".to_owned(), short)
    };
    vec![
        match scene.view.pointer {
            None => column("last", SortKey::Last, &|status| short(status.last.entropy)),
            Some(step) => {
                let cells = statuses.iter().map(|status| value(status, step)).collect();
                NumberColumn::new(format!("at {}", exact(step)), cells)
            }
        },
        column("step", SortKey::Step, &|status| exact(status.last.step)),
        column(&change, SortKey::Change, &|status| status.change.map_or("–".to_owned(), signed)),
    ]
}

/// The columns with the pace of runs that are not stale, and the time until their ends; none if none is known.
fn pace_columns(statuses: &[&RunStatus]) -> Vec<NumberColumn> {
    let pace = |status: &RunStatus| status.pace.filter(|_| !status.stale);
    let rate = |status: &&RunStatus| Some(short(pace(status)?.steps_per_minute));
    let left = |status: &&RunStatus| Some(duration_text(pace(status)?.left?.as_secs()));
    let rates: Vec<Option<String>> = statuses.iter().map(rate).collect();
    let times: Vec<Option<String>> = statuses.iter().map(left).collect();
    let columns = [("steps/min", rates), ("left", times)].into_iter();
    columns
        .filter(|(_, cells)| cells.iter().any(Option::is_some))
        .map(|(head, cells)| {
            let cell = |text: Option<String>| text.unwrap_or("–".to_owned());
            NumberColumn::new(head.to_owned(), cells.into_iter().map(cell).collect())
        })
        .collect()
}

/// Where the rows of the table are on the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TablePlace {
    /// The rows without the heading.
    pub area: Rect,
    /// The first row that is shown.
    pub first: usize,
    /// The number of rows that are shown.
    pub rows: usize,
}

/// The cells of the table, and the widths of its columns.
struct TableCells {
    names: NameColumn,
    numbers: Vec<NumberColumn>,
    state_title: String,
    states: Vec<StateCell>,
    state_width: usize,
}

impl TableCells {
    /// The cells for a width in columns of the screen.
    fn within(scene: &Scene<'_>, statuses: &[&RunStatus], sort: Sort, room: usize) -> TableCells {
        let mut numbers = number_columns(scene, statuses, sort);
        let states: Vec<StateCell> = statuses.iter().map(|status| StateCell::of(status)).collect();
        let state_title = format!("state{}", sort.mark(SortKey::State));
        let state = states.iter().map(StateCell::width).chain([state_title.width()]);
        let state = state.max().unwrap_or(0);
        let labels: Vec<String> = statuses.iter().map(|s| visible(&s.label).into_owned()).collect();
        let width = |columns: &[NumberColumn]| {
            columns.iter().map(|column| column.width + SPACING).sum::<usize>()
        };
        let name = labels.iter().map(|label| label.width()).max().unwrap_or(0);
        let pace = pace_columns(statuses);
        // They are left out first: the header has those of the run in focus.
        if SYMBOL + name + width(&numbers) + width(&pace) + SPACING + state <= room {
            numbers.extend(pace);
        }
        // The state matters most, and the change least.
        let words = states.iter().filter_map(|state| state.0.first()).map(|word| word.width());
        let least = SYMBOL + name.min(MIN_NAME) + SPACING + words.max().unwrap_or(0);
        while least + width(&numbers) > room && numbers.pop().is_some() {}
        let taken = SYMBOL + width(&numbers) + SPACING;
        let name_room = room.saturating_sub(taken + state);
        let names = NameColumn::within(&labels, sort.mark(SortKey::Name), name_room);
        let state_width = room.saturating_sub(taken + names.width);
        TableCells { names, numbers, state_title, states, state_width }
    }

    /// The widths of the columns. One that does not fit has none: a number without its last digits would be read as another
    /// number.
    fn widths(&self, room: usize) -> Vec<Constraint> {
        let mut left = room;
        let fitting = |width: usize| {
            let width = if width <= left { width } else { 0 };
            left = left.saturating_sub(width + SPACING);
            Constraint::Length(width as u16)
        };
        let numbers = self.numbers.iter().map(|column| column.width);
        let widths = [(SYMBOL + self.names.width).min(room)].into_iter().chain(numbers);
        widths.chain([self.state_width]).map(fitting).collect()
    }
}

/// Draws the table into an area.
pub(super) fn draw_table(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) -> Option<TablePlace> {
    if area.height == 0 {
        return None;
    }
    let mut statuses: Vec<&RunStatus> =
        scene.listing.rows.iter().filter_map(|row| scene.statuses.get(*row)).collect();
    let mut sort = scene.view.sort;
    // Without keys, nobody can scroll to the rows that are cut off.
    if !scene.keys && sort == Sort::GIVEN && statuses.len() > usize::from(area.height - 1) {
        sort = Sort::URGENT;
        statuses.sort_by_key(|status| urgency(status)); // stable: equal ones keep their order
    }
    let room = usize::from(area.width);
    let cells = TableCells::within(scene, &statuses, sort, room);
    let muted = scene.palette.muted();
    let (from, to) = visible_rows(scene, &statuses, usize::from(area.height - 1));
    let name = Span::styled(cells.names.head.clone(), muted);
    let name = Line::from_iter([" ".repeat(SYMBOL).into(), name]);
    let hidden = (from, statuses.len() - to);
    let state_head = state_head(&cells.state_title, hidden, cells.state_width);
    let heads = cells.numbers.iter().map(|column| column.head.clone());
    let head = table_row(name, heads, muted, Span::styled(state_head, muted));
    let body = (from..to).map(|at| {
        let status = statuses[at];
        let (name, style) = name_cell(scene, status, &cells.names.shown[at]);
        let state_style = scene.palette.state(status.state, status.stale);
        let state = Span::styled(cells.states[at].within(cells.state_width), state_style);
        table_row(name, cells.numbers.iter().map(|column| column.cells[at].clone()), style, state)
    });
    Table::new(body, cells.widths(room))
        .header(head)
        .column_spacing(SPACING as u16)
        .render(area, buffer);
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    Some(TablePlace { area, first: from, rows: to - from })
}

/// A row of cells: the name, the numbers and the state.
fn table_row(
    name: Line<'static>,
    numbers: impl Iterator<Item = String>,
    style: Style,
    state: Span<'static>,
) -> Row<'static> {
    let numbers = numbers.map(|text| Line::from(Span::styled(text, style)).right_aligned());
    Row::new([name].into_iter().chain(numbers).chain([Line::from(state)]))
}

/// The cursor, the legend symbol and the name of a run, and the style of its row.
fn name_cell(scene: &Scene<'_>, status: &RunStatus, name: &str) -> (Line<'static>, Style) {
    let muted = scene.palette.muted();
    let (symbol, symbol_style, mut style) = match scene.view.is_hidden(&status.label) {
        true => ("○ ".to_owned(), muted, muted),
        false => {
            let place = scene.listing.styles.of(&status.label);
            (scene.palette.sample(place), curve_style(scene, &status.label), Style::new())
        }
    };
    let mut cursor = " ";
    if scene.view.is_selected(&status.label) {
        (cursor, style) = ("▸", style.add_modifier(Modifier::BOLD));
    }
    let name = Span::styled(name.to_owned(), style);
    (Line::from_iter([cursor.into(), Span::styled(symbol, symbol_style), " ".into(), name]), style)
}

/// The heading of the states, with the number of runs above and below the shown ones, as far as there is room.
fn state_head(title: &str, hidden: (usize, usize), room: usize) -> String {
    let (long, brief) = match hidden {
        (0, 0) => return title.to_owned(),
        (0, n) => (format!("↓ {n} more"), format!("↓{n}")),
        (n, 0) => (format!("↑ {n} more"), format!("↑{n}")),
        (a, b) => (format!("↑ {a} ↓ {b} more"), format!("↑{a} ↓{b}")),
    };
    let gap = |text: &str| room.checked_sub(title.width() + text.width()).filter(|gap| *gap >= 2);
    match (gap(&long), gap(&brief)) {
        (Some(gap), _) => format!("{title}{}{long}", " ".repeat(gap)),
        (None, Some(gap)) => format!("{title}{}{brief}", " ".repeat(gap)),
        _ if long.width() <= room => long,
        _ => brief,
    }
}

/// The first and the last row (exclusive) that fit, around the selected run.
fn visible_rows(scene: &Scene<'_>, statuses: &[&RunStatus], room: usize) -> (usize, usize) {
    let all = statuses.len();
    let selected = statuses.iter().position(|status| scene.view.is_selected(&status.label));
    let from = selected.unwrap_or(0).saturating_sub(room / 2).min(all.saturating_sub(room));
    (from, (from + room).min(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str], room: usize) -> (String, Vec<String>) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let NameColumn { head, shown, .. } = NameColumn::within(&labels, "", room);
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
        let cell = StateCell([vec!["collapsed".to_owned()], state.to_vec()].concat());
        let within = [5, 9, 13, 14, 21, 28].map(|width| cell.within(width));
        let whole = "collapsed @ 21, stale 12 min";
        assert_eq!(within, ["coll…", "collapsed", "collapsed", &whole[..14], &whole[..21], whole]);
    }

    #[test]
    fn state_heading_counts_the_hidden_rows() {
        assert_eq!(state_head("state", (0, 52), 20), "state      ↓ 52 more");
        assert_eq!(state_head("state", (0, 52), 10), "state  ↓52");
        assert_eq!(state_head("state", (0, 52), 9), "↓ 52 more");
        assert_eq!(state_head("state", (3, 52), 7), "↑3 ↓52");
        assert_eq!(state_head("state", (0, 0), 7), "state");
    }
}
