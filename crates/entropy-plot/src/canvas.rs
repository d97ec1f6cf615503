//! One drawing for every encoding: marks in px, drawn with plotters' SVG backend.
//!
//! A chart decides ([`Drawing`] is plain data, tested on numbers), [`Drawing::to_svg`] obeys. plotters
//! takes whole numbers, so marks are drawn on a grid of 1/100 px and the picture's `viewBox` scales
//! them back; and its backend has no groups, so each layer is drawn by a backend of its own and
//! wrapped in a `<g>` that carries what plotters cannot say: weight, round joins, a name.

use std::fmt::Write;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::fonts::{FAMILY, Fonts, Weight};
use super::ink::Xy;
use super::theme::Rgb;
use entropy_history::label::visible;

/// Units of the drawing grid in a px.
const GRID: f64 = 100.0;
/// px in an inch, as in CSS.
pub const PX_PER_INCH: f64 = 96.0;
/// A picture smaller than this in inches is drawn with smaller type and pens, down to this share of them:
/// that of a figure in one column of a paper, 3.25 in wide, is 7 pt.
const SMALL: (f64, f64) = (5.0, 3.2);
const SMALLEST_TYPE: f64 = 0.75;

/// px in an inch of a picture of such a size in inches.
pub fn px_per_inch((width, height): (f64, f64)) -> f64 {
    PX_PER_INCH / (width / SMALL.0).min(height / SMALL.1).clamp(SMALLEST_TYPE, 1.0)
}

/// A picture: its size, its ground and its layers from back to front.
#[derive(Debug, PartialEq)]
pub struct Drawing {
    /// Width in px.
    pub width: f64,
    /// Height in px.
    pub height: f64,
    /// How many px are an inch: see [`px_per_inch`].
    pub px_per_inch: f64,
    /// Background colour.
    pub ground: Rgb,
    /// What a screen reader says of it.
    pub title: String,
    /// Back to front.
    pub layers: Vec<Layer>,
}

/// Marks that belong together.
#[derive(Debug, PartialEq)]
pub struct Layer {
    /// What it shows.
    pub name: String,
    /// Its marks, back to front.
    pub marks: Vec<Mark>,
}

/// Something drawn. Places and lengths in px.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A stroked line.
    Line(Vec<Xy>, f64, Rgb),
    /// A filled region.
    Region(Vec<Xy>, Rgb),
    /// A filled region whose edge goes up and down so steeply that smoothing it shows nothing.
    Ragged(Vec<Xy>, Rgb),
    /// A filled region that lets through what is below: its colour, and how much of it, from 0 to 1.
    Veil(Vec<Xy>, Rgb, f64),
    /// A filled box: left top, right bottom.
    Bar(Xy, Xy, Rgb),
    /// A filled disc: centre, radius.
    Disc(Xy, f64, Rgb),
    /// A text.
    Text(Text),
    /// A text among lines, with an edge of the ground around its letters.
    Note(Text),
}

/// Which end of a text its place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The left end.
    Start,
    /// The middle.
    Middle,
    /// The right end.
    End,
}

/// A text with the room it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// What it says.
    pub text: String,
    /// Its place on the baseline.
    pub at: Xy,
    /// Which end of it stands there.
    pub anchor: Anchor,
    /// Font size in px.
    pub size: f64,
    /// Font weight.
    pub weight: Weight,
    /// Colour.
    pub colour: Rgb,
    /// Its width in px.
    pub width: f64,
}

impl Text {
    /// Left, top, right and bottom of the room it takes: from the ascenders to the descenders.
    pub fn bounds(&self) -> (f64, f64, f64, f64) {
        let left = match self.anchor {
            Anchor::Start => self.at.0,
            Anchor::Middle => self.at.0 - self.width / 2.0,
            Anchor::End => self.at.0 - self.width,
        };
        let (top, bottom) = (self.at.1 - 0.76 * self.size, self.at.1 + 0.22 * self.size);
        (left, top, left + self.width, bottom)
    }
}

/// How the edges of ragged regions are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// Anti-aliased like all others.
    Smooth,
    /// Hard, which renders several times as fast: for pixels too small to tell.
    Hard,
}

type Group = (String, fn(&Mark, Edges) -> bool);

/// What plotters' marks cannot say each for itself, from back to front within a layer.
fn groups(ground: Rgb) -> [Group; 4] {
    let width = 3.5 * GRID;
    let edge = format!(" stroke=\"{ground}\" stroke-width=\"{width}\" paint-order=\"stroke\"");
    [
        (" shape-rendering=\"crispEdges\"".to_owned(), |mark, edges| hard(mark, edges)),
        (String::new(), |mark, edges| !hard(mark, edges) && !heavy(mark) && !edged(mark)),
        (" font-weight=\"600\"".to_owned(), |mark, _| heavy(mark)),
        (edge, |mark, _| edged(mark)),
    ]
}

fn hard(mark: &Mark, edges: Edges) -> bool {
    edges == Edges::Hard && matches!(mark, Mark::Ragged(..))
}

fn heavy(mark: &Mark) -> bool {
    matches!(mark, Mark::Text(text) if text.weight == Weight::SemiBold)
}

fn edged(mark: &Mark) -> bool {
    matches!(mark, Mark::Note(_))
}

impl Drawing {
    /// All texts, back to front.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.layers.iter().flat_map(|layer| &layer.marks).filter_map(|mark| match mark {
            Mark::Text(text) | Mark::Note(text) => Some(text),
            _ => None,
        })
    }

    /// The drawing as an SVG document; the same drawing gives the same bytes.
    pub fn to_svg(&self, fonts: &Fonts, edges: Edges) -> String {
        let (width, height) = (grid(self.width), grid(self.height));
        let mut svg = String::new();
        let (w, h) = (self.width / self.px_per_inch, self.height / self.px_per_inch);
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}in\" height=\"{h}in\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\">\n<title>{}</title>\n",
            escape(&self.title)
        );
        let ground = Mark::Bar((0.0, 0.0), (self.width, self.height), self.ground);
        svg.push_str(&draw(&[&ground], fonts, (width, height)));
        let groups = groups(self.ground);
        for layer in &self.layers {
            let _ = writeln!(svg, "<g aria-label=\"{}\">", escape(&layer.name));
            for (attributes, of_group) in &groups {
                let marks: Vec<&Mark> = layer.marks.iter().filter(|m| of_group(m, edges)).collect();
                if !marks.is_empty() {
                    let _ = write!(
                        svg,
                        "<g{attributes}>\n{}</g>\n",
                        draw(&marks, fonts, (width, height))
                    );
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
                Mark::Line(line, pen, colour) => {
                    area.draw(&PathElement::new(places(line), pen_of(*colour, *pen)))
                }
                Mark::Region(outline, colour) | Mark::Ragged(outline, colour) => {
                    area.draw(&Polygon::new(places(outline), fill_of(*colour)))
                }
                Mark::Veil(outline, colour, opacity) => {
                    let fill = colour_of(*colour).mix(*opacity).filled();
                    area.draw(&Polygon::new(places(outline), fill))
                }
                Mark::Bar(from, to, colour) => {
                    area.draw(&Rectangle::new([place(from), place(to)], fill_of(*colour)))
                }
                Mark::Disc(centre, radius, colour) => {
                    area.draw(&Circle::new(place(centre), grid(*radius), fill_of(*colour)))
                }
                Mark::Text(text) | Mark::Note(text) => {
                    elements(text, fonts).iter().try_for_each(|element| area.draw(element))
                }
            };
            drawn.expect("BUG: writing to a string cannot fail");
        }
        area.present().expect("BUG: writing to a string cannot fail");
    }
    // plotters writes a document: its root is the first line and the last.
    let body = svg.split_once('\n').map_or("", |(_, rest)| rest);
    body.trim_end().trim_end_matches("</svg>").replace(SHIFT, "")
}

/// How plotters moves a text that is anchored at its top. It is taken out, as it holds for one glyph of a
/// text from right to left alone; our places are on the baseline. In a text itself, quotes are escaped.
const SHIFT: &str = " dy=\"0.76em\"";

type Element<'t> = plotters::element::Text<'static, (i32, i32), &'t str>;

/// The text as elements, one a font.
fn elements<'t>(text: &'t Text, fonts: &Fonts) -> Vec<Element<'t>> {
    let pieces = fonts.pieces(&text.text);
    if pieces.len() == 1 {
        return vec![element(text, &text.text, text.at.0, text.anchor)];
    }
    let (mut x, ..) = text.bounds();
    let mut elements = Vec::new();
    for piece in pieces {
        // White space at an end is dropped when drawn, so it is stepped over.
        let width = |text: &str, from: &Text| fonts.width(text, from.size, from.weight);
        let words = piece.trim_start();
        let indent = width(&piece[..piece.len() - words.len()], text);
        elements.push(element(text, words.trim_end(), x + indent, Anchor::Start));
        x += width(piece, text);
    }
    elements
}

fn element<'t>(text: &Text, words: &'t str, x: f64, anchor: Anchor) -> Element<'t> {
    let h_pos = match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    // plotters divides sizes by 1.24. It moves texts by an attribute that depends on the anchor.
    let mut style = TextStyle::from((FAMILY, text.size * GRID * 1.24).into_font())
        .pos(Pos::new(h_pos, VPos::Top));
    style.color = colour_of(text.colour).to_backend_color();
    plotters::element::Text::new(words, place(&(x, text.at.1)), style)
}

fn grid(px: f64) -> i32 {
    (px * GRID).round() as i32
}

fn place(&(x, y): &Xy) -> (i32, i32) {
    (grid(x), grid(y))
}

fn places(line: &[Xy]) -> Vec<(i32, i32)> {
    line.iter().map(place).collect()
}

fn colour_of(Rgb(r, g, b): Rgb) -> RGBColor {
    RGBColor(r, g, b)
}

fn fill_of(colour: Rgb) -> ShapeStyle {
    colour_of(colour).filled()
}

fn pen_of(colour: Rgb, pen: f64) -> ShapeStyle {
    colour_of(colour).stroke_width(grid(pen).unsigned_abs())
}

/// Text as XML takes it: a control character would make the document invalid.
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
