//! Fonts: Inter is embedded, the host's are looked at only when a label needs them.
//!
//! Pictures must come out the same on every host, so measuring and drawing use the embedded subset.
//! It has no Chinese and no emoji: for such characters the host's fonts and `--font` are searched,
//! and what nobody can draw is reported, never silently drawn as boxes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fontdb::{Database, ID, Source};
use resvg::usvg;
use ttf_parser::Face;
use unicode_bidi::{BidiInfo, Level};

static REGULAR: &[u8] = include_bytes!("../assets/fonts/Inter-Regular.otf");
static SEMIBOLD: &[u8] = include_bytes!("../assets/fonts/Inter-SemiBold.otf");

/// The family list of every text; the rest is for viewers of SVG without Inter.
pub const FAMILY: &str = "Inter, 'Helvetica Neue', Arial, 'Noto Sans', sans-serif";

/// The two weights in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// 400.
    Regular,
    /// 600.
    SemiBold,
}

/// The fonts a picture is measured and drawn with.
pub struct Fonts {
    database: Arc<Database>,
    regular: Face<'static>,
    semibold: Face<'static>,
    fallbacks: BTreeMap<char, Fallback>,
    missing: Vec<char>,
}

#[derive(Clone, Copy)]
struct Fallback {
    face: ID,
    advance: f64, // in em
}

impl Fonts {
    /// The embedded fonts, and for what they lack in `texts` the file `extra` and the host's fonts.
    ///
    /// # Errors
    /// When `extra` cannot be read or is not a font.
    pub fn for_texts<'t>(
        texts: impl IntoIterator<Item = &'t str>,
        extra: Option<&Path>,
    ) -> std::io::Result<Fonts> {
        let mut database = Database::new();
        database.load_font_source(Source::Binary(Arc::new(REGULAR)));
        database.load_font_source(Source::Binary(Arc::new(SEMIBOLD)));
        let face = |data| Face::parse(data, 0).expect("BUG: the embedded font is one");
        let (regular, semibold) = (face(REGULAR), face(SEMIBOLD));

        let drawn = |c: &char| !takes_no_room(*c);
        let mut wanted: Vec<char> = texts.into_iter().flat_map(str::chars).filter(drawn).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|c| regular.glyph_index(*c).is_none());

        let embedded = database.len();
        if let Some(path) = extra {
            database.load_font_file(path)?;
            if database.len() == embedded {
                return Err(std::io::Error::other("it is not a TrueType or OpenType font"));
            }
        }
        let mut fallbacks = BTreeMap::new();
        find(&database, embedded, &mut wanted, &mut fallbacks);
        if !wanted.is_empty() {
            let before = database.len();
            database.load_system_fonts();
            find(&database, before, &mut wanted, &mut fallbacks);
        }
        Ok(Fonts { database: Arc::new(database), regular, semibold, fallbacks, missing: wanted })
    }

    /// The characters that no font at hand can draw.
    pub fn missing(&self) -> &[char] {
        &self.missing
    }

    /// The width of a text in px at a font size in px. Kerning, which only narrows, is left out.
    pub fn width(&self, text: &str, size: f64, weight: Weight) -> f64 {
        let face = match weight {
            Weight::Regular => &self.regular,
            Weight::SemiBold => &self.semibold,
        };
        let em = f64::from(face.units_per_em());
        let advance = |c: char| match face.glyph_index(c) {
            Some(glyph) => f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) / em,
            None if takes_no_room(c) => 0.0,
            None => self.fallbacks.get(&c).map_or(1.0, |f| f.advance),
        };
        text.chars().map(advance).sum::<f64>() * size
    }

    /// The text in pieces to be drawn one after another from left to right: what runs from right to
    /// left is one, as its words change places; the rest is in pieces that one font draws each. Where
    /// a text needs two fonts, the renderer would draw all of it with the second if that has every
    /// character, Latin included.
    pub fn pieces<'t>(&self, text: &'t str) -> Vec<&'t str> {
        directions(text)
            .into_iter()
            .flat_map(|(part, is_rtl)| match is_rtl {
                true => vec![part],
                false => self.pieces_by_font(part),
            })
            .collect()
    }

    fn pieces_by_font<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let face_of = |c: char| self.fallbacks.get(&c).map(|fallback| fallback.face);
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut current = None;
        for (at, c) in text.char_indices().filter(|(_, c)| !takes_no_room(*c)) {
            let face = Some(face_of(c));
            if current.is_some() && face != current {
                pieces.push(&text[start..at]);
                start = at;
            }
            current = face;
        }
        pieces.push(&text[start..]);
        pieces
    }

    /// Options for parsing a drawing with these fonts, and no others.
    pub fn options(&self) -> usvg::Options<'_> {
        let mut options = usvg::Options { fontdb: self.database.clone(), ..Default::default() };
        options.font_resolver.select_fallback =
            Box::new(|c, _, _| self.fallbacks.get(&c).map(|fallback| fallback.face));
        options
    }
}

/// What stands between the names of a pair. Which is subtracted from which must not depend on how they are
/// written, so they stand from left to right.
const MINUS: &str = " − ";

/// The text in parts that run one way, each with whether that is from right to left; in a line from left to
/// right, as every picture's texts are.
fn directions(text: &str) -> Vec<(&str, bool)> {
    let bidi = BidiInfo::new(text, Some(Level::ltr()));
    if !bidi.has_rtl() {
        return vec![(text, false)];
    }
    if let Some(at) = text.find(MINUS) {
        let (before, rest) = text.split_at(at);
        let (minus, after) = rest.split_at(MINUS.len());
        let mut parts = directions(before);
        parts.push((minus, false));
        parts.extend(directions(after));
        return parts;
    }
    // Numbers among words from right to left have a level of their own and stay with them.
    let turned = |at: usize| bidi.levels[at] != Level::ltr();
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.char_indices().skip(1) {
        if turned(at) != turned(start) {
            parts.push((&text[start..at], turned(start)));
            start = at;
        }
    }
    parts.push((&text[start..], turned(start)));
    parts
}

fn takes_no_room(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}') || c.is_control()
}

/// Finds a face for each wanted character among those from index `from` on: sans before serif
/// before monospaced, then in the order of their names, so that one host always picks the same.
fn find(
    database: &Database,
    from: usize,
    wanted: &mut Vec<char>,
    found: &mut BTreeMap<char, Fallback>,
) {
    if wanted.is_empty() {
        return;
    }
    let mut faces: Vec<_> = database.faces().skip(from).collect();
    faces.sort_by_key(|face| {
        let family = face.families.first().map_or("", |(name, _)| name.as_str());
        let plainness = i32::from(family.contains("Serif"))
            + 2 * i32::from(face.monospaced || family.contains("Mono"))
            + i32::from(face.style != fontdb::Style::Normal)
            + (i32::from(face.weight.0) - 400).abs() / 100;
        (plainness, face.post_script_name.clone(), face.index)
    });
    for info in faces {
        if wanted.is_empty() {
            break;
        }
        database.with_face_data(info.id, |data, index| {
            let Ok(face) = Face::parse(data, index) else { return };
            let em = f64::from(face.units_per_em());
            wanted.retain(|c| {
                let Some(glyph) = face.glyph_index(*c) else { return true };
                let drawable = face.outline_glyph(glyph, &mut Blind).is_some()
                    || face.is_color_glyph(glyph)
                    || face.glyph_raster_image(glyph, u16::MAX).is_some();
                if drawable {
                    let advance = f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) / em;
                    found.insert(*c, Fallback { face: info.id, advance });
                }
                !drawable
            });
        });
    }
}

/// Asks whether there is an outline and does not look at it.
struct Blind;

impl ttf_parser::OutlineBuilder for Blind {
    fn move_to(&mut self, _: f32, _: f32) {}
    fn line_to(&mut self, _: f32, _: f32) {}
    fn quad_to(&mut self, _: f32, _: f32, _: f32, _: f32) {}
    fn curve_to(&mut self, _: f32, _: f32, _: f32, _: f32, _: f32, _: f32) {}
    fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_tabular() {
        let fonts = Fonts::for_texts([], None).unwrap();
        let width = |text: &str| fonts.width(text, 10.0, Weight::Regular);
        assert!(('0'..='9').all(|d| width(&d.to_string()) == width("0")));
    }

    #[test]
    fn words_from_right_to_left_stay_together() {
        let parts = directions("run שלום עולם 7 x");
        assert_eq!(parts, [("run ", false), ("שלום עולם 7", true), (" x", false)]);
        assert_eq!(directions("مرحبا بالعالم"), [("مرحبا بالعالم", true)]);
        let pair = [("שלום", true), (" − ", false), ("عالم 2", true)];
        assert_eq!(directions("שלום − عالم 2"), pair, "a stays before b");
        assert_eq!(directions("run 1"), [("run 1", false)]);
        assert_eq!(directions(""), [("", false)]);
    }

    #[test]
    fn a_character_that_nobody_has_is_missing() {
        let fonts = Fonts::for_texts(["α é \u{10fffd}"], None).unwrap();
        assert_eq!(fonts.missing(), ['\u{10fffd}']);
    }
}
