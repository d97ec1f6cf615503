//! What holds for every picture, whatever it shows: nothing overlaps, nothing is clipped, all can be
//! read. On synthetic runs, at the counts and with the labels that layouts break on.

use super::canvas::{Edges, Mark};
use super::theme::{DARK, LIGHT};
use super::*;
use crate::history::{Companion, History, Point};
use crate::quantity::Kind;
use crate::stats;
use crate::stats::analyse;
use crate::stats::health::Thresholds;
use crate::stats::law::Law;

const COUNTS: [usize; 8] = [1, 2, 10, 12, 13, 40, 41, 200];

fn look() -> Look {
    Look {
        theme: &LIGHT,
        size: None,
        title: None,
        footer: None,
        x_label: None,
        y_label: None,
        scale: ValueScale::Linear,
        smoothing: Smoothing::None,
        across: Across::Steps,
        steps: (f64::NEG_INFINITY, f64::INFINITY),
        y_min: None,
        y_max: None,
        groups: None,
    }
}

fn comparison(count: usize, label: impl Fn(usize) -> String) -> Comparison {
    let run = |i: usize| {
        // Decays of different depth, some collapsing, some ending early, without chance.
        let length = 60 + 10 * (i % 7);
        let entropy = |t: usize| {
            let wave = 0.2 * ((t * (i + 3)) as f64 * 0.7).sin();
            0.3 + 3.0 * (-(t as f64) / (5.0 + 9.0 * (i % 11) as f64)).exp() + wave
        };
        let points = (0..length).map(|t| Point { step: (t + 1) as f64, entropy: entropy(t) });
        let (history, _) = History::from_raw(label(i), Kind::TokenMean, points.collect()).unwrap();
        let reward = |t: usize| 2.0 - 0.05 * entropy(t).exp() + 0.1 * ((t * t) as f64).sin();
        let rewards = (0..length).map(|t| ((t + 1) as f64, reward(t)));
        let reward = Companion::from_raw(format!("reward of {}", label(i)), rewards.collect());
        Run { reward, ..Run::new(history, format!("{i}.json"), "rzero", "entropy") }
    };
    Comparison::new((0..count).map(run).collect()).unwrap()
}

type Labels = fn(usize) -> String;

fn both(comparison: &Comparison, look: &Look) -> ([Picture; 2], Fonts) {
    let texts = texts_of(comparison, look);
    let fonts = Fonts::for_texts(texts.iter().map(String::as_str), None).unwrap();
    let analysis = analyse(comparison, &Thresholds::default());
    let curves = Curves::new(comparison, look, &fonts).unwrap().picture(&analysis);
    ([curves, bars(comparison, &analysis, look, &fonts)], fonts)
}

fn laws_of(comparison: &Comparison) -> Vec<Law> {
    comparison.runs().iter().map(stats::law::fit).collect()
}

fn law_picture(comparison: &Comparison, laws: &[Law], look: &Look) -> Picture {
    let texts = texts_of(comparison, look);
    let fonts = Fonts::for_texts(texts.iter().map(String::as_str), None).unwrap();
    law(comparison, laws, look, &fonts).unwrap()
}

/// Every count with every kind of label, theme, size and smoothing that changes the layout.
fn each_picture(check: impl Fn(&str, &Drawing)) {
    let labels: [(&str, Labels); 3] = [
        ("short", |i| format!("run_{i}")),
        ("long", |i| {
            format!("Qwen3-8B-Base-questioner-with-a-very-long-name-{i}-of-the-ablation-lr1e-6")
        }),
        ("wide", |i| format!("实验_{i}_WWWWWWWWWWWWWWWWWWWWWWWWWW")),
    ];
    let looks = [
        ("plain", look()),
        ("small", Look { size: Some((4.0, 3.0)), footer: Some("a footer".into()), ..look() }),
        (
            "wide",
            Look {
                size: Some((14.0, 4.0)),
                theme: &DARK,
                smoothing: Smoothing::Ema(0.9),
                ..look()
            },
        ),
        ("log", Look { scale: ValueScale::Log, title: Some("t ".repeat(200)), ..look() }),
        ("cut", Look { steps: (5.0, 40.0), y_min: Some(1.0), y_max: Some(2.0), ..look() }),
    ];
    for count in COUNTS {
        for (kind, label) in labels {
            let comparison = comparison(count, label);
            let laws = laws_of(&comparison);
            for (name, look) in &looks {
                let (pictures, _) = both(&comparison, look);
                for (chart, picture) in ["curves", "bars"].iter().zip(&pictures) {
                    check(&format!("{chart}, {count} {kind} labels, {name}"), &picture.drawing);
                }
                let picture = law_picture(&comparison, &laws, look);
                check(&format!("law, {count} {kind} labels, {name}"), &picture.drawing);
            }
        }
    }
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
fn every_text_can_be_read_and_every_mark_is_in_the_picture() {
    each_picture(|name, drawing| {
        for text in drawing.texts() {
            let contrast = text.colour.contrast(drawing.ground);
            assert!(contrast >= 4.5, "{name}: {:?} has a contrast of {contrast:.2}", text.text);
            assert!(text.size >= 7.0, "{name}: {:?} is {} px high", text.text, text.size);
        }
        for mark in drawing.layers.iter().flat_map(|layer| &layer.marks) {
            let places = match mark {
                Mark::Line(places, ..) | Mark::Region(places, _) | Mark::Ragged(places, _) => {
                    &places[..]
                }
                Mark::Veil(places, ..) => &places[..],
                Mark::Bar(from, to, _) => &[*from, *to][..],
                Mark::Disc(centre, ..) => &[*centre][..],
                Mark::Text(_) => &[],
            };
            for (x, y) in places {
                let inside = (-1.0..=drawing.width + 1.0).contains(x)
                    && (-1.0..=drawing.height + 1.0).contains(y);
                assert!(inside, "{name}: a mark at {x}, {y} leaves the picture");
            }
        }
    });
}

#[test]
fn past_forty_runs_the_picture_says_how_many_are_shown_how() {
    let ([curves, bars], _) = both(&comparison(200, |i| format!("run_{i}")), &look());
    let says =
        |picture: &Picture, words: &str| picture.drawing.texts().any(|t| t.text.contains(words));
    assert!(says(&curves, "and 160 more"));
    assert!(says(&curves, "200 runs, the 40 with the largest spread in colour"));
    assert!(says(&bars, "40 of 200 runs"));
    assert_eq!(bars.warnings.len(), 1);
}

#[test]
fn a_run_has_the_same_colour_in_both_pictures() {
    let ([curves, bars], _) = both(&comparison(60, |i| format!("run_{i}")), &look());
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
    assert_eq!(line_colours.len(), STYLES);
    assert_eq!(line_colours, bar_colours[..STYLES], "bars of the first panel");
}

#[test]
fn a_collapse_is_marked_where_it_happened() {
    let (pictures, _) = both(&comparison(2, |i| format!("run_{i}")), &look());
    let notes = pictures[0].drawing.texts().filter(|t| t.text.starts_with("collapsed at step"));
    assert!(notes.count() > 0);
}

#[test]
fn the_same_drawing_gives_the_same_bytes() {
    let comparison = comparison(13, |i| format!("run_{i}"));
    let render = || {
        let ([curves, _], fonts) = both(&comparison, &look());
        [Encoding::Png, Encoding::Svg, Encoding::Pdf]
            .map(|encoding| encode(&curves.drawing, &fonts, encoding, 60.0).unwrap())
    };
    assert!(render() == render());
}

#[test]
fn labels_are_escaped_in_svg() {
    let comparison = comparison(1, |_| "<script>&\"'\u{1b}[31m".to_owned());
    let ([curves, _], fonts) = both(&comparison, &look());
    let svg = curves.drawing.to_svg(&fonts, Edges::Smooth);
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}'));
    assert!(resvg::usvg::Tree::from_str(&svg, &fonts.options()).is_ok());
}

#[test]
fn a_value_without_a_logarithm_is_told() {
    let points = [1.0, 0.0, 2.0].iter().enumerate();
    let points = points.map(|(i, &entropy)| Point { step: i as f64, entropy }).collect();
    let (history, _) = History::from_raw("x", Kind::TokenMean, points).unwrap();
    let run = Run::new(history, "x.json", "rzero", "entropy");
    let comparison = Comparison::new(vec![run]).unwrap();
    let ([curves, _], _) = both(&comparison, &Look { scale: ValueScale::Log, ..look() });
    assert_eq!(
        curves.warnings,
        ["1 value is not positive and cannot be drawn on a logarithmic axis"]
    );
}

#[test]
fn a_law_that_cannot_be_fitted_still_shows_its_steps() {
    let constant = (0..20).map(|t| Point { step: f64::from(t), entropy: 1.0 }).collect();
    let (history, _) = History::from_raw("flat", Kind::TokenMean, constant).unwrap();
    let reward = Companion::from_raw("r", (0..20).map(|t| (f64::from(t), f64::from(t))).collect());
    let run = Run { reward, ..Run::new(history, "x.json", "rzero", "entropy") };
    let comparison = Comparison::new(vec![run]).unwrap();
    let picture = law_picture(&comparison, &laws_of(&comparison), &look());
    assert!(picture.drawing.texts().any(|t| t.text == "no fit"));
    let steps = picture.drawing.layers.iter().find(|layer| layer.name == "steps").unwrap();
    assert_eq!(steps.marks.len(), 20);
}

#[test]
fn a_law_says_its_equation_and_where_it_ends() {
    let comparison = comparison(2, |i| format!("run_{i}"));
    let picture = law_picture(&comparison, &laws_of(&comparison), &look());
    let says = |words: &str| picture.drawing.texts().any(|t| t.text.contains(words));
    assert!(says("·e^H, R² ") && says(" at H = 0"));
    assert!(says("entropy, nats per response token, mean over the batch"));
    assert!(says("dashed: fitted to the first third of the steps"));
}
