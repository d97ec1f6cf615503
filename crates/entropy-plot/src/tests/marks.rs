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
    let crowded = picture(40, LegendPlace::Ends, Some((3.25, 2.2)));
    assert!(crowded.warnings.iter().any(|w| w.starts_with("40 names do not fit")));
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
