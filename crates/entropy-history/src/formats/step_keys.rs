//! The keys of steps, for JSON rows, CSV and Parquet tables.

use crate::formats::format::Head;
use crate::framing::json::ValueKind;

/// Names of steps, best first, in lower case; upper case matches too.
const STEPS: [&str; 22] = [
    "step",
    "global_step",
    "train/global_step",
    "trainer/global_step",
    "training/global_step",
    "training_step",
    "current_steps", // LLaMA-Factory
    "train/step",    // slime, miles
    "rollout/step",  // slime, miles
    "_step",         // W&B's count of calls
    OF_MOST,
    "iteration",
    "time/total_timesteps",
    "timesteps_total",
    "steps",
    "iter",
    "training_iteration",
    "timesteps",
    "timestep",
    "update",
    "wall step",
    "epoch",
];

/// ms-swift writes the step as a text together with the last step: `"10/400"`.
pub(crate) const OF_MOST: &str = "global_step/max_steps";

/// Names that other files contain too: a row with no other sign of a log is not one.
const COMMON: [&str; 6] = ["steps", "iter", "timesteps", "timestep", "update", "epoch"];

/// The rank of a step key, smaller is better; `None` for other keys.
pub(crate) fn rank(key: &str) -> Option<usize> {
    STEPS.iter().position(|step| key.eq_ignore_ascii_case(step))
}

/// Whether other files than logs contain the key too.
pub(crate) fn is_common(key: &str) -> bool {
    COMMON.iter().any(|common| key.eq_ignore_ascii_case(common))
}

/// The best step key among `keys`.
pub(crate) fn best<'k>(keys: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    keys.filter_map(|key| Some((rank(key)?, key))).min_by_key(|(rank, _)| *rank).map(|(_, key)| key)
}

/// The step key in the first object of a log.
pub(crate) fn of_head(head: &Head<'_>) -> Option<String> {
    let keys = head.keys().iter().filter(|(_, holds)| *holds == ValueKind::Scalar);
    best(keys.map(|(key, _)| key.as_str())).map(str::to_owned)
}

/// The step in a text such as `"10/400"`.
pub(crate) fn of_text(text: &str) -> Option<f64> {
    let (step, _) = text.split_once('/')?;
    step.trim().parse().ok().filter(|step: &f64| step.is_finite())
}
