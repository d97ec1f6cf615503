//! The words that name the step of a row: `Step 12:`, `Global step 12`, `rollout 12:`, `iter 12/400`.

use std::sync::LazyLock;

use regex::Regex;

/// A step that a text names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepLabel {
    /// What is counted, in lower case: "step", "rollout".
    pub(crate) counted: String,
    pub(crate) step: f64,
    /// The offset where it begins.
    pub(crate) start: usize,
    /// The offset behind its number.
    pub(crate) end: usize,
}

impl StepLabel {
    /// The step that a text names; of several a global one, or the last one.
    pub(crate) fn find(text: &str) -> Option<StepLabel> {
        let mut best: Option<(usize, StepLabel)> = None;
        for (rank, label) in StepLabel::all(text) {
            if best.as_ref().is_none_or(|(other, _)| *other <= rank) {
                best = Some((rank, label));
            }
        }
        best.map(|(_, label)| label)
    }

    /// The offsets where the text names a step, apart from epochs.
    pub(crate) fn starts(text: &str) -> Vec<usize> {
        let labels = StepLabel::all(text).into_iter().filter(|(rank, _)| *rank > 0);
        labels.map(|(_, label)| label.start).collect()
    }

    /// The steps that a text names, each with its rank.
    fn all(text: &str) -> Vec<(usize, StepLabel)> {
        static LABEL: LazyLock<Regex> = LazyLock::new(|| {
            let words =
                "(?:(global|train(?:ing)?|total)[ _-]?)?(step|iteration|iter|rollout|update|epoch)";
            let label =
                format!(r"(?i){words}\s*[:=#\[(]?\s*(\d{{1,15}})(?:\.0)?(?:\s*(?:/|of)\s*\d+)?");
            Regex::new(&label).expect("BUG: the pattern is valid")
        });
        let mut labels = Vec::new();
        // Most lines have none of the words, and the pattern is slow.
        if !["tep", "ter", "ollout", "pdate", "poch", "TEP"].iter().any(|word| text.contains(word))
        {
            return labels;
        }
        for found in LABEL.captures_iter(text) {
            let (Some(all), Some(digits)) = (found.get(0), found.get(3)) else { continue };
            let before = text[..all.start()].chars().next_back();
            let behind = &text[all.end()..];
            let goes_on = behind.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                || behind.starts_with(['.', ':', '/', '-'])
                    && behind[1..].starts_with(|c: char| c.is_ascii_digit())
                || behind.starts_with('%');
            if goes_on || before.is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '-')) {
                continue;
            }
            let counted = found[2].to_lowercase();
            let rank = match (found.get(1), counted.as_str()) {
                (_, "epoch") => 0,
                (None, _) => 1,
                (Some(word), _) if word.as_str().eq_ignore_ascii_case("global") => 3,
                (Some(_), _) => 2,
            };
            let Ok(step) = digits.as_str().parse() else { continue };
            let (start, end) = (all.start(), all.end());
            labels.push((rank, StepLabel { counted, step, start, end }));
        }
        labels
    }

    /// Whether nothing but punctuation follows it in the text.
    pub(crate) fn ends(&self, text: &str) -> bool {
        text[self.end..]
            .chars()
            .all(|c| c.is_whitespace() || matches!(c, ':' | '-' | '|' | ']' | ')' | '='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_is_read_from_words() {
        let step = |text| StepLabel::find(text).map(|label| label.step);
        for (text, expected) in [
            ("Step 12: ", 12.0),
            ("ppo_trainer.py:547 - ✨ Global step 3: ", 3.0),
            ("model.py:918 - rollout 7: ", 7.0),
            ("10:00:01    INFO Step 0 |  12.34s | Loss 0.01", 0.0),
            ("Global Step: 3/1000", 3.0),
            ("[step 12] entropy 0.5", 12.0),
            ("iter=40/400", 40.0),
            ("Epoch 1/5 Step 3/100 Train step 203/500 done.", 203.0),
            ("epoch 3: entropy", 3.0),
            ("global_step=5 step=1", 5.0),
            ("'train/step': 1 step:  2  loss", 2.0),
            ("Iteration: 5", 5.0),
        ] {
            assert_eq!(step(text), Some(expected), "{text}");
        }
        for text in
            ["steps 12", "timestep12.5", "step 10:30", "step 2.5", "Step", "step-size 3", "step 5%"]
        {
            assert_eq!(step(text), None, "{text}");
        }
    }

    #[test]
    fn label_ends_a_line_before_a_dictionary() {
        let ends = |text| StepLabel::find(text).unwrap().ends(text);
        assert!(ends("log:207 - Step 1: ") && ends("Step 1"));
        assert!(!ends("Step 1 done"));
    }
}
