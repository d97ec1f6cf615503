//! Legends, and lines at values and steps.

use super::*;
use crate::geometry::{Bounds, boxes_overlap, segment_hits_box};

fn line(axis: LineAxis, at: f64, label: &str) -> ReferenceLine {
    ReferenceLine { axis, at, label: Some(label.to_owned()) }
}

fn layer<'p>(picture: &'p Picture, name: &str) -> Option<&'p canvas::Layer> {
    picture.drawing.layers.iter().find(|layer| layer.name == name)
}

fn text_bounds(layer: &canvas::Layer) -> Vec<Bounds> {
    let bounds = |mark: &Mark| match mark {
        Mark::Text(text) | Mark::Note(text) => Some(text.bounds()),
        _ => None,
    };
    layer.marks.iter().filter_map(bounds).collect()
}

/// The lines of the runs that cross one of the boxes.
fn crossed(picture: &Picture, boxes: &[Bounds]) -> usize {
    let layers = picture.drawing.layers.iter().filter(|layer| layer.name.starts_with("run_"));
    let lines = layers.flat_map(|layer| &layer.marks).filter_map(|mark| match mark {
        Mark::Line(points, ..) => Some(points),
        _ => None,
    });
    let pairs = lines.flat_map(|points| points.windows(2).map(|pair| [pair[0], pair[1]]));
    pairs.filter(|pair| boxes.iter().any(|b| segment_hits_box(*pair, *b))).count()
}

#[test]
fn labels_of_lines_cover_neither_curves_nor_texts() {
    let mut drawn = 0;
    for count in [1, 2, 5, 12] {
        let comparison = comparison(count, |i| format!("run_{i}"));
        for size in [None, Some((3.25, 2.2)), Some((6.0, 3.0))] {
            for legend in [LegendPlace::Auto, LegendPlace::Inside, LegendPlace::Right] {
                let lines = vec![
                    line(LineAxis::Value, 0.8, "a floor"),
                    line(LineAxis::Value, 2.0, "实验"),
                    line(LineAxis::Step, 30.0, "new data"),
                    line(LineAxis::Step, 33.0, "newer data"),
                ];
                let options = ChartOptions { size, legend, lines, ..ChartOptions::default() };
                let ([curves, _], _) = curves_and_bars(&comparison, &options);
                let labels = layer(&curves, "labels of reference lines").map(text_bounds);
                let labels = labels.unwrap_or_default();
                let told = curves.warnings.iter().filter(|w| w.contains("no room for the label"));
                assert_eq!(labels.len() + told.count(), 4, "a label is drawn or named");
                assert_eq!(crossed(&curves, &labels), 0, "{count} runs at {size:?}");
                let texts: Vec<&Text> = curves.drawing.texts().collect();
                for (i, text) in texts.iter().enumerate() {
                    for other in &texts[i + 1..] {
                        let overlap = boxes_overlap(text.bounds(), other.bounds());
                        assert!(!overlap, "{:?} on {:?}, {count}, {size:?}", text.text, other.text);
                    }
                }
                drawn += labels.len();
            }
        }
    }
    assert!(drawn > 100, "most labels have room: {drawn} of 144");
}

#[test]
fn line_beyond_a_limit_is_named_in_a_warning() {
    let comparison = comparison(2, |i| format!("run_{i}"));
    let with = |lines: Vec<ReferenceLine>, y_max, scale| {
        let options = ChartOptions { lines, y_max, scale, ..ChartOptions::default() };
        curves_and_bars(&comparison, &options).0.into_iter().next().unwrap()
    };
    let dashes = |picture: &Picture| layer(picture, "reference lines").map_or(0, |l| l.marks.len());
    let free = with(vec![line(LineAxis::Value, 6.0, "far")], None, ValueScale::Linear);
    assert!(free.warnings.is_empty() && dashes(&free) > 10, "the axis reaches to the line");
    assert!(contains_text(&free, "far"));
    let cases = [
        (line(LineAxis::Value, 6.0, "far"), Some(4.0), ValueScale::Linear),
        (line(LineAxis::Step, 5000.0, "far"), None, ValueScale::Linear),
        (line(LineAxis::Value, -1.0, "far"), None, ValueScale::Log),
    ];
    for (line, y_max, scale) in cases {
        let said = format!("{line} is outside the axis and is not drawn");
        let picture = with(vec![line], y_max, scale);
        assert!(picture.warnings.contains(&said), "{:?} lacks {said}", picture.warnings);
        assert_eq!(dashes(&picture), 0);
    }
}

#[test]
fn legend_is_where_the_user_wants_it() {
    let picture = |count, legend, size| {
        let options = ChartOptions { legend, size, ..ChartOptions::default() };
        let comparison = comparison(count, |i| format!("run_{i}"));
        curves_and_bars(&comparison, &options).0.into_iter().next().unwrap()
    };
    let none = picture(3, LegendPlace::None, None);
    assert!(layer(&none, "names").is_none() && layer(&none, "legend").is_none());
    assert!(layer(&picture(3, LegendPlace::Ends, None), "names").is_some());
    let right = picture(3, LegendPlace::Right, None);
    let axis = |picture: &Picture| match &layer(picture, "step axis").unwrap().marks[0] {
        Mark::Line(line, ..) => (line[0], line[1]),
        mark => panic!("{mark:?}"),
    };
    let (_, end) = axis(&right);
    assert!(text_bounds(layer(&right, "legend").unwrap()).iter().all(|b| b.0 > end.0));
    for size in [None, Some((3.25, 2.2))] {
        let inside = picture(3, LegendPlace::Inside, size);
        let boxes = text_bounds(layer(&inside, "legend").unwrap());
        assert_eq!(boxes.len(), 3);
        let (start, end) = axis(&inside);
        assert!(boxes.iter().all(|b| b.0 > start.0 && b.2 < end.0 && b.3 < end.1));
        let told = inside.warnings.iter().any(|w| w.contains("covers a part of the curves"));
        assert!(told || crossed(&inside, &boxes) == 0);
    }
    let crowded = picture(12, LegendPlace::Ends, Some((3.25, 2.0)));
    assert!(crowded.warnings.iter().any(|w| w.starts_with("12 names do not fit")));
}

#[test]
fn svg_has_its_font_inside_or_outlines() {
    use base64::Engine;
    let comparison = comparison(1, |_| "solver".to_owned());
    let ([curves, _], fonts) = curves_and_bars(&comparison, &ChartOptions::default());
    let svg = |text| {
        let bytes = encode(&curves.drawing, &fonts, Encoding::Svg(text), 100.0).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let embedded = svg(SvgText::Embedded);
    let fonts_inside: Vec<&str> = embedded.split("base64,").skip(1).collect();
    assert_eq!(fonts_inside.len(), 2, "regular and semibold");
    for font in fonts_inside {
        let data = font.split(')').next().unwrap();
        let bytes = base64::prelude::BASE64_STANDARD.decode(data).unwrap();
        let face = ttf_parser::Face::parse(&bytes, 0).unwrap();
        assert!("solver nats".chars().all(|c| face.glyph_index(c).is_some()));
    }
    let outlines = svg(SvgText::Outlines);
    assert!(!outlines.contains("<text") && outlines.matches("<path").count() > 10);
    let tree = |svg: &str| resvg::usvg::Tree::from_str(svg, &fonts.options()).unwrap();
    assert_eq!(tree(&outlines).size(), tree(&svg(SvgText::Named)).size(), "the size is kept");
}

fn run_of(label: &str, points: &[(f64, f64)]) -> Run {
    grouped_run(label, EntropyKind::TokenMean, points)
}

/// A run that falls from 2 to 0.1 at a step.
fn falling(label: &str, at: i32, last: i32) -> Run {
    let value = |step: i32| if step < at { 2.0 } else { 0.1 };
    run_of(label, &(1..=last).map(|s| (f64::from(s), value(s))).collect::<Vec<_>>())
}

fn curves_of(runs: Vec<Run>, options: &ChartOptions) -> Picture {
    let comparison = Comparison::new(runs).unwrap();
    curves_and_bars(&comparison, options).0.into_iter().next().unwrap()
}

#[test]
fn collapse_has_a_tick_at_the_axis_and_a_circle_on_the_smoothed_line() {
    for smoothing in [Smoothing::None, Smoothing::Ema(0.9)] {
        let options = ChartOptions { smoothing, ..ChartOptions::default() };
        let picture = curves_of(vec![falling("x", 50, 100)], &options);
        let note = picture.drawing.texts().find(|t| t.text.starts_with("collapsed ")).unwrap();
        assert_eq!(note.colour, theme::LIGHT.style(0).name, "in the colour of the run");
        let Mark::Line(tick, _, colour) = &layer(&picture, "states").unwrap().marks[0] else {
            panic!("no tick")
        };
        assert_eq!(*colour, theme::LIGHT.style(0).line);
        let Mark::Line(axis, ..) = &layer(&picture, "step axis").unwrap().marks[0] else {
            panic!("no axis")
        };
        assert_eq!((tick[0].0, tick[0].1), (tick[1].0, axis[0].1), "upright, from the axis");
        let ring = layer(&picture, "events").unwrap().marks.iter().find_map(|mark| match mark {
            Mark::Disc(centre, ..) => Some(*centre),
            _ => None,
        });
        let (x, y) = ring.unwrap();
        assert_eq!(x, tick[0].0);
        if smoothing != Smoothing::None {
            let line = layer(&picture, "x").unwrap().marks.iter().find_map(|mark| match mark {
                Mark::Line(points, ..) => points.iter().find(|p| (p.0 - x).abs() < 1e-6),
                _ => None,
            });
            assert!((line.unwrap().1 - y).abs() < 1e-6, "on the line that is drawn");
        }
    }
}

#[test]
fn threshold_is_drawn_for_a_single_run_only() {
    let thresholds = Thresholds { collapse_ratio: 0.5, ..Thresholds::default() };
    let options = ChartOptions { thresholds, ..ChartOptions::default() };
    let comparison = Comparison::new(vec![falling("x", 50, 100)]).unwrap();
    let fonts = fonts_of(&comparison, &options);
    let analysis = analyse(&comparison, &thresholds);
    let picture = Curves::new(&comparison, &options, &fonts).unwrap().picture(&analysis);
    assert!(contains_text(&picture, "50 % of the start"));
    let y = |name: &str| match &layer(&picture, name).unwrap().marks[0] {
        Mark::Line(line, ..) => line[0].1,
        mark => panic!("{mark:?}"),
    };
    // Half of the start of 2 is 1: as far from the axis as from the start.
    let Mark::Line(curve, ..) = &layer(&picture, "x").unwrap().marks[0] else { panic!() };
    assert!((y("threshold") - (y("step axis") + curve[0].1) / 2.0).abs() < 1e-6);
    let two = curves_of(vec![falling("x", 50, 100), falling("y", 60, 100)], &options);
    assert!(layer(&two, "threshold").is_none());
}

#[test]
fn run_that_ends_early_is_named_at_its_end_or_has_a_dotted_grey_leader() {
    let flat = |label: &str, value: f64, last: i32| {
        run_of(label, &(1..=last).map(|s| (f64::from(s), value)).collect::<Vec<_>>())
    };
    let right = |picture: &Picture| match &layer(picture, "step axis").unwrap().marks[0] {
        Mark::Line(line, ..) => line[1].0,
        mark => panic!("{mark:?}"),
    };
    let free = curves_of(vec![flat("a", 2.0, 40), flat("b", 1.0, 100)], &ChartOptions::default());
    let name = free.drawing.texts().find(|t| t.text == "a").unwrap();
    assert!(name.at.0 < right(&free) - 100.0, "beside its end");
    // Among curves that are close there is no room.
    let mut runs = vec![flat("a", 2.0, 40), flat("z", 0.1, 100)];
    for i in 1..=5 {
        let gap = 0.05 * f64::from(i);
        runs.extend([
            flat(&format!("u{i}"), 2.0 + gap, 100),
            flat(&format!("d{i}"), 2.0 - gap, 100),
        ]);
    }
    let crowded = curves_of(runs, &ChartOptions::default());
    let name = crowded.drawing.texts().find(|t| t.text == "a").unwrap();
    assert!(name.at.0 > right(&crowded));
    let grey = theme::LIGHT.unstyled;
    let lines = layer(&crowded, "names").unwrap().marks.iter().filter_map(|mark| match mark {
        Mark::Line(line, _, colour) => Some((line[0].0, line[line.len() - 1].0, *colour)),
        _ => None,
    });
    let across: Vec<_> = lines.filter(|(from, ..)| *from < right(&crowded) - 1.0).collect();
    assert!(across.len() > 50 && across.iter().all(|(from, to, c)| *c == grey && to - from < 2.0));
}

#[test]
fn name_of_a_run_beyond_the_limits_has_an_arrow_at_the_edge() {
    let rising: Vec<(f64, f64)> = (1..=50).map(|s| (f64::from(s), 0.1 * f64::from(s))).collect();
    let sinking: Vec<(f64, f64)> = rising.iter().map(|(x, y)| (*x, 5.0 - y)).collect();
    let options = ChartOptions { y_min: Some(1.0), y_max: Some(4.0), ..ChartOptions::default() };
    let picture = curves_of(vec![run_of("up", &rising), run_of("down", &sinking)], &options);
    let names = layer(&picture, "names").unwrap();
    let mut arrows: Vec<(f64, f64)> = Vec::new();
    for mark in &names.marks {
        match mark {
            Mark::Region(points, _) => {
                arrows.push((points[0].1, points.iter().map(|p| p.1).sum::<f64>() / 3.0));
            }
            Mark::Line(..) => panic!("a leader to where the line left the plot"),
            _ => {}
        }
    }
    assert_eq!(arrows.len(), 2);
    let y = |name: &str| picture.drawing.texts().find(|t| t.text == name).unwrap().at.1;
    assert!(y("up") < y("down"));
    let tip_is_up = arrows.iter().filter(|(tip, middle)| tip < middle).count();
    assert_eq!(tip_is_up, 1);
}

#[test]
fn rounds_are_separated_by_a_rule_and_named_once() {
    use entropy_history::history::StageBoundary;
    let chain = |label: &str, shift: f64| {
        let points: Vec<(f64, f64)> =
            (1..=90).map(|s| (f64::from(s), shift + 0.01 * f64::from(s % 30))).collect();
        let stage = |step: f64, name: &str| StageBoundary { step, stage: name.to_owned() };
        Run { stages: vec![stage(31.0, "2"), stage(61.0, "3")], ..run_of(label, &points) }
    };
    let options = ChartOptions::default();
    let picture = curves_of(vec![chain("a", 1.0), chain("b", 2.0)], &options);
    for words in ["round 2", "round 3"] {
        assert_eq!(picture.drawing.texts().filter(|t| t.text == words).count(), 1, "{words}");
    }
    let rules = layer(&picture, "reference lines").unwrap();
    assert_eq!(rules.marks.len(), 2, "runs whose rounds begin together share a rule");
    let Mark::Line(rule, ..) = &rules.marks[0] else { panic!() };
    let lines = layer(&picture, "a").unwrap().marks.iter().filter(|m| matches!(m, Mark::Line(..)));
    assert_eq!(lines.count(), 3, "the line is broken between rounds");
    for mark in &layer(&picture, "a").unwrap().marks {
        if let Mark::Line(points, ..) = mark {
            assert!(
                points.iter().all(|p| p.0 < rule[0].0) || points.iter().all(|p| p.0 > rule[0].0)
            );
        }
    }
}

#[test]
fn range_of_a_run_is_on_the_shared_axis_with_its_numbers_beside_it() {
    let runs = vec![
        run_of("a", &[(1.0, 2.0), (2.0, 4.0), (3.0, 3.0)]),
        run_of("b", &[(1.0, 1.0), (2.0, 1.5), (3.0, 0.5)]),
    ];
    let comparison = Comparison::new(runs).unwrap();
    let ([_, stats], _) = curves_and_bars(&comparison, &ChartOptions::default());
    let marks = &stats.drawing.layers[0].marks;
    let tick = |words: &str| {
        let named = stats.drawing.texts().filter(|t| t.text == words);
        named.map(|t| t.at.0).next().unwrap()
    };
    let (zero, four) = (tick("0.0"), tick("4.0"));
    let x = |value: f64| zero + (four - zero) * value / 4.0;
    for (index, (low, mean, high)) in [(2.0, 3.0, 4.0), (0.5, 1.0, 1.5)].into_iter().enumerate() {
        let colour = theme::LIGHT.style(index).line;
        let ends = marks.iter().find_map(|mark| match mark {
            Mark::Line(points, _, c) if *c == colour => Some([points[0].0, points[1].0]),
            _ => None,
        });
        let dot = marks.iter().find_map(|mark| match mark {
            Mark::Disc(centre, _, c) if *c == colour => Some(centre.0),
            _ => None,
        });
        let drawn = [ends.unwrap()[0], dot.unwrap(), ends.unwrap()[1]];
        for (drawn, value) in drawn.iter().zip([low, mean, high]) {
            assert!((drawn - x(value)).abs() < 1e-6, "{value} is at {drawn}");
        }
    }
    // Numbers of a column end at the same x.
    let end = |words: &str| {
        let cell = stats.drawing.texts().filter(|t| t.text == words && t.at.0 > four);
        cell.map(|t| t.at.0).next().unwrap()
    };
    assert_eq!(end("mean"), end("3.00"));
    assert_eq!((end("max"), end("max")), (end("4.00"), end("1.50")));
    assert_eq!((end("min"), end("min")), (end("2.00"), end("0.500")));
}

#[test]
fn narrow_picture_of_ranges_says_that_columns_are_missing() {
    let comparison = comparison(3, |i| format!("a-run-with-a-long-name-{i}"));
    let options = ChartOptions { size: Some((3.25, 2.2)), ..ChartOptions::default() };
    let ([_, stats], _) = curves_and_bars(&comparison, &options);
    let columns = stats.drawing.texts().filter(|t| t.text == "at step").count();
    assert_eq!(columns, 0);
    assert_eq!(stats.warnings.len(), 1);
    assert!(stats.warnings[0].contains("too narrow for all columns"));
}
