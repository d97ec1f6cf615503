//! Fonts: Inter is embedded; system fonts are loaded only if a label needs them.
//!
//! Pictures must be identical on every host, so texts are measured and drawn with the embedded subset. It has
//! no Chinese and no emoji: for such characters the file of `--font` and the system fonts are searched.
//! Characters without a font are reported instead of silently drawn as boxes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fontdb::{Database, ID, Source};
use resvg::usvg;
use ttf_parser::Face;
use unicode_bidi::{BidiInfo, Level};

static REGULAR: &[u8] = include_bytes!("../assets/fonts/Inter-Regular.otf");
static SEMIBOLD: &[u8] = include_bytes!("../assets/fonts/Inter-SemiBold.otf");

/// The font families of every text. Those after Inter are for SVG viewers without Inter.
pub const FAMILY: &str = "Inter, 'Helvetica Neue', Arial, 'Noto Sans', sans-serif";

/// A font weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// 400.
    Regular,
    /// 600.
    SemiBold,
}

/// The rule of CSS with the embedded font of a weight inside.
pub(super) fn font_face(weight: Weight) -> String {
    let (number, data) = match weight {
        Weight::Regular => (400, REGULAR),
        Weight::SemiBold => (600, SEMIBOLD),
    };
    let data = BASE64_STANDARD.encode(data);
    format!(
        "@font-face{{font-family:Inter;font-weight:{number};src:url(data:font/otf;base64,{data})}}"
    )
}

/// The fonts that measure and draw the texts of a picture.
pub struct Fonts {
    database: Arc<Database>,
    regular: Face<'static>,
    semibold: Face<'static>,
    fallbacks: BTreeMap<char, FallbackGlyph>,
    missing: Vec<char>,
}

/// The font for a character that the embedded font lacks: the file `extra` or a system font.
#[derive(Clone, Copy)]
struct FallbackGlyph {
    face: ID,
    advance: f64, // in em
}

impl Fonts {
    /// Loads the embedded fonts. If they lack characters of `texts`, also searches the file `extra` and the
    /// system fonts.
    ///
    /// # Errors
    /// If `extra` cannot be read or is not a font.
    pub fn for_texts<'t>(
        texts: impl IntoIterator<Item = &'t str>,
        extra: Option<&Path>,
    ) -> std::io::Result<Fonts> {
        let mut database = Database::new();
        database.load_font_source(Source::Binary(Arc::new(REGULAR)));
        database.load_font_source(Source::Binary(Arc::new(SEMIBOLD)));
        let face = |data| Face::parse(data, 0).expect("BUG: the embedded font is valid");
        let (regular, semibold) = (face(REGULAR), face(SEMIBOLD));

        let drawn = |c: &char| !is_zero_width(*c);
        let mut uncovered: Vec<char> =
            texts.into_iter().flat_map(str::chars).filter(drawn).collect();
        uncovered.sort_unstable();
        uncovered.dedup();
        uncovered.retain(|c| regular.glyph_index(*c).is_none());

        let embedded = database.len();
        if let Some(path) = extra {
            database.load_font_file(path)?;
            if database.len() == embedded {
                return Err(std::io::Error::other("it is not a TrueType or OpenType font"));
            }
        }
        let mut fallbacks = BTreeMap::new();
        find_fallbacks(&database, embedded, &mut uncovered, &mut fallbacks);
        if !uncovered.is_empty() {
            let before = database.len();
            database.load_system_fonts();
            find_fallbacks(&database, before, &mut uncovered, &mut fallbacks);
        }
        Ok(Fonts { database: Arc::new(database), regular, semibold, fallbacks, missing: uncovered })
    }

    /// The characters that no available font can draw.
    pub fn missing(&self) -> &[char] {
        &self.missing
    }

    /// The width of a text in px at a font size in px. Kerning, which only makes texts narrower, is ignored.
    pub fn width(&self, text: &str, size: f64, weight: Weight) -> f64 {
        let face = match weight {
            Weight::Regular => &self.regular,
            Weight::SemiBold => &self.semibold,
        };
        let em = f64::from(face.units_per_em());
        let advance = |c: char| match face.glyph_index(c) {
            Some(glyph) => f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) / em,
            None if is_zero_width(c) => 0.0,
            None => self.fallbacks.get(&c).map_or(1.0, |f| f.advance),
        };
        text.chars().map(advance).sum::<f64>() * size
    }

    /// Splits a text into pieces that are drawn one after another from left to right. Right-to-left text is
    /// one piece, because its words are reordered; other text is split so that each piece needs one font.
    /// Without that split, a renderer draws the whole text in the fallback font if that has every character.
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
        for (at, c) in text.char_indices().filter(|(_, c)| !is_zero_width(*c)) {
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

/// The separator of the two names of a pair. The names are laid out from left to right in any script, so that
/// the order of the subtraction is clear.
const MINUS: &str = " − ";

/// Splits a text of a left-to-right line into parts of one direction; true for right to left.
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
    // Numbers among right-to-left words have a level of their own and stay with these words.
    let is_rtl = |at: usize| bidi.levels[at] != Level::ltr();
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.char_indices().skip(1) {
        if is_rtl(at) != is_rtl(start) {
            parts.push((&text[start..at], is_rtl(start)));
            start = at;
        }
    }
    parts.push((&text[start..], is_rtl(start)));
    parts
}

fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}') || c.is_control()
}

/// Finds a face for each uncovered character among the faces from index `from`: sans-serif first, then serif,
/// then monospaced, and by name, so that the choice on a host is always the same.
fn find_fallbacks(
    database: &Database,
    from: usize,
    uncovered: &mut Vec<char>,
    found: &mut BTreeMap<char, FallbackGlyph>,
) {
    if uncovered.is_empty() {
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
        if uncovered.is_empty() {
            break;
        }
        database.with_face_data(info.id, |data, index| {
            let Ok(face) = Face::parse(data, index) else { return };
            let em = f64::from(face.units_per_em());
            uncovered.retain(|c| {
                let Some(glyph) = face.glyph_index(*c) else { return true };
                let drawable = face.glyph_bounding_box(glyph).is_some()
                    || face.is_color_glyph(glyph)
                    || face.glyph_raster_image(glyph, u16::MAX).is_some();
                if drawable {
                    let advance = f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) / em;
                    found.insert(*c, FallbackGlyph { face: info.id, advance });
                }
                !drawable
            });
        });
    }
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
    fn right_to_left_words_stay_together() {
        let parts = directions("run שלום עולם 7 x");
        assert_eq!(parts, [("run ", false), ("שלום עולם 7", true), (" x", false)]);
        assert_eq!(directions("مرحبا بالعالم"), [("مرحبا بالعالم", true)]);
        let pair = [("שלום", true), (" − ", false), ("عالم 2", true)];
        assert_eq!(directions("שלום − عالم 2"), pair, "a stays before b");
        assert_eq!(directions("run 1"), [("run 1", false)]);
        assert_eq!(directions(""), [("", false)]);
    }

    #[test]
    fn character_without_a_font_is_missing() {
        let fonts = Fonts::for_texts(["α é \u{10fffd}"], None).unwrap();
        assert_eq!(fonts.missing(), ['\u{10fffd}']);
    }
}
