//! Transparent pictures, from two drawings that differ only in their colours: one on white, one on a dark ground.
//!
//! A colour F of opacity α looks like A = αF + (1 − α)W on the ground W, and like B = αF + (1 − α)D on the ground D. So
//! α = 1 − (A − B) / (W − D), and F follows from either. Compositing calls this difference matting.

use std::fmt::Write;

use super::theme::Rgb;

/// The begin of an attribute value that is a colour. Quotes in texts are escaped, so no text contains it.
const COLOUR: &str = "=\"#";
/// Length of `rrggbb`.
const DIGITS: usize = 6;

/// The SVG document with colour and opacity instead of the colours on two grounds, white first.
pub(super) fn without_ground(on: [&str; 2], grounds: [Rgb; 2]) -> String {
    let [light, dark] = on;
    assert_eq!(light.len(), dark.len(), "BUG: the drawings on two grounds differ");
    let mut svg = String::with_capacity(light.len());
    let mut copied = 0;
    for (at, _) in light.match_indices(COLOUR) {
        let from = at + COLOUR.len();
        let seen = [&light[from..], &dark[from..]].map(colour);
        let [Some(on_light), Some(on_dark)] = seen else { continue };
        let (colour, opacity) = matte([on_light, on_dark], grounds);
        let attribute = light[..at].rsplit(' ').next().unwrap_or_default();
        let _ = write!(svg, "{}=\"{colour}\"", &light[copied..at]);
        if opacity < 1.0 {
            let _ = write!(svg, " {attribute}-opacity=\"{opacity}\"");
        }
        copied = from + DIGITS + 1;
    }
    svg.push_str(&light[copied..]);
    svg
}

fn colour(text: &str) -> Option<Rgb> {
    u32::from_str_radix(text.get(..DIGITS)?, 16).ok().map(Rgb::hex)
}

/// The colour and the opacity, in hundredths, that look like these colours on these grounds.
fn matte(seen: [Rgb; 2], grounds: [Rgb; 2]) -> (Rgb, f64) {
    let channels = |Rgb(r, g, b): Rgb| [r, g, b].map(f64::from);
    let ([light, dark], [white, black]) = (seen.map(channels), grounds.map(channels));
    let differences = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a - b).sum::<f64>();
    let opacity = 1.0 - differences(light, dark) / differences(white, black);
    let opacity = (100.0 * opacity).round().clamp(0.0, 100.0) / 100.0;
    if opacity == 0.0 {
        return (seen[0], opacity);
    }
    let mut colour = [0; 3];
    for (i, channel) in colour.iter_mut().enumerate() {
        let of = |seen: f64, ground: f64| (seen - (1.0 - opacity) * ground) / opacity;
        let mean = (of(light[i], white[i]) + of(dark[i], black[i])) / 2.0;
        *channel = mean.round().clamp(0.0, 255.0) as u8;
    }
    (Rgb(colour[0], colour[1], colour[2]), opacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUNDS: [Rgb; 2] = [Rgb(255, 255, 255), Rgb(17, 17, 17)];

    #[test]
    fn mixed_colour_is_taken_apart_again() {
        let line = Rgb::hex(0x2a78b8);
        for share in [0.2, 0.25, 0.55, 0.7, 1.0] {
            let (colour, opacity) = matte(GROUNDS.map(|ground| line.over(ground, share)), GROUNDS);
            assert!((opacity - share).abs() < 0.011, "{opacity} for {share}");
            let Rgb(r, g, b) = colour;
            let near = |a: u8, b: u8| a.abs_diff(b) <= 4;
            assert!(near(r, line.0) && near(g, line.1) && near(b, line.2), "{colour} for {share}");
        }
        assert_eq!(matte(GROUNDS, GROUNDS).1, 0.0, "the ground itself is not drawn");
    }

    #[test]
    fn attributes_of_a_document_get_an_opacity() {
        let of = |ground: Rgb, text: &str| {
            format!("<g fill=\"{ground}\"/><text stroke=\"#727981\">{text} =#123456</text>")
        };
        let [light, dark] = GROUNDS.map(|ground| of(ground, "Δ"));
        let expected =
            "<g fill=\"#ffffff\" fill-opacity=\"0\"/><text stroke=\"#727981\">Δ =#123456</text>";
        assert_eq!(without_ground([&light, &dark], GROUNDS), expected);
    }
}
