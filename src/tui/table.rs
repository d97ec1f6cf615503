//! The table of a frame: a line for each run, its name, last value, last step, change and state.
//!
//! Where not all runs fit, it shows those around the selected one and says how many are above and below.
//! Where not all names fit, the prefix that all share stands in the head instead, and what is still too wide
//! is shortened so that no two runs look the same. A state loses its lesser parts whole: a step with its end
//! cut off would be another step.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::frame::{Scene, fitting, put};
use super::standing::Standing;
use entropy_history::label::{common_prefix, visible};
use entropy_history::number::{exact, short};
use entropy_history::stats::health::State;

/// Characters before the name: the selection, the sample of the line, a space.
const BEFORE: usize = 4;
/// What a name is not made narrower than.
const LEAST_NAME: usize = 8;

/// What stands behind the name of a run.
struct Row {
    numbers: [String; 3],
    /// The state, and what is said beside it: the first counts most.
    state: Vec<String>,
}

impl Row {
    fn of(standing: &Standing) -> Row {
        let numbers = [
            short(standing.last.entropy),
            exact(standing.last.step),
            standing.change.map_or("–".to_owned(), signed),
        ];
        let is_over = matches!(standing.state, State::Collapsed | State::Exploded);
        let mut state = Vec::new();
        if is_over || !standing.stale {
            state.push(standing.state.words().to_owned());
            state.extend(standing.state_step.map(|step| format!(" @ {}", exact(step))));
        }
        if standing.stale {
            let comma = if is_over { ", " } else { "" };
            state.push(format!("{comma}stale"));
            state
                .extend(standing.silence.map(|silence| format!(" {}", minutes(silence.as_secs()))));
        }
        Row { numbers, state }
    }

    /// As much of the state as fits: whole parts, the first cut with a sign if even that is too wide.
    fn state_within(&self, width: usize) -> String {
        let mut text = String::new();
        for part in &self.state {
            if text.width() + part.width() > width {
                break;
            }
            text.push_str(part);
        }
        match (text.is_empty(), self.state.first()) {
            (true, Some(first)) => cut(first, width),
            _ => text,
        }
    }
}

/// The start of a text, with a sign that there is more.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut start: String = text.to_owned();
    while !start.is_empty() && start.width() + 1 > width {
        start.pop();
    }
    if width == 0 { String::new() } else { start + "…" }
}

/// A difference with its sign.
fn signed(change: f64) -> String {
    let text = short(change);
    if change > 0.0 { format!("+{text}") } else { text }
}

/// How long, in the unit that fits.
fn minutes(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The names of all runs as they are shown.
struct Names {
    shown: Vec<String>,
    head: String,
    width: usize,
}

impl Names {
    /// Names in a column that may be so wide.
    fn within(labels: &[String], room: usize) -> Names {
        let room = room.max(LEAST_NAME);
        let widest = |names: &[String]| names.iter().map(|name| name.width()).max().unwrap_or(0);
        let all: Vec<&str> = labels.iter().map(String::as_str).collect();
        let prefix = if widest(labels) > room { common_prefix(&all) } else { "" };
        let whole: Vec<String> = all.iter().map(|label| label[prefix.len()..].to_owned()).collect();
        let head = if prefix.is_empty() { "run".to_owned() } else { format!("{prefix}…") };
        let width = widest(&whole).max(head.width()).min(room);
        Names { shown: distinct(&whole, width), head: fitting(&head, width), width }
    }
}

/// The names shortened to a width; those that would look the same begin where they differ.
fn distinct(names: &[String], width: usize) -> Vec<String> {
    let mut shown: Vec<String> = names.iter().map(|name| fitting(name, width)).collect();
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
            shown[i] = cut(&format!("…{rest}"), width);
        }
    }
    shown
}

/// Draws the table into an area.
pub(super) fn table(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let rows: Vec<Row> = scene.standings.iter().map(Row::of).collect();
    let heads = ["last", "step", &format!("Δ{}", exact(scene.over))].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.numbers[column].width());
        cells.chain([heads[column].width()]).max().unwrap_or(0)
    };
    let widths: [usize; 3] = std::array::from_fn(width);
    let states = rows.iter().map(|row| row.state.iter().map(|part| part.width()).sum());
    let state = states.chain(["state".width()]).max().unwrap_or(0);
    let others = BEFORE + widths.iter().map(|width| width + 2).sum::<usize>() + 2 + state;
    let labels: Vec<String> =
        scene.standings.iter().map(|s| visible(&s.label).into_owned()).collect();
    let names = Names::within(&labels, usize::from(area.width).saturating_sub(others));

    let line = |n: u16| Rect { y: area.y + n, height: 1, ..area };
    // Returns where the state stands.
    let put_numbers = |row: u16, cells: &[String; 3], style: Style, buffer: &mut Buffer| {
        let mut x = area.x + (BEFORE + names.width) as u16;
        for (cell, width) in cells.iter().zip(widths) {
            put(line(row), x + (2 + width - cell.width()) as u16, cell, style, buffer);
            x += 2 + width as u16;
        }
        x + 2
    };
    let quiet = scene.ink.quiet();
    put(line(0), area.x + BEFORE as u16, &names.head, quiet, buffer);
    let at = put_numbers(0, &heads, quiet, buffer);
    let (from, to) = visible_rows(scene, usize::from(area.height - 1));
    let room = usize::from(area.right().saturating_sub(at));
    let head = state_head(from, scene.standings.len() - to, room);
    put(line(0), at, &head, quiet, buffer);

    for (row, index) in (from..to).enumerate() {
        let row = row as u16 + 1;
        let standing = &scene.standings[index];
        let shown = scene.view.shows(&standing.label);
        let (colour, sample) = match shown {
            true => (scene.ink.run(index), scene.ink.sample(index)),
            false => (quiet, "○ ".to_owned()),
        };
        let mut text = if shown { Style::new() } else { quiet };
        if scene.view.is_selected(&standing.label) {
            put(line(row), area.x, "▸", Style::new(), buffer);
            text = text.add_modifier(Modifier::BOLD);
        }
        put(line(row), area.x + 1, &sample, colour, buffer);
        put(line(row), area.x + BEFORE as u16, &names.shown[index], text, buffer);
        put_numbers(row, &rows[index].numbers, text, buffer);
        let style = scene.ink.state(standing.state, standing.stale);
        put(line(row), at, &rows[index].state_within(room), style, buffer);
    }
}

/// The head of the states, with how many runs are above and below what is shown, as far as there is room.
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

/// The rows of the table that fit: around the selected run.
fn visible_rows(scene: &Scene<'_>, room: usize) -> (usize, usize) {
    let all = scene.standings.len();
    let selected = scene.standings.iter().position(|s| scene.view.is_selected(&s.label));
    let from = selected.unwrap_or(0).saturating_sub(room / 2).min(all.saturating_sub(room));
    (from, (from + room).min(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str], room: usize) -> (String, Vec<String>) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let Names { head, shown, .. } = Names::within(&labels, room);
        (head, shown)
    }

    #[test]
    fn names_that_do_not_fit_lose_what_all_share_and_stay_apart() {
        let runs = ["qwen3-tiny_solver_s1", "qwen3-tiny_solver_s2", "qwen3-tiny_questioner_s1"];
        assert_eq!(names(&runs, 30), ("run".to_owned(), runs.map(str::to_owned).to_vec()));
        let short = ["solver_s1", "solver_s2", "questioner_s1"].map(str::to_owned).to_vec();
        assert_eq!(names(&runs, 20), ("qwen3-tiny_…".to_owned(), short));

        // With the middle left out all three would be "lr…model-final".
        let alike =
            ["lr1e-5_a_long_name_of_the_model-final", "lr1e-6_a_long_name_of_the_model-final"];
        let (_, shown) = names(&alike, 12);
        assert_eq!(shown, ["…5_a_long_n…", "…6_a_long_n…"]);
        assert!(shown.iter().all(|name| name.width() <= 12));
    }

    #[test]
    fn a_state_loses_whole_parts_and_no_digit() {
        let state = [" @ 21", ", stale", " 12 min"].map(str::to_owned);
        let row = Row {
            numbers: Default::default(),
            state: [vec!["collapsed".to_owned()], state.to_vec()].concat(),
        };
        let within = [5, 9, 13, 14, 21, 28].map(|width| row.state_within(width));
        let whole = "collapsed @ 21, stale 12 min";
        assert_eq!(within, ["coll…", "collapsed", "collapsed", &whole[..14], &whole[..21], whole]);
    }

    #[test]
    fn what_does_not_fit_is_counted_beside_the_head_or_in_its_place() {
        assert_eq!(state_head(0, 52, 20), "state      ↓ 52 more");
        assert_eq!(state_head(0, 52, 10), "state  ↓52");
        assert_eq!(state_head(0, 52, 9), "↓ 52 more");
        assert_eq!(state_head(3, 52, 7), "↑3 ↓52");
        assert_eq!(state_head(0, 0, 7), "state");
    }
}
