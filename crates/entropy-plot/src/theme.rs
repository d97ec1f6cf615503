//! Colours: a light, a dark and a transparent theme, with palettes that are safe for colour-blind viewers.
//!
//! The order of a palette maximises the smallest distance between the colours in use under normal, protan,
//! deutan and tritan vision. After the last colour the palette repeats in another shade, and then with dashes. Lines are opaque:
//! faint ones are mixed with the background beforehand, which renders many times faster.

use std::fmt;
use std::str::FromStr;

/// An opaque sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// The colour with the hexadecimal digits `rrggbb`.
    pub const fn hex(rgb: u32) -> Rgb {
        Rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
    }

    /// Mixes this colour with `background`; a `share` of 0 gives the background, 1 this colour.
    pub fn over(self, background: Rgb, share: f64) -> Rgb {
        let mix =
            |a: u8, b: u8| (f64::from(a) * share + f64::from(b) * (1.0 - share)).round() as u8;
        Rgb(mix(self.0, background.0), mix(self.1, background.1), mix(self.2, background.2))
    }

    /// Contrast ratio with another colour, from 1 to 21 (WCAG 2.1).
    pub fn contrast(self, other: Rgb) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

impl FromStr for Rgb {
    type Err = String;

    /// Parses `#rgb` and `#rrggbb`.
    fn from_str(text: &str) -> Result<Rgb, String> {
        let digits = text.strip_prefix('#').filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits =
            digits.and_then(|digits| Some((digits.len(), u32::from_str_radix(digits, 16).ok()?)));
        match digits {
            Some((6, rgb)) => Ok(Rgb::hex(rgb)),
            Some((3, rgb)) => {
                let [r, g, b] = [rgb >> 8, rgb >> 4 & 15, rgb & 15].map(|digit| 17 * digit as u8);
                Ok(Rgb(r, g, b))
            }
            _ => Err(format!("{text:?} is not a colour such as #226daa")),
        }
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// The colours of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// Background of the picture.
    pub background: Rgb,
    /// Titles and values.
    pub text: Rgb,
    /// Subtitles and ticks.
    pub muted: Rgb,
    /// Grid lines.
    pub hairline: Rgb,
    /// Runs without a style of their own, in a picture of very many.
    pub unstyled: Rgb,
    palette: &'static [Rgb],
    ground: Ground,
}

/// Whether the background of a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ground {
    /// It is drawn.
    Opaque,
    /// It is not drawn, and the theme has the colours on white. The other theme has those on a dark ground.
    White(&'static Theme),
    /// It is not drawn, and the theme has the colours on a dark ground.
    Dark,
}

const fn rgb(colours: [u32; 10]) -> [Rgb; 10] {
    let mut palette = [Rgb(0, 0, 0); 10];
    let mut i = 0;
    while i < colours.len() {
        palette[i] = Rgb::hex(colours[i]);
        i += 1;
    }
    palette
}

/// Contrast with the background that the names of runs have at least.
const NAME_CONTRAST: f64 = 4.5;
/// Contrast that lines and names have with white and with near black in a transparent picture. No colour has 4.5 with both.
const TRANSPARENT_CONTRAST: f64 = 3.1;

/// Dark text on white.
pub static LIGHT: Theme = Theme {
    background: Rgb::hex(0xffffff),
    text: Rgb::hex(0x1b1f24),
    muted: Rgb::hex(0x5b6470),
    hairline: Rgb::hex(0xe6e9ed),
    unstyled: Rgb::hex(0x8d949c),
    palette: &rgb([
        0x226daa, 0xda7e1e, 0x861309, 0x9e7efc, 0xb42965, 0x3a9ca4, 0x073ba6, 0x711d6d, 0xb36139,
        0xe15278,
    ]),
    ground: Ground::Opaque,
};

/// Light text on near black.
pub static DARK: Theme = Theme {
    background: Rgb::hex(0x12151a),
    text: Rgb::hex(0xe8eaed),
    muted: Rgb::hex(0x9aa4b1),
    hairline: Rgb::hex(0x262b33),
    unstyled: Rgb::hex(0x5f6771),
    palette: &rgb([
        0x4aabfd, 0xe86518, 0xc3d491, 0xa36b93, 0x696fe9, 0x58e0f6, 0xd68d9a, 0xd2b72a, 0xbd6254,
        0x8c8ac7,
    ]),
    ground: Ground::Opaque,
};

/// No background: colours that are readable on white and on near black.
///
/// Text, lines and names are the same on both grounds. What is mixed with the background is not, and its two colours
/// give the opacity with which it is drawn.
pub static TRANSPARENT: Theme = Theme {
    background: Rgb::hex(0xffffff),
    hairline: Rgb::hex(0xe6e9ed),
    ground: Ground::White(&ON_DARK),
    ..ON_DARK
};

static ON_DARK: Theme = Theme {
    // The dark theme of JupyterLab.
    background: Rgb::hex(0x111111),
    text: Rgb::hex(0x727981),
    muted: Rgb::hex(0x787f88),
    hairline: Rgb::hex(0x262b33),
    unstyled: Rgb::hex(0x86898d),
    palette: &rgb([
        0x2a78b8, 0xe6711c, 0xa84570, 0x880bff, 0x987eff, 0xda0c0b, 0xc27f82, 0x199dc0, 0x16750b,
        0xaa6b5f,
    ]),
    ground: Ground::Dark,
};

/// Number of styles that differ in colour or dash.
pub const STYLES: usize = 40;

/// The colours and dashes of the line of a run, equal in every picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Colour of the line; its contrast with the background is at least 3:1.
    pub line: Rgb,
    /// Colour of the name; its contrast with the background is at least 4.5:1, without one 3.1:1.
    pub name: Rgb,
    /// Colour of the logged curve behind a smoothed one.
    pub faint: Rgb,
    /// On and off lengths along x in px; empty for a solid line.
    pub dash: &'static [f64],
}

const DASHES: [&[f64]; 2] = [&[], &[9.0, 4.0]];
/// How much of its colour a line has in the second cycle of the palette; the rest is the colour of the text.
const SHADE: f64 = 0.5;

impl Theme {
    /// The style of the run at `index`; distinct for the first [`STYLES`].
    pub fn style(&self, index: usize) -> Style {
        let (hue, cycle) = (index % self.palette.len(), index / self.palette.len());
        let line = match cycle % 2 {
            0 => self.palette[hue],
            _ => self.palette[hue].over(self.text, SHADE),
        };
        Style { dash: DASHES[(cycle / 2) % DASHES.len()], ..self.style_of(line) }
    }

    /// The style of a solid line in this colour.
    pub(super) fn style_of(&self, line: Rgb) -> Style {
        let (name, faint) = (self.legible(line), line.over(self.background, 0.25));
        Style { line, name, faint, dash: &[] }
    }

    /// The theme with other colours of lines. It lives as long as the program.
    pub fn with_palette(&self, colours: Vec<Rgb>) -> &'static Theme {
        let ground = match self.ground {
            Ground::White(dark) => Ground::White(dark.with_palette(colours.clone())),
            ground => ground,
        };
        Box::leak(Box::new(Theme { palette: colours.leak(), ground, ..*self }))
    }

    /// Of a transparent picture, its colours on a dark ground.
    pub fn on_dark(&self) -> Option<&'static Theme> {
        if let Ground::White(dark) = self.ground { Some(dark) } else { None }
    }

    /// Whether the background is drawn.
    pub fn is_opaque(&self) -> bool {
        self.ground == Ground::Opaque
    }

    /// Contrast of a colour with the background, and with a dark one if the picture is transparent.
    pub fn contrast(&self, colour: Rgb) -> f64 {
        let on_dark = self.on_dark().map_or(f64::INFINITY, |theme| theme.contrast(colour));
        colour.contrast(self.background).min(on_dark)
    }

    /// The colour, mixed with the text colour until its contrast is large enough for a name.
    fn legible(&self, colour: Rgb) -> Rgb {
        let shares = (0..=20).map(|i| 1.0 - f64::from(i) / 20.0);
        let least = if self.is_opaque() { NAME_CONTRAST } else { TRANSPARENT_CONTRAST };
        let mut mixed = shares.map(|share| colour.over(self.text, share));
        mixed.find(|c| c.contrast(self.background) >= least).unwrap_or(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_texts_have_enough_contrast() {
        for theme in [&LIGHT, &DARK] {
            for index in 0..STYLES {
                let style = theme.style(index);
                assert!(style.line.contrast(theme.background) >= 2.995, "{}", style.line);
                assert!(style.name.contrast(theme.background) >= 4.5, "{}", style.name);
            }
            assert!(
                theme.unstyled.contrast(theme.background) >= 3.0,
                "{}",
                theme.unstyled.contrast(theme.background)
            );
            assert!(theme.text.contrast(theme.background) >= 4.5);
            assert!(theme.muted.contrast(theme.background) >= 4.5);
        }
    }

    #[test]
    fn transparent_theme_is_readable_on_white_and_on_near_black() {
        for theme in [&TRANSPARENT, &ON_DARK] {
            for colour in theme.palette {
                let style = theme.style_of(*colour);
                assert_eq!(
                    style.name, *colour,
                    "the name has the colour of the line on both grounds"
                );
                assert!(TRANSPARENT.contrast(*colour) >= TRANSPARENT_CONTRAST, "{colour}");
            }
            for index in 0..STYLES {
                let line = theme.style(index).line;
                assert!(TRANSPARENT.contrast(line) >= 3.0, "{line}");
            }
        }
        assert!(TRANSPARENT.contrast(TRANSPARENT.unstyled) >= 3.0);
        assert!(TRANSPARENT.contrast(TRANSPARENT.text) >= 4.0);
        assert!(TRANSPARENT.contrast(TRANSPARENT.muted) >= 3.9);
    }

    #[test]
    fn contrast_matches_wcag() {
        assert!((Rgb(0, 0, 0).contrast(Rgb(255, 255, 255)) - 21.0).abs() < 1e-12);
        // WCAG's own example of the limit: #767676 on white is 4.54:1.
        assert!((Rgb::hex(0x767676).contrast(Rgb(255, 255, 255)) - 4.54).abs() < 0.005);
    }

    #[test]
    fn first_forty_styles_differ() {
        for theme in [&LIGHT, &DARK, &TRANSPARENT] {
            let styles: Vec<Style> = (0..STYLES).map(|i| theme.style(i)).collect();
            for (i, a) in styles.iter().enumerate() {
                assert!(styles[i + 1..].iter().all(|b| (a.line, a.dash) != (b.line, b.dash)));
            }
        }
    }
}
