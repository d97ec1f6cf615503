//! Groups and comparisons in words: tables of text with one row per group or pair, and one sentence for two runs.
//! The terminal, the page and the summary for a pull request show them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use entropy_history::label::{ShortNames, visible};
use entropy_history::number::{exact, short, typographic};
use entropy_history::quantity::EntropyKind;
use entropy_history::stats::Analysis;
use entropy_history::stats::contrast::{Contrast, ContrastUnit, Statistic};
use entropy_shell::plural;

/// A table whose cells are text.
#[derive(Debug, Serialize)]
pub struct TextTable {
    /// The column headings, the most important first.
    pub heads: Vec<String>,
    /// The rows, each with one cell per heading; control characters are made visible, markup is not escaped.
    pub rows: Vec<Vec<String>>,
    /// How many rows are omitted and how to get them; `None` if all are shown.
    pub left_out: Option<String>,
    /// What limits the numbers, and why some are missing.
    pub remarks: Vec<Remark>,
    /// How the numbers were computed.
    pub method: &'static str,
}

const GROUP_METHOD: &str = "method: mean ± sd and Student's t interval over the runs, each with its mean over the shared steps";

/// A line below a table.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "String")]
pub struct Remark {
    /// The text.
    pub text: String,
    /// The headings of the columns that it is about; empty for all.
    pub heads: Vec<&'static str>,
}

impl From<String> for Remark {
    fn from(text: String) -> Remark {
        Remark { text, heads: Vec::new() }
    }
}

impl From<Remark> for String {
    fn from(remark: Remark) -> String {
        remark.text
    }
}

/// The table of groups; `None` if there are no groups.
pub fn group_table(analysis: &Analysis) -> Option<TextTable> {
    let groups = analysis.groups.iter();
    let means = Column::of(groups.clone().flat_map(|group| [group.mean, group.std]));
    let ends = Column::of(groups.clone().flat_map(|group| [group.low, group.high]));
    let middles = Column::of(groups.clone().map(|group| group.iqm));
    let rows = groups.map(|group| {
        let mean = match (group.mean, group.std) {
            (Some(mean), Some(std)) => format!("{} ± {}", means.text(mean), means.text(std)),
            (mean, _) => mean.map_or("–".to_owned(), |mean| means.text(mean)),
        };
        let steps = match group.total_steps == group.shared_steps {
            true => group.shared_steps.to_string(),
            false => format!("{} of {}", group.shared_steps, group.total_steps),
        };
        vec![
            visible(&group.name).into_owned(),
            group.runs.len().to_string(),
            steps,
            mean,
            ends.interval(group.low, group.high).unwrap_or("–".to_owned()),
            group.iqm.map_or("–".to_owned(), |middle| middles.text(middle)),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let notes = analysis.groups.iter().filter_map(|group| Some((group, group.note.as_ref()?)));
    let remarks = notes.map(|(group, note)| format!("  {}: {note}", visible(&group.name)).into());
    let heads = ["group", "runs", "steps", "mean ± sd", "95 % interval", "IQM"].map(str::to_owned);
    (!rows.is_empty()).then(|| TextTable {
        heads: heads.to_vec(),
        rows,
        left_out: None,
        remarks: remarks.collect(),
        method: GROUP_METHOD,
    })
}

/// The columns of the table of pairs, the most important first.
const STATISTICS: [Statistic; 7] = [
    Statistic::MeanDifference,
    Statistic::LateDifference,
    Statistic::SeparationStep,
    Statistic::ProbabilityOfImprovement,
    Statistic::AreaRatio,
    Statistic::MannWhitneyU,
    Statistic::CliffsDelta,
];

/// The table of compared pairs, with at most `limit` rows; `None` without comparisons.
pub fn pair_table(analysis: &Analysis, limit: usize) -> Option<TextTable> {
    let contrasts = &analysis.comparisons[..];
    let first = contrasts.first()?;
    let has = |statistic: &Statistic| contrasts.iter().any(|c| c.statistic == *statistic);
    let statistics: Vec<Statistic> = STATISTICS.into_iter().filter(has).collect();
    let names = PairNames::of(contrasts);

    let mut heads = vec!["a − b".to_owned()];
    for statistic in &statistics {
        heads.push(head(*statistic).to_owned());
        if tested(contrasts, *statistic) {
            heads.push(p_head(*statistic).to_owned());
        }
    }
    heads.push("steps".to_owned());
    let pairs: Vec<&[Contrast]> = contrasts.chunk_by(|x, y| (&x.a, &x.b) == (&y.a, &y.b)).collect();
    let column = |statistic: &Statistic| {
        let own = contrasts.iter().filter(|contrast| contrast.statistic == *statistic);
        let numbers = own.flat_map(|c| [c.estimate, c.low, c.high]);
        match statistic {
            Statistic::SeparationStep | Statistic::MannWhitneyU => Column::exact(numbers),
            _ => Column::of(numbers),
        }
    };
    let columns: Vec<Column> = statistics.iter().map(column).collect();
    let row = |pair: &&[Contrast]| {
        let mut cells = vec![names.pair(&pair[0])];
        for (statistic, column) in statistics.iter().zip(&columns) {
            let contrast = pair.iter().find(|contrast| contrast.statistic == *statistic);
            cells.push(contrast.map_or("–".to_owned(), |contrast| column.value(contrast)));
            if tested(contrasts, *statistic) {
                let p = contrast.and_then(|contrast| Some((contrast.p?, contrast.p_holm?)));
                cells.push(p.map_or("–".to_owned(), |(p, h)| format!("{} ({})", prob(p), prob(h))));
            }
        }
        cells.push(pair[0].shared_steps.to_string());
        cells
    };
    let rows = pairs.iter().take(limit).map(row).collect();

    let left_out = (pairs.len() > limit).then(|| {
        let more = pairs.len() - limit;
        format!("and {more} more pairs: stats --json lists all, --baseline LABEL compares fewer")
    });
    let mut remarks = notes(contrasts, &names);
    if first.between == ContrastUnit::Groups {
        remarks.extend(detectable(&pairs, analysis).map(Remark::from));
    }
    Some(TextTable { heads, rows, left_out, remarks, method: method(first.between) })
}

/// How comparisons were computed; the JSON document has the method and the assumption of each number.
pub fn method(unit: ContrastUnit) -> &'static str {
    match unit {
        ContrastUnit::Runs => {
            "method: 95 % intervals by equal-weighted cosines of the step-wise differences, for these two curves; \
             no p-value, because single runs say nothing about other seeds (--group compares several seeds)"
        }
        ContrastUnit::Groups => {
            "method: the main test is Welch's t of the mean difference, one value per run, p adjusted by Holm; the \
             other columns describe; P(a > b) and Cliff's delta have Newcombe's interval, U an exact p"
        }
    }
}

/// The difference that the least informative pair of groups can detect.
fn detectable(pairs: &[&[Contrast]], analysis: &Analysis) -> Option<String> {
    let size = |name: &str| {
        let group = analysis.groups.iter().find(|group| group.name == name);
        group.map_or(0, |group| group.runs.len())
    };
    let found = pairs.iter().filter_map(|pair| {
        let contrast = pair.iter().find(|c| c.statistic == Statistic::MeanDifference)?;
        Some((contrast.detectable_sd?, size(&contrast.a), size(&contrast.b)))
    });
    let (sd, m, n) = found.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!(
        "with {m} against {n} runs, Welch's t finds a difference of {sd:.1} standard deviations in 80 % of cases"
    ))
}

/// How the second of two runs differs from the first, in one sentence; `None` if there are not exactly two runs.
pub fn pair_sentence(analysis: &Analysis) -> Option<String> {
    let [first, _] = &analysis.runs[..] else { return None };
    let contrasts = &analysis.comparisons[..];
    let found = |statistic| contrasts.iter().find(|c| c.statistic == statistic);
    let mean = found(Statistic::MeanDifference)?;
    let names = ShortNames::of([mean.a.as_str(), &mean.b]);
    let [a, b] = [0, 1].map(|i| &names.names()[i]);
    let nats = if first.quantity == EntropyKind::OtherMetric.name() { "" } else { " nats" };
    let Some(estimate) = mean.estimate else {
        return Some(format!("{a} and {b}: {}", mean.note.as_deref().unwrap_or("not compared")));
    };
    // a − b, as the distance of b from a.
    let distance = |estimate: f64, low: Option<f64>, high: Option<f64>| {
        let (direction, ends) = match estimate < 0.0 {
            true => ("above", interval(high.map(|high| -high), low.map(|low| -low))),
            false => ("below", interval(low, high)),
        };
        let ends = ends.map_or(String::new(), |ends| format!(" {ends}"));
        match estimate == 0.0 && ends.is_empty() {
            true => format!("equal to {a}"),
            false => format!("{}{nats} {direction} {a}{ends}", three(estimate.abs())),
        }
    };
    let is_part = analysis.runs.iter().any(|run| run.points > mean.shared_steps);
    let steps = plural(mean.shared_steps, "shared step", "shared steps");
    let late = found(Statistic::LateDifference).filter(|_| mean.low.is_none());
    let late = late.and_then(|late| Some((late, late.estimate?)).filter(|_| late.low.is_some()));
    let difference = match (late, &mean.note) {
        (Some((late, estimate)), _) => {
            let ends = distance(estimate, late.low, late.high);
            format!("{b} ends {ends} (last tenth of {steps}; the difference drifts)")
        }
        (None, Some(why)) => {
            let size = distance(estimate, mean.low, mean.high);
            format!("{b} is {size} over {steps} ({why})")
        }
        (None, None) => {
            let over = if is_part { format!(" over {steps}") } else { String::new() };
            format!("{b} is {}{over}", distance(estimate, mean.low, mean.high))
        }
    };
    let separation = found(Statistic::SeparationStep);
    let separated = separation.and_then(|c| Some((exact(c.estimate?), c.note.is_none())));
    Some(match separated {
        Some((step, true)) => format!("{difference}, separated since step {step}"),
        Some((_, false)) => format!("{difference}; the curves still cross"),
        None => difference,
    })
}

/// Reasons why numbers are missing or limited. Statistics with the same reason for the same pairs are merged.
fn notes(contrasts: &[Contrast], names: &PairNames<'_>) -> Vec<Remark> {
    let noted =
        contrasts.iter().filter_map(|c| Some(((c.statistic, c.note.as_deref()?), names.pair(c))));
    let by_pairs = grouped(noted).into_iter().map(|((statistic, note), pairs)| {
        ((note, pairs), head(statistic)) // the key is now the reason and its pairs
    });
    let line = |((note, pairs), heads): ((&str, Vec<String>), Vec<&'static str>)| {
        let of = match &pairs[..] {
            [pair] => pair.clone(),
            _ => format!("{} pairs", pairs.len()),
        };
        Remark { text: format!("  {} of {of}: {note}", heads.join(", ")), heads }
    };
    grouped(by_pairs).into_iter().map(line).collect()
}

/// Collects the values of equal keys, in order of first appearance.
fn grouped<K: PartialEq, V>(items: impl Iterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in items {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

fn tested(contrasts: &[Contrast], statistic: Statistic) -> bool {
    contrasts.iter().any(|contrast| contrast.statistic == statistic && contrast.p.is_some())
}

fn p_head(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::LateDifference => "p of last tenth (Holm)",
        Statistic::MannWhitneyU => "p of U (Holm)",
        _ => "p (Holm)",
    }
}

fn head(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::MeanDifference => "mean difference",
        Statistic::LateDifference => "last tenth",
        Statistic::AreaRatio => "ratio of areas",
        Statistic::SeparationStep => "separated @",
        Statistic::MannWhitneyU => "U",
        Statistic::CliffsDelta => "Cliff's delta",
        Statistic::ProbabilityOfImprovement => "P(a > b)",
    }
}

/// The short names of all that is compared, by label.
struct PairNames<'a>(BTreeMap<&'a str, String>);

impl<'a> PairNames<'a> {
    fn of(contrasts: &'a [Contrast]) -> PairNames<'a> {
        let labels = contrasts.iter().flat_map(|c| [c.a.as_str(), &c.b]).collect::<BTreeSet<_>>();
        let names = ShortNames::of(labels.iter().copied());
        PairNames(labels.into_iter().zip(names.names().iter().cloned()).collect())
    }

    /// The name of a pair, `a − b`.
    fn pair(&self, contrast: &Contrast) -> String {
        format!("{} − {}", self.0[contrast.a.as_str()], self.0[contrast.b.as_str()])
    }
}

/// How the numbers of a column are written: all with the same decimals.
enum Column {
    Decimals(usize),
    /// With three digits and an exponent where that is shorter.
    Scientific,
}

impl Column {
    /// Three digits of the largest number, and two of the smallest, but at most four decimals.
    fn of(numbers: impl Iterator<Item = Option<f64>>) -> Column {
        let sizes = numbers.flatten().map(f64::abs).filter(|size| *size > 0.0);
        let (low, high) = sizes.fold((f64::INFINITY, 0.0), |(l, h), s| (s.min(l), s.max(h)));
        if high == 0.0 {
            return Column::Decimals(0);
        }
        if !(1e-4..1e6).contains(&high) {
            return Column::Scientific;
        }
        let order = |size: f64| size.log10().floor();
        let decimals = (2.0 - order(high)).max((1.0 - order(low)).min(4.0)).max(0.0);
        Column::Decimals(decimals as usize)
    }

    /// All digits of every number, but at most four decimals.
    fn exact(numbers: impl Iterator<Item = Option<f64>>) -> Column {
        let decimals = |number: f64| {
            (0..4).find(|n| (number * 10f64.powi(*n)).fract() == 0.0).unwrap_or(4) as usize
        };
        Column::Decimals(numbers.flatten().map(decimals).max().unwrap_or(0))
    }

    fn text(&self, number: f64) -> String {
        match self {
            Column::Decimals(decimals) => typographic(format!("{number:.decimals$}")),
            Column::Scientific => three(number),
        }
    }

    fn interval(&self, low: Option<f64>, high: Option<f64>) -> Option<String> {
        Some(format!("[{}, {}]", self.text(low?), self.text(high?)))
    }

    /// The estimate with its interval.
    fn value(&self, contrast: &Contrast) -> String {
        let Some(estimate) = contrast.estimate else { return "–".to_owned() };
        match self.interval(contrast.low, contrast.high) {
            Some(interval) => format!("{} {interval}", self.text(estimate)),
            None => self.text(estimate),
        }
    }
}

fn interval(low: Option<f64>, high: Option<f64>) -> Option<String> {
    Some(format!("[{}, {}]", three(low?), three(high?)))
}

/// Three significant digits, or scientific notation for very small and large values.
fn three(value: f64) -> String {
    match value.abs() {
        0.0 | 1e-4..1e6 => short(value),
        _ => format!("{value:.3e}").replace('-', "−"),
    }
}

fn prob(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::Column;

    #[test]
    fn numbers_of_a_column_have_the_same_decimals() {
        let texts = |column: Column, numbers: &[f64]| {
            numbers.iter().map(|number| column.text(*number)).collect::<Vec<_>>()
        };
        let numbers = [1.234, -0.0567, 0.0, 12.0];
        let column = Column::of(numbers.into_iter().map(Some));
        assert_eq!(texts(column, &numbers), ["1.234", "−0.057", "0.000", "12.000"]);
        let column = Column::of([Some(0.937), None, Some(1.18)].into_iter());
        assert_eq!(texts(column, &[0.937, 1.18]), ["0.94", "1.18"]);
        let halves = [12.0, 7.5];
        assert_eq!(texts(Column::exact(halves.into_iter().map(Some)), &halves), ["12.0", "7.5"]);
        let large = [1.5e7, 2.0];
        assert_eq!(texts(Column::of(large.into_iter().map(Some)), &large), ["1.500e7", "2.00"]);
        assert_eq!(texts(Column::of([Some(0.0)].into_iter()), &[0.0]), ["0"]);
    }
}
