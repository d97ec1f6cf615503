//! The flags for the look and the file type of a picture.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::marks::Place;
use super::names::given;
use super::style::{Style, style};
use super::values::{dots_per_inch, inches};
use crate::cli::renderer::ChartRenderer;
use crate::cli::target::Target;
use crate::cli::theme::ThemeName;
use entropy_history::history::Comparison;
use entropy_plot::theme::{DARK, LIGHT, TRANSPARENT, Theme};
use entropy_plot::{ChartOptions, Encoding, Header, Look, RunColours, StatsChart, SvgText};
use entropy_shell::{CliError, Terminal, WithHint};

/// Contrast of a line with the background, from which it is easy to see (WCAG 2.1).
const MIN_CONTRAST: f64 = 3.0;

#[derive(Debug, Args)]
pub(in crate::cli) struct TitleArgs {
    /// Title.
    #[arg(long)]
    pub(in crate::cli) title: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ThemeArgs {
    /// Colours: light, dark or transparent [default: light, or that of the terminal].
    ///
    /// transparent: a picture without a background, readable on white and on black.
    #[arg(long, value_enum, hide_possible_values = true)]
    pub(in crate::cli) theme: Option<ThemeName>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Picture")]
pub(in crate::cli) struct PictureArgs {
    #[command(flatten)]
    title: TitleArgs,
    /// Figure for a paper: 3.25x2.2 in, no title, y-axis title, 7.5 pt type, 300 dpi.
    ///
    /// --size, --dpi and --title change these. The type keeps its size at any --size.
    #[arg(long)]
    paper: bool,
    /// Look: default, paper, talk, dark, bars, or a TOML file; repeatable.
    ///
    /// What a later style sets wins over an earlier one, and a flag wins over a style. talk: 12.8x7.2 in with type of
    /// 14 pt. bars: statistics as three panels of bars. Keys of a file: theme, size, dpi, type_size, line_scale, header,
    /// legend, palette, stats.
    #[arg(long = "style", value_name = "NAME|FILE", value_parser = style, hide_short_help = true)]
    styles: Vec<Style>,
    /// Write the look of this picture as a file for --style.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    save_style: Option<PathBuf>,
    /// Label of the x axis.
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    x_label: Option<String>,
    /// Title of the y axis, with its unit; written beside the axis.
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    y_label: Option<String>,
    /// Width and height in inches, e.g. 14x7.
    #[arg(long, value_name = "WxH", value_parser = inches)]
    size: Option<(f64, f64)>,
    /// Pixels per inch of a PNG [default: 200; 300 with --paper].
    #[arg(long, value_parser = dots_per_inch, hide_short_help = true)]
    dpi: Option<f64>,
    #[command(flatten)]
    pub(in crate::cli) theme: ThemeArgs,
    /// Font for characters that the built-in one lacks, e.g. Chinese.
    ///
    /// A TrueType or OpenType file (.ttf, .otf, .ttc).
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    font: Option<PathBuf>,
    /// SVG with texts as outlines, which look the same everywhere.
    ///
    /// An SVG of --paper has its font inside; programs such as Inkscape do not use it.
    #[arg(long, hide_short_help = true)]
    outline_text: bool,
    /// Small text at the bottom [default text: version and sources].
    #[arg(long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "", hide_short_help = true)]
    footer: Option<String>,
    /// File type: png, svg or pdf [default: by file name].
    #[arg(
        long,
        value_enum,
        value_name = "TYPE",
        hide_possible_values = true,
        hide_short_help = true
    )]
    output_format: Option<EncodingName>,
}

/// The picture of a command whose main result is a table.
#[derive(Debug, Args)]
pub(in crate::cli) struct OptionalPictureArgs {
    /// Picture to write [default: entropy_<command>.png; none for JSON and CSV].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write no picture.
    #[arg(long, conflicts_with = "output")]
    no_plot: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EncodingName {
    Png,
    Svg,
    Pdf,
}

impl OptionalPictureArgs {
    /// Where to write the picture; `default` if the command prints a table and none is named.
    pub(in crate::cli) fn target(&self, default: Option<&str>) -> Option<Target> {
        let default = || default.filter(|_| !self.no_plot).map(PathBuf::from);
        self.output.clone().or_else(default).map(|path| Target::new(&path))
    }
}

impl PictureArgs {
    /// The encoding of a picture: that of `--output-format`, else that of the file name.
    ///
    /// # Errors
    /// When neither gives one.
    pub(in crate::cli) fn encoding(&self, target: &Target) -> Result<Encoding, CliError> {
        let encoding = match self.output_format {
            Some(EncodingName::Png) => Encoding::Png,
            Some(EncodingName::Svg) => self.svg(),
            Some(EncodingName::Pdf) => Encoding::Pdf,
            None => self.encoding_by_name(target)?,
        };
        if let (Some(style), Target::File(path)) = (&self.save_style, target)
            && style == path
        {
            return Err(anyhow!("{} cannot be both the picture and its style", path.display()))
                .hint("name another file with --save-style, e.g. style.toml");
        }
        if self.outline_text && !matches!(encoding, Encoding::Svg(_)) {
            return Err(anyhow!("--outline-text is for SVG"))
                .hint("PNG and PDF need no fonts of the reader; write an .svg, or leave it out");
        }
        Ok(encoding)
    }

    /// The encoding of an SVG.
    pub(in crate::cli) fn svg(&self) -> Encoding {
        let is_paper = self.style().header == Some(Header::Hidden);
        Encoding::Svg(match (self.outline_text, is_paper) {
            (true, _) => SvgText::Outlines,
            (false, true) => SvgText::Embedded,
            (false, false) => SvgText::Named,
        })
    }

    /// The encoding by the end of the file name.
    fn encoding_by_name(&self, target: &Target) -> Result<Encoding, CliError> {
        let Target::File(path) = target else {
            return Err(anyhow!("the file type of a picture on stdout is not known"))
                .hint("add --output-format png, svg or pdf");
        };
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let encoding = Encoding::of_extension(&extension);
        let encoding = encoding.map(|e| if matches!(e, Encoding::Svg(_)) { self.svg() } else { e });
        encoding
            .ok_or_else(|| match &*extension {
                "" => anyhow!("cannot draw {}: the file name has no extension", path.display()),
                _ => anyhow!("cannot draw {}: {extension:?} is not a picture type", path.display()),
            })
            .hint("end its name in .png, .svg or .pdf, or add --output-format")
    }

    /// The title, if one is given.
    pub(in crate::cli) fn title(&self) -> Option<&str> {
        self.title.title.as_deref()
    }

    /// Pixels per inch of a PNG.
    fn dpi(&self) -> f64 {
        self.style().dpi.unwrap_or(200.0)
    }

    /// The styles one after another, then the flags.
    pub(super) fn style(&self) -> Style {
        let paper = self.paper.then(Style::paper);
        let flags =
            Style { theme: self.theme.theme, size: self.size, dpi: self.dpi, ..Style::default() };
        self.styles.iter().cloned().chain(paper).chain([flags]).fold(Style::default(), Style::with)
    }

    /// Warns about colours that are hard to see, and writes the file of `--save-style`.
    fn check_style(&self, options: &ChartOptions, terminal: &Terminal) -> Result<(), CliError> {
        let palette = self.style().palette.into_iter().flatten();
        for colour in palette.chain(options.colours.iter().flat_map(RunColours::given)) {
            let contrast = options.theme.contrast(colour);
            if contrast < MIN_CONTRAST {
                terminal.warn(&format!(
                    "{colour} is hard to see: its contrast with the background is {contrast:.1}, and lines need {MIN_CONTRAST}"
                ));
            }
        }
        let Some(path) = &self.save_style else { return Ok(()) };
        let style = self.style();
        let legend = Place::of(options.legend).or(style.legend);
        let style = Style { legend, ..style };
        Target::new(path).write_beside_document(style.to_toml().as_bytes(), terminal)
    }

    /// The options of a chart of these runs, with linear axes without limits.
    pub(in crate::cli) fn options(&self, comparison: &Comparison) -> ChartOptions {
        let sources = comparison.runs().iter().map(|run| run.source.as_str());
        self.options_of(&sources.collect::<Vec<_>>())
    }

    /// The options of a chart of these files, with linear axes without limits.
    pub(in crate::cli) fn options_of(&self, sources: &[&str]) -> ChartOptions {
        let sources =
            || format!("entropy-viz {} · {}", env!("CARGO_PKG_VERSION"), sources.join(", "));
        let footer = self.footer.as_ref().map(|t| if t.is_empty() { sources() } else { t.clone() });
        let style = self.style();
        ChartOptions {
            theme: self.theme_on(ThemeName::Light),
            size: style.size,
            look: Look {
                header: style.header.unwrap_or(Header::Shown),
                type_points: style.type_size,
                line_scale: style.line_scale.unwrap_or(1.0),
            },
            stats_chart: style.stats.unwrap_or(StatsChart::Ranges),
            title: self.title.title.clone(),
            footer,
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
            ..ChartOptions::default()
        }
    }

    /// The name that `--x-label` gives the axis of a chart of rows, whose values are along the x axis.
    ///
    /// # Errors
    /// When that axis gets two names, or the chart is of bars, whose axes have no name.
    pub(in crate::cli) fn value_label(
        &self,
        stats_chart: StatsChart,
    ) -> Result<Option<String>, CliError> {
        // Without labels, either chart is as it is.
        match (&self.x_label, &self.y_label, stats_chart) {
            (Some(_), _, StatsChart::Bars) => {
                Err(anyhow!("panels of bars have no x axis to label"))
                    .hint("leave --x-label out, or draw rows: --style without bars")
            }
            (_, Some(_), StatsChart::Bars) => {
                Err(anyhow!("panels of bars have no y axis to label"))
                    .hint("leave --y-label out, or draw rows: --style without bars")
            }
            (Some(_), Some(_), StatsChart::Ranges) => Err(anyhow!(
                "a picture with a row per run has one axis of values, and two labels are given"
            ))
            .hint("give --x-label alone"),
            (label, _, _) => Ok(label.clone()),
        }
    }

    /// The theme of the flags, or else this one, with the palette of the style.
    pub(in crate::cli) fn theme_on(&self, background: ThemeName) -> &'static Theme {
        let style = self.style();
        let theme = match style.theme.unwrap_or(background) {
            ThemeName::Light => &LIGHT,
            ThemeName::Dark => &DARK,
            ThemeName::Transparent => &TRANSPARENT,
        };
        style.palette.map_or(theme, |colours| theme.with_palette(colours))
    }

    /// The flags for the look of a picture that are given and that text cannot show: those that would change the
    /// picture as a whole, and those that add to it.
    pub(in crate::cli) fn only_for_pictures(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let look = given([(self.paper, "--paper"), (!self.styles.is_empty(), "--style")]);
        let texts = given([
            (self.title().is_some(), "--title"),
            (self.x_label.is_some(), "--x-label"),
            (self.y_label.is_some(), "--y-label"),
            (self.size.is_some(), "--size"),
            (self.font.is_some(), "--font"),
            (self.footer.is_some(), "--footer"),
        ]);
        (look, texts)
    }

    /// A renderer of charts of these runs.
    ///
    /// # Errors
    /// When the font cannot be used, or the file of `--save-style` cannot be written.
    pub(in crate::cli) fn renderer(
        &self,
        comparison: &Comparison,
        options: ChartOptions,
        terminal: &Terminal,
    ) -> Result<ChartRenderer, CliError> {
        self.check_style(&options, terminal)?;
        ChartRenderer::new(comparison, options, self.font.as_deref(), self.dpi(), terminal)
    }

    /// A renderer of charts with these texts.
    ///
    /// # Errors
    /// When the font cannot be used, or the file of `--save-style` cannot be written.
    pub(in crate::cli) fn renderer_of(
        &self,
        texts: &[String],
        options: ChartOptions,
        terminal: &Terminal,
    ) -> Result<ChartRenderer, CliError> {
        self.check_style(&options, terminal)?;
        ChartRenderer::for_texts(texts, options, self.font.as_deref(), self.dpi(), terminal)
    }
}
