//! Encodes drawings: SVG directly, PNG and sixels with resvg, PDF with krilla.
//!
//! A picture for print has tens of millions of pixels, so it is never in memory as a whole: threads render
//! bands of rows while another thread compresses them.

use std::sync::mpsc;

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Tree, WriteOptions};
use thiserror::Error;

use super::canvas::{Drawing, Edges};
use super::fonts::{Fonts, Weight, font_face};
use super::metrics::PX_PER_INCH;
use super::sixel::sixel;
use super::theme::Rgb;

/// A picture file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A pixel image.
    Png,
    /// Vector graphics.
    Svg(SvgText),
    /// A page with embedded fonts.
    Pdf,
    /// A pixel image of at most 256 colours, as text for terminals.
    Sixel,
}

/// How an SVG has its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SvgText {
    /// As text in fonts that the viewer must have; else it takes a similar one.
    Named,
    /// As text, with the embedded font inside the file. Other fonts must be with the viewer.
    Embedded,
    /// As outlines: it looks the same everywhere, and cannot be searched.
    Outlines,
}

impl Encoding {
    /// The format with this file extension, if there is one.
    pub fn of_extension(extension: &str) -> Option<Encoding> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Encoding::Png),
            "svg" => Some(Encoding::Svg(SvgText::Named)),
            "pdf" => Some(Encoding::Pdf),
            _ => None,
        }
    }
}

/// Why a drawing could not be encoded.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// The picture has too many pixels, or none.
    #[error("a picture of {width} x {height} pixels is too large")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A library reported an error.
    #[error("{0}")]
    Library(String),
}

/// Bytes of pixels per band: for drawings with few and with many shapes.
const SMALL_BAND: usize = 2 << 20;
const LARGE_BAND: usize = 8 << 20;
/// From this dpi, hard and anti-aliased edges of a ragged curve look alike.
const HARD_EDGES_DPI: f64 = 150.0;
/// Largest width and height in pixels.
const MAX_SIDE: u32 = 60_000;

/// Encodes a drawing; only PNG and sixels use `dpi`.
pub fn encode(
    drawing: &Drawing,
    fonts: &Fonts,
    encoding: Encoding,
    dpi: f64,
) -> Result<Vec<u8>, EncodeError> {
    let is_raster = matches!(encoding, Encoding::Png | Encoding::Sixel);
    let hard_edges = is_raster && dpi >= HARD_EDGES_DPI;
    let svg = drawing.to_svg(fonts, if hard_edges { Edges::Hard } else { Edges::Smooth });
    match encoding {
        Encoding::Svg(SvgText::Named) => return Ok(svg.into_bytes()),
        Encoding::Svg(SvgText::Embedded) => return Ok(with_fonts(&svg, drawing).into_bytes()),
        _ => {}
    }
    let tree = Tree::from_str(&svg, &fonts.options()).map_err(library)?;
    // Each band visits every shape, so a drawing with many shapes gets fewer, larger bands.
    let band = if svg.len() > 1 << 20 { LARGE_BAND } else { SMALL_BAND };
    drop(svg);
    match encoding {
        Encoding::Pdf => pdf(&tree, drawing),
        Encoding::Svg(_) => {
            let options = WriteOptions { preserve_text: false, ..WriteOptions::default() };
            Ok(tree.to_string(&options).into_bytes())
        }
        Encoding::Png => png(&tree, drawing, dpi, band),
        Encoding::Sixel => sixels(&tree, drawing, dpi),
    }
}

/// The SVG with the weights of the embedded font that it uses.
fn with_fonts(svg: &str, drawing: &Drawing) -> String {
    let mut style = String::from("<style>");
    for weight in [Weight::Regular, Weight::SemiBold] {
        if drawing.texts().any(|text| text.weight == weight) {
            style.push_str(&font_face(weight));
        }
    }
    style.push_str("</style>\n");
    let at = svg.find("<title>").unwrap_or(svg.len());
    format!("{}{style}{}", &svg[..at], &svg[at..])
}

fn library(error: impl std::fmt::Display) -> EncodeError {
    EncodeError::Library(error.to_string())
}

/// Width and height of a picture in pixels.
///
/// # Errors
/// When it has too many, or none.
fn pixel_size(drawing: &Drawing, dpi: f64) -> Result<(u32, u32), EncodeError> {
    let pixels = |px: f64| (px * dpi / drawing.px_per_inch).round() as u32;
    let (width, height) = (pixels(drawing.width), pixels(drawing.height));
    if width.max(height) > MAX_SIDE || width.min(height) == 0 {
        return Err(EncodeError::TooLarge { width, height });
    }
    Ok((width, height))
}

/// The background, which nothing covers in a transparent picture.
fn background(drawing: &Drawing) -> Color {
    let Rgb(r, g, b) = drawing.background;
    Color::from_rgba8(r, g, b, if drawing.on_dark.is_some() { 0 } else { 255 })
}

/// A picture for a screen, which is small enough for one piece of memory.
fn sixels(tree: &Tree, drawing: &Drawing, dpi: f64) -> Result<Vec<u8>, EncodeError> {
    let (width, height) = pixel_size(drawing, dpi)?;
    let too_large = EncodeError::TooLarge { width, height };
    let mut pixels = Pixmap::new(width, height).ok_or(too_large)?;
    pixels.fill(background(drawing));
    let scale = (dpi / PX_PER_INCH) as f32;
    resvg::render(tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let mut rgba = vec![0; pixels.data().len()];
    undo_premultiplication(pixels.data(), &mut rgba);
    Ok(sixel(&rgba, width as usize))
}

fn png(tree: &Tree, drawing: &Drawing, dpi: f64, band: usize) -> Result<Vec<u8>, EncodeError> {
    let (width, height) = pixel_size(drawing, dpi)?;
    let rows = (band / (4 * width as usize)).clamp(1, height as usize) as u32;
    let scale = (dpi / PX_PER_INCH) as f32;
    let is_transparent = drawing.on_dark.is_some();
    let background = background(drawing);

    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    let (kind, bytes_per_pixel) =
        if is_transparent { (png::ColorType::Rgba, 4) } else { (png::ColorType::Rgb, 3) };
    encoder.set_color(kind);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Up);
    let per_metre = (dpi / 0.0254).round() as u32;
    let unit = png::Unit::Meter;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit }));
    let mut writer = encoder.write_header().map_err(library)?;
    let mut stream = writer.stream_writer().map_err(library)?;

    let tops: Vec<u32> = (0..height).step_by(rows as usize).collect();
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
    std::thread::scope(|scope| {
        // Worker k renders the bands k, k + workers, …; the encoder takes them in order.
        let mut bands = Vec::new();
        for worker in 0..workers.min(tops.len()) {
            let (to_encoder, rendered) = mpsc::sync_channel::<Pixmap>(0);
            let (to_worker, used) = mpsc::channel::<Pixmap>();
            bands.push((rendered, to_worker));
            let tops = tops.iter().skip(worker).step_by(workers);
            scope.spawn(move || {
                for &top in tops {
                    let fresh = || Pixmap::new(width, rows);
                    let Some(mut band) = used.try_recv().ok().or_else(fresh) else { return };
                    band.fill(background);
                    let scaled = Transform::from_scale(scale, scale);
                    let down = scaled.post_translate(0.0, -(top as f32));
                    resvg::render(tree, down, &mut band.as_mut());
                    if to_encoder.send(band).is_err() {
                        return; // the encoder failed and reports its error
                    }
                }
            });
        }
        let mut left = height;
        let mut row = vec![0; bytes_per_pixel * width as usize];
        for (rendered, to_worker) in (0..tops.len()).map(|i| &bands[i % bands.len()]) {
            let band = rendered.recv().map_err(|_| library("a band could not be allocated"))?;
            let pixels = band.data().chunks_exact(4 * width as usize).take(left as usize);
            left -= pixels.len() as u32;
            for line in pixels {
                match is_transparent {
                    true => undo_premultiplication(line, &mut row),
                    false => drop_alpha(line, &mut row),
                }
                std::io::Write::write_all(&mut stream, &row).map_err(library)?;
            }
            let _ = to_worker.send(band); // the worker may have finished
        }
        Ok::<(), EncodeError>(())
    })?;
    stream.finish().map_err(library)?;
    writer.finish().map_err(library)?;
    Ok(bytes)
}

/// Copies RGBA pixels to RGB, four at a time as three words: byte by byte takes as long as compressing.
fn drop_alpha(rgba: &[u8], rgb: &mut [u8]) {
    let (fours, rest) = rgba.as_chunks::<16>();
    let (threes, rest_rgb) = rgb.as_chunks_mut::<12>();
    for (four, three) in fours.iter().zip(threes) {
        let word = |i: usize| u32::from_le_bytes([four[i], four[i + 1], four[i + 2], four[i + 3]]);
        let (a, b, c, d) = (word(0), word(4), word(8), word(12));
        let words =
            [a & 0xff_ffff | b << 24, (b >> 8) & 0xffff | c << 16, (c >> 16) & 0xff | d << 8];
        for (to, word) in three.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
    }
    for (to, from) in rest_rgb.chunks_exact_mut(3).zip(rest.chunks_exact(4)) {
        to.copy_from_slice(&from[..3]);
    }
}

/// Divides the colours of RGBA pixels by their opacity, as PNG has them.
fn undo_premultiplication(premultiplied: &[u8], rgba: &mut [u8]) {
    for (from, to) in premultiplied.as_chunks::<4>().0.iter().zip(rgba.as_chunks_mut::<4>().0) {
        let alpha = u32::from(from[3]);
        let divided =
            |c: u8| (255 * u32::from(c) + alpha / 2).checked_div(alpha).unwrap_or(0) as u8;
        *to = [divided(from[0]), divided(from[1]), divided(from[2]), from[3]];
    }
}

fn pdf(tree: &Tree, drawing: &Drawing) -> Result<Vec<u8>, EncodeError> {
    use krilla::geom::Size;
    use krilla::metadata::Metadata;
    use krilla::page::PageSettings;
    use krilla_svg::{SurfaceExt, SvgSettings};

    let points = |px: f64| (px * 72.0 / drawing.px_per_inch) as f32;
    let no_size = || EncodeError::Library("the page has no size".to_owned());
    let size = Size::from_wh(points(drawing.width), points(drawing.height)).ok_or_else(no_size)?;
    let mut document = krilla::Document::new();
    document.set_metadata(Metadata::new().title(drawing.title.clone()));
    let settings = PageSettings::from_wh(size.width(), size.height()).ok_or_else(no_size)?;
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    surface.draw_svg(tree, size, SvgSettings::default()).ok_or_else(no_size)?;
    surface.finish();
    page.finish();
    document.finish().map_err(|e| EncodeError::Library(format!("{e:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_of_a_transparent_png_have_their_own_colours() {
        let mut rgba = [0; 12];
        undo_premultiplication(&[50, 0, 100, 100, 7, 8, 9, 255, 0, 0, 0, 0], &mut rgba);
        assert_eq!(rgba, [128, 0, 255, 100, 7, 8, 9, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn drop_alpha_keeps_the_colours() {
        let rgba: Vec<u8> = (0..7 * 4).collect();
        let mut rgb = vec![0; 7 * 3];
        drop_alpha(&rgba, &mut rgb);
        let expected: Vec<u8> = rgba.chunks(4).flat_map(|p| p[..3].to_vec()).collect();
        assert_eq!(rgb, expected);
    }
}
