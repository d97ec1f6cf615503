//! What is said about the states of runs in addition to tables.

use entropy_history::label::visible;
use entropy_history::stats::Analysis;
use entropy_history::stats::health::{State, state_words};
use entropy_shell::{Terminal, plural};

/// Prints the warnings about the states of runs.
pub(super) fn warn_about_states(analysis: &Analysis, terminal: &Terminal) {
    for run in analysis.runs.iter().filter(|run| !run.state_warnings.is_empty()) {
        let warnings = run.state_warnings.join("; ");
        terminal.warn(&format!("{}: {warnings}", visible(&run.label)));
    }
}

/// The number of runs in each state, the worst first: `5 runs compared: 1 collapsed, 4 healthy`.
pub(super) fn tally(analysis: &Analysis) -> String {
    let order = [
        Some(State::Collapsed),
        Some(State::Exploded),
        Some(State::Falling),
        Some(State::NotRecorded),
        Some(State::TooShort),
        None,
        Some(State::Healthy),
    ];
    let counts = order.into_iter().filter_map(|state| {
        let count = analysis.runs.iter().filter(|run| run.state == state).count();
        (count > 0).then(|| format!("{count} {}", state_words(state)))
    });
    let runs = plural(analysis.runs.len(), "run", "runs");
    format!("{runs} compared: {}", counts.collect::<Vec<_>>().join(", "))
}
