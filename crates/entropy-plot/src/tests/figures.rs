//! Measures figures on the SVG that is written: the ink of texts, the plot area, the share of it that the data take,
//! and contrast. usvg finds the ink, so the numbers do not come from the layout that is tested.

use resvg::usvg::{Node, Tree, roxmltree};

use super::*;
use crate::metrics::{Header, Look};

/// A text of the SVG: its words, the name of its layer, its colour, and its ink in px.
struct InkedText {
    words: String,
    layer: String,
    colour: Rgb,
    bounds: geometry::Bounds,
}

/// What was measured on an SVG, in px.
struct Figure {
    width: f64,
    height: f64,
    texts: Vec<InkedText>,
    /// The name, the colour and the points of every line and region.
    shapes: Vec<(String, Rgb, Vec<geometry::Xy>)>,
}

fn rgb(hex: &str) -> Rgb {
    Rgb::hex(u32::from_str_radix(hex.trim_start_matches('#'), 16).unwrap())
}

fn collect_ink(group: &resvg::usvg::Group, found: &mut Vec<resvg::usvg::Rect>) {
    for node in group.children() {
        match node {
            Node::Group(group) => collect_ink(group, found),
            // The paths of a text are placed before the transforms of the text and of the view box.
            Node::Text(text) => {
                let ink = text.flattened().bounding_box();
                found.push(ink.transform(text.abs_transform()).expect("a box stays a box"));
            }
            _ => {}
        }
    }
}

impl Figure {
    fn of(drawing: &Drawing, fonts: &Fonts) -> Figure {
        let svg = drawing.to_svg(fonts, Edges::Smooth);
        let tree = Tree::from_str(&svg, &fonts.options()).unwrap();
        let mut ink = Vec::new();
        collect_ink(tree.root(), &mut ink);
        let scale = drawing.width / f64::from(tree.size().width());
        let document = roxmltree::Document::parse(&svg).unwrap();
        let layer = |node: &roxmltree::Node<'_, '_>| {
            let name = node.ancestors().find_map(|a| a.attribute("aria-label"));
            name.unwrap_or_default().to_owned()
        };
        let named =
            |tag: &'static str| document.descendants().filter(move |node| node.has_tag_name(tag));
        let texts: Vec<_> = named("text").collect();
        assert_eq!(texts.len(), ink.len(), "usvg keeps every text");
        let texts = texts.iter().zip(ink).map(|(node, ink)| {
            let px = |value: f32| f64::from(value) * scale;
            InkedText {
                words: node.text().unwrap_or_default().trim().to_owned(),
                layer: layer(node),
                colour: rgb(node.attribute("fill").unwrap()),
                bounds: (px(ink.left()), px(ink.top()), px(ink.right()), px(ink.bottom())),
            }
        });
        let shapes = named("polyline").chain(named("polygon")).map(|node| {
            let number = |text: &str| text.parse::<f64>().unwrap() / canvas::GRID;
            let points = node.attribute("points").unwrap().split_whitespace().map(|pair| {
                let (x, y) = pair.split_once(',').unwrap();
                (number(x), number(y))
            });
            let colour = ["stroke", "fill"].map(|name| node.attribute(name).unwrap_or("none"));
            let colour = colour.into_iter().find(|colour| *colour != "none").unwrap();
            (layer(&node), rgb(colour), points.collect())
        });
        Figure {
            width: drawing.width,
            height: drawing.height,
            texts: texts.collect(),
            shapes: shapes.collect(),
        }
    }

    /// Top and bottom of the plot area: the highest grid line or curve, and the x axis.
    fn plot_area(&self) -> (f64, f64) {
        let axis = self.shapes.iter().find(|(layer, ..)| layer == "step axis").unwrap();
        let grid = self.shapes.iter().filter(|(layer, ..)| layer == "value axis");
        let (top, _) = self.data();
        let top = grid.map(|(.., points)| points[0].1).fold(top, f64::min);
        (top, axis.2[0].1)
    }

    /// The shapes of curves.
    fn curves(&self) -> impl Iterator<Item = &(String, Rgb, Vec<geometry::Xy>)> {
        let other = [
            "step axis",
            "value axis",
            "names",
            "legend",
            "events",
            "states",
            "threshold",
            "reference lines",
        ];
        self.shapes.iter().filter(move |(layer, ..)| !other.contains(&layer.as_str()))
    }

    /// The highest and the lowest point of the curves.
    fn data(&self) -> (f64, f64) {
        axis::range(self.curves().flat_map(|(.., points)| points.iter().map(|point| point.1)))
    }
}

/// The figures that papers and posts need: every count of runs, kind of label and theme at column width, with and
/// without the look of papers, and at the default size.
fn each_figure(check: impl Fn(&str, &Figure, &ChartOptions)) {
    let labels: [(&str, Labels); 3] = [
        ("short", |i| format!("run_{i}")),
        ("long", |i| format!("Qwen3-8B-Base-questioner-seed-{i}-of-the-ablation-lr1e-6")),
        ("Chinese", |i| format!("实验_{i}_更长的名字")),
    ];
    let paper = Look { header: Header::Hidden, type_points: Some(7.5), line_scale: 0.8 };
    let column = Some((3.25, 2.2));
    let looks = [
        ("column", column, Look::default()),
        ("paper", column, paper),
        ("default", None, Look::default()),
    ];
    for count in [1, 2, 5, 12, 13, 40, 200] {
        for (kind, label) in labels {
            let comparison = comparison(count, label);
            let analysis = analyse(&comparison, &Thresholds::default());
            for theme in [&theme::LIGHT, &DARK] {
                for (name, size, look) in looks {
                    let options = ChartOptions { theme, size, look, ..ChartOptions::default() };
                    let fonts = fonts_of(&comparison, &options);
                    let curves = Curves::new(&comparison, &options, &fonts).unwrap();
                    let figure = Figure::of(&curves.picture(&analysis).drawing, &fonts);
                    check(&format!("{count} {kind} labels, {name}"), &figure, &options);
                }
            }
        }
    }
}

#[test]
fn figures_have_no_overlapping_or_clipped_text_and_enough_contrast() {
    each_figure(|name, figure, options| {
        for (i, text) in figure.texts.iter().enumerate() {
            let (left, top, right, bottom) = text.bounds;
            let inside =
                left >= 0.0 && top >= 0.0 && right <= figure.width && bottom <= figure.height;
            assert!(inside, "{name}: {:?} at {:?} is clipped", text.words, text.bounds);
            for other in &figure.texts[i + 1..] {
                // Pieces of one text in two fonts touch.
                let (l, t, r, b) = other.bounds;
                let overlap =
                    geometry::boxes_overlap(text.bounds, (l + 0.3, t + 0.3, r - 0.3, b - 0.3));
                assert!(
                    !overlap,
                    "{name}: {:?} at {:?} overlaps {:?} at {:?}",
                    text.words, text.bounds, other.words, other.bounds
                );
            }
            let contrast = text.colour.contrast(options.theme.background);
            assert!(contrast >= 4.5, "{name}: {:?} has a contrast of {contrast:.2}", text.words);
        }
        let context = ["other runs", "as logged", "bands"];
        for (layer, colour, _) in figure.curves().filter(|c| !context.contains(&c.0.as_str())) {
            let contrast = colour.contrast(options.theme.background);
            assert!(contrast >= 2.995, "{name}: {layer:?} has a contrast of {contrast:.2}");
        }
    });
}

#[test]
fn small_figures_give_the_height_to_the_data() {
    each_figure(|name, figure, options| {
        if options.size.is_none() {
            return;
        }
        let (top, bottom) = figure.plot_area();
        let share = (bottom - top) / figure.height;
        assert!(share >= 0.6, "{name}: the plot area takes {share:.2} of the height");
        let (high, low) = figure.data();
        let used = (low - high) / (bottom - top);
        assert!(used >= 0.7, "{name}: the data take {used:.2} of the plot area");
        let header = figure.texts.iter().filter(|text| text.layer == "title");
        let below = header.clone().map(|text| text.bounds.3).fold(0.0, f64::max);
        match options.look.header {
            Header::Shown => assert!(below <= 0.15 * figure.height, "{name}: {below}"),
            Header::Hidden => {
                assert_eq!(header.count(), 0, "{name}");
                let words = "policy entropy (nats)";
                assert!(figure.texts.iter().any(|text| text.words == words), "{name}");
            }
        }
    });
}

#[test]
fn many_runs_are_grey_and_a_few_are_named() {
    each_figure(|name, figure, options| {
        let runs: usize = name.split(' ').next().unwrap().parse().unwrap();
        let named = figure.texts.iter().filter(|text| text.layer == "names").count();
        let grey = figure.shapes.iter().filter(|(layer, ..)| layer == "other runs");
        let colours: Vec<Rgb> = grey.map(|(_, colour, _)| *colour).collect();
        if runs <= 12 {
            assert_eq!(colours.len(), 0, "{name}");
            return;
        }
        // A text in two fonts is two texts.
        assert!(named >= 8 || figure.texts.iter().any(|t| t.layer == "legend"), "{name}: {named}");
        assert!(!colours.is_empty(), "{name}");
        for colour in &colours {
            let Rgb(r, g, b) = *colour;
            let spread = r.max(g).max(b) - r.min(g).min(b);
            assert!(spread < 24, "{name}: {colour} is not grey");
            let contrast = colour.contrast(options.theme.background);
            assert!((1.15..3.5).contains(&contrast), "{name}: {colour} has {contrast:.2}");
        }
    });
}

#[test]
fn panels_share_axes_and_keep_their_texts_apart() {
    let comparison = comparison(24, |i| format!("qwen3-tiny_lr{}_kl{}_seed{i}", i % 4, i % 3));
    let analysis = analyse(&comparison, &Thresholds::default());
    for count in [1, 2, 3, 4, 7, 12] {
        let panel = |panel: usize| Group {
            name: format!("panel {panel}"),
            members: (0..24).filter(|i| i % count == panel).collect(),
        };
        for (theme, size) in [(&theme::LIGHT, None), (&DARK, Some((6.75, 4.0)))] {
            let facets = Some((0..count).map(panel).collect());
            let options = ChartOptions { theme, size, facets, ..ChartOptions::default() };
            let fonts = fonts_of(&comparison, &options);
            let curves = Curves::new(&comparison, &options, &fonts).unwrap();
            let figure = Figure::of(&curves.picture(&analysis).drawing, &fonts);
            let titles = figure.texts.iter().filter(|text| text.layer == "panel");
            assert_eq!(titles.count(), count);
            for (i, text) in figure.texts.iter().enumerate() {
                let (left, top, right, bottom) = text.bounds;
                let inside =
                    left >= 0.0 && top >= 0.0 && right <= figure.width && bottom <= figure.height;
                assert!(inside, "{count} panels: {:?} is clipped", text.words);
                for other in &figure.texts[i + 1..] {
                    let overlap = geometry::boxes_overlap(text.bounds, other.bounds);
                    assert!(!overlap, "{count} panels: {:?} and {:?}", text.words, other.words);
                }
            }
            // Every run is in one panel: 8 in colour, the others together.
            let named = figure.texts.iter().filter(|text| text.layer == "names").count();
            assert_eq!(named, 8, "{count} panels");
        }
    }
}

#[test]
fn empty_title_leaves_no_gap() {
    let comparison = comparison(2, |i| format!("run_{i}"));
    let analysis = analyse(&comparison, &Thresholds::default());
    for size in [None, Some((3.25, 2.2))] {
        let figure = |title: Option<&str>| {
            let title = title.map(str::to_owned);
            let options = ChartOptions { size, title, ..ChartOptions::default() };
            let fonts = fonts_of(&comparison, &options);
            let curves = Curves::new(&comparison, &options, &fonts).unwrap();
            Figure::of(&curves.picture(&analysis).drawing, &fonts)
        };
        let (with, without) = (figure(None), figure(Some("")));
        let first_text = |figure: &Figure| {
            let header = figure.texts.iter().filter(|text| text.layer == "title");
            header.map(|text| (text.bounds.1, text.bounds.3)).next().unwrap()
        };
        let (top, bottom) = first_text(&with);
        let moved = with.plot_area().0 - without.plot_area().0;
        assert!(moved >= bottom - top, "the plot moves up by the title: {moved}");
        let (subtitle, _) = first_text(&without);
        assert!(subtitle <= top + 6.0, "the subtitle stands where the title did: {subtitle} {top}");
    }
}

#[test]
fn title_of_the_value_axis_says_the_unit() {
    let comparison = comparison(2, |i| format!("run_{i}"));
    let title = |options: ChartOptions| {
        let ([curves, _], _) = curves_and_bars(&comparison, &options);
        let layer = curves.drawing.layers.into_iter().find(|l| l.name == "title of the value axis");
        layer.map(|layer| match &layer.marks[..] {
            [Mark::Text(text)] => text.text.clone(),
            marks => panic!("{marks:?}"),
        })
    };
    let hidden = Look { header: Header::Hidden, ..Look::default() };
    assert_eq!(title(ChartOptions::default()), None, "the subtitle says it");
    let paper = ChartOptions { look: hidden, ..ChartOptions::default() };
    assert_eq!(title(paper.clone()).as_deref(), Some("policy entropy (nats)"));
    let given = Some("H (nats)".to_owned());
    let own = ChartOptions { y_label: given.clone(), ..ChartOptions::default() };
    assert_eq!(title(own), given);
    assert_eq!(title(ChartOptions { y_label: Some(String::new()), ..paper }), None);
}

#[test]
fn paper_lines_and_type_have_the_printed_size() {
    let comparison = comparison(2, |i| format!("run_{i}"));
    let look = Look { header: Header::Hidden, type_points: Some(7.5), line_scale: 0.8 };
    for size in [(3.25, 2.2), (6.75, 2.5)] {
        for smoothing in [Smoothing::None, Smoothing::Ema(0.9)] {
            let options =
                ChartOptions { look, size: Some(size), smoothing, ..ChartOptions::default() };
            let ([curves, _], _) = curves_and_bars(&comparison, &options);
            let points = |px: f64| px / curves.drawing.px_per_inch * 72.0;
            for text in curves.drawing.texts() {
                let size = points(text.size);
                assert!((7.0..=8.0).contains(&size), "{:?} has {size:.2} pt", text.text);
            }
            let lines = curves.drawing.layers.iter().filter(|l| l.name.starts_with("run_"));
            for mark in lines.flat_map(|layer| &layer.marks) {
                if let Mark::Line(_, width, _) = mark {
                    let width = points(*width);
                    assert!((0.74..=1.0).contains(&width), "a line of {width:.2} pt");
                }
            }
        }
    }
}

#[test]
fn small_value_axis_is_filled_by_any_data() {
    let options = ChartOptions { size: Some((3.25, 2.2)), ..ChartOptions::default() };
    let metrics = metrics::Metrics::of(&options);
    for high in (1..=120).map(|i| 0.09 * f64::from(i)) {
        for low in [0.0, 0.02, 0.1, 0.2, 0.24, 0.26, 0.5, 0.9, 0.99].map(|share| share * high) {
            let axis = plot_area::entropy_axis(low, high, &options, 4, metrics);
            let used = (high - low) / (axis.high - axis.low);
            assert!(used >= 0.7, "{used:.2} for data from {low:.3} to {high:.3}: {axis:?}");
            assert!(axis.ticks.len() >= 2, "{axis:?}");
            assert!(axis.low <= low && high <= axis.high, "{axis:?}");
        }
    }
}
