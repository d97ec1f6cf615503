//! The command that draws the view of the screen as a picture.
//!
//! It is a command line rather than a file with the last view: a view that came back by itself would hide runs in the next
//! session without a visible reason, and a command can be repeated, changed and sent to others.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::invocation::{quoted_words, translated};
use crate::cli::storage::storage_path;
use crate::tui::scene::{Listing, span};
use crate::tui::view::View;
use entropy_history::history::Run;
use entropy_history::number::exact;
use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

/// The options of `watch` that the view replaces.
const OF_THE_VIEW: [&str; 2] = ["smooth", "log-y"];

/// The command; `None` if the command line is not one of `watch`.
pub(super) fn view_command(
    view: &View,
    listing: &Listing,
    runs: &[Run],
    has_inputs: bool,
) -> Option<String> {
    let program = Cli::command();
    let models = storage_path().filter(|_| !has_inputs).map(|storage| storage.join("models"));
    let models = models.map(|models| models.to_string_lossy().into_owned());
    let first: Vec<&str> = models.iter().map(String::as_str).collect();
    let command = translated(&program, ("watch", "plot"), &first, &OF_THE_VIEW)?;
    let words = view_words(view, listing, runs);
    Some(if words.is_empty() {
        command
    } else {
        format!("{command} {}", quoted_words(words.into_iter()))
    })
}

/// The options that give the view.
fn view_words(view: &View, listing: &Listing, runs: &[Run]) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(smoothing) = smoothing_word(view.smoothing()) {
        words.extend(["--smooth".to_owned(), smoothing]);
    }
    if view.scale == ValueScale::Log {
        words.push("--log-y".to_owned());
    }
    if view.is_zoomed() {
        let (from, to) = view.visible_steps(span(runs));
        words.extend(["--from-step".to_owned(), exact(from.floor())]);
        words.extend(["--to-step".to_owned(), exact(to.ceil())]);
    }
    let labels = listing.labels(runs);
    let (shown, hidden): (Vec<&str>, Vec<&str>) =
        runs.iter().map(|run| run.history.label()).partition(|label| view.is_shown(label));
    let globs = |labels: &[&str]| labels.iter().map(|label| literal(label)).collect::<Vec<_>>();
    match (shown.len(), hidden.len()) {
        (0, _) | (_, 0) => {}
        (some, others) if some <= others || labels.len() < runs.len() => {
            words.extend(["--select".to_owned()].into_iter().chain(globs(&shown)));
        }
        _ => words.extend(["--exclude".to_owned()].into_iter().chain(globs(&hidden))),
    }
    words
}

/// A smoothing as `--smooth` takes it; `None` for no smoothing.
fn smoothing_word(smoothing: Smoothing) -> Option<String> {
    Some(match smoothing {
        Smoothing::None => return None,
        Smoothing::Ema(weight) => format!("ema:{weight}"),
        Smoothing::Twema(weight) => format!("twema:{weight}"),
        Smoothing::Mean(points) => format!("mean:{points}"),
        Smoothing::Gaussian(sigma) => format!("gaussian:{sigma}"),
    })
}

/// A glob that matches only this label, and does not look like a flag.
fn literal(label: &str) -> String {
    label.char_indices().fold(String::new(), |glob, part| match part {
        (_, character @ ('*' | '?' | '[')) | (0, character @ '-') => format!("{glob}[{character}]"),
        (_, character) => format!("{glob}{character}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::run_status::{RunStatus, StatusConfig};
    use crate::tui::view::ViewAction;
    use entropy_history::history::{History, Point};
    use entropy_history::quantity::EntropyKind;
    use entropy_history::stats::check::Rules;
    use entropy_history::stats::health::Thresholds;

    fn words(actions: &[ViewAction]) -> String {
        let run = |label: &&str| {
            let at = |step: u32| Point { step: f64::from(step), entropy: 2.0 };
            let points = (0..=100).map(at).collect();
            let (history, _) = History::from_raw(*label, EntropyKind::TokenMean, points).unwrap();
            Run::new(history, "x", "jsonl", "entropy")
        };
        let runs: Vec<Run> = ["a1", "a2", "b[x]", "c"].iter().map(run).collect();
        let (thresholds, rules) = (Thresholds::default(), Rules::NONE);
        let config = StatusConfig { thresholds, rules, stale_after: None, change_steps: 20.0 };
        let now = std::time::SystemTime::now();
        let statuses: Vec<RunStatus> =
            runs.iter().map(|run| RunStatus::of(run, None, &config, now)).collect();
        let limits = (f64::NEG_INFINITY, f64::INFINITY);
        let mut view = View::new(Smoothing::None, ValueScale::Linear, limits);
        let mut listing = Listing::default().updated(&runs, &statuses, &view);
        for action in actions {
            view.apply(*action, &listing.labels(&runs), span(&runs));
            listing = listing.updated(&runs, &statuses, &view);
        }
        view_words(&view, &listing, &runs).join(" ")
    }

    #[test]
    fn words_give_the_view() {
        assert_eq!(words(&[]), "");
        let all = [ViewAction::MoreSmoothing, ViewAction::ToggleScale, ViewAction::ZoomIn];
        assert_eq!(words(&all), "--smooth ema:0.5 --log-y --from-step 50 --to-step 100");
        assert_eq!(words(&[ViewAction::ToggleNth(2)]), "--exclude b[[]x]");
        assert_eq!(words(&[ViewAction::SelectNth(2), ViewAction::SelectedOnly]), "--select b[[]x]");
        assert_eq!(words(&[ViewAction::Type('a')]), "--select a1 a2");
        assert_eq!(words(&[ViewAction::Type('a'), ViewAction::ToggleNth(0)]), "--select a2");
        assert_eq!(words(&[ViewAction::AllOrNone]), "", "a picture of no run");
    }
}
