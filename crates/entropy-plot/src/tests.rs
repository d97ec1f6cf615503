//! Properties of every picture: no overlaps, nothing cut off, everything legible. The runs are synthetic; their
//! counts and labels are those that break layouts.

use super::canvas::{Edges, Mark};
use super::theme::DARK;
use super::*;
use entropy_history::history::{AuxSeries, History, Point};
use entropy_history::quantity::EntropyKind;
use entropy_history::stats;
use entropy_history::stats::analyse;
use entropy_history::stats::band::{MissingSteps, Spread};
use entropy_history::stats::compare::{MAX_PAIRWISE, Plan, compare};
use entropy_history::stats::group::Group;
use entropy_history::stats::law::Law;
use entropy_history::x_axis::TimeUnit;

mod figures;
mod marks;

#[test]
fn gaussian_smoothing_has_the_unit_of_the_x_axis() {
    let gaussian = Smoothing::Gaussian(0.5);
    let hours =
        ChartOptions { x_axis: XAxis::WallTime(TimeUnit::Hours), ..ChartOptions::default() };
    assert_eq!(hours.smoothing_name(gaussian), "Gaussian of 0.5 h");
    let relative = ChartOptions { x_axis: XAxis::RelativeStep, ..ChartOptions::default() };
    assert_eq!(relative.smoothing_name(gaussian), "Gaussian of 0.5 steps");
}

const COUNTS: [usize; 8] = [1, 2, 10, 12, 13, 40, 41, 200];

fn comparison(count: usize, label: impl Fn(usize) -> String) -> Comparison {
    let run = |i: usize| {
        // Decays of different depths and lengths, some collapsing; not random.
        let length = 60 + 10 * (i % 7);
        let entropy = |t: usize| {
            let wave = 0.2 * ((t * (i + 3)) as f64 * 0.7).sin();
            0.3 + 3.0 * (-(t as f64) / (5.0 + 9.0 * (i % 11) as f64)).exp() + wave
        };
        let points = (0..length).map(|t| Point { step: (t + 1) as f64, entropy: entropy(t) });
        let (history, _) =
            History::from_raw(label(i), EntropyKind::TokenMean, points.collect()).unwrap();
        let reward = |t: usize| 2.0 - 0.05 * entropy(t).exp() + 0.1 * ((t * t) as f64).sin();
        let rewards = (0..length).map(|t| ((t + 1) as f64, reward(t)));
        let reward = AuxSeries::from_raw(format!("reward of {}", label(i)), rewards.collect());
        Run {
            quantities: vec![reward],
            ..Run::new(history, format!("{i}.json"), "rzero", "entropy")
        }
    };
    Comparison::new((0..count).map(run).collect()).unwrap()
}

type Labels = fn(usize) -> String;

fn fonts_of(comparison: &Comparison, options: &ChartOptions) -> Fonts {
    let texts = texts_of(comparison, options);
    Fonts::for_texts(texts.iter().map(String::as_str), None).unwrap()
}

fn curves_and_bars(comparison: &Comparison, options: &ChartOptions) -> ([Picture; 2], Fonts) {
    let fonts = fonts_of(comparison, options);
    (curves_and_bars_with(comparison, options, &fonts), fonts)
}

fn curves_and_bars_with(
    comparison: &Comparison,
    options: &ChartOptions,
    fonts: &Fonts,
) -> [Picture; 2] {
    let analysis = analyse(comparison, &Thresholds::default());
    let curves = Curves::new(comparison, options, fonts).unwrap().picture(&analysis);
    [curves, bars(comparison, &analysis, options, fonts)]
}

fn laws_of(comparison: &Comparison) -> Vec<Law> {
    let fit = |run| stats::law::fit(run, &Default::default());
    comparison.runs().iter().map(fit).collect()
}

fn law_picture(comparison: &Comparison, laws: &[Law], options: &ChartOptions) -> Picture {
    law(comparison, laws, options, &fonts_of(comparison, options)).unwrap()
}

/// Options with half as many groups as runs, named like the first runs. The kind of band depends on the number
/// of runs, so that every kind is drawn.
fn grouped_options(comparison: &Comparison, options: &ChartOptions) -> ChartOptions {
    let runs = comparison.runs();
    let count = runs.len().div_ceil(2);
    let groups = (0..count).map(|first| Group {
        name: runs[first].history.label().to_owned(),
        members: (first..runs.len()).step_by(count).collect(),
    });
    let (spread, missing_steps) = match runs.len() {
        13 => (Spread::Ci95, MissingSteps::Skip),
        40.. => (Spread::MinMax, MissingSteps::Interpolate),
        _ => (Spread::Sd, MissingSteps::Skip),
    };
    let groups = Some(GroupOptions { groups: groups.collect(), spread, missing_steps });
    ChartOptions { groups, ..options.clone() }
}

/// Compares all pairs, or above twenty runs those with the first run.
fn compared(comparison: &Comparison) -> stats::Analysis {
    let mut analysis = analyse(comparison, &Thresholds::default());
    let first = comparison.runs()[0].history.label().to_owned();
    let baseline = (comparison.runs().len() > MAX_PAIRWISE).then_some(first);
    compare(comparison, &mut analysis, &Plan { groups: Vec::new(), baseline });
    analysis
}

fn forest_picture(
    comparison: &Comparison,
    analysis: &stats::Analysis,
    options: &ChartOptions,
) -> Picture {
    forest(comparison, analysis, options, &fonts_of(comparison, options))
}

/// Draws every chart for every count, kind of label, theme, size and smoothing that changes the layout.
fn each_picture(check: impl Fn(&str, &Drawing)) {
    let labels: [(&str, Labels); 3] = [
        ("short", |i| format!("run_{i}")),
        ("long", |i| {
            format!("Qwen3-8B-Base-questioner-with-a-very-long-name-{i}-of-the-ablation-lr1e-6")
        }),
        ("wide", |i| format!("实验_{i}_WWWWWWWWWWWWWWWWWWWWWWWWWW")),
    ];
    let variants = [
        ("plain", ChartOptions::default()),
        ("a column", ChartOptions { size: Some((3.25, 2.2)), ..ChartOptions::default() }),
        (
            "small",
            ChartOptions {
                size: Some((4.0, 3.0)),
                footer: Some("a footer".into()),
                ..ChartOptions::default()
            },
        ),
        (
            "wide",
            ChartOptions {
                size: Some((14.0, 4.0)),
                theme: &DARK,
                smoothing: Smoothing::Ema(0.9),
                ..ChartOptions::default()
            },
        ),
        (
            "log",
            ChartOptions {
                scale: ValueScale::Log,
                title: Some("t ".repeat(200)),
                ..ChartOptions::default()
            },
        ),
        (
            "cut",
            ChartOptions {
                steps: (5.0, 40.0),
                y_min: Some(1.0),
                y_max: Some(2.0),
                ..ChartOptions::default()
            },
        ),
    ];
    for count in COUNTS {
        for (kind, label) in labels {
            let comparison = comparison(count, label);
            let laws = laws_of(&comparison);
            let pairs = compared(&comparison);
            for (name, options) in &variants {
                let (pictures, fonts) = curves_and_bars(&comparison, options);
                for (chart, picture) in ["curves", "bars"].iter().zip(&pictures) {
                    check(&format!("{chart}, {count} {kind} labels, {name}"), &picture.drawing);
                }
                let bars_options =
                    ChartOptions { stats_chart: StatsChart::Bars, ..options.clone() };
                let [_, bars] = curves_and_bars_with(&comparison, &bars_options, &fonts);
                check(&format!("panels, {count} {kind} labels, {name}"), &bars.drawing);
                let options = &grouped_options(&comparison, options);
                let [groups, _] = curves_and_bars_with(&comparison, options, &fonts);
                check(&format!("groups, {count} {kind} labels, {name}"), &groups.drawing);
                if has_differences(&pairs) {
                    let picture = forest(&comparison, &pairs, options, &fonts);
                    check(&format!("forest, {count} {kind} labels, {name}"), &picture.drawing);
                }
                let picture = law(&comparison, &laws, options, &fonts).unwrap();
                check(&format!("law, {count} {kind} labels, {name}"), &picture.drawing);
            }
        }
    }
}

/// Draws heat maps and panels of several shapes in the sizes that change the layout.
fn each_token_picture(check: impl Fn(&str, &Drawing)) {
    let sizes = [(11.0, 5.6), (6.0, 4.0), (3.25, 2.2), (14.0, 4.0)];
    let subjects = ["run", "a-dump-with-a-very-long-name-of-the-ablation-lr1e-6-seed-3"];
    for (size, subject) in sizes.iter().flat_map(|size| subjects.map(|subject| (*size, subject))) {
        for (theme, footer) in [(&theme::LIGHT, None), (&DARK, Some("a footer".to_owned()))] {
            let options =
                ChartOptions { size: Some(size), theme, footer, ..ChartOptions::default() };
            let fonts = Fonts::for_texts(["x"], None).unwrap();
            for sections in [1, 4] {
                let picture = parts(&parts_of(sections, subject), &options, &fonts);
                check(&format!("parts, {sections} sections, {size:?}"), &picture.drawing);
            }
            for (columns, rows) in [(2, 1), (3, 40), (200, 10)] {
                let map = heat_map_of(columns, rows, subject);
                let picture = heat_map(&map, &options, &fonts);
                check(&format!("heat map, {columns} × {rows}, {size:?}"), &picture.drawing);
            }
            for (count, lines, points) in
                [(1, 1, 2), (1, 3, 1), (2, 4, 24), (2, 3, 300), (1, 6, 40)]
            {
                for (shape, scale) in
                    [(LineShape::Straight, ValueScale::Linear), (LineShape::Steps, ValueScale::Log)]
                {
                    let data = panels_of(count, lines, points, shape, subject);
                    let options = ChartOptions { scale, ..options.clone() };
                    let picture = panels(&data, &options, &fonts);
                    check(
                        &format!(
                            "{count} panels, {lines} lines, {points} points, {shape:?}, {size:?}"
                        ),
                        &picture.drawing,
                    );
                }
            }
        }
    }
}

fn parts_of(sections: usize, subject: &str) -> Parts {
    let row = |at: usize| PartBar {
        name: format!("{subject} {at}"),
        value: 0.4 * at as f64 - 1.0,
        interval: (at > 0).then_some((0.3 * at as f64 - 1.3, 0.5 * at as f64 - 0.8)),
        even: (at < 3).then_some(-0.5),
        words: [format!("{:.3}", 0.4 * at as f64 - 1.0), format!("{} %", 30 * at)],
    };
    let section = |at: usize| PartSection {
        heading: format!("By {subject} {at}"),
        rows: (0..4).map(row).collect(),
    };
    Parts {
        title: format!("Where the entropy of {subject} changed"),
        subtitle: vec!["−1.413 nats per token from step 0 to 50".to_owned()],
        axis_name: "part of the change (nats per token)".to_owned(),
        sections: (0..sections).map(section).collect(),
    }
}

fn heat_map_of(columns: usize, rows: usize, subject: &str) -> HeatMap {
    let cell = |column: usize, row: usize| {
        (row <= rows / 2 || column.is_multiple_of(2)).then(|| (column * row) as f64 * 0.01 + 0.1)
    };
    HeatMap {
        title: "Entropy by position and step".to_owned(),
        subject: subject.to_owned(),
        subtitle: vec!["mean entropy of a token position".to_owned(), "grey: no token".to_owned()],
        columns: (0..columns).map(|step| (10 * step).to_string()).collect(),
        rows: (1..=rows).map(|row| 50.0 * row as f64).collect(),
        cells: (0..columns)
            .map(|column| (0..rows).map(|row| cell(column, row)).collect())
            .collect(),
        x_name: "step".to_owned(),
        y_name: "token of the response".to_owned(),
        value_name: "nats".to_owned(),
    }
}

fn panels_of(count: usize, lines: usize, points: usize, shape: LineShape, subject: &str) -> Panels {
    let line = |index: usize| {
        let point =
            |at: usize| (10.0 * (at + 1) as f64, (1.0 + (at * (index + 1)) as f64 * 0.1) % 3.0);
        let points: Vec<Xy> = (0..points).map(point).collect();
        let band = points.iter().map(|(x, y)| (*x, y - 0.1, y + 0.1)).collect();
        PanelLine { name: format!("step {}", 100 * index), points, band, shape, style: None }
    };
    let panel = |index: usize| Panel {
        name: format!("a quantity number {index} (nats)"),
        base: AxisBase::NotNegative,
        lines: (0..lines).map(line).collect(),
    };
    Panels {
        title: "Token entropies".to_owned(),
        subject: subject.to_owned(),
        subtitle: vec!["a part of the subtitle".to_owned(), "another part of it".to_owned()],
        x_name: "step".to_owned(),
        x_from: None,
        panels: (0..count).map(panel).collect(),
    }
}

#[test]
fn texts_of_token_pictures_do_not_overlap_and_are_inside_and_legible() {
    each_token_picture(|name, drawing| {
        let texts: Vec<&Text> = drawing.texts().filter(|t| !t.text.is_empty()).collect();
        for (i, text) in texts.iter().enumerate() {
            let (left, top, right, bottom) = text.bounds();
            let inside =
                left >= 0.0 && top >= 0.0 && right <= drawing.width && bottom <= drawing.height;
            assert!(inside, "{name}: {:?} at {:?} leaves the picture", text.text, text.bounds());
            for other in &texts[i + 1..] {
                let o = other.bounds();
                let apart = right <= o.0 || o.2 <= left || bottom <= o.1 || o.3 <= top;
                assert!(apart, "{name}: {:?} overlaps {:?}", text.text, other.text);
            }
            assert!(text.colour.contrast(drawing.background) >= 4.5, "{name}: {:?}", text.text);
            let size = text.size * 96.0 / drawing.px_per_inch;
            assert!(size >= 7.0 - 1e-9, "{name}: {:?} is {size} px high", text.text);
        }
    });
}

#[test]
fn points_at_the_edge_of_a_panel_are_drawn() {
    let points: Vec<Xy> = (1..=10).map(|step| (f64::from(step), 1.0)).collect();
    let line = PanelLine {
        name: "pass@8".to_owned(),
        points,
        band: Vec::new(),
        shape: LineShape::Straight,
        style: None,
    };
    let panel = Panel { name: "pass@k".to_owned(), base: AxisBase::NotNegative, lines: vec![line] };
    let data = Panels {
        panels: vec![panel.clone(), panel],
        ..panels_of(1, 1, 2, LineShape::Straight, "run")
    };
    let picture = panels(&data, &ChartOptions::default(), &Fonts::for_texts(["x"], None).unwrap());
    let layers = picture.drawing.layers.iter().filter(|layer| layer.name == "pass@8");
    for layer in layers {
        let Some(Mark::Line(line, ..)) = layer.marks.first() else {
            panic!("no line: {:?}", layer.marks.len())
        };
        assert_eq!(line.len(), 10);
        assert_eq!(layer.marks.len(), 11, "one line and a dot per point");
    }
}

#[test]
fn axis_of_positive_values_has_no_negative_part_for_their_band() {
    let data = panels_of(1, 1, 4, LineShape::Straight, "run");
    let mut panel = data.panels[0].clone();
    panel.lines[0].band = vec![(10.0, -0.4, 0.5), (20.0, 0.1, 0.9)];
    let data = Panels { panels: vec![panel], ..data };
    let picture = panels(&data, &ChartOptions::default(), &Fonts::for_texts(["x"], None).unwrap());
    assert!(!picture.drawing.texts().any(|text| text.text.starts_with('−')));
}

#[test]
fn no_text_overlaps_another_or_leaves_the_picture() {
    each_picture(|name, drawing| {
        let texts: Vec<&Text> = drawing.texts().filter(|t| !t.text.is_empty()).collect();
        for (i, text) in texts.iter().enumerate() {
            let (left, top, right, bottom) = text.bounds();
            let inside =
                left >= 0.0 && top >= 0.0 && right <= drawing.width && bottom <= drawing.height;
            assert!(inside, "{name}: {:?} at {:?} leaves the picture", text.text, text.bounds());
            for other in &texts[i + 1..] {
                let o = other.bounds();
                let apart = right <= o.0 || o.2 <= left || bottom <= o.1 || o.3 <= top;
                assert!(apart, "{name}: {:?} overlaps {:?}", text.text, other.text);
            }
        }
    });
}

#[test]
fn texts_are_legible_and_marks_are_inside_the_picture() {
    each_picture(|name, drawing| {
        for text in drawing.texts() {
            let contrast = text.colour.contrast(drawing.background);
            assert!(contrast >= 4.5, "{name}: {:?} has a contrast of {contrast:.2}", text.text);
            let size = text.size * 96.0 / drawing.px_per_inch;
            assert!(size >= 7.0, "{name}: {:?} is {size} px high", text.text);
        }
        for mark in drawing.layers.iter().flat_map(|layer| &layer.marks) {
            let points = match mark {
                Mark::Line(points, ..) | Mark::Region(points, _) | Mark::Ragged(points, _) => {
                    &points[..]
                }
                Mark::TranslucentRegion(points, ..) => &points[..],
                Mark::Bar(from, to, _) => &[*from, *to][..],
                Mark::Disc(centre, ..) => &[*centre][..],
                Mark::Text(_) | Mark::Note(_) => &[],
            };
            for (x, y) in points {
                let inside = (-1.0..=drawing.width + 1.0).contains(x)
                    && (-1.0..=drawing.height + 1.0).contains(y);
                assert!(inside, "{name}: a mark at {x}, {y} leaves the picture");
            }
        }
    });
}

#[test]
fn picture_of_many_runs_says_how_many_are_shown() {
    let ([curves, bars], _) =
        curves_and_bars(&comparison(200, |i| format!("run_{i}")), &ChartOptions::default());
    let contains_text =
        |picture: &Picture, words: &str| picture.drawing.texts().any(|t| t.text.contains(words));
    assert!(contains_text(&curves, "8 of 200 runs named; grey: the others"));
    let names = curves.drawing.layers.iter().find(|layer| layer.name == "names").unwrap();
    assert_eq!(names.marks.iter().filter(|mark| matches!(mark, Mark::Text(_))).count(), 8);
    assert!(contains_text(&bars, "40 of 200 runs"));
    assert_eq!(bars.warnings.len(), 1);
}

fn three_panels() -> ChartOptions {
    ChartOptions { stats_chart: StatsChart::Bars, ..ChartOptions::default() }
}

#[test]
fn run_has_the_same_colour_in_curves_and_bars() {
    let ([curves, bars], _) =
        curves_and_bars(&comparison(60, |i| format!("run_{i}")), &three_panels());
    let mut line_colours = Vec::new();
    for layer in &curves.drawing.layers {
        if let (Some(Mark::Line(_, _, colour)), true) =
            (layer.marks.first(), layer.name.starts_with("run_"))
        {
            line_colours.push(*colour);
        }
    }
    let marks = bars.drawing.layers.iter().flat_map(|layer| &layer.marks);
    let bar_colours: Vec<_> =
        marks.filter_map(|m| if let Mark::Bar(_, _, c) = m { Some(*c) } else { None }).collect();
    assert_eq!(line_colours.len(), 8);
    let of_first_panel = bar_colours[..STYLES].iter();
    let in_colour: Vec<_> =
        of_first_panel.filter(|colour| **colour != theme::LIGHT.unstyled).collect();
    assert!(in_colour.len() >= 4, "the bars are of the 40 runs with the largest spread");
    assert!(in_colour.iter().all(|colour| line_colours.contains(colour)));
}

#[test]
fn small_figure_leaves_enough_width_to_the_curves() {
    let labels: [Labels; 2] =
        [|i| format!("solver_v{i:03}"), |i| format!("{i}_a_run_with_a_long_name_{i}")];
    for (count, size) in [(5, (3.25, 2.2)), (10, (4.0, 2.0)), (10, (3.25, 2.2)), (40, (3.25, 2.5))]
    {
        for label in labels {
            let ([curves, _], _) = curves_and_bars(
                &comparison(count, label),
                &ChartOptions { size: Some(size), ..ChartOptions::default() },
            );
            let axis =
                curves.drawing.layers.iter().find(|layer| layer.name == "step axis").unwrap();
            let Mark::Line(line, ..) = &axis.marks[0] else { panic!("no axis") };
            let share = (line[1].0 - line[0].0) / curves.drawing.width;
            assert!(share > 0.42, "{count} runs: {share}");
            assert!(contains_text(&curves, "step"));
            let ticks =
                curves.drawing.layers.iter().find(|layer| layer.name == "value axis").unwrap();
            let texts = ticks.marks.iter().filter(|mark| matches!(mark, Mark::Text(_)));
            assert!(texts.count() >= 2);
        }
    }
}

/// The ends of each leader and the bounds of each note.
fn leaders_and_notes(picture: &Picture) -> (Vec<[geometry::Xy; 2]>, Vec<geometry::Bounds>) {
    let layer = picture.drawing.layers.iter().find(|layer| layer.name == "events").unwrap();
    let leader = |mark: &Mark| match mark {
        Mark::Line(ends, ..) => Some([ends[0], ends[1]]),
        _ => None,
    };
    let note = |mark: &Mark| if let Mark::Note(text) = mark { Some(text.bounds()) } else { None };
    (layer.marks.iter().filter_map(leader).collect(), layer.marks.iter().filter_map(note).collect())
}

#[test]
fn no_leader_crosses_a_note_when_runs_collapse_together() {
    let run = |i: u32| {
        let entropy = |step: u32| {
            if step < 40 + i { 2.0 + 0.02 * f64::from(i) } else { 0.05 + 0.01 * f64::from(i) }
        };
        let points: Vec<(f64, f64)> =
            (1..=100).map(|step| (f64::from(step), entropy(step))).collect();
        grouped_run(&format!("r{i}"), EntropyKind::TokenMean, &points)
    };
    for count in [2, 5, 8, 12] {
        let ([curves, _], _) = curves_and_bars(
            &Comparison::new((0..count).map(run).collect()).unwrap(),
            &ChartOptions::default(),
        );
        let (leaders, notes) = leaders_and_notes(&curves);
        assert_eq!(notes.len() as u32, count, "every note has a position");
        for leader in leaders {
            assert!(
                !notes.iter().any(|note| geometry::segment_hits_box(leader, *note)),
                "{count} runs: {leader:?}"
            );
        }
    }
}

#[test]
fn run_keeps_its_style_when_others_are_filtered_out() {
    for count in [3, 40, 60] {
        let comparison = comparison(count, |i| format!("run_{i}")); // with 60, 70, … 120 steps
        let all: Vec<_> = comparison.runs().iter().zip(styles(comparison.runs())).collect();
        let window = comparison.between(61.0, 200.0).0.unwrap();
        for runs in [window.cut.runs(), window.whole.runs()] {
            assert!(runs.len() < count);
            let few = styles_over(runs, (61.0, 200.0));
            let mut seen: Vec<usize> = few.iter().flatten().copied().collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), few.iter().flatten().count(), "no style twice");
            for (run, style) in runs.iter().zip(&few) {
                let label = run.history.label();
                let (_, before) = all.iter().find(|(r, _)| r.history.label() == label).unwrap();
                assert!(style == before || style.is_none() || before.is_none(), "{count}: {label}");
            }
        }
    }
}

#[test]
fn explosion_at_the_top_of_the_axis_is_annotated() {
    let top = |entropy: f64| {
        let at = |i: u32| (f64::from(i), if i < 61 { 2.0 } else { entropy });
        let run = grouped_run("x", EntropyKind::TokenMean, &(1..=100).map(at).collect::<Vec<_>>());
        let ([curves, _], _) =
            curves_and_bars(&Comparison::new(vec![run]).unwrap(), &ChartOptions::default());
        assert!(contains_text(&curves, "exploded "), "{entropy}");
    };
    [5.0, 5.5, 6.0, 7.0, 8.0, 10.0].into_iter().for_each(top);
}

#[test]
fn svg_texts_are_on_their_baseline() {
    let ([curves, _], fonts) = curves_and_bars(
        &comparison(1, |_| "שלום עולם \" dy=\"0.76em\"".to_owned()),
        &ChartOptions::default(),
    );
    let svg = curves.drawing.to_svg(&fonts, Edges::Smooth);
    // An attribute that moves a text would move only one letter of right-to-left text.
    assert!(!svg.contains(" dy=\"") && svg.contains(" dy=&quot;0.76em"), "{svg}");
    let baselines =
        curves.drawing.texts().map(|text| format!(" y=\"{}\"", (text.at.1 * 100.0).round()));
    baselines.for_each(|y| assert!(svg.contains(&y), "{y}"));
}

#[test]
fn collapse_is_annotated() {
    let (pictures, _) =
        curves_and_bars(&comparison(2, |i| format!("run_{i}")), &ChartOptions::default());
    let notes = pictures[0].drawing.texts().filter(|t| t.text.starts_with("collapsed "));
    assert!(notes.count() > 0);
}

#[test]
fn encoding_is_reproducible() {
    let comparison = comparison(13, |i| format!("run_{i}"));
    let render = || {
        let ([curves, _], fonts) = curves_and_bars(&comparison, &ChartOptions::default());
        [Encoding::Png, Encoding::Svg(SvgText::Named), Encoding::Pdf]
            .map(|encoding| encode(&curves.drawing, &fonts, encoding, 60.0).unwrap())
    };
    assert!(render() == render());
}

#[test]
fn labels_are_escaped_in_svg() {
    let comparison = comparison(1, |_| "<script>&\"'\u{1b}[31m".to_owned());
    let ([curves, _], fonts) = curves_and_bars(&comparison, &ChartOptions::default());
    let svg = curves.drawing.to_svg(&fonts, Edges::Smooth);
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}'));
    assert!(resvg::usvg::Tree::from_str(&svg, &fonts.options()).is_ok());
}

#[test]
fn warns_about_values_without_a_logarithm() {
    let points = [1.0, 0.0, 2.0].iter().enumerate();
    let points = points.map(|(i, &entropy)| Point { step: i as f64, entropy }).collect();
    let (history, _) = History::from_raw("x", EntropyKind::TokenMean, points).unwrap();
    let run = Run::new(history, "x.json", "rzero", "entropy");
    let comparison = Comparison::new(vec![run]).unwrap();
    let ([curves, _], _) = curves_and_bars(
        &comparison,
        &ChartOptions { scale: ValueScale::Log, ..ChartOptions::default() },
    );
    assert_eq!(
        curves.warnings,
        ["1 value is not positive and cannot be drawn on a logarithmic axis"]
    );
}

#[test]
fn run_without_a_logarithm_is_left_out_of_a_logarithmic_axis() {
    let runs = [("zero", 0.0), ("one", 1.0)];
    let runs = runs
        .map(|(label, h)| grouped_run(label, EntropyKind::TokenMean, &[(1.0, h), (2.0, 1.5 * h)]));
    let comparison = Comparison::new(runs.to_vec()).unwrap();
    let ([curves, _], _) = curves_and_bars(
        &comparison,
        &ChartOptions { scale: ValueScale::Log, ..ChartOptions::default() },
    );
    assert!(contains_text(&curves, "one") && !contains_text(&curves, "zero"));
    assert_eq!(curves.warnings[1..], ["zero has no positive value to draw and is left out"]);
}

#[test]
fn subtitle_names_the_limits_that_cut_values_off() {
    let runs =
        vec![grouped_run("x", EntropyKind::TokenMean, &[(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)])];
    let comparison = Comparison::new(runs).unwrap();
    let with = |y_min, y_max| {
        curves_and_bars(&comparison, &ChartOptions { y_min, y_max, ..ChartOptions::default() }).0
    };
    let [curves, _] = with(Some(1.5), Some(2.5));
    assert!(contains_text(&curves, "axis does not start at 0 · cut below 1.50 and above 2.50"));
    let [curves, _] = with(Some(0.0), Some(3.0));
    assert!(!contains_text(&curves, "cut") && !contains_text(&curves, "axis does not"));
}

#[test]
fn lines_of_runs_are_never_dashed() {
    for count in [12, 13, 60] {
        let ([curves, _], _) =
            curves_and_bars(&comparison(count, |i| format!("run_{i}")), &ChartOptions::default());
        let runs = curves.drawing.layers.iter().filter(|layer| layer.name.starts_with("run_"));
        let lines = runs.map(|layer| layer.marks.iter().filter(|m| matches!(m, Mark::Line(..))));
        assert!(lines.clone().count() >= 8);
        assert!(lines.into_iter().all(|lines| lines.count() == 1), "{count} runs");
    }
}

#[test]
fn forest_has_enough_ticks() {
    for (from, to) in [(-0.42, 0.04), (-0.9, 0.5), (0.0, 0.3), (-0.11, 0.4)] {
        let points = |h: f64| {
            (0..40).map(|i| (f64::from(i), h + 0.01 * f64::from(i % 7))).collect::<Vec<_>>()
        };
        let runs = [("x", 2.0), ("y", 2.0 - from), ("z", 2.0 - to)];
        let runs = runs.map(|(label, h)| grouped_run(label, EntropyKind::TokenMean, &points(h)));
        let comparison = Comparison::new(runs.to_vec()).unwrap();
        let picture = forest_picture(&comparison, &compared(&comparison), &ChartOptions::default());
        let number = |t: &&Text| t.text.replace('−', "-").parse::<f64>().is_ok();
        assert!(picture.drawing.texts().filter(number).count() >= 2 * 3, "{from} to {to}");
    }
}

#[test]
fn law_without_a_fit_shows_its_steps() {
    let constant = (0..20).map(|t| Point { step: f64::from(t), entropy: 1.0 }).collect();
    let (history, _) = History::from_raw("flat", EntropyKind::TokenMean, constant).unwrap();
    let reward = AuxSeries::from_raw("r", (0..20).map(|t| (f64::from(t), f64::from(t))).collect());
    let run = Run { quantities: vec![reward], ..Run::new(history, "x.json", "rzero", "entropy") };
    let comparison = Comparison::new(vec![run]).unwrap();
    let picture = law_picture(&comparison, &laws_of(&comparison), &ChartOptions::default());
    assert!(picture.drawing.texts().any(|t| t.text == "no fit"));
    let steps = picture.drawing.layers.iter().find(|layer| layer.name == "steps").unwrap();
    assert_eq!(steps.marks.len(), 20);
}

#[test]
fn law_shows_its_equation_and_ceiling() {
    let comparison = comparison(2, |i| format!("run_{i}"));
    let picture = law_picture(&comparison, &laws_of(&comparison), &ChartOptions::default());
    let contains_text = |words: &str| picture.drawing.texts().any(|t| t.text.contains(words));
    assert!(contains_text("·e^H, R² ") && contains_text(" at H = 0"));
    assert!(contains_text("entropy, nats per response token, mean over the batch"));
    assert!(contains_text("dashed: fitted to the first third of the steps"));
}

#[test]
fn law_has_its_names_where_the_legend_is_wanted() {
    let comparison = comparison(3, |i| format!("run_{i}"));
    let laws = laws_of(&comparison);
    let picture = |legend| {
        law_picture(&comparison, &laws, &ChartOptions { legend, ..ChartOptions::default() })
    };
    let names = |picture: &Picture| -> Vec<(f64, f64)> {
        let texts = picture.drawing.texts().filter(|t| t.text.starts_with("run_"));
        texts.map(|t| (t.at.0, t.at.1)).collect()
    };
    let right_of = |picture: &Picture| {
        let dots = picture.drawing.layers.iter().find(|layer| layer.name == "steps").unwrap();
        let x = dots.marks.iter().map(|mark| match mark {
            Mark::Disc(at, ..) => at.0,
            _ => f64::MIN,
        });
        let last = x.fold(f64::MIN, f64::max);
        names(picture).iter().all(|at| at.0 > last)
    };
    let equations =
        |picture: &Picture| picture.drawing.texts().filter(|t| t.text.contains("·e^H, R²")).count();
    let ends = picture(LegendPlace::Ends);
    assert!(names(&ends).len() == 3 && right_of(&ends) && equations(&ends) == 3);
    let right = picture(LegendPlace::Right);
    assert!(names(&right).len() == 3 && right_of(&right) && equations(&right) == 0);
    let inside = picture(LegendPlace::Inside);
    assert!(names(&inside).len() == 3 && !right_of(&inside));
    assert_eq!(names(&picture(LegendPlace::None)), []);
    let many = self::comparison(12, |i| format!("run_{i}"));
    let size = Some((5.0, 2.0));
    let options = ChartOptions { legend: LegendPlace::Ends, size, ..ChartOptions::default() };
    let crowded = law_picture(&many, &laws_of(&many), &options);
    assert_eq!(crowded.warnings, ["12 names do not fit at the line ends: they are in a legend"]);
}

/// A picture of group `a`, the first and the third run, and group `b`, the second.
fn two_groups(
    runs: Vec<Run>,
    spread: Spread,
    missing_steps: MissingSteps,
) -> Result<Picture, NothingToDraw> {
    let comparison = Comparison::new(runs).unwrap();
    let groups = [("a", vec![0, 2]), ("b", vec![1])];
    let groups = groups.map(|(name, members)| Group { name: name.to_owned(), members });
    let grouped = GroupOptions { groups: groups.to_vec(), spread, missing_steps };
    let options = ChartOptions { groups: Some(grouped), ..ChartOptions::default() };
    let fonts = Fonts::for_texts(std::iter::empty(), None).unwrap();
    let curves = Curves::new(&comparison, &options, &fonts)?;
    Ok(curves.picture(&analyse(&comparison, &Thresholds::default())))
}

fn grouped_run(label: &str, kind: EntropyKind, points: &[(f64, f64)]) -> Run {
    let points = points.iter().map(|&(step, entropy)| Point { step, entropy });
    let (history, _) = History::from_raw(label, kind, points.collect()).unwrap();
    Run::new(history, format!("{label}.json"), "rzero", "entropy")
}

fn contains_text(picture: &Picture, words: &str) -> bool {
    picture.drawing.texts().any(|t| t.text.contains(words))
}

fn translucent_regions(picture: &Picture) -> Vec<(Vec<(f64, f64)>, f64)> {
    let marks = picture.drawing.layers.iter().flat_map(|layer| &layer.marks);
    let translucent_regions = |mark: &Mark| match mark {
        Mark::TranslucentRegion(points, _, opacity) => Some((points.clone(), *opacity)),
        _ => None,
    };
    marks.filter_map(translucent_regions).collect()
}

#[test]
fn band_is_lighter_over_fewer_runs_and_the_subtitle_says_how_many() {
    let comparison = comparison(3, |i| format!("run_{i}")); // with 60, 70 and 80 steps
    let groups = vec![Group { name: "all".to_owned(), members: vec![0, 1, 2] }];
    let (spread, missing_steps) = (Spread::Sd, MissingSteps::Skip);
    let grouped = GroupOptions { groups, spread, missing_steps };
    let ([curves, _], _) = curves_and_bars(
        &comparison,
        &ChartOptions { groups: Some(grouped), ..ChartOptions::default() },
    );
    assert!(contains_text(&curves, "all, n = 3"));
    assert!(contains_text(
        &curves,
        "dashed, lighter: fewer runs (all: n\u{a0}=\u{a0}3, 2 from step 61)"
    ));
    let opacities: Vec<f64> =
        translucent_regions(&curves).iter().map(|(_, opacity)| *opacity).collect();
    assert_eq!(opacities, [0.18, 0.09], "a single run has no band");
    assert!(!contains_text(&curves, "collapsed "), "annotations are about single runs");
}

#[test]
fn group_of_one_run_has_no_band() {
    let runs = ["x", "y", "z"]
        .map(|label| grouped_run(label, EntropyKind::TokenMean, &[(1.0, 1.0), (2.0, 2.0)]))
        .to_vec();
    let picture = two_groups(runs, Spread::Sd, MissingSteps::Skip).unwrap();
    let copies = "group a: no band: x and z are copies of one log, not separate runs";
    assert_eq!(picture.warnings, [copies, "group b: one run has no band"]);
    assert!(contains_text(&picture, "b, n = 1") && translucent_regions(&picture).is_empty());
}

#[test]
fn different_quantities_are_not_averaged() {
    let points = [(1.0, 1.0), (2.0, 2.0)];
    let mut runs =
        ["x", "y", "z"].map(|l| grouped_run(l, EntropyKind::TokenMean, &points)).to_vec();
    runs[2] = grouped_run("z", EntropyKind::SequenceSum, &points);
    let picture = two_groups(runs, Spread::Sd, MissingSteps::Skip).unwrap();
    assert_eq!(
        picture.warnings[0],
        "group a: its runs hold different quantities and are not averaged"
    );
    assert!(translucent_regions(&picture).is_empty());
}

#[test]
fn band_is_clipped_at_the_plot_area() {
    let run = |label, high: f64| {
        grouped_run(label, EntropyKind::TokenMean, &[(1.0, 1.0), (2.0, high), (3.0, 1.0)])
    };
    let comparison = Comparison::new(vec![run("x", 1.0), run("y", 5.0)]).unwrap();
    let groups = vec![Group { name: "a".to_owned(), members: vec![0, 1] }];
    let (spread, missing_steps) = (Spread::MinMax, MissingSteps::Skip);
    let grouped = GroupOptions { groups, spread, missing_steps };
    let limited = ChartOptions {
        groups: Some(grouped),
        y_max: Some(3.0),
        y_min: Some(0.0),
        ..ChartOptions::default()
    };
    let ([curves, _], _) = curves_and_bars(&comparison, &limited);
    let translucent_regions = translucent_regions(&curves);
    let [(outline, _)] = &translucent_regions[..] else {
        panic!("{} bands", translucent_regions.len())
    };
    let top = outline.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let flat: Vec<f64> = outline.iter().filter(|p| (p.1 - top).abs() < 1e-6).map(|p| p.0).collect();
    let (from, to) = (
        flat.iter().copied().fold(f64::INFINITY, f64::min),
        flat.iter().copied().fold(0.0, f64::max),
    );
    let (first, last) = (outline[0].0, outline.iter().map(|p| p.0).fold(0.0, f64::max));
    // Between 1 and 5 the edge is above 3 for half of the way, in both directions.
    assert!((from - (first + (last - first) / 4.0)).abs() < 0.1, "{outline:?}");
    assert!((to - (last - (last - first) / 4.0)).abs() < 0.1, "{outline:?}");
}

#[test]
fn forest_of_many_pairs_says_which_it_shows() {
    let comparison = comparison(13, |i| format!("run_{i}"));
    let picture = forest_picture(&comparison, &compared(&comparison), &ChartOptions::default());
    assert!(contains_text(&picture, "40 of 78 pairs, those with the largest difference"));
    assert_eq!(picture.warnings.len(), 1);
    assert_eq!(picture.drawing.texts().filter(|t| t.text.contains(" − ")).count(), 40 + 1); // one is “a − b” in the subtitle
}

#[test]
fn pair_without_a_comparison_keeps_its_row_with_the_reason() {
    let points: Vec<(f64, f64)> =
        (0..40).map(|i| (f64::from(i), 1.0 + 0.1 * f64::from(i % 7))).collect();
    let runs = vec![
        grouped_run("x", EntropyKind::TokenMean, &points),
        grouped_run("y", EntropyKind::TokenMean, &points[..5]),
        grouped_run("z", EntropyKind::SequenceSum, &points),
    ];
    let comparison = Comparison::new(runs).unwrap();
    let picture = forest_picture(&comparison, &compared(&comparison), &ChartOptions::default());
    assert!(contains_text(&picture, "x − z"));
    assert!(contains_text(
        &picture,
        "not compared: token mean and sequence sum are different quantities"
    ));
    assert!(contains_text(&picture, "0, no interval"));
    assert!(contains_text(
        &picture,
        "all shared steps and last tenth, 1 pair: fewer than 20 shared steps have no interval"
    ));
}

/// The tick labels of a panel with one line and a band.
fn tick_labels(base: AxisBase, points: Vec<Xy>, band: Vec<(f64, f64, f64)>) -> Vec<String> {
    let shape = LineShape::Straight;
    let line = PanelLine { name: "a".to_owned(), points, band, shape, style: Some(1) };
    let panel = Panel { name: "b".to_owned(), base, lines: vec![line] };
    let data = Panels { panels: vec![panel], ..panels_of(1, 1, 2, shape, "run") };
    let picture = panels(&data, &ChartOptions::default(), &Fonts::for_texts(["x"], None).unwrap());
    let grid = picture.drawing.layers.iter().find(|layer| layer.name == "value axis").unwrap();
    let text = |mark: &Mark| match mark {
        Mark::Text(text) => Some(text.text.clone()),
        _ => None,
    };
    grid.marks.iter().filter_map(text).collect()
}

#[test]
fn value_axis_of_a_panel_fits_its_values() {
    let points = vec![(0.0, -1e-8), (1.0, 0.4)];
    let labels = tick_labels(AxisBase::Data, points, Vec::new());
    assert!(labels.iter().all(|label| !label.starts_with('−')), "{labels:?}");
    // An interval of the mean covariance that reaches below 0 is visible.
    let band = vec![(0.0, -0.2, 0.4), (1.0, -0.1, 0.3)];
    let labels = tick_labels(AxisBase::AroundZero, vec![(0.0, 0.1), (1.0, 0.1)], band);
    assert!(labels.iter().any(|label| label.starts_with('−')), "{labels:?}");
    // One wide interval does not flatten the line.
    let band = vec![(0.0, 0.0, 16.0), (1.0, 1.9, 2.2)];
    let labels = tick_labels(AxisBase::NotNegative, vec![(0.0, 3.0), (1.0, 2.0)], band);
    assert!(!labels.iter().any(|label| label == "16"), "{labels:?}");
    let labels = tick_labels(AxisBase::Zero, vec![(0.0, 0.95), (1.0, 0.99)], Vec::new());
    assert!(labels.iter().any(|label| label == "0.0" || label == "0"), "{labels:?}");
}

#[test]
fn lines_of_one_colour_and_names_of_one_text_are_warned_of() {
    let comparison = comparison(3, |i| format!("run_{i}"));
    let red = Rgb(200, 20, 20);
    let colours = ["run_0", "run_2"].map(|label| (label.to_owned(), red)).into();
    let emphasis = Emphasis { colours, ..Emphasis::default() };
    let colours = Some(RunColours::choose(comparison.runs(), None, &emphasis));
    let warnings = |colours| {
        let options = ChartOptions { colours, ..ChartOptions::default() };
        curves_and_bars(&comparison, &options).0[0].warnings.clone()
    };
    assert_eq!(warnings(colours), ["lines share a colour, such as those of run_0 and run_2"]);
    assert!(warnings(None).is_empty());
    assert_eq!(titles::alike(["a", "b", "", ""].into_iter()), None);
    assert!(titles::alike(["q…1", "b", "q…1"].into_iter()).unwrap().contains("\"q…1\""));
}
