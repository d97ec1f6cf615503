//! How each run stands: its last value, where it is going, its state, and how long it has been silent.
//!
//! States are those of [`health`](entropy_history::stats::health); beside them a run is stale once nothing was
//! appended to its log for a while: it ended, or it hangs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use entropy_history::history::{Point, Run};
use entropy_history::stats::health::{Health, State, Thresholds};

/// What is asked of every run.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// When a run has collapsed or exploded.
    pub thresholds: Thresholds,
    /// The silence after which a run is stale; none: never.
    pub stale: Option<Duration>,
    /// The steps over which the change is told.
    pub over: f64,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The name of the run.
    pub label: String,
    /// Its points.
    pub points: usize,
    /// Its last point.
    pub last: Point,
    /// By how much the entropy changed over the last steps asked for; `None` for a shorter run.
    pub change: Option<f64>,
    /// Its state.
    pub state: State,
    /// Where a collapse or an explosion began.
    pub state_step: Option<f64>,
    /// How long nothing was appended, if it is known.
    pub silence: Option<Duration>,
    /// Whether that is too long.
    pub stale: bool,
    /// Whether the end of its log was missing when it was first read: it may be in the middle of being
    /// written, and then this is how the run stood long ago.
    pub unsure: bool,
}

impl Standing {
    /// Of a run whose log was last written to at `modified`.
    pub fn of(run: &Run, modified: Option<SystemTime>, terms: &Terms, now: SystemTime) -> Standing {
        let points = run.history.points();
        let values: Vec<f64> = points.iter().map(|p| p.entropy).collect();
        let health = Health::of(points, &values, &terms.thresholds);
        let last = points[points.len() - 1];
        let mut standing = Standing {
            label: run.history.label().to_owned(),
            points: points.len(),
            last,
            change: change(points, terms.over),
            state: health.state,
            state_step: health.state_step,
            silence: None,
            stale: false,
            unsure: false,
        };
        standing.tick(modified, terms, now);
        standing
    }

    /// Lets time pass without a new point.
    pub fn tick(&mut self, modified: Option<SystemTime>, terms: &Terms, now: SystemTime) {
        // A clock that was set back, or a file server's that is ahead: nothing was silent yet.
        let silence = |time| now.duration_since(time).unwrap_or(Duration::ZERO);
        self.silence = modified.map(silence);
        self.stale = self.silence.zip(terms.stale).is_some_and(|(silence, most)| silence >= most);
    }

    /// The state in words: stale, unless what became of the run is worse.
    pub fn words(&self) -> &'static str {
        match self.state {
            State::Collapsed | State::Exploded => self.state.words(),
            _ if self.stale => "stale",
            state => state.words(),
        }
    }
}

/// The difference of the last value and the one `over` steps before it, or the nearest before that.
fn change(points: &[Point], over: f64) -> Option<f64> {
    let last = points.last()?;
    let behind = points.partition_point(|p| p.step <= last.step - over);
    let before = points.get(behind.checked_sub(1)?)?;
    Some(last.entropy - before.entropy)
}

/// A change of a run's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The run as it stands now.
    pub now: Standing,
    /// What it was in words; `None` when it was seen for the first time.
    pub before: Option<&'static str>,
}

impl Turn {
    /// Where it turned: the step where a collapse or an explosion began, else the last.
    pub fn step(&self) -> f64 {
        self.now.state_step.unwrap_or(self.now.last.step)
    }
}

/// The states of all runs that were ever seen.
#[derive(Debug, Default)]
pub struct Turns {
    states: BTreeMap<String, Known>,
}

/// The state in which a run was seen.
#[derive(Debug)]
struct Known {
    words: &'static str,
    /// It is in the other of healthy and falling since it had so many points.
    wavers_since: Option<usize>,
}

/// A run that is healthy or falling turns to the other once it has been so for so many points.
fn patience(points: usize) -> usize {
    (points / 20).max(5)
}

impl Turns {
    /// What has changed since the last call, in the order of the runs.
    ///
    /// The line between healthy and falling is the slope of few points, and a noisy run crosses it all the
    /// time: this is a change once it has held for max(5, 5 %) of the points.
    pub fn take(&mut self, standings: &[Standing]) -> Vec<Turn> {
        let mut turns = Vec::new();
        for standing in standings.iter().filter(|standing| !standing.unsure) {
            let words = standing.words();
            let Some(known) = self.states.get_mut(&standing.label) else {
                let known = Known { words, wavers_since: None };
                self.states.insert(standing.label.clone(), known);
                turns.push(Turn { now: standing.clone(), before: None });
                continue;
            };
            if known.words == words {
                known.wavers_since = None;
                continue;
            }
            if let ("healthy", "falling") | ("falling", "healthy") = (known.words, words) {
                let points = standing.points;
                let since = *known.wavers_since.get_or_insert(points);
                if points.saturating_sub(since) < patience(points) {
                    continue;
                }
            }
            let before = Some(std::mem::replace(&mut known.words, words));
            known.wavers_since = None;
            turns.push(Turn { now: standing.clone(), before });
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::History;
    use entropy_history::quantity::EntropyKind;

    const TERMS: Terms = Terms {
        thresholds: Thresholds { collapse_ratio: 0.25, explode_ratio: 2.0 },
        stale: Some(Duration::from_secs(600)),
        over: 20.0,
    };

    fn run(values: &[f64]) -> Run {
        let at = |(i, &entropy): (usize, &f64)| Point { step: (i + 1) as f64, entropy };
        let points = values.iter().enumerate().map(at).collect();
        let (history, _) = History::from_raw("q", EntropyKind::TokenMean, points).unwrap();
        Run::new(history, "q.json", "rzero", "entropy")
    }

    #[test]
    fn the_change_is_that_over_the_last_steps() {
        let values: Vec<f64> = (0..50).map(|i| 3.0 - 0.01 * f64::from(i)).collect();
        let now = SystemTime::now();
        let standing = Standing::of(&run(&values), None, &TERMS, now);
        // Step 30 is 20 steps before step 50: −0.01 × 20.
        assert!((standing.change.unwrap() + 0.2).abs() < 1e-12);
        assert_eq!((standing.last.step, standing.state), (50.0, State::Healthy));
        assert_eq!(Standing::of(&run(&values[..20]), None, &TERMS, now).change, None);
        // With a point every 7 steps the nearest before is taken: 43 − 22 = 21 steps.
        let sparse: Vec<Point> =
            (0..7).map(|i| Point { step: f64::from(1 + 7 * i), entropy: f64::from(i) }).collect();
        assert_eq!(change(&sparse, 20.0), Some(3.0));
    }

    #[test]
    fn silence_makes_a_run_stale_and_a_new_point_wakes_it() {
        let now = SystemTime::now();
        let values = [2.0; 20];
        let mut turns = Turns::default();
        let at = |seconds| Some(now - Duration::from_secs(seconds));
        let mut standing = Standing::of(&run(&values), at(599), &TERMS, now);
        let seen = turns.take(std::slice::from_ref(&standing));
        assert_eq!((seen[0].before, standing.words()), (None, "healthy"));
        standing.tick(at(600), &TERMS, now);
        let turned = turns.take(std::slice::from_ref(&standing));
        assert_eq!((turned[0].before, turned[0].now.words()), (Some("healthy"), "stale"));
        assert_eq!(turns.take(std::slice::from_ref(&standing)), []);
        standing.tick(at(0), &TERMS, now);
        assert_eq!(turns.take(std::slice::from_ref(&standing))[0].now.words(), "healthy");
        standing.tick(Some(now + Duration::from_secs(900)), &TERMS, now);
        assert!(!standing.stale);
    }

    #[test]
    fn a_collapse_is_a_turn_at_the_step_where_it_began() {
        let now = SystemTime::now();
        let mut turns = Turns::default();
        let mut values = vec![2.0; 50];
        turns.take(&[Standing::of(&run(&values), None, &TERMS, now)]);
        values.extend([0.2; 20]);
        let turned = turns.take(&[Standing::of(&run(&values), None, &TERMS, now)]);
        assert_eq!((turned[0].before, turned[0].now.state), (Some("healthy"), State::Collapsed));
        assert_eq!(turned[0].step(), 53.0); // as in stats::health
    }

    /// The states that a run turns to while its points come one by one, and at which of them.
    fn turned(points: &[Point]) -> Vec<(&'static str, usize)> {
        let mut turns = Turns::default();
        let mut all = Vec::new();
        for n in 1..=points.len() {
            let (history, _) =
                History::from_raw("q", EntropyKind::TokenMean, points[..n].to_vec()).unwrap();
            let run = Run::new(history, "q.json", "rzero", "entropy");
            let standing = Standing::of(&run, None, &TERMS, SystemTime::now());
            all.extend(turns.take(&[standing]).iter().map(|turn| (turn.now.words(), n)));
        }
        all
    }

    #[test]
    fn a_noisy_run_does_not_turn_between_healthy_and_falling_all_the_time() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        let wanted = entropy_history::formats::SeriesSelector::default_keys();
        let turns = |name: &str| {
            let name = format!("qwen3-tiny_{name}");
            let path = root.join(&name).join(format!("entropy_history_{name}.json"));
            let mut file = std::fs::File::open(&path).unwrap();
            let source = entropy_history::formats::Source { reader: &mut file, path: Some(&path) };
            let (_, log) = entropy_history::formats::read(source, None, &wanted).unwrap();
            turned(&log.series[0].points).len() - 1
        };
        // Without patience these are 45, 34, 23 and 28.
        assert_eq!(turns("solver_s1"), 2);
        assert_eq!(turns("solver_s2"), 6);
        assert_eq!(turns("questioner_s1"), 1);
        assert_eq!(turns("questioner_s2"), 4);
    }

    #[test]
    fn a_fall_is_a_turn_once_it_has_held_and_a_collapse_at_once() {
        let level = (1..=40).map(|_| 2.0);
        let falls = level.chain((0..30).map(|i| (2.0 - 0.1 * f64::from(i)).max(0.1)));
        let points: Vec<Point> =
            falls.enumerate().map(|(i, entropy)| Point { step: i as f64, entropy }).collect();
        let states: Vec<State> = (1..=points.len())
            .map(|n| {
                let values: Vec<f64> = points[..n].iter().map(|p| p.entropy).collect();
                Health::of(&points[..n], &values, &TERMS.thresholds).state
            })
            .collect();
        let first = |state| states.iter().position(|s| *s == state).unwrap() + 1;
        let expected = [
            ("too short", 1),
            ("healthy", 10),
            ("falling", first(State::Falling) + 5),
            ("collapsed", first(State::Collapsed)),
        ];
        assert_eq!(turned(&points), expected);
    }
}
