//! Names of states for programs.

/// The name of a state for programs: `not_recorded`, as in `stats --json`.
pub(super) fn state_key(name: &str) -> String {
    name.replace(' ', "_")
}
