//! Draws charts with the fonts that their texts need.

use std::convert::Infallible;
use std::path::Path;

use anyhow::anyhow;

use entropy_history::history::Comparison;
use entropy_history::stats::Analysis;
use entropy_history::stats::law::Law;
use entropy_plot::{
    Beside, ChartOptions, Curves, Encoding, Fonts, HeatMap, NothingToDraw, Panels, Parts, Picture,
    ValueScale, bars, encode, forest, heat_map, law, panels, parts, texts_of,
};
use entropy_shell::{CliError, Terminal, WithHint, io_message};

/// The options, fonts and resolution of the charts of one comparison.
pub(super) struct ChartRenderer {
    options: ChartOptions,
    /// Of transparent pictures, the options on a dark ground.
    on_dark: Option<ChartOptions>,
    fonts: Fonts,
    dpi: f64,
}

impl ChartRenderer {
    /// Loads the fonts for the texts of these runs; warns about characters that no font has.
    ///
    /// # Errors
    /// When the file `font` is not a font.
    pub(super) fn new(
        comparison: &Comparison,
        options: ChartOptions,
        font: Option<&Path>,
        dpi: f64,
        terminal: &Terminal,
    ) -> Result<ChartRenderer, CliError> {
        ChartRenderer::for_texts(&texts_of(comparison, &options), options, font, dpi, terminal)
    }

    /// Loads the fonts for these texts; warns about characters that no font has.
    ///
    /// # Errors
    /// When the file `font` is not a font.
    pub(super) fn for_texts(
        texts: &[String],
        options: ChartOptions,
        font: Option<&Path>,
        dpi: f64,
        terminal: &Terminal,
    ) -> Result<ChartRenderer, CliError> {
        let fonts = Fonts::for_texts(texts.iter().map(String::as_str), font)
            .map_err(|e| {
                let font = font.unwrap_or(Path::new(""));
                anyhow!("cannot use the font {}: {}", font.display(), io_message(&e))
            })
            .hint("--font takes a .ttf, .otf or .ttc file")?;
        if !fonts.missing().is_empty() {
            let missing: Vec<String> = fonts.missing().iter().map(|c| format!("{c}")).collect();
            terminal.warn(&format!(
                "no installed font has {}: drawn as boxes; name a font that has them with --font FILE",
                missing.join(" ")
            ));
        }
        let dark = options.theme.on_dark();
        let on_dark = dark.map(|theme| ChartOptions { theme, ..options.clone() });
        Ok(ChartRenderer { options, on_dark, fonts, dpi })
    }

    /// The renderer at another resolution.
    pub(super) fn at(self, dpi: f64) -> ChartRenderer {
        ChartRenderer { dpi, ..self }
    }

    /// A picture, on each ground if it is transparent.
    ///
    /// # Errors
    /// When there is nothing to draw.
    fn draw<E>(&self, draw: impl Fn(&ChartOptions) -> Result<Picture, E>) -> Result<Picture, E> {
        let mut picture = draw(&self.options)?;
        if let Some(options) = &self.on_dark {
            picture.drawing.on_dark = Some(Box::new(draw(options)?.drawing));
        }
        Ok(picture)
    }

    /// A picture that can always be drawn, on each ground if it is transparent.
    fn picture(&self, draw: impl Fn(&ChartOptions) -> Picture) -> Picture {
        let Ok(picture) = self.draw(|options| Ok::<_, Infallible>(draw(options)));
        picture
    }

    /// The curves of these runs, above a panel for each quantity.
    pub(super) fn curves<'a>(
        &'a self,
        comparison: &'a Comparison,
        beside: &'a [Beside],
    ) -> Result<Curves<'a>, CliError> {
        let on = |options| Curves::above(beside, comparison, options, &self.fonts);
        let curves = on(&self.options).and_then(|curves| match &self.on_dark {
            Some(options) => Ok(curves.with_dark(on(options)?)),
            None => Ok(curves),
        });
        curves.map_err(|why| {
            let hint = match why {
                NothingToDraw::Limits => "widen --y-min and --y-max; --log-y cannot show zeros",
                NothingToDraw::NoMean(_) => {
                    "--interpolate fills the steps between logged points; --metric KEY selects one \
                     quantity of each run; without groups every run has its own line"
                }
            };
            CliError { error: why.into(), hint: Some(hint.to_owned()) }
        })
    }

    pub(super) fn bars(&self, comparison: &Comparison, analysis: &Analysis) -> Picture {
        self.picture(|options| bars(comparison, analysis, options, &self.fonts))
    }

    pub(super) fn forest(&self, comparison: &Comparison, analysis: &Analysis) -> Picture {
        self.picture(|options| forest(comparison, analysis, options, &self.fonts))
    }

    pub(super) fn law(&self, comparison: &Comparison, laws: &[Law]) -> Result<Picture, CliError> {
        self.draw(|options| law(comparison, laws, options, &self.fonts))
            .hint("widen --y-min and --y-max")
    }

    pub(super) fn panels(&self, data: &Panels, scale: ValueScale) -> Picture {
        self.picture(|options| {
            panels(data, &ChartOptions { scale, ..options.clone() }, &self.fonts)
        })
    }

    pub(super) fn parts(&self, data: &Parts) -> Picture {
        self.picture(|options| parts(data, options, &self.fonts))
    }

    pub(super) fn heat_map(&self, map: &HeatMap) -> Picture {
        self.picture(|options| heat_map(map, options, &self.fonts))
    }

    /// The bytes of a picture file.
    ///
    /// # Errors
    /// When the picture is too large.
    pub(super) fn encode(
        &self,
        picture: &Picture,
        encoding: Encoding,
    ) -> Result<Vec<u8>, CliError> {
        encode(&picture.drawing, &self.fonts, encoding, self.dpi)
            .map_err(|e| anyhow!("cannot draw the picture: {e}"))
            .hint("a smaller --size or --dpi may help")
    }
}
