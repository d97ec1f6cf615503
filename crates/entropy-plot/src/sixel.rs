//! Sixel: pixels as text for a terminal (VT340 and later; xterm, foot, mlterm, Windows Terminal, WezTerm).
//!
//! `ESC P 0;1 q`, the raster attributes `"1;1;width;height`, a table of at most 256 colours `#n;2;r;g;b` in percent, and
//! bands of six rows: each colour of a band is one line of characters `?` to `~`, whose six bits are the pixels of a
//! column from top to bottom. `!n` repeats the next character, `$` goes back to the start of the band, `-` to the next
//! band, and `ESC \` ends the picture. See chapter 14 of the VT330/VT340 Programmer Reference Manual.

use std::io::Write;

/// Largest number of colours: terminals have 256 of them by default.
const MAX_COLOURS: usize = 256;
/// Levels of a channel, from 0 to 100 percent.
const LEVELS: usize = 101;
/// Rows of a band.
const BAND: usize = 6;
/// Pixels that are less opaque than this are not drawn.
const MIN_OPACITY: u8 = 128;

/// A colour in percent of each channel.
type Percent = [u8; 3];

/// RGBA pixels, row by row, as sixels. The colours are divided by their opacity, as in PNG.
pub(super) fn sixel(rgba: &[u8], width: usize) -> Vec<u8> {
    let pixels = rgba.as_chunks::<4>().0;
    let (colours, indices) = reduced(pixels);
    let height = pixels.len() / width;
    let mut out = format!("\x1bP0;1q\"1;1;{width};{height}").into_bytes();
    for (index, [r, g, b]) in colours.iter().enumerate() {
        put(&mut out, format_args!("#{index};2;{r};{g};{b}"));
    }
    for band in indices.chunks(BAND * width) {
        draw_band(band, width, colours.len(), &mut out);
        out.push(b'-');
    }
    out.pop(); // no band follows the last one
    out.extend(b"\x1b\\");
    out
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // a vector takes everything
}

/// Draws up to six rows of colour indices.
fn draw_band(band: &[Option<u8>], width: usize, colours: usize, out: &mut Vec<u8>) {
    let mut bits: Vec<Vec<u8>> = vec![Vec::new(); colours];
    for (row, line) in band.chunks(width).enumerate() {
        for (column, index) in line.iter().enumerate() {
            let Some(index) = index else { continue };
            let columns = &mut bits[usize::from(*index)];
            if columns.is_empty() {
                columns.resize(width, 0);
            }
            columns[column] |= 1 << row;
        }
    }
    let used = bits.iter().enumerate().filter(|(_, columns)| !columns.is_empty());
    for (at, (index, columns)) in used.enumerate() {
        if at > 0 {
            out.push(b'$');
        }
        put(out, format_args!("#{index}"));
        let end = columns.iter().rposition(|bits| *bits != 0).map_or(0, |last| last + 1);
        for run in columns[..end].chunk_by(|a, b| a == b) {
            let character = b'?' + run[0];
            match run.len() {
                1..=3 => out.extend(std::iter::repeat_n(character, run.len())),
                length => put(out, format_args!("!{length}{}", char::from(character))),
            }
        }
    }
}

/// At most [`MAX_COLOURS`] colours, and the index of each pixel's colour; `None` for a transparent pixel.
fn reduced(pixels: &[[u8; 4]]) -> (Vec<Percent>, Vec<Option<u8>>) {
    let key = |[r, g, b, alpha]: &[u8; 4]| {
        let percent = |channel: u8| (usize::from(channel) * (LEVELS - 1) + 127) / 255;
        let key = (percent(*r) * LEVELS + percent(*g)) * LEVELS + percent(*b);
        (*alpha >= MIN_OPACITY).then_some(key)
    };
    let mut counts = vec![0_u32; LEVELS.pow(3)];
    pixels.iter().filter_map(key).for_each(|key| counts[key] += 1);
    let used = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let used = used.map(|(key, count)| Counted { key, count: *count }).collect();
    let boxes = cut(used);
    let mut index_of = vec![0_u8; LEVELS.pow(3)];
    for (index, group) in boxes.iter().enumerate() {
        for colour in &group.colours {
            index_of[colour.key] = index as u8;
        }
    }
    let indices = pixels.iter().map(|pixel| key(pixel).map(|key| index_of[key]));
    (boxes.iter().map(ColourBox::colour).collect(), indices.collect())
}

/// A colour, as its index among all, and its number of pixels.
#[derive(Clone, Copy)]
struct Counted {
    key: usize,
    count: u32,
}

impl Counted {
    fn channel(&self, channel: usize) -> u8 {
        (self.key / LEVELS.pow(2 - channel as u32) % LEVELS) as u8
    }
}

/// Colours that are drawn as one.
struct ColourBox {
    colours: Vec<Counted>,
    /// The channel in which they differ most, the mean there, and the sum of squared differences to it.
    channel: usize,
    mean: f64,
    spread: f64,
}

impl ColourBox {
    fn new(colours: Vec<Counted>) -> ColourBox {
        let pixels: f64 = colours.iter().map(|colour| f64::from(colour.count)).sum();
        let along = |channel: usize| {
            let value = |colour: &Counted| f64::from(colour.channel(channel));
            let mean = colours.iter().map(|c| f64::from(c.count) * value(c)).sum::<f64>() / pixels;
            let square = |c: &Counted| f64::from(c.count) * (value(c) - mean).powi(2);
            (channel, mean, colours.iter().map(square).sum::<f64>())
        };
        let widest = [0, 1, 2].map(along).into_iter().max_by(|a, b| a.2.total_cmp(&b.2));
        let (channel, mean, spread) = widest.expect("BUG: there are three channels");
        ColourBox { colours, channel, mean, spread }
    }

    /// The colours up to the mean, and those above it.
    fn split(self) -> [ColourBox; 2] {
        let is_low = |colour: &Counted| f64::from(colour.channel(self.channel)) <= self.mean;
        let (low, high) = self.colours.iter().partition(|colour| is_low(colour));
        [ColourBox::new(low), ColourBox::new(high)]
    }

    /// The most frequent colour: the background and the lines keep theirs, and only their edges change.
    fn colour(&self) -> Percent {
        let frequent = self.colours.iter().max_by_key(|colour| colour.count);
        let frequent = frequent.expect("BUG: a box has a colour");
        [0, 1, 2].map(|channel| frequent.channel(channel))
    }
}

/// Divides colours into at most [`MAX_COLOURS`] boxes of similar ones, each time the box whose colours differ most.
fn cut(colours: Vec<Counted>) -> Vec<ColourBox> {
    if colours.is_empty() {
        return Vec::new();
    }
    let mut boxes = vec![ColourBox::new(colours)];
    while boxes.len() < MAX_COLOURS {
        let widest = (0..boxes.len()).max_by(|a, b| boxes[*a].spread.total_cmp(&boxes[*b].spread));
        let Some(widest) = widest.filter(|at| boxes[*at].colours.len() > 1) else { break };
        let halves = boxes.swap_remove(widest).split();
        boxes.extend(halves);
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pixels of sixels with these colours, read by the rules of the manual.
    fn decoded(sixels: &[u8]) -> (usize, Vec<Option<Percent>>) {
        let text = std::str::from_utf8(sixels).unwrap();
        let text = text.strip_prefix("\x1bP0;1q\"1;1;").unwrap().strip_suffix("\x1b\\").unwrap();
        let mut rest = text;
        let number = |rest: &mut &str| -> usize {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            *rest = after;
            digits.parse().unwrap()
        };
        let width = number(&mut rest);
        rest = rest.strip_prefix(';').unwrap();
        let height = number(&mut rest);
        let mut pixels = vec![None; width * height];
        let mut palette = vec![[0; 3]; MAX_COLOURS];
        let (mut colour, mut column, mut band, mut repeat) = (0, 0, 0, 1);
        while let Some(character) = rest.chars().next() {
            rest = &rest[1..];
            match character {
                '#' => {
                    colour = number(&mut rest);
                    if let Some(after) = rest.strip_prefix(";2;") {
                        rest = after;
                        for channel in &mut palette[colour] {
                            *channel = number(&mut rest) as u8;
                            rest = rest.strip_prefix(';').unwrap_or(rest);
                        }
                    }
                }
                '!' => repeat = number(&mut rest),
                '$' => column = 0,
                '-' => (column, band) = (0, band + BAND),
                _ => {
                    for _ in 0..repeat {
                        let bits = character as u8 - b'?';
                        for row in (0..BAND).filter(|row| bits >> row & 1 == 1) {
                            pixels[(band + row) * width + column] = Some(palette[colour]);
                        }
                        column += 1;
                    }
                    repeat = 1;
                }
            }
        }
        (width, pixels)
    }

    #[test]
    fn few_colours_are_drawn_as_they_are() {
        let (red, white, clear) = ([255, 0, 0, 255], [255, 255, 255, 255], [0, 0, 0, 0]);
        let row =
            |y: usize| [red, if y.is_multiple_of(2) { white } else { clear }, white, white, white];
        let rgba: Vec<u8> = (0..8).flat_map(row).flatten().collect();
        let sixels = sixel(&rgba, 5);
        let (width, pixels) = decoded(&sixels);
        assert_eq!((width, pixels.len()), (5, 40));
        let (red, white) = (Some([100, 0, 0]), Some([100; 3]));
        for (y, drawn) in pixels.chunks(5).enumerate() {
            assert_eq!(drawn, [red, if y % 2 == 0 { white } else { None }, white, white, white]);
        }
    }

    #[test]
    fn many_colours_are_reduced_to_near_ones_and_the_background_is_kept() {
        // A white ground, and all mixes of two colours with it.
        let mut rgba: Vec<u8> = [255; 4 * 50_000].to_vec();
        let mix = |colour: [u8; 3], share: u32| {
            let [r, g, b] =
                colour.map(|c| ((u32::from(c) * share + 255 * (999 - share)) / 999) as u8);
            [r, g, b, 255]
        };
        for share in 0..1000 {
            for colour in [[34, 109, 170], [218, 126, 30], [134, 19, 9], [158, 126, 252]] {
                rgba.extend(mix(colour, share.min(999)));
            }
        }
        let (colours, _) = reduced(rgba.as_chunks::<4>().0);
        assert!(colours.len() <= MAX_COLOURS, "{}", colours.len());
        let (_, pixels) = decoded(&sixel(&rgba, 100));
        assert_eq!(pixels[0], Some([100; 3]));
        let worst = rgba.as_chunks::<4>().0.iter().zip(&pixels).map(|(pixel, drawn)| {
            let drawn = drawn.unwrap();
            (0..3)
                .map(|i| (f64::from(pixel[i]) / 2.55 - f64::from(drawn[i])).abs())
                .fold(0.0, f64::max)
        });
        assert!(worst.fold(0.0, f64::max) < 4.0, "a colour is off by 4 %");
    }
}
