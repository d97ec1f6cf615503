//! How fast a run trains, and how long it will take: from the clock of its log, else from the times at which its log was
//! written to.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use entropy_history::history::Run;

/// The number of writes that count, so that the pace is that of the recent steps.
const MAX_WRITES: usize = 20;
/// Longer times are not a forecast but a mistake, such as a clock that does not move.
const MAX_LEFT: f64 = 1000.0 * 86_400.0;

/// The pace of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Steps per minute.
    pub steps_per_minute: f64,
    /// The time until the last step, if the log says which step that is.
    pub left: Option<Duration>,
}

/// When a log was written to, and the last step that it held then.
#[derive(Debug, Clone, Default)]
pub struct Writes(VecDeque<(SystemTime, f64)>);

impl Writes {
    /// Notes the last step of a log that was last written to at `modified`. A step that goes back starts again: it is another
    /// training.
    pub fn note(&mut self, modified: Option<SystemTime>, step: f64) {
        let Some(modified) = modified else { return };
        match self.0.back() {
            Some((_, last)) if *last == step => return,
            Some((_, last)) if *last > step => self.0.clear(),
            _ => {}
        }
        self.0.push_back((modified, step));
        if self.0.len() > MAX_WRITES {
            self.0.pop_front();
        }
    }

    /// Steps per minute between the first and the last write that are known.
    fn steps_per_minute(&self) -> Option<f64> {
        let ((start, from), (end, to)) = (self.0.front()?, self.0.back()?);
        let seconds = end.duration_since(*start).ok()?.as_secs_f64();
        rate(to - from, seconds)
    }
}

impl Pace {
    /// The pace over the last `steps` steps by the clock of the log, else by the times of its writes. `None` if neither is
    /// known.
    pub fn of(run: &Run, writes: &Writes, steps: f64) -> Option<Pace> {
        let steps_per_minute = by_clock(run, steps).or_else(|| writes.steps_per_minute())?;
        let left = run.total_steps.map(|total| total - run.history.last_step());
        let seconds = left.filter(|left| *left >= 0.0).map(|left| 60.0 * left / steps_per_minute);
        let left = seconds.filter(|seconds| *seconds < MAX_LEFT).map(Duration::from_secs_f64);
        Some(Pace { steps_per_minute, left })
    }
}

/// Steps per minute by the clock of the log, over its last `steps` steps.
fn by_clock(run: &Run, steps: f64) -> Option<f64> {
    let clock = run.clock.as_ref()?.values();
    let (last, end) = *clock.last()?;
    let (first, start) = clock[clock.partition_point(|(step, _)| *step < last - steps)];
    rate(last - first, end - start)
}

fn rate(steps: f64, seconds: f64) -> Option<f64> {
    (steps > 0.0 && seconds > 0.0).then(|| 60.0 * steps / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::{AuxSeries, History, Point};
    use entropy_history::quantity::EntropyKind;

    fn run(steps: u32) -> Run {
        let at = |step: u32| Point { step: f64::from(step), entropy: 2.0 };
        let points = (1..=steps).map(at).collect();
        let (history, _) = History::from_raw("q", EntropyKind::TokenMean, points).unwrap();
        Run::new(history, "q.json", "rzero", "entropy")
    }

    #[test]
    fn clock_gives_the_pace_of_the_last_steps() {
        // 100 steps of 1 s, then 50 of 5 s: 12 steps per minute.
        let time = |step: u32| f64::from(step.min(100)) + 5.0 * f64::from(step.saturating_sub(100));
        let rows = (1..=150).map(|step| (f64::from(step), time(step))).collect();
        let clock = AuxSeries::from_raw("_runtime", rows);
        let run = Run { clock, total_steps: Some(450.0), ..run(150) };
        let pace = Pace::of(&run, &Writes::default(), 20.0).unwrap();
        assert_eq!(pace.steps_per_minute, 12.0);
        assert_eq!(pace.left, Some(Duration::from_secs(1500)), "300 steps of 5 s");
    }

    #[test]
    fn times_of_writes_replace_a_clock() {
        let start = SystemTime::UNIX_EPOCH;
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut writes = Writes::default();
        assert_eq!(Pace::of(&run(10), &writes, 20.0), None);
        writes.note(at(100), 10.0);
        assert_eq!(Pace::of(&run(10), &writes, 20.0), None, "one write has no pace");
        writes.note(at(130), 10.0); // nothing new
        writes.note(at(160), 12.0);
        let pace = Pace::of(&run(12), &writes, 20.0).unwrap();
        assert_eq!((pace.steps_per_minute, pace.left), (2.0, None));
        writes.note(at(170), 1.0); // another training in the same file
        assert_eq!(Pace::of(&run(1), &writes, 20.0), None);
        writes.note(None, 5.0);
        assert_eq!(Pace::of(&run(5), &writes, 20.0), None);
    }

    #[test]
    fn finished_run_has_no_time_left() {
        let rows = (1..=40).map(|step| (f64::from(step), f64::from(step))).collect();
        let clock = AuxSeries::from_raw("time", rows);
        let pace = |total| {
            let run = Run { clock: clock.clone(), total_steps: Some(total), ..run(40) };
            Pace::of(&run, &Writes::default(), 20.0).unwrap().left
        };
        assert_eq!(pace(40.0), Some(Duration::ZERO));
        assert_eq!(pace(30.0), None, "the log is wrong about its end");
        assert_eq!(pace(1e12), None);
    }
}
