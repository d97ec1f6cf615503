//! Which runs stand out, and in which colours. A picture of a few runs shows each in a colour. In a picture of many, a few
//! runs have a colour and a name, and the others are grey: nobody can tell 40 colours apart.

use std::collections::{BTreeMap, BTreeSet};

use super::legend::MAX_NAMED_AT_END;
use super::theme::{Rgb, Style, Theme};
use entropy_history::history::{Comparison, Run};
use entropy_history::stats::Analysis;
use entropy_history::stats::health::State;
use entropy_history::stats::sample::median;

/// The number of named runs in a picture of more than 12.
const MAX_NAMED: usize = 8;
/// The largest number of runs among them that are named because they collapsed or exploded. The others are those that end
/// highest and lowest.
const MAX_OVER: usize = 6;
/// Points at the end of a run whose median says where it ends, as for its level.
const END_POINTS: usize = 5;

/// The runs that the user wants to stand out, by label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Emphasis {
    /// Runs in colour with their names; the others are grey. If empty, the chart chooses.
    pub highlighted: BTreeSet<String>,
    /// Colours of runs.
    pub colours: BTreeMap<String, Rgb>,
}

/// The colour of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
enum LineColour {
    /// An index of the palette.
    Palette(usize),
    Given(Rgb),
}

/// The state of a run, and the step at which it was confirmed.
pub type RunState = (Option<State>, Option<f64>);

/// The colours of runs, equal in every picture of a command. A run without one is grey and has no name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunColours(BTreeMap<String, LineColour>);

impl RunColours {
    /// Chooses the colours. Of more than 12 runs, those that the user highlights stand out; else up to six that exploded or
    /// collapsed, the earliest first, then in turn those that end highest and lowest; and of a quantity that none of these
    /// has, the two that have it and end highest and lowest. `states` are those of the same runs.
    pub fn choose(runs: &[Run], states: Option<&Analysis>, emphasis: &Emphasis) -> RunColours {
        let stats = states.map_or(&[][..], |analysis| &analysis.runs);
        let states: Vec<RunState> = stats.iter().map(|run| (run.state, run.state_step)).collect();
        RunColours::by_state(runs, &states, emphasis)
    }

    /// Whether all of this number of runs have a colour and a name.
    pub fn names_all(runs: usize) -> bool {
        runs <= MAX_NAMED_AT_END
    }

    /// [`RunColours::choose`] with the state of each run; no states if they are not known.
    pub fn by_state(runs: &[Run], states: &[RunState], emphasis: &Emphasis) -> RunColours {
        let asked = |run: &Run| {
            let label = run.history.label();
            emphasis.highlighted.contains(label) || emphasis.colours.contains_key(label)
        };
        let few = RunColours::names_all(runs.len());
        let named: Vec<usize> =
            if !emphasis.highlighted.is_empty() || !few && !emphasis.colours.is_empty() {
                (0..runs.len()).filter(|i| asked(&runs[*i])).collect()
            } else if few {
                (0..runs.len()).collect()
            } else {
                most_telling(runs, states)
            };
        let colour = |(place, index): (usize, &usize)| {
            let run = &runs[*index];
            // A run keeps its colour when others are left out.
            let rank = run.rank.filter(|rank| few && rank.of <= MAX_NAMED_AT_END);
            let place = rank.map_or(if few { *index } else { place }, |rank| rank.order);
            let label = run.history.label();
            let given = emphasis.colours.get(label).copied().map(LineColour::Given);
            (label.to_owned(), given.unwrap_or(LineColour::Palette(place)))
        };
        RunColours(named.iter().enumerate().map(colour).collect())
    }

    /// The index in the palette of the colour of a run; `None` for a grey one, and for one of a given colour.
    pub fn palette_index(&self, label: &str) -> Option<usize> {
        match self.0.get(label)? {
            LineColour::Palette(index) => Some(*index),
            LineColour::Given(_) => None,
        }
    }

    /// The colours that the user gave.
    pub fn given(&self) -> impl Iterator<Item = Rgb> {
        self.0.values().filter_map(|colour| match colour {
            LineColour::Given(colour) => Some(*colour),
            LineColour::Palette(_) => None,
        })
    }

    /// The style of a run; `None` for a grey one.
    pub(super) fn style(&self, label: &str, theme: &Theme) -> Option<Style> {
        Some(match *self.0.get(label)? {
            // Dashes of a noisy line look like gaps.
            LineColour::Palette(index) => Style { dash: &[], ..theme.style(index) },
            LineColour::Given(colour) => theme.style_of(colour),
        })
    }
}

/// Whether the colours of these runs depend on their states.
pub fn chooses_by_state(comparison: &Comparison, emphasis: &Emphasis) -> bool {
    !RunColours::names_all(comparison.runs().len()) && *emphasis == Emphasis::default()
}

/// The runs to name, in the order of the comparison.
fn most_telling(runs: &[Run], states: &[RunState]) -> Vec<usize> {
    let in_state = |state: State| {
        let runs = states.iter().enumerate().filter(|(_, run)| run.0 == Some(state));
        let mut runs: Vec<(f64, usize)> =
            runs.map(|(i, run)| (run.1.unwrap_or(f64::INFINITY), i)).collect();
        runs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        runs
    };
    let mut ends: Vec<(f64, usize)> = runs.iter().map(end).zip(0..).collect();
    ends.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut named = Vec::new();
    add_in_turn(&mut named, MAX_OVER, [in_state(State::Exploded), in_state(State::Collapsed)]);
    add_in_turn(&mut named, MAX_NAMED, [ends.clone(), ends.iter().rev().copied().collect()]);
    add_for_quantities(&mut named, runs, &ends);
    named.sort_unstable();
    named
}

/// Adds runs for the panels of quantities that no named run has, in which all lines would be grey. `ends` are sorted.
fn add_for_quantities(named: &mut Vec<usize>, runs: &[Run], ends: &[(f64, usize)]) {
    let quantities = runs.iter().map(|run| run.quantities.len()).max().unwrap_or(0);
    for quantity in 0..quantities {
        let has = |run: &usize| runs[*run].quantities.get(quantity).is_some_and(Option::is_some);
        let limit = (named.len() + 2).min(MAX_NAMED_AT_END);
        if !named.iter().any(has) {
            let with: Vec<(f64, usize)> = ends.iter().filter(|(_, i)| has(i)).copied().collect();
            add_in_turn(named, limit, [with.clone(), with.into_iter().rev().collect()]);
        }
    }
}

/// Adds runs of both lists in turn, each once, until there are `limit`.
fn add_in_turn(named: &mut Vec<usize>, limit: usize, lists: [Vec<(f64, usize)>; 2]) {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    for (_, run) in (0..longest).flat_map(|at| lists.iter().filter_map(move |list| list.get(at))) {
        if named.len() < limit && !named.contains(run) {
            named.push(*run);
        }
    }
}

/// Where a run ends.
fn end(run: &Run) -> f64 {
    let points = run.history.points();
    let last = &points[points.len().saturating_sub(END_POINTS)..];
    median(&last.iter().map(|point| point.entropy).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::theme::LIGHT;
    use super::*;
    use entropy_history::history::{AuxSeries, History, Point};
    use entropy_history::quantity::EntropyKind;
    use entropy_history::stats::analyse;
    use entropy_history::stats::health::Thresholds;

    /// Runs that start at 2 and end at these values.
    fn runs(ends: &[f64]) -> Comparison {
        let run = |(i, end): (usize, &f64)| {
            let at = |step: u32| 2.0 + (end - 2.0) * f64::from(step) / 40.0;
            let points = (1..=40).map(|step| Point { step: f64::from(step), entropy: at(step) });
            let kind = EntropyKind::TokenMean;
            let (history, _) = History::from_raw(format!("r{i}"), kind, points.collect()).unwrap();
            Run::new(history, "x", "jsonl", "entropy")
        };
        Comparison::new(ends.iter().enumerate().map(run).collect()).unwrap()
    }

    fn named(comparison: &Comparison, emphasis: &Emphasis) -> Vec<String> {
        let analysis = analyse(comparison, &Thresholds::default());
        let colours = RunColours::choose(comparison.runs(), Some(&analysis), emphasis);
        colours.0.into_keys().collect()
    }

    #[test]
    fn few_runs_all_have_their_own_colour_without_dashes() {
        let comparison = runs(&[1.5; 12]);
        let colours = RunColours::choose(comparison.runs(), None, &Emphasis::default());
        let styles: Vec<Style> = comparison
            .runs()
            .iter()
            .filter_map(|r| colours.style(r.history.label(), &LIGHT))
            .collect();
        assert_eq!(styles.len(), 12);
        for (i, a) in styles.iter().enumerate() {
            assert!(a.dash.is_empty() && styles[i + 1..].iter().all(|b| a.line != b.line));
        }
    }

    #[test]
    fn of_many_runs_collapsed_and_exploded_ones_and_the_ends_are_named() {
        let mut ends: Vec<f64> = (0..20).map(|i| 1.0 + 0.05 * f64::from(i)).collect();
        ends[4] = 0.1; // collapses
        ends[7] = 9.0; // explodes
        let named = named(&runs(&ends), &Emphasis::default());
        let mut expected = ["r4", "r7", "r0", "r1", "r2", "r17", "r18", "r19"];
        expected.sort_unstable();
        assert_eq!(named, expected);
    }

    #[test]
    fn runs_in_colour_are_in_the_panel_of_each_quantity() {
        let comparison = runs(&(0..20).map(|i| 1.0 + 0.05 * f64::from(i)).collect::<Vec<_>>());
        let mut runs = comparison.runs().to_vec();
        for (i, run) in runs.iter_mut().enumerate() {
            let has = (8..12).contains(&i);
            run.quantities = vec![AuxSeries::from_raw("kl", vec![(1.0, 0.1)]).filter(|_| has)];
        }
        let expected = ["r0", "r1", "r11", "r16", "r17", "r18", "r19", "r2", "r3", "r8"];
        let comparison = Comparison::new(runs).unwrap();
        assert_eq!(named(&comparison, &Emphasis::default()), expected);
    }

    #[test]
    fn highlighted_runs_are_the_only_ones_in_colour() {
        let highlighted = BTreeSet::from(["r3".to_owned()]);
        let colours = BTreeMap::from([("r5".to_owned(), Rgb(1, 2, 3))]);
        let both = Emphasis { highlighted, colours: colours.clone() };
        assert_eq!(named(&runs(&[1.5; 20]), &both), ["r3", "r5"]);
        // A run keeps the colour that it has without the flag.
        let few = runs(&[1.5; 5]);
        let style = |emphasis: &Emphasis| {
            RunColours::choose(few.runs(), None, emphasis).style("r3", &LIGHT)
        };
        assert_eq!(style(&both), style(&Emphasis::default()));
        // A colour alone leaves the names of few runs.
        let colour = Emphasis { colours, ..Emphasis::default() };
        assert_eq!(named(&runs(&[1.5; 6]), &colour).len(), 6);
    }
}
