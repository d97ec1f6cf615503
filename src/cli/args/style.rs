//! `--style`: presets and files with the look of pictures.

use std::fmt::Write as _;
use std::path::Path;

use clap::ValueEnum;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::marks::Place;
use super::values::{dots_per_inch, inches};
use crate::cli::theme::ThemeName;
use entropy_history::text::names_hint;
use entropy_plot::theme::Rgb;
use entropy_plot::{Header, StatsChart};
use entropy_shell::io_message;

/// The names of the presets.
pub(super) const PRESETS: [&str; 5] = ["default", "paper", "talk", "dark", "bars"];
/// The keys of a style file.
const KEYS: [&str; 9] =
    ["theme", "size", "dpi", "type_size", "line_scale", "header", "legend", "palette", "stats"];
/// Smallest and largest type in points, and factor of line widths.
const TYPE: std::ops::RangeInclusive<f64> = 5.0..=18.0;
const LINES: std::ops::RangeInclusive<f64> = 0.2..=5.0;
/// Largest number of colours of a palette.
const MAX_COLOURS: usize = 40;

/// The look of pictures; what is `None` is as without a style.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::cli) struct Style {
    pub(super) theme: Option<ThemeName>,
    /// In inches.
    pub(super) size: Option<(f64, f64)>,
    pub(super) dpi: Option<f64>,
    /// In points.
    pub(super) type_size: Option<f64>,
    pub(super) line_scale: Option<f64>,
    pub(super) header: Option<Header>,
    pub(super) legend: Option<Place>,
    pub(super) palette: Option<Vec<Rgb>>,
    pub(super) stats: Option<StatsChart>,
}

impl Style {
    /// The figure in one column of a paper.
    pub(super) fn paper() -> Style {
        Style {
            size: Some((3.25, 2.2)),
            dpi: Some(300.0),
            type_size: Some(7.5),
            line_scale: Some(0.8),
            header: Some(Header::Hidden),
            ..Style::default()
        }
    }

    fn preset(name: &str) -> Option<Style> {
        Some(match name {
            "default" => Style::default(),
            "paper" => Style::paper(),
            "talk" => Style {
                size: Some((12.8, 7.2)),
                dpi: Some(150.0),
                type_size: Some(14.0),
                line_scale: Some(1.2),
                ..Style::default()
            },
            "dark" => Style { theme: Some(ThemeName::Dark), ..Style::default() },
            "bars" => Style { stats: Some(StatsChart::Bars), ..Style::default() },
            _ => return None,
        })
    }

    /// This style with what `later` sets.
    pub(super) fn with(self, later: Style) -> Style {
        Style {
            theme: later.theme.or(self.theme),
            size: later.size.or(self.size),
            dpi: later.dpi.or(self.dpi),
            type_size: later.type_size.or(self.type_size),
            line_scale: later.line_scale.or(self.line_scale),
            header: later.header.or(self.header),
            legend: later.legend.or(self.legend),
            palette: later.palette.or(self.palette),
            stats: later.stats.or(self.stats),
        }
    }

    /// The style as a file that `--style` reads.
    pub(super) fn to_toml(&self) -> String {
        let mut toml = "# A style of entropy-viz: --style FILE\n".to_owned();
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(toml, "{key} = {value}");
            }
        };
        let quoted = |word: &str| format!("\"{word}\"");
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map(|value| quoted(value.get_name()))
        };
        line("theme", name(self.theme.and_then(|theme| theme.to_possible_value())));
        line("size", self.size.map(|(width, height)| quoted(&format!("{width}x{height}"))));
        line("dpi", self.dpi.map(|dpi| dpi.to_string()));
        line("type_size", self.type_size.map(|points| points.to_string()));
        line("line_scale", self.line_scale.map(|scale| scale.to_string()));
        line("header", self.header.map(|header| quoted(header_name(header))));
        line("legend", name(self.legend.and_then(|place| place.to_possible_value())));
        line(
            "palette",
            self.palette.as_ref().map(|colours| {
                let colours: Vec<String> =
                    colours.iter().map(|colour| quoted(&colour.to_string())).collect();
                format!("[{}]", colours.join(", "))
            }),
        );
        line("stats", self.stats.map(|chart| quoted(stats_name(chart))));
        toml
    }
}

fn header_name(header: Header) -> &'static str {
    match header {
        Header::Shown => "shown",
        Header::Hidden => "hidden",
    }
}

fn stats_name(chart: StatsChart) -> &'static str {
    match chart {
        StatsChart::Ranges => "ranges",
        StatsChart::Bars => "bars",
    }
}

/// A preset, or the style in a TOML file.
///
/// # Errors
/// When there is no such preset and no such file, or when the file is not a style; the text names the line.
pub(super) fn style(text: &str) -> Result<Style, String> {
    if let Some(style) = Style::preset(text) {
        return Ok(style);
    }
    let is_file = Path::new(text).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    if !is_file && !Path::new(text).is_file() {
        let known = PRESETS.map(str::to_owned);
        let hint = names_hint(text, &known).unwrap_or_default();
        return Err(format!("no preset has this name; {hint}; a file ends in .toml"));
    }
    let content = std::fs::read_to_string(text)
        .map_err(|error| format!("cannot read {text}: {}", io_message(&error)))?;
    read(&content).map_err(|(at, why)| {
        let line = content[..at.min(content.len())].matches('\n').count() + 1;
        format!("{text}: line {line}: {why}")
    })
}

/// Reads a style file. An error has its position in bytes.
fn read(content: &str) -> Result<Style, (usize, String)> {
    let table = DeTable::parse(content)
        .map_err(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let mut style = Style::default();
    for (key, value) in table.get_ref() {
        let set = set(&mut style, key.get_ref(), value.get_ref());
        set.map_err(|fault| match fault {
            Fault::Key => {
                let hint = names_hint(key.get_ref(), &KEYS.map(str::to_owned)).unwrap_or_default();
                (key.span().start, format!("unknown key {:?}. {hint}", key.get_ref()))
            }
            Fault::Value(why) => (value.span().start, format!("{}: {why}", key.get_ref())),
        })?;
    }
    Ok(style)
}

/// What is wrong with a line.
enum Fault {
    Key,
    Value(String),
}

fn set(style: &mut Style, key: &str, value: &DeValue<'_>) -> Result<(), Fault> {
    match key {
        "theme" => style.theme = Some(choice(value)?),
        "size" => style.size = Some(inches(text(value)?).map_err(Fault::Value)?),
        "dpi" => {
            style.dpi = Some(dots_per_inch(&number(value)?.to_string()).map_err(Fault::Value)?);
        }
        "type_size" => style.type_size = Some(within(value, TYPE, "points")?),
        "line_scale" => style.line_scale = Some(within(value, LINES, "times the usual width")?),
        "header" => {
            style.header =
                Some(one_of(value, [Header::Shown, Header::Hidden].map(|h| (header_name(h), h)))?);
        }
        "legend" => style.legend = Some(choice(value)?),
        "palette" => style.palette = Some(palette(value)?),
        "stats" => {
            let charts = [StatsChart::Ranges, StatsChart::Bars].map(|c| (stats_name(c), c));
            style.stats = Some(one_of(value, charts)?);
        }
        _ => return Err(Fault::Key),
    }
    Ok(())
}

fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Fault> {
    match value {
        DeValue::String(text) => Ok(text),
        _ => Err(Fault::Value("give a text in quotes".to_owned())),
    }
}

fn number(value: &DeValue<'_>) -> Result<f64, Fault> {
    let digits = match value {
        DeValue::Integer(number) => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return Err(Fault::Value("give a number".to_owned())),
    };
    digits.parse().map_err(|_| Fault::Value(format!("{digits:?} is not a number")))
}

fn within(
    value: &DeValue<'_>,
    range: std::ops::RangeInclusive<f64>,
    unit: &str,
) -> Result<f64, Fault> {
    let number = number(value)?;
    match range.contains(&number) {
        true => Ok(number),
        false => Err(Fault::Value(format!("give {} to {} {unit}", range.start(), range.end()))),
    }
}

fn one_of<T: Copy, const N: usize>(
    value: &DeValue<'_>,
    choices: [(&str, T); N],
) -> Result<T, Fault> {
    let given = text(value)?;
    let found = choices.iter().find(|(name, _)| *name == given).map(|(_, choice)| *choice);
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    found.ok_or_else(|| Fault::Value(format!("give one of {}", names.join(", "))))
}

/// A value of a flag with the same names.
fn choice<T: ValueEnum>(value: &DeValue<'_>) -> Result<T, Fault> {
    T::from_str(text(value)?, false).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned()))
            .collect();
        Fault::Value(format!("give one of {}", names.join(", ")))
    })
}

fn palette(value: &DeValue<'_>) -> Result<Vec<Rgb>, Fault> {
    let form = || Fault::Value(format!("give 1 to {MAX_COLOURS} colours such as [\"#226daa\"]"));
    let DeValue::Array(colours) = value else { return Err(form()) };
    let colour = |colour: &Spanned<DeValue<'_>>| {
        let hex = text(colour.get_ref())?;
        let not_a_colour = |_| Fault::Value(format!("{hex:?} is not a colour such as \"#226daa\""));
        hex.parse::<Rgb>().map_err(not_a_colour)
    };
    let colours: Vec<Rgb> = colours.iter().map(colour).collect::<Result<_, _>>()?;
    if colours.is_empty() || colours.len() > MAX_COLOURS { Err(form()) } else { Ok(colours) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(content: &str) -> String {
        let (at, why) = read(content).unwrap_err();
        format!("{}: {why}", content[..at].matches('\n').count() + 1)
    }

    #[test]
    fn every_style_reads_back_as_it_was_written() {
        let full = Style {
            theme: Some(ThemeName::Dark),
            legend: Some(Place::Inside),
            palette: Some(vec![Rgb(1, 2, 3), Rgb(255, 0, 170)]),
            stats: Some(StatsChart::Bars),
            ..Style::paper()
        };
        for style in PRESETS.map(|name| style(name).unwrap()).into_iter().chain([full]) {
            assert_eq!(read(&style.to_toml()), Ok(style));
        }
    }

    #[test]
    fn faults_name_the_line_and_what_is_possible() {
        let said = fault("theme = \"dark\"\n\nlegnd = \"none\"\n");
        assert!(said.starts_with("3: unknown key \"legnd\". did you mean \"legend\"?"), "{said}");
        assert_eq!(fault("theme = \"blue\""), "1: theme: give one of light, dark, transparent");
        assert_eq!(
            fault("dpi = 1\ntype_size = 90"),
            "1: dpi: give pixels per inch from 10 to 2400"
        );
        assert_eq!(fault("\ntype_size = 90"), "2: type_size: give 5 to 18 points");
        assert!(
            fault("palette = [\"red\"]").ends_with("\"red\" is not a colour such as \"#226daa\"")
        );
        assert!(fault("palette = []").contains("1 to 40 colours"));
        assert!(fault("size = 3").ends_with("give a text in quotes"));
        assert!(fault("dpi = 100\ndpi = 200").starts_with("2: "), "a key twice");
        assert!(fault("theme = ").starts_with("1: "));
    }

    #[test]
    fn later_styles_win_and_keep_what_they_do_not_set() {
        let both = style("paper").unwrap().with(style("dark").unwrap());
        assert_eq!(both, Style { theme: Some(ThemeName::Dark), ..Style::paper() });
    }

    #[test]
    fn unknown_preset_names_the_nearest() {
        assert!(style("papr").unwrap_err().contains("did you mean \"paper\"?"));
        assert!(style("no/such.toml").unwrap_err().starts_with("cannot read no/such.toml: "));
    }
}
