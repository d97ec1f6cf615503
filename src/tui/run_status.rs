//! The status of each run: its last value, its recent change, its state, and how long it has been idle.
//!
//! In addition to the states of [`health`](entropy_history::stats::health), a run is stale when nothing was appended
//! to its log for a while: it has ended, or it hangs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::pace::Pace;
use entropy_history::history::{Point, Run};
use entropy_history::stats::RunStats;
use entropy_history::stats::check::{Outcome, Rules, check};
use entropy_history::stats::health::{Health, State, Thresholds, state_words};

/// The settings for the status of all runs.
#[derive(Debug, Clone)]
pub struct StatusConfig {
    /// The limits of a collapse and an explosion.
    pub thresholds: Thresholds,
    /// The rules that runs must keep.
    pub rules: Rules,
    /// The idle time after which a run is stale; `None` for never.
    pub stale_after: Option<Duration>,
    /// The number of steps over which the change is computed.
    pub change_steps: f64,
}

/// The status of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStatus {
    /// The label of the run.
    pub label: String,
    /// The number of points.
    pub points: usize,
    /// The last point.
    pub last: Point,
    /// The change of the entropy over the last `change_steps` steps, in nats; `None` for a shorter run.
    pub change: Option<f64>,
    /// The state; `None` for a run without one.
    pub state: Option<State>,
    /// The step at which a collapse or an explosion was confirmed.
    pub state_step: Option<f64>,
    /// The entropy at and below which the run has collapsed; `None` for a run without a state.
    pub collapse_level: Option<f64>,
    /// How fast it trains; `None` if that is not known.
    pub pace: Option<Pace>,
    /// The first rule that the run breaks, with the reason.
    pub violation: Option<String>,
    /// The time since the last write to the log, if known.
    pub idle: Option<Duration>,
    /// Whether `idle` has reached `stale_after`.
    pub stale: bool,
    /// Whether the log was incomplete when it was first read. If its trainer is rewriting it, this status is
    /// outdated.
    pub provisional: bool,
}

impl RunStatus {
    /// The status of a run whose log was last written at `modified`.
    pub fn of(
        run: &Run,
        modified: Option<SystemTime>,
        config: &StatusConfig,
        now: SystemTime,
    ) -> RunStatus {
        let points = run.history.points();
        let health = Health::of(run, &config.thresholds);
        let last = points[points.len() - 1];
        let mut status = RunStatus {
            label: run.history.label().to_owned(),
            points: points.len(),
            last,
            change: change(points, config.change_steps),
            state: health.state,
            state_step: health.state_step,
            collapse_level: health
                .start
                .filter(|start| *start > 0.0)
                .map(|start| config.thresholds.collapse_ratio * start),
            pace: None,
            violation: violation(run, config),
            idle: None,
            stale: false,
            provisional: false,
        };
        status.update_idle(modified, config, now);
        status
    }

    /// Updates the idle time of a run without new points.
    pub fn update_idle(
        &mut self,
        modified: Option<SystemTime>,
        config: &StatusConfig,
        now: SystemTime,
    ) {
        // `modified` can be in the future: the clock was set back, or that of a file server is ahead.
        self.idle = modified.map(|time| now.duration_since(time).unwrap_or(Duration::ZERO));
        self.stale = self.idle.zip(config.stale_after).is_some_and(|(idle, limit)| idle >= limit);
    }

    /// The name of the state. For a stale run it is "stale", unless the run collapsed or exploded.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            Some(state @ (State::Collapsed | State::Exploded)) => state.words(),
            _ if self.stale => "stale",
            state => state_words(state),
        }
    }
}

/// The first broken rule and the reason, as in `collapse: collapsed at step 62, its level is now 12 % of its start`.
fn violation(run: &Run, config: &StatusConfig) -> Option<String> {
    if config.rules.is_empty() {
        return None;
    }
    let stats = RunStats::of(run, &config.thresholds);
    let verdicts = check(run, &stats, &config.rules);
    let broken = verdicts.into_iter().find(|verdict| verdict.outcome == Outcome::Violated)?;
    Some(format!("{}: {}", broken.rule.name(), broken.message))
}

/// The last value minus the value `steps` steps earlier, or at the nearest earlier point.
fn change(points: &[Point], steps: f64) -> Option<f64> {
    let last = points.last()?;
    let later = points.partition_point(|p| p.step <= last.step - steps);
    let before = points.get(later.checked_sub(1)?)?;
    Some(last.entropy - before.entropy)
}

/// A change of a run's state.
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// The current status.
    pub now: RunStatus,
    /// The name of the previous state; `None` for a new run.
    pub before: Option<&'static str>,
}

impl StateChange {
    /// The step at which a collapse or an explosion was confirmed, else the last step.
    pub fn step(&self) -> f64 {
        self.now.state_step.unwrap_or(self.now.last.step)
    }
}

/// Reports the state changes of all runs.
#[derive(Debug, Default)]
pub struct ChangeDetector {
    reported: BTreeMap<String, ReportedState>,
}

/// The last reported state of a run.
#[derive(Debug)]
struct ReportedState {
    name: &'static str,
    /// The number of points at which the run last flipped between healthy and falling.
    flapping_since: Option<usize>,
}

/// For how many points a run must stay healthy or falling before the change is reported.
fn settling_points(points: usize) -> usize {
    (points / 20).max(5)
}

impl ChangeDetector {
    /// The state changes since the last call, in the order of the runs.
    ///
    /// Whether a run is healthy or falling depends on the slope of few points, so a noisy run changes often between
    /// the two. Therefore such a change is reported only after it has lasted max(5, 5 %) of the points.
    pub fn detect(&mut self, statuses: &[RunStatus]) -> Vec<StateChange> {
        let mut changes = Vec::new();
        for status in statuses.iter().filter(|status| !status.provisional) {
            let name = status.state_name();
            let Some(reported) = self.reported.get_mut(&status.label) else {
                let reported = ReportedState { name, flapping_since: None };
                self.reported.insert(status.label.clone(), reported);
                changes.push(StateChange { now: status.clone(), before: None });
                continue;
            };
            if reported.name == name {
                reported.flapping_since = None;
                continue;
            }
            if let ("healthy", "falling") | ("falling", "healthy") = (reported.name, name) {
                let points = status.points;
                let since = *reported.flapping_since.get_or_insert(points);
                if points.saturating_sub(since) < settling_points(points) {
                    continue;
                }
            }
            let before = Some(std::mem::replace(&mut reported.name, name));
            reported.flapping_since = None;
            changes.push(StateChange { now: status.clone(), before });
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::History;
    use entropy_history::quantity::EntropyKind;

    const CONFIG: StatusConfig = StatusConfig {
        thresholds: Thresholds { collapse_ratio: 0.25, explode_ratio: 2.0 },
        rules: Rules::NONE,
        stale_after: Some(Duration::from_secs(600)),
        change_steps: 20.0,
    };

    fn run(values: &[f64]) -> Run {
        let at = |(i, &entropy): (usize, &f64)| Point { step: (i + 1) as f64, entropy };
        let points = values.iter().enumerate().map(at).collect();
        let (history, _) = History::from_raw("q", EntropyKind::TokenMean, points).unwrap();
        Run::new(history, "q.json", "rzero", "entropy")
    }

    #[test]
    fn change_is_computed_over_the_last_steps() {
        let values: Vec<f64> = (0..50).map(|i| 3.0 - 0.01 * f64::from(i)).collect();
        let now = SystemTime::now();
        let status = RunStatus::of(&run(&values), None, &CONFIG, now);
        // Step 30 is 20 steps before step 50: −0.01 × 20.
        assert!((status.change.unwrap() + 0.2).abs() < 1e-12);
        assert_eq!((status.last.step, status.state), (50.0, Some(State::Healthy)));
        assert_eq!(RunStatus::of(&run(&values[..20]), None, &CONFIG, now).change, None);
        // With a point every 7 steps the nearest earlier point counts: 43 − 22 = 21 steps.
        let sparse: Vec<Point> =
            (0..7).map(|i| Point { step: f64::from(1 + 7 * i), entropy: f64::from(i) }).collect();
        assert_eq!(change(&sparse, 20.0), Some(3.0));
    }

    #[test]
    fn idle_run_becomes_stale_until_its_log_grows() {
        let now = SystemTime::now();
        let values = [2.0; 20];
        let mut detector = ChangeDetector::default();
        let at = |seconds| Some(now - Duration::from_secs(seconds));
        let mut status = RunStatus::of(&run(&values), at(599), &CONFIG, now);
        let seen = detector.detect(std::slice::from_ref(&status));
        assert_eq!((seen[0].before, status.state_name()), (None, "healthy"));
        status.update_idle(at(600), &CONFIG, now);
        let changed = detector.detect(std::slice::from_ref(&status));
        assert_eq!((changed[0].before, changed[0].now.state_name()), (Some("healthy"), "stale"));
        assert_eq!(detector.detect(std::slice::from_ref(&status)), []);
        status.update_idle(at(0), &CONFIG, now);
        assert_eq!(detector.detect(std::slice::from_ref(&status))[0].now.state_name(), "healthy");
        status.update_idle(Some(now + Duration::from_secs(900)), &CONFIG, now);
        assert!(!status.stale);
    }

    #[test]
    fn collapse_is_reported_at_the_step_where_it_was_confirmed() {
        let now = SystemTime::now();
        let mut detector = ChangeDetector::default();
        let mut values = vec![2.0; 50];
        detector.detect(&[RunStatus::of(&run(&values), None, &CONFIG, now)]);
        values.extend([0.2; 20]);
        let changed = detector.detect(&[RunStatus::of(&run(&values), None, &CONFIG, now)]);
        assert_eq!(
            (changed[0].before, changed[0].now.state),
            (Some("healthy"), Some(State::Collapsed))
        );
        assert_eq!(changed[0].step(), 57.0); // as in stats::health
    }

    /// The reported states of a run whose points arrive one by one, each with the number of points so far.
    fn reported_states(points: &[Point]) -> Vec<(&'static str, usize)> {
        let mut detector = ChangeDetector::default();
        let mut all = Vec::new();
        for n in 1..=points.len() {
            let (history, _) =
                History::from_raw("q", EntropyKind::TokenMean, points[..n].to_vec()).unwrap();
            let run = Run::new(history, "q.json", "rzero", "entropy");
            let status = RunStatus::of(&run, None, &CONFIG, SystemTime::now());
            all.extend(
                detector.detect(&[status]).iter().map(|change| (change.now.state_name(), n)),
            );
        }
        all
    }

    #[test]
    fn noisy_run_does_not_flap_between_healthy_and_falling() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        let selector = entropy_history::formats::SeriesSelector::default_keys();
        let changes = |name: &str| {
            let name = format!("qwen3-tiny_{name}");
            let path = root.join(&name).join(format!("entropy_history_{name}.json"));
            let mut file = std::fs::File::open(&path).unwrap();
            let source = entropy_history::formats::Source { reader: &mut file, path: Some(&path) };
            let (_, log) = entropy_history::formats::read(source, None, &selector).unwrap();
            reported_states(&log.series[0].points).len() - 1
        };
        // Without settling these are 9, 1, 5 and 3.
        assert_eq!(changes("solver_s1"), 1);
        assert_eq!(changes("solver_s2"), 1);
        assert_eq!(changes("questioner_s1"), 3);
        assert_eq!(changes("questioner_s2"), 3);
    }

    #[test]
    fn falling_is_reported_after_settling_and_a_collapse_immediately() {
        let level = (1..=40).map(|_| 2.0);
        let falls = level.chain((0..30).map(|i| (2.0 - 0.1 * f64::from(i)).max(0.1)));
        let points: Vec<Point> =
            falls.enumerate().map(|(i, entropy)| Point { step: i as f64, entropy }).collect();
        let states: Vec<Option<State>> = (1..=points.len())
            .map(|n| {
                let values: Vec<f64> = points[..n].iter().map(|p| p.entropy).collect();
                Health::of(&run(&values), &CONFIG.thresholds).state
            })
            .collect();
        let first = |state| states.iter().position(|s| *s == Some(state)).unwrap() + 1;
        let expected = [
            ("too short", 1),
            ("healthy", 10),
            ("falling", first(State::Falling) + 5),
            ("collapsed", first(State::Collapsed)),
        ];
        assert_eq!(reported_states(&points), expected);
    }
}
