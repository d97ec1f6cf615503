//! Rounds of training that were joined into one run: an upright rule where each begins, with its name at the top.

use super::curve::{Curve, rules};
use super::reference_lines::label_beside;
use super::room::Room;
use crate::LineAxis;
use crate::canvas::Mark;
use crate::context::ChartContext;
use entropy_history::label::visible;

/// The rules of all runs, the names of the rounds, and warnings about names without room.
pub(super) fn marks(
    curves: &[Curve<'_>],
    room: &mut Room,
    chart: ChartContext<'_>,
) -> (Vec<Mark>, Vec<Mark>, Vec<String>) {
    let area = room.area;
    let mut begins: Vec<(f64, String)> = Vec::new();
    for run in curves.iter().flat_map(Curve::runs) {
        for (x, stage) in rules(run, &area).into_iter().zip(&run.stages) {
            let is_number = stage.stage.chars().all(|c| c.is_ascii_digit());
            let name = visible(&stage.stage);
            let words = if is_number { format!("round {name}") } else { name.into_owned() };
            // Runs whose rounds begin together have one rule.
            let is_known = begins.iter().any(|(at, known)| *known == words && (at - x).abs() < 1.0);
            if (area.left..=area.right).contains(&x) && !is_known {
                begins.push((x, words));
            }
        }
    }
    begins.sort_by(|a, b| a.0.total_cmp(&b.0));
    let muted = chart.theme().muted;
    let (mut lines, mut names, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let rule = |x: f64| [(x, area.bottom), (x, area.top)];
    for (x, _) in &begins {
        let colour = muted.over(chart.theme().background, 0.6);
        lines.push(Mark::Line(rule(*x).to_vec(), 1.0, colour));
    }
    for (x, words) in &begins {
        let others = begins.iter().filter(|(at, _)| at != x);
        let blocked: Vec<_> =
            others.map(|(at, _)| (at - 1.0, area.top, at + 1.0, area.bottom)).collect();
        match label_beside(words, LineAxis::Step, (rule(*x), muted), (room, &blocked), chart) {
            Some(text) => {
                room.take(text.bounds());
                names.push(Mark::Note(text));
            }
            None => warnings.push(format!("there is no room for the name of {words}")),
        }
    }
    for (x, _) in begins {
        room.take((x - 1.0, area.top, x + 1.0, area.bottom));
    }
    (lines, names, warnings)
}
