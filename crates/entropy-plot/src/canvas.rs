//! One drawing for every encoding: marks in px, drawn with plotters' SVG backend.
//!
//! A chart makes a [`Drawing`], which is plain data and can be tested on numbers; [`Drawing::to_svg`] draws
//! it. plotters takes whole numbers, so marks are drawn on a grid of 1/100 px, and the `viewBox` of the
//! picture scales them back. Its backend has no groups, so each layer is drawn by a backend of its own and
//! wrapped in a `<g>` with the attributes that plotters does not support: weight, round joins, a name.

use std::fmt::Write;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::fonts::{FAMILY, Fonts, Weight};
use super::geometry::{Bounds, Xy};
use super::matting::without_ground;
use super::theme::Rgb;
use entropy_history::label::visible;

/// Units of the drawing grid per px.
pub(super) const GRID: f64 = 100.0;
/// A picture: its size, its background colour and its layers.
#[derive(Debug, PartialEq)]
pub struct Drawing {
    /// Width in px.
    pub width: f64,
    /// Height in px.
    pub height: f64,
    /// Pixels per inch: small pictures have more, so that type and lines get smaller.
    pub px_per_inch: f64,
    /// Background colour.
    pub background: Rgb,
    /// Title for screen readers.
    pub title: String,
    /// The layers, from back to front.
    pub layers: Vec<Layer>,
    /// Of a transparent picture, the drawing on a dark ground. It has the same marks in other colours.
    pub on_dark: Option<Box<Drawing>>,
}

/// Marks that belong together.
#[derive(Debug, PartialEq)]
pub struct Layer {
    /// Name of the layer for screen readers.
    pub name: String,
    /// The marks, from back to front.
    pub marks: Vec<Mark>,
}

/// A drawn element. Positions and lengths are in px.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A stroked line.
    Line(Vec<Xy>, f64, Rgb),
    /// A filled region.
    Region(Vec<Xy>, Rgb),
    /// A filled region whose edge is so ragged that anti-aliasing makes no visible difference.
    Ragged(Vec<Xy>, Rgb),
    /// A filled region that shows what is below it: outline, colour and opacity from 0 to 1.
    TranslucentRegion(Vec<Xy>, Rgb, f64),
    /// A filled box: left top corner, right bottom corner.
    Bar(Xy, Xy, Rgb),
    /// A filled disc: centre, radius, colour.
    Disc(Xy, f64, Rgb),
    /// A text.
    Text(Text),
    /// A text among lines, with an outline in the background colour around its letters.
    Note(Text),
}

/// The size in px, weight and colour of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextFormat {
    pub(super) size: f64,
    pub(super) weight: Weight,
    pub(super) colour: Rgb,
}

impl TextFormat {
    pub(super) fn regular(size: f64, colour: Rgb) -> TextFormat {
        TextFormat { size, weight: Weight::Regular, colour }
    }

    pub(super) fn semi_bold(size: f64, colour: Rgb) -> TextFormat {
        TextFormat { size, weight: Weight::SemiBold, colour }
    }
}

/// Which part of a text is at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The left end.
    Start,
    /// The middle.
    Middle,
    /// The right end.
    End,
}

/// A text with its measured width.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The characters.
    pub text: String,
    /// Position on the baseline.
    pub at: Xy,
    /// Which part of the text is at the position.
    pub anchor: Anchor,
    /// Font size in px.
    pub size: f64,
    /// Font weight.
    pub weight: Weight,
    /// Colour.
    pub colour: Rgb,
    /// Its width in px.
    pub width: f64,
    /// Where it runs to.
    pub direction: Direction,
}

/// The direction in which a text runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From left to right.
    Across,
    /// From the bottom to the top, as the title of a y axis.
    Up,
}

impl Text {
    /// Measures `text` and puts it at the position `at` on the baseline.
    pub(super) fn new(
        fonts: &Fonts,
        text: impl Into<String>,
        at: Xy,
        anchor: Anchor,
        TextFormat { size, weight, colour }: TextFormat,
    ) -> Text {
        let text = text.into();
        let width = fonts.width(&text, size, weight);
        Text { text, at, anchor, size, weight, colour, width, direction: Direction::Across }
    }

    /// The text turned, so that it runs upwards.
    pub(super) fn upwards(self) -> Text {
        Text { direction: Direction::Up, ..self }
    }

    /// The box that the text fills, from the ascenders to the descenders.
    pub fn bounds(&self) -> Bounds {
        let start = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -self.width / 2.0,
            Anchor::End => -self.width,
        };
        let (above, below) = (0.76 * self.size, 0.22 * self.size);
        let (x, y) = self.at;
        match self.direction {
            Direction::Across => (x + start, y - above, x + start + self.width, y + below),
            Direction::Up => (x - above, y - start - self.width, x + below, y - start),
        }
    }
}

/// How the edges of ragged regions are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// Anti-aliased, like all other marks.
    Smooth,
    /// Hard, which renders several times as fast; for pixels that are too small to show the difference.
    Hard,
}

/// The attributes of the groups of a layer, from back to front. They carry what plotters cannot set on a mark.
fn group_attributes(background: Rgb) -> [String; 4] {
    let width = 3.5 * GRID;
    [
        " shape-rendering=\"crispEdges\"".to_owned(),
        String::new(),
        " font-weight=\"600\"".to_owned(),
        format!(" stroke=\"{background}\" stroke-width=\"{width}\" paint-order=\"stroke\""),
    ]
}

/// The index of the group that a mark belongs to.
fn group_of(mark: &Mark, edges: Edges) -> usize {
    match mark {
        Mark::Ragged(..) if edges == Edges::Hard => 0,
        Mark::Text(text) if text.weight == Weight::SemiBold => 2,
        Mark::Note(_) => 3,
        _ => 1,
    }
}

impl Drawing {
    /// All texts, from back to front.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.layers.iter().flat_map(|layer| &layer.marks).filter_map(|mark| match mark {
            Mark::Text(text) | Mark::Note(text) => Some(text),
            _ => None,
        })
    }

    /// The drawing as an SVG document. Equal drawings give equal bytes.
    pub fn to_svg(&self, fonts: &Fonts, edges: Edges) -> String {
        let svg = self.opaque_svg(fonts, edges);
        match &self.on_dark {
            None => svg,
            Some(dark) => {
                let grounds = [self.background, dark.background];
                without_ground([&svg, &dark.opaque_svg(fonts, edges)], grounds)
            }
        }
    }

    fn opaque_svg(&self, fonts: &Fonts, edges: Edges) -> String {
        let (width, height) = (grid(self.width), grid(self.height));
        let mut svg = String::new();
        let inches = |px: f64| (1e6 * px / self.px_per_inch).round() / 1e6;
        let (w, h) = (inches(self.width), inches(self.height));
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}in\" height=\"{h}in\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\">\n<title>{}</title>\n",
            escape(&self.title)
        );
        let background = Mark::Bar((0.0, 0.0), (self.width, self.height), self.background);
        svg.push_str(&draw(&[&background], fonts, (width, height)));
        let groups = group_attributes(self.background);
        for layer in &self.layers {
            let _ = writeln!(svg, "<g aria-label=\"{}\">", escape(&layer.name));
            for (group, attributes) in groups.iter().enumerate() {
                let marks = layer.marks.iter().filter(|mark| group_of(mark, edges) == group);
                let marks: Vec<&Mark> = marks.collect();
                if !marks.is_empty() {
                    let elements = draw(&marks, fonts, (width, height));
                    let _ = write!(svg, "<g{attributes}>\n{elements}</g>\n");
                }
            }
            svg.push_str("</g>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The marks as SVG elements, without the document around them.
fn draw(marks: &[&Mark], fonts: &Fonts, (width, height): (i32, i32)) -> String {
    let mut svg = String::new();
    {
        let size = (width.unsigned_abs(), height.unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        for mark in marks {
            let drawn = match mark {
                Mark::Line(line, width, colour) => {
                    area.draw(&PathElement::new(grid_points(line), stroke_of(*colour, *width)))
                }
                Mark::Region(outline, colour) | Mark::Ragged(outline, colour) => {
                    area.draw(&Polygon::new(grid_points(outline), fill_of(*colour)))
                }
                Mark::TranslucentRegion(outline, colour, opacity) => {
                    let fill = colour_of(*colour).mix(*opacity).filled();
                    area.draw(&Polygon::new(grid_points(outline), fill))
                }
                Mark::Bar(from, to, colour) => {
                    area.draw(&Rectangle::new([grid_point(from), grid_point(to)], fill_of(*colour)))
                }
                Mark::Disc(centre, radius, colour) => {
                    area.draw(&Circle::new(grid_point(centre), grid(*radius), fill_of(*colour)))
                }
                Mark::Text(text) | Mark::Note(text) => {
                    elements(text, fonts).iter().try_for_each(|element| area.draw(element))
                }
            };
            drawn.expect("BUG: writing to a string cannot fail");
        }
        area.present().expect("BUG: writing to a string cannot fail");
    }
    // plotters writes a document; its root element is the first and the last line.
    let body = svg.split_once('\n').map_or("", |(_, rest)| rest);
    body.trim_end().trim_end_matches("</svg>").replace(SHIFT, "")
}

/// The attribute with which plotters shifts a text that is anchored at its top. It is removed, because
/// positions here are on the baseline, and because in right-to-left text it would shift one glyph only.
/// Quotes in texts are escaped, so no text contains it.
const SHIFT: &str = " dy=\"0.76em\"";

type SvgText<'t> = plotters::element::Text<'static, (i32, i32), &'t str>;

/// The text as SVG elements, one per font.
fn elements<'t>(text: &'t Text, fonts: &Fonts) -> Vec<SvgText<'t>> {
    let pieces = fonts.pieces(&text.text);
    if pieces.len() == 1 {
        return vec![element(text, &text.text, text.at, text.anchor)];
    }
    let (left, _, _, bottom) = text.bounds();
    let mut along = 0.0;
    let mut elements = Vec::new();
    for piece in pieces {
        // Renderers drop white space at both ends, so positions skip it.
        let width = |text: &str, from: &Text| fonts.width(text, from.size, from.weight);
        let words = piece.trim_start();
        let indent = width(&piece[..piece.len() - words.len()], text);
        let at = match text.direction {
            Direction::Across => (left + along + indent, text.at.1),
            Direction::Up => (text.at.0, bottom - along - indent),
        };
        elements.push(element(text, words.trim_end(), at, Anchor::Start));
        along += width(piece, text);
    }
    elements
}

fn element<'t>(text: &Text, words: &'t str, at: Xy, anchor: Anchor) -> SvgText<'t> {
    let h_pos = match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    // plotters divides sizes by 1.24. With a top anchor its shift is always SHIFT.
    let font = (FAMILY, text.size * GRID * 1.24).into_font();
    let font = match text.direction {
        Direction::Across => font,
        Direction::Up => font.transform(FontTransform::Rotate270),
    };
    let mut style = TextStyle::from(font).pos(Pos::new(h_pos, VPos::Top));
    style.color = colour_of(text.colour).to_backend_color();
    plotters::element::Text::new(words, grid_point(&at), style)
}

fn grid(px: f64) -> i32 {
    (px * GRID).round() as i32
}

fn grid_point(&(x, y): &Xy) -> (i32, i32) {
    (grid(x), grid(y))
}

fn grid_points(line: &[Xy]) -> Vec<(i32, i32)> {
    line.iter().map(grid_point).collect()
}

fn colour_of(Rgb(r, g, b): Rgb) -> RGBColor {
    RGBColor(r, g, b)
}

fn fill_of(colour: Rgb) -> ShapeStyle {
    colour_of(colour).filled()
}

fn stroke_of(colour: Rgb, width: f64) -> ShapeStyle {
    colour_of(colour).stroke_width(grid(width).unsigned_abs())
}

/// Escapes text for XML. Control characters are made visible, because they are invalid in XML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
