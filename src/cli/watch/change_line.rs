//! A change of a state as text.

use crate::tui::run_status::{RunStatus, StateChange};
use entropy_history::label::visible;
use entropy_history::number::{exact, short};

/// The printed line.
pub(super) fn change_line(change: &StateChange) -> String {
    change_text(change, "")
}

/// The change with a unit after the entropy: `" nats"`, or nothing.
pub(super) fn change_text(change: &StateChange, unit: &str) -> String {
    let RunStatus { label, last, state_step, .. } = &change.now;
    let before = change.before.map_or(String::new(), |before| format!("{before} → "));
    let step = state_step.map_or(String::new(), |s| format!(" at step {}", exact(s)));
    let (label, value, at) = (visible(label), short(last.entropy), exact(last.step));
    format!("{label}: {before}{}{step}, {value}{unit} at step {at}", change.now.state_name())
}
