//! Short names of runs that are shown together: the parts that all labels share are left out and are shown once.
//!
//! ```text
//! qwen3-tiny_solver_s1, qwen3-tiny_questioner_s1    →   solver, questioner      names without “qwen3-tiny_…_s1”
//! lr1e-6_kl0.01_seed1, lr1e-6_kl0.02_seed1          →   kl0.01, kl0.02          names without “lr1e-6_…_seed1”
//! qwen3-tiny_solver_v1, qwen3-tiny_solver_v2        →   solver_v1, solver_v2    names without “qwen3-tiny_”
//! qwen3-tiny_a_seed1, qwen3-tiny_b_seed2, baseline  →   a_seed1, b_seed2, baseline
//! ```
//!
//! Only pictures, tables and pages show these names. The label itself stays whole, because later commands, groups and
//! baselines refer to it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::pieces::{Piece, pieces};
use super::visible;

/// Between the pieces at both ends that labels share, at most this number of pieces is compared.
const MAX_COMPARED: usize = 64;
/// Up to this number of labels without the shared parts are named.
const MAX_NAMED: usize = 2;

/// The names of runs or groups as they are shown together.
#[derive(Debug, Clone, PartialEq)]
pub struct ShortNames {
    names: Vec<String>,
    shared: String,
    whole: Vec<String>,
}

impl ShortNames {
    /// The names of these labels, as [`visible`] shows them. Different labels have different names.
    pub fn of<'a>(labels: impl IntoIterator<Item = &'a str>) -> ShortNames {
        let labels: Vec<Cow<'_, str>> = labels.into_iter().map(visible).collect();
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        let mut distinct: Vec<Vec<Piece<'_>>> = Vec::new();
        for label in &labels {
            index.entry(label).or_insert_with(|| {
                distinct.push(pieces(label));
                distinct.len() - 1
            });
        }
        let found = Shared::candidates(&distinct).into_iter().find_map(|shared| {
            let names: Vec<String> = distinct.iter().map(|label| shared.name(label)).collect();
            let is_distinct = names.iter().collect::<BTreeSet<_>>().len() == names.len();
            is_distinct.then_some((shared, names))
        });
        let Some((shared, names)) = found else {
            let names = labels.into_iter().map(Cow::into_owned).collect();
            return ShortNames { names, shared: String::new(), whole: Vec::new() };
        };
        let whole = |label: &&Vec<Piece<'_>>| shared.dropped(label).is_none();
        let text = |label: &Vec<Piece<'_>>| label.iter().map(Piece::whole).collect();
        let first = distinct.iter().find(|label| !whole(label));
        ShortNames {
            names: labels.iter().map(|label| names[index[label.as_ref()]].clone()).collect(),
            shared: first.map_or(String::new(), |label| shared.pattern(label)),
            whole: distinct.iter().filter(whole).map(text).collect(),
        }
    }

    /// One name per label, in their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The label with `…` instead of the parts that differ, as in `qwen3-tiny_…_s1`; empty if the names are the
    /// labels.
    pub fn shared(&self) -> &str {
        &self.shared
    }

    /// Whether every label has the shared parts.
    pub fn is_everywhere(&self) -> bool {
        self.whole.is_empty()
    }

    /// What was left out of the names, for a subtitle: `names without “qwen3-tiny_”`. `None` if they are the labels.
    pub fn note(&self) -> Option<String> {
        if self.shared.is_empty() {
            return None;
        }
        let except = match &self.whole[..] {
            [] => String::new(),
            few if few.len() <= MAX_NAMED => format!(" (except {})", few.join(" and ")),
            many => format!(" (except {})", many.len()),
        };
        Some(format!("names without “{}”{except}", self.shared.trim_matches(['…', ' '])))
    }
}

impl Piece<'_> {
    fn whole(&self) -> String {
        format!("{}{}", self.separator, self.text)
    }
}

/// The pieces that labels share, in their order.
#[derive(Debug, Clone)]
struct Shared<'a> {
    /// How many of `pieces` are at the start of each label, and how many at its end.
    ends: (usize, usize),
    pieces: Vec<Piece<'a>>,
    /// Which of `pieces` stay in the names, because they would not be understood without them.
    kept: Vec<bool>,
}

impl<'a> Shared<'a> {
    /// What may be left out of these labels, the most first. Names of the later ones are more likely to differ.
    fn candidates(labels: &[Vec<Piece<'a>>]) -> Vec<Shared<'a>> {
        if labels.len() < 2 {
            return Vec::new();
        }
        let all: Vec<&[Piece<'a>]> = labels.iter().map(Vec::as_slice).collect();
        let mut shared = Shared::by(&all);
        let mut those = all;
        if shared.pieces.is_empty() {
            those = with_common_pieces(&those);
            shared = Shared::by(&those);
        }
        let ends = Shared::at_ends(&those);
        let mut candidates = vec![shared, ends];
        candidates.iter_mut().for_each(|shared| shared.keep_readable(&those));
        candidates.retain(Shared::leaves_out);
        candidates
    }

    /// The pieces at both ends that all labels share.
    fn at_ends(labels: &[&[Piece<'a>]]) -> Shared<'a> {
        let [first, rest @ ..] = labels else { return Shared::new((0, 0), Vec::new()) };
        let shortest = labels.iter().map(|label| label.len()).min().unwrap_or(0);
        let same = |at: &usize| rest.iter().all(|label| label[*at] == first[*at]);
        let start = (0..shortest).take_while(same).count();
        let from_end = |label: &[Piece<'a>], at: usize| label[label.len() - 1 - at];
        let same =
            |at: &usize| rest.iter().all(|label| from_end(label, *at) == from_end(first, *at));
        let end = (0..shortest - start).take_while(same).count();
        Shared::new((start, end), [&first[..start], &first[first.len() - end..]].concat())
    }

    /// All pieces that all labels share in one order.
    fn by(labels: &[&[Piece<'a>]]) -> Shared<'a> {
        let Shared { ends: (start, end), mut pieces, .. } = Shared::at_ends(labels);
        let mut middles = labels.iter().map(|label| &label[start..label.len() - end]);
        let mut middle: Vec<Piece<'a>> = middles.next().unwrap_or_default().to_vec();
        for label in middles {
            middle = if middle.len().max(label.len()) > MAX_COMPARED {
                Vec::new()
            } else {
                common_subsequence(&middle, label)
            };
        }
        pieces.splice(start..start, middle);
        Shared::new((start, end), pieces)
    }

    fn new(ends: (usize, usize), pieces: Vec<Piece<'a>>) -> Shared<'a> {
        let kept = vec![false; pieces.len()];
        Shared { ends, pieces, kept }
    }

    /// Whether a part of each label is left out.
    fn leaves_out(&self) -> bool {
        self.kept.iter().any(|kept| !kept)
    }

    /// For each piece of a label, its index among the shared ones; `None` for a label without them.
    fn places(&self, label: &[Piece<'a>]) -> Option<Vec<Option<usize>>> {
        let ((start, end), count) = (self.ends, self.pieces.len());
        let mut places = vec![None; label.len()];
        let mut at = 0;
        for (i, piece) in label.iter().enumerate() {
            let limit = if i < label.len().saturating_sub(end) { count - end } else { count };
            if at < limit && *piece == self.pieces[at] && (at >= start || at == i) {
                places[i] = Some(at);
                at += 1;
            }
        }
        (at == count).then_some(places)
    }

    /// Which pieces of a label are left out; `None` for a label that stays whole.
    fn dropped(&self, label: &[Piece<'a>]) -> Option<Vec<bool>> {
        let places = self.places(label)?;
        Some(places.into_iter().map(|place| place.is_some_and(|at| !self.kept[at])).collect())
    }

    /// The name of a label.
    fn name(&self, label: &[Piece<'a>]) -> String {
        let Some(dropped) = self.dropped(label) else {
            return label.iter().map(Piece::whole).collect();
        };
        let mut name = String::new();
        for (i, piece) in label.iter().enumerate().filter(|(i, _)| !dropped[*i]) {
            if i == 0 || !name.is_empty() {
                name.push_str(piece.separator);
            }
            name.push_str(piece.text);
        }
        name
    }

    /// The label with `…` instead of its name.
    fn pattern(&self, label: &[Piece<'a>]) -> String {
        let dropped = self.dropped(label).unwrap_or_default();
        let mut pattern = String::new();
        for (piece, dropped) in label.iter().zip(dropped) {
            if dropped {
                pattern.push_str(&piece.whole());
            } else if !pattern.ends_with('…') {
                pattern.push_str(&format!("{}…", piece.separator));
            }
        }
        pattern
    }

    /// Keeps shared pieces until every name says something: a number has the word before it, and a name has a word.
    fn keep_readable(&mut self, labels: &[&[Piece<'a>]]) {
        while let Some(piece) = labels.iter().find_map(|label| self.needed_by(label)) {
            self.kept[piece] = true;
        }
    }

    /// A shared piece that the name of this label lacks.
    fn needed_by(&self, label: &[Piece<'a>]) -> Option<usize> {
        let places = self.places(label)?;
        let is_left_out = |i: usize| places[i].is_some_and(|at| !self.kept[at]);
        let shown: Vec<usize> = (0..label.len()).filter(|i| !is_left_out(*i)).collect();
        let (Some(&first), Some(&last)) = (shown.first(), shown.last()) else {
            // Nothing is left of this label: its last word, else its last piece.
            let word = self.pieces.iter().rposition(Piece::is_word);
            return word.or(self.pieces.len().checked_sub(1));
        };
        for group in shown.chunk_by(|a, b| a + 1 == *b) {
            let before = group[0].checked_sub(1).and_then(|i| places[i]);
            if group.iter().all(|i| label[*i].is_number()) && before.is_some() {
                return before;
            }
        }
        if shown.iter().any(|i| label[*i].is_word()) {
            return None;
        }
        let before = first.checked_sub(1).and_then(|i| places[i]);
        before.or_else(|| *places.get(last + 1)?)
    }
}

/// The labels without odd ones: those that have none of the pieces that nearly all others have. Few labels may be odd.
fn with_common_pieces<'l, 'a>(labels: &[&'l [Piece<'a>]]) -> Vec<&'l [Piece<'a>]> {
    let most_odd = (labels.len() / 10).max(1);
    let mut counts: BTreeMap<Piece<'a>, usize> = BTreeMap::new();
    for label in labels {
        for piece in label.iter().collect::<BTreeSet<_>>() {
            *counts.entry(*piece).or_default() += 1;
        }
    }
    let is_common =
        |piece: &Piece<'a>| counts[piece] + most_odd >= labels.len() && counts[piece] > 1;
    let usual: Vec<_> =
        labels.iter().copied().filter(|label| label.iter().any(is_common)).collect();
    if usual.len() + most_odd >= labels.len() && usual.len() > 1 { usual } else { labels.to_vec() }
}

/// The common subsequence with the most characters.
fn common_subsequence<'a>(a: &[Piece<'a>], b: &[Piece<'a>]) -> Vec<Piece<'a>> {
    // best[i][j] is for a[i..] and b[j..].
    let mut best = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let both = if a[i] == b[j] { best[i + 1][j + 1] + a[i].len() } else { 0 };
            best[i][j] = both.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let (mut i, mut j, mut common) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] && best[i][j] == best[i + 1][j + 1] + a[i].len() {
            common.push(a[i]);
            (i, j) = (i + 1, j + 1);
        } else if best[i][j] == best[i + 1][j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names, and what is shared.
    fn short(labels: &[&str]) -> (Vec<String>, String) {
        let short = ShortNames::of(labels.iter().copied());
        (short.names().to_vec(), short.shared().to_owned())
    }

    fn assert_short(labels: &[&str], names: &[&str], shared: &str) {
        assert_eq!(short(labels), (names.iter().map(|n| (*n).to_owned()).collect(), shared.into()));
    }

    #[test]
    fn shared_parts_are_left_out_wherever_they_are() {
        let runs = ["qwen3-tiny_questioner", "qwen3-tiny_solver"];
        assert_short(&runs, &["questioner", "solver"], "qwen3-tiny_…");
        let runs = ["solver_lr1e-6_kl0.01_seed1", "questioner_lr1e-6_kl0.01_seed1"];
        assert_short(&runs, &["solver", "questioner"], "…_lr1e-6_kl0.01_seed1");
        let runs = ["lr1e-6_kl0.01_seed1", "lr1e-6_kl0.02_seed1", "lr1e-6_kl0_seed1"];
        assert_short(&runs, &["kl0.01", "kl0.02", "kl0"], "lr1e-6_…_seed1");
        let runs = ["questioner_qwen3-tiny_seed1", "solver_qwen3-tiny_seed2"];
        assert_short(&runs, &["questioner_seed1", "solver_seed2"], "…_qwen3-tiny_…");
        let runs = ["实验实验实验_α", "实验实验实验_β"];
        assert_short(&runs, &["α", "β"], "实验实验实验_…");
    }

    #[test]
    fn short_parts_are_left_out_too() {
        assert_short(&["grpo_seed0", "grpo_seed11"], &["seed0", "seed11"], "grpo_…");
        assert_short(&["ppo_kl0.1_s1", "ppo_kl0.2_s1"], &["kl0.1", "kl0.2"], "ppo_…_s1");
        assert_short(&["solver-a", "questioner-a"], &["solver", "questioner"], "…-a");
    }

    #[test]
    fn parameters_that_differ_stay_whole() {
        let runs = ["grpo-model_lr1e-6", "grpo-model_lr1e-5"];
        assert_short(&runs, &["lr1e-6", "lr1e-5"], "grpo-model_…");
        let runs = ["run-2026-11-28-solver", "run-2026-11-29-solver"];
        assert_short(&runs, &["run-2026-11-28", "run-2026-11-29"], "…-solver");
        let runs = ["qwen3_lr_1e-6_model", "qwen3_lr_1e-5_model"];
        assert_short(&runs, &["lr_1e-6", "lr_1e-5"], "qwen3_…_model");
    }

    #[test]
    fn name_has_a_word() {
        let runs = ["qwen3-tiny_solver_v1", "qwen3-tiny_solver_v2"];
        assert_short(&runs, &["solver_v1", "solver_v2"], "qwen3-tiny_…");
        assert_short(&["solver_v1", "solver_v2"], &["solver_v1", "solver_v2"], "");
        assert_short(&["s1_grpo_model", "s2_grpo_model"], &["s1_grpo", "s2_grpo"], "…_model");
        let runs = ["qwen3-tiny_solver", "qwen3-tiny_solver_kl", "qwen3-tiny_solver_lr"];
        assert_short(&runs, &["solver", "solver_kl", "solver_lr"], "qwen3-tiny_…");
    }

    #[test]
    fn odd_label_does_not_keep_the_others_long() {
        let runs = ["qwen3-tiny_solver_s1", "qwen3-tiny_questioner_s1", "baseline"];
        let names = ShortNames::of(runs);
        assert_eq!(names.names(), ["solver", "questioner", "baseline"]);
        let note = "names without “qwen3-tiny_…_s1” (except baseline)";
        assert_eq!(names.note().as_deref(), Some(note));
        // One that has a part of what is shared is not odd: qwen3 and llama3 differ.
        let runs = ["qwen3-tiny_questioner", "qwen3-tiny_solver", "llama3-tiny_solver"];
        let names = ["qwen3_questioner", "qwen3_solver", "llama3_solver"];
        assert_short(&runs, &names, "…-tiny_…");
        // Many are not odd.
        let runs = ["qwen3-tiny_questioner", "qwen3-tiny_solver", "baseline", "other"];
        assert_short(&runs, &runs, "");
    }

    #[test]
    fn names_of_different_labels_differ() {
        let runs = ["model-a_b_x", "model-b_a_x"];
        let (names, _) = short(&runs);
        assert_ne!(names[0], names[1]);
        let runs = ["model-tiny_solver", "model-tiny_questioner", "solver"];
        assert_short(&runs, &runs, "");
        assert_short(&["grpo_model_a", "grpo_model_a"], &["grpo_model_a", "grpo_model_a"], "");
        assert_short(&["a_1", "a_2"], &["a_1", "a_2"], "");
        assert_short(&["qwen3-tiny_a"], &["qwen3-tiny_a"], "");
        assert_short(&[], &[], "");
    }

    #[test]
    fn brackets_are_not_cut() {
        let runs = ["grpo (trainer_state.json)", "grpo (metrics_state.json)"];
        assert_short(&runs, &["(trainer_state.json)", "(metrics_state.json)"], "grpo …");
        let runs = ["grpo-model (trainer_state.json)", "grpo-model (metrics.jsonl)"];
        assert_short(&runs, &["(trainer_state.json)", "(metrics.jsonl)"], "grpo-model …");
    }

    #[test]
    fn note_says_what_was_left_out() {
        let note = |runs: &[&str]| ShortNames::of(runs.iter().copied()).note();
        let without = |what: &str| Some(format!("names without “{what}”"));
        assert_eq!(note(&["qwen3-tiny_solver", "qwen3-tiny_questioner"]), without("qwen3-tiny_"));
        assert_eq!(note(&["solver_model-1.5b", "questioner_model-1.5b"]), without("_model-1.5b"));
        assert_eq!(note(&["a", "b"]), None);
    }

    #[test]
    fn thousands_of_labels_of_many_pieces_are_shortened_quickly() {
        let label = |i: usize| format!("{}end{i}", "x_y_".repeat(200));
        let labels: Vec<String> = (0..2000).map(label).collect();
        let start = std::time::Instant::now();
        let names = ShortNames::of(labels.iter().map(String::as_str));
        assert_eq!(names.names()[7], "end7");
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
