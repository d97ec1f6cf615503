//! Names of the directories that hold the checkpoint of one step.
//!
//! ```text
//! global_step_40                   verl, EasyR1, R-Zero, SkyRL
//! checkpoint-40                    transformers, TRL, ms-swift, ROLL
//! step_40, step-40                 prime-rl, NeMo-RL, open-instruct, torchtitan
//! global_step40, global_step40_hf  OpenRLHF
//! iter_0000040                     Megatron, and so slime and miles
//! epoch0epochstep39globalstep40    AReaL
//! 40                               slime's --save-hf DIR/{rollout_id}
//! ```

use std::path::Path;

/// Words before the number, with or without `_` or `-` between.
const WORDS: [&str; 8] =
    ["global_step", "globalstep", "step", "checkpoint", "ckpt", "iteration", "iter", "rollout"];

/// Endings of directories with weights in the format of transformers.
const ENDINGS: [&str; 2] = ["_hf", "-hf"];

/// The step in the name of a directory, if it is one of the names above; a bare number is not enough.
pub(super) fn step_named(path: &Path) -> Option<u64> {
    let (word, step) = split(path)?;
    (!word.is_empty()).then_some(step)
}

/// The step of a directory whose name is a number, such as `40`. Names of other directories are numbers too.
pub(super) fn number_named(path: &Path) -> Option<u64> {
    let (word, step) = split(path)?;
    word.is_empty().then_some(step)
}

/// The word of a name, empty for a bare number, and the number after it.
fn split(path: &Path) -> Option<(&str, u64)> {
    let name = path.file_name()?.to_str()?;
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let digits = stem.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (word, number) = stem.split_at(stem.len() - digits);
    let step = number.parse().ok()?;
    if word.is_empty() {
        return Some((word, step));
    }
    let word = word.strip_suffix(['_', '-']).unwrap_or(word);
    let is_known = WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)) || is_areal(word);
    is_known.then_some((word, step))
}

/// Whether this is AReaL's `epoch0epochstep39globalstep`.
fn is_areal(word: &str) -> bool {
    let after_digits =
        |text: &'_ str| -> usize { text.bytes().take_while(u8::is_ascii_digit).count() };
    let Some(rest) = word.strip_prefix("epoch") else { return false };
    let Some(rest) = rest[after_digits(rest)..].strip_prefix("epochstep") else { return false };
    &rest[after_digits(rest)..] == "globalstep"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_from_the_names_of_trainers() {
        for (name, step) in [
            ("global_step_40", 40),
            ("checkpoint-40", 40),
            ("step_40", 40),
            ("step-40", 40),
            ("global_step40", 40),
            ("global_step40_hf", 40),
            ("iter_0000040", 40),
            ("epoch0epochstep39globalstep40", 40),
            ("rollout_0", 0),
        ] {
            assert_eq!(step_named(Path::new("runs").join(name).as_path()), Some(step), "{name}");
            assert_eq!(number_named(Path::new(name)), None);
        }
        for name in
            ["tmp_step_40", "old_step_40", "epoch3", "v0-20260101-120000", "Qwen3-4B", "x40"]
        {
            assert_eq!(step_named(Path::new(name)), None, "{name}");
        }
        for name in ["checkpoint-", "step_99999999999999999999", "checkpoint-40.tmp", "40"] {
            assert_eq!(step_named(Path::new(name)), None, "{name}");
        }
        assert_eq!(number_named(Path::new("40")), Some(40));
    }
}
