//! Which runs the table lists, and in which order.

use std::cmp::Ordering;

use entropy_history::label::compare_names;
use entropy_history::stats::health::State;

use super::run_status::RunStatus;

/// A column by which the table is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// The names, with numbers by their size.
    Name,
    /// The last values.
    Last,
    /// The last steps.
    Step,
    /// The recent changes; runs without one are at the end.
    Change,
    /// The states, the most urgent first.
    State,
}

impl SortKey {
    /// The keys in the order in which a key press goes through them.
    pub const ALL: [SortKey; 5] =
        [SortKey::Name, SortKey::Last, SortKey::Change, SortKey::State, SortKey::Step];
}

/// The direction of sorting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// How the table is sorted; `key` is `None` for the order of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The column.
    pub key: Option<SortKey>,
    /// The direction.
    pub direction: Direction,
}

impl Sort {
    /// The order of the inputs.
    pub const GIVEN: Sort = Sort { key: None, direction: Direction::Ascending };

    /// The most urgent states first.
    pub const URGENT: Sort = Sort { key: Some(SortKey::State), direction: Direction::Ascending };

    /// Sorted by the next column, or in the order of the inputs after the last one.
    pub fn next(self) -> Sort {
        let at = SortKey::ALL.iter().position(|key| Some(*key) == self.key);
        let key = SortKey::ALL.get(at.map_or(0, |at| at + 1)).copied();
        Sort { key, ..Sort::GIVEN }
    }

    /// In the other direction.
    pub fn reversed(self) -> Sort {
        let direction = match self.direction {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        };
        Sort { direction, ..self }
    }

    /// The mark of a sorted column in the heading; empty for other columns.
    pub fn mark(self, column: SortKey) -> &'static str {
        match self.direction {
            _ if self.key != Some(column) => "",
            Direction::Ascending => "▴",
            Direction::Descending => "▾",
        }
    }

    fn compare(self, a: &RunStatus, b: &RunStatus) -> Ordering {
        let by = |order: Ordering| match self.direction {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        };
        match self.key {
            None => by(Ordering::Equal),
            Some(SortKey::Name) => by(compare_names(&a.label, &b.label)),
            Some(SortKey::Last) => by(a.last.entropy.total_cmp(&b.last.entropy)),
            Some(SortKey::Step) => by(a.last.step.total_cmp(&b.last.step)),
            Some(SortKey::State) => by(urgency(a).cmp(&urgency(b))),
            Some(SortKey::Change) => match (a.change, b.change) {
                (Some(a), Some(b)) => by(a.total_cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()), // at the end in both directions
            },
        }
    }
}

/// The place of a state among the others, the most urgent first.
pub(super) fn urgency(status: &RunStatus) -> usize {
    match status.state {
        Some(State::Collapsed | State::Exploded) => 0,
        _ if status.stale => 3,
        Some(State::Falling) => 1,
        Some(State::NotRecorded) => 2,
        Some(State::Healthy) => 4,
        Some(State::TooShort) => 5,
        None => 6,
    }
}

/// Whether the label contains every word of the filter, in upper or lower case.
pub fn matches(label: &str, filter: &str) -> bool {
    let label = label.to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| label.contains(word))
}

/// The indices of the runs that match the filter, in the order of the table.
pub fn rows(statuses: &[RunStatus], filter: &str, sort: Sort) -> Vec<usize> {
    let matching = (0..statuses.len()).filter(|row| matches(&statuses[*row].label, filter));
    let mut rows: Vec<usize> = matching.collect();
    rows.sort_by(|a, b| sort.compare(&statuses[*a], &statuses[*b])); // stable: equal ones keep their order
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::Point;

    fn status(label: &str, last: f64, change: Option<f64>, state: State) -> RunStatus {
        RunStatus {
            label: label.to_owned(),
            points: 20,
            last: Point { step: last * 10.0, entropy: last },
            change,
            state: Some(state),
            state_step: None,
            collapse_level: None,
            pace: None,
            violation: None,
            idle: None,
            stale: false,
            provisional: false,
        }
    }

    fn order(key: Option<SortKey>, direction: Direction) -> Vec<usize> {
        let statuses = [
            status("s10", 2.0, Some(-0.5), State::Healthy),
            status("s9", 1.0, None, State::Collapsed),
            status("S1", 3.0, Some(0.1), State::Falling),
        ];
        rows(&statuses, "", Sort { key, direction })
    }

    #[test]
    fn each_column_sorts_the_rows() {
        let ascending = |key| order(Some(key), Direction::Ascending);
        assert_eq!(order(None, Direction::Ascending), [0, 1, 2]);
        assert_eq!(ascending(SortKey::Name), [2, 1, 0], "numbers by their size");
        assert_eq!(ascending(SortKey::Last), [1, 0, 2]);
        assert_eq!(ascending(SortKey::Step), [1, 0, 2]);
        assert_eq!(ascending(SortKey::State), [1, 2, 0]);
        assert_eq!(ascending(SortKey::Change), [0, 2, 1], "a run without a change is at the end");
        assert_eq!(order(Some(SortKey::Change), Direction::Descending), [2, 0, 1]);
        assert_eq!(order(Some(SortKey::Last), Direction::Descending), [2, 0, 1]);
    }

    #[test]
    fn the_key_goes_through_all_columns_and_back() {
        let mut sort = Sort::GIVEN.reversed();
        let keys: Vec<Option<SortKey>> = (0..7)
            .map(|_| {
                sort = sort.next();
                sort.key
            })
            .collect();
        let all = SortKey::ALL.map(Some);
        assert_eq!((&keys[..5], keys[5], keys[6]), (&all[..], None, all[0]));
        assert_eq!(sort.direction, Direction::Ascending, "a new column starts ascending");
        assert_eq!((sort.mark(SortKey::Name), sort.mark(SortKey::Last)), ("▴", ""));
    }

    #[test]
    fn filter_has_words_in_any_case_and_order() {
        let label = "Qwen3_solver_s1[a+b]";
        for filter in ["", " ", "solver", "SOLVER qwen3", "s1 s1", "[a+b]"] {
            assert!(matches(label, filter), "{filter:?}");
        }
        for filter in ["solver s2", "solver.s1", "qwen3solver"] {
            assert!(!matches(label, filter), "{filter:?}");
        }
    }
}
