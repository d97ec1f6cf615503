//! Series that stand beside the entropy of a run: a reward, and the clock. They are collected only
//! when they are asked for, and never taken for the metric.
//!
//! A clock counts seconds, from wherever it likes: only differences within a run are used. Which key
//! is one is a table, since no log says so; TensorBoard, W&B and trackio keep theirs apart from the
//! metrics, and their readers hand it over.

use super::wanted::Rank;
use crate::quantity::is_key;

/// Keys of clocks, best first: the time of day before the age of a process, which starts anew when a
/// run is resumed.
const CLOCKS: [&str; 8] = [
    "_timestamp",        // W&B
    "wall_time",         // TensorBoard
    "Wall time",         // TensorBoard's downloads
    "timestamp",         // trackio, RLlib
    "time",              // prime-rl
    "_runtime",          // W&B, since the process began
    "time_total_s",      // RLlib, likewise
    "time/time_elapsed", // Stable-Baselines3, likewise
];

/// Keys that trainers log the mean reward of a step under.
const REWARDS: [&str; 12] = [
    "reward",                 // TRL
    "train/reward",           // TRL through W&B or TensorBoard
    "critic/rewards/mean",    // verl, with its penalties
    "critic/score/mean",      // verl, without
    "reward/overall",         // EasyR1, R-Zero
    "reward/all/mean",        // prime-rl
    "reward/mean",            // SkyRL, AReaL
    "objective/scores",       // open-instruct, TRL PPO
    "rollout/ep_rew_mean",    // Stable-Baselines3
    "rollout/raw_reward",     // slime
    "episode_reward_mean",    // RLlib
    "charts/episodic_return", // CleanRL
];

/// What a key is besides a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// A reward that was asked for, and how well it is.
    Reward(Rank),
    /// A clock.
    Clock(Rank),
}

impl Beside {
    /// How good a reward it is, if it is one.
    pub(super) fn reward(&self) -> Option<Rank> {
        if let Beside::Reward(rank) = self { Some(*rank) } else { None }
    }

    /// How good a clock it is, if it is one.
    pub(super) fn clock(&self) -> Option<Rank> {
        if let Beside::Clock(rank) = self { Some(*rank) } else { None }
    }
}

/// Another series of a run's log, in log order, as it stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct RawAux {
    /// The key the values were logged under.
    pub metric: String,
    /// How well the key is what was wanted.
    pub rank: Rank,
    /// Steps and values; these may be NaN, steps may repeat.
    pub rows: Vec<(f64, f64)>,
}

/// How good a clock the key is; `None` if it is none.
pub(super) fn clock_rank(key: &str) -> Option<Rank> {
    let place = CLOCKS.iter().position(|clock| is_key(clock, key))?;
    Some(Rank { pattern: place, loose: CLOCKS[place] != key })
}

/// The keys that could be meant by `asked`, those most like it or like a reward first; clocks and
/// steps are none.
pub fn nearest_rewards(mut keys: Vec<String>, asked: &str) -> Vec<String> {
    let asked = asked.trim_matches('*').to_lowercase();
    let likeness = |key: &String| {
        let lower = key.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        match () {
            () if !asked.is_empty() && (lower.contains(&asked) || asked.contains(&lower)) => 0,
            () if REWARDS.iter().any(|known| is_key(known, key)) => 1,
            () if has(&["reward"]) => 2,
            () if has(&["score", "rew_", "_rew", "return", "accuracy", "/acc"]) => 3,
            () if clock_rank(key).is_some() || lower.starts_with('_') || has(&["step"]) => 5,
            () => 4,
        }
    };
    // What says "std" or "min" is no mean, a validation's is seldom logged; of names alike, the shorter
    // says the least else.
    let odd = |key: &String| ["std", "min", "max", "val"].iter().any(|word| key.contains(word));
    keys.sort_by_key(|key| {
        (likeness(key), odd(key), if likeness(key) < 4 { key.len() } else { 0 })
    });
    keys
}

/// Whether the key looks like a reward, so that it may be offered for one.
pub fn is_reward_like(key: &str) -> bool {
    let lower = key.to_lowercase();
    REWARDS.iter().any(|known| is_key(known, key)) || lower.contains("reward")
}

/// Seconds of a clock that was logged as a number. What counts as milli-, micro- or nanoseconds since
/// 1970 is told by its size: as seconds, 1e11 would be the year 5138.
pub(super) fn seconds(logged: f64) -> f64 {
    match logged {
        1e17.. => logged / 1e9,
        1e14.. => logged / 1e6,
        1e11.. => logged / 1e3,
        _ => logged,
    }
}

/// Seconds since 1970 of a time as ISO 8601 writes it, `2026-11-25T01:02:03.5+00:00`; a time without a
/// zone is taken as UTC, since only differences count. `None` for any other text.
pub(super) fn iso_seconds(text: &str) -> Option<f64> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let mut parts = time.trim().splitn(3, ':');
    let hour = parts.next()?.parse::<u32>().ok().filter(|hour| *hour < 24)?;
    let minute = parts.next()?.parse::<u32>().ok().filter(|minute| *minute < 60)?;
    let second = match parts.next() {
        Some(second) => second.parse::<f64>().ok().filter(|s| (0.0..61.0).contains(s))?,
        None => 0.0,
    };
    let offset = match zone.trim() {
        "" | "Z" | "z" => 0.0,
        zone => {
            let (sign, digits) = zone.split_at(1);
            let digits = digits.replace(':', "");
            if !(digits.len() == 4 || digits.len() == 2)
                || !digits.bytes().all(|b| b.is_ascii_digit())
            {
                return None;
            }
            let number = format!("{digits:0<4}").parse::<u32>().ok()?;
            let minutes = f64::from(number / 100 * 60 + number % 100);
            if sign == "-" { -minutes } else { minutes }
        }
    };
    let minutes = f64::from(hour * 60 + minute) - offset;
    Some(days_since_1970(year, month, day) as f64 * 86_400.0 + minutes * 60.0 + second)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant, «chrono-Compatible
/// Low-Level Date Algorithms», `days_from_civil`).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_are_seconds_since_1970() {
        // Python 3.11: datetime.fromisoformat(…).timestamp(), naive times as UTC.
        let cases = [
            ("2026-11-25T01:02:03.500000+00:00", 1_795_568_523.5),
            ("2026-11-25T01:02:03.5", 1_795_568_523.5),
            ("2026-11-25 03:02:03+02:00", 1_795_568_523.0),
            ("2026-11-24T20:02:03-0500", 1_795_568_523.0),
            ("2000-02-29T00:00Z", 951_782_400.0),
            ("1970-01-01 00:00:00", 0.0),
        ];
        for (text, wanted) in cases {
            assert_eq!(iso_seconds(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "12.5",
            "2026-11-25",
            "2026-13-01T00:00",
            "2026-01-01T24:00",
            "now T 1:2",
            "2026-01-01T00:00+1",
            "2026-01-01T00:00:61",
            "2026-01-01T00:00+aé",
        ] {
            assert_eq!(iso_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn the_size_of_a_time_of_day_tells_its_unit() {
        for logged in [1.795e9, 1.795e12, 1.795e15, 1.795e18] {
            assert_eq!(seconds(logged), 1.795e9);
        }
        assert_eq!((seconds(12.5), seconds(-1.0)), (12.5, -1.0));
        assert!(seconds(f64::NAN).is_nan());
    }

    #[test]
    fn what_looks_like_a_reward_is_offered_first() {
        let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        let log = keys(&["actor/lr", "critic/rewards/max", "critic/rewards/mean", "step", "time"]);
        assert_eq!(nearest_rewards(log, "reward")[0], "critic/rewards/mean");
        let log = keys(&["loss", "rewards/format/mean", "reward", "reward_std"]);
        assert_eq!(nearest_rewards(log.clone(), "rewards/mean")[0], "reward");
        assert_eq!(nearest_rewards(log, "*format*")[0], "rewards/format/mean");
    }
}
