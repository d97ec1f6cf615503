//! `--legend`, `--hline` and `--vline`: names of lines, and lines of the user.

use clap::{Args, ValueEnum};

use super::PictureArgs;
use super::names::given;
use super::values::finite;
use crate::tui::marks::{LevelLine, Reach};
use crate::tui::palette::Palette;
use entropy_history::label::visible;
use entropy_history::number::short;
use entropy_plot::{LegendPlace, LineAxis, ReferenceLine};

#[derive(Debug, Args)]
#[command(next_help_heading = "Curves")]
pub(in crate::cli) struct LegendArgs {
    /// Names of the lines: ends, right, inside or none [default: ends, or right if they do not fit].
    ///
    /// ends: at the line ends. right: in a legend beside the plot. inside: in a legend in the emptiest corner of the
    /// plot. none: nowhere.
    #[arg(
        long,
        value_name = "PLACE",
        value_enum,
        hide_possible_values = true,
        hide_short_help = true
    )]
    legend: Option<Place>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Curves")]
pub(in crate::cli) struct MarkArgs {
    #[command(flatten)]
    legend: LegendArgs,
    #[command(flatten)]
    levels: LevelArgs,
    /// Upright line at a step, with a label: --vline 300='new data'; repeatable.
    ///
    /// In the unit of the x axis.
    #[arg(
        long,
        value_name = "STEP[=LABEL]",
        value_parser = line,
        allow_hyphen_values = true,
        hide_short_help = true
    )]
    vline: Vec<(f64, Option<String>)>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Curves")]
pub(in crate::cli) struct LevelArgs {
    /// Level line at a value, with a label: --hline 0.5=floor; repeatable.
    #[arg(
        long,
        value_name = "VALUE[=LABEL]",
        value_parser = line,
        allow_hyphen_values = true,
        hide_short_help = true
    )]
    hline: Vec<(f64, Option<String>)>,
}

impl LevelArgs {
    /// The lines on a terminal with these colours.
    pub(in crate::cli) fn lines(&self, palette: Palette) -> Vec<LevelLine> {
        let line = |(value, label): &(f64, Option<String>)| LevelLine {
            value: *value,
            label: visible(label.as_deref().unwrap_or(&short(*value))).into_owned(),
            style: palette.muted(),
            reach: Reach::Extended,
        };
        self.hline.iter().map(line).collect()
    }
}

/// Where names are, as `--legend` and style files name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Place {
    None,
    Inside,
    Right,
    Ends,
}

impl Place {
    /// The place that a chart has; `None` if the chart chooses.
    pub(super) fn of(place: LegendPlace) -> Option<Place> {
        match place {
            LegendPlace::Auto => None,
            LegendPlace::None => Some(Place::None),
            LegendPlace::Inside => Some(Place::Inside),
            LegendPlace::Right => Some(Place::Right),
            LegendPlace::Ends => Some(Place::Ends),
        }
    }
}

fn line(text: &str) -> Result<(f64, Option<String>), String> {
    let (number, label) = match text.split_once('=') {
        Some((number, label)) => (number, Some(label.to_owned())),
        None => (text, None),
    };
    let number = finite(number.trim()).map_err(|e| format!("{number:?} is {e}"))?;
    Ok((number, label))
}

impl LegendArgs {
    /// Where the names are: as the flag says, else the style of the picture.
    pub(in crate::cli) fn place(&self, picture: &PictureArgs) -> LegendPlace {
        match self.legend.or(picture.style().legend) {
            None => LegendPlace::Auto,
            Some(Place::None) => LegendPlace::None,
            Some(Place::Inside) => LegendPlace::Inside,
            Some(Place::Right) => LegendPlace::Right,
            Some(Place::Ends) => LegendPlace::Ends,
        }
    }
}

impl MarkArgs {
    /// Where the names are: as the flag says, else the style of the picture.
    pub(super) fn legend(&self, picture: &PictureArgs) -> LegendPlace {
        self.legend.place(picture)
    }

    /// The flags that are given and that text cannot show.
    pub(in crate::cli) fn only_for_pictures(&self) -> Vec<&'static str> {
        given([(self.legend.legend.is_some(), "--legend"), (!self.vline.is_empty(), "--vline")])
    }

    /// The level lines on a terminal with these colours.
    pub(in crate::cli) fn levels(&self, palette: Palette) -> Vec<LevelLine> {
        self.levels.lines(palette)
    }

    /// The lines of the user.
    pub(in crate::cli) fn lines(&self) -> Vec<ReferenceLine> {
        let of = |axis: LineAxis, lines: &[(f64, Option<String>)]| {
            let line = |(at, label): &(f64, Option<String>)| ReferenceLine {
                axis,
                at: *at,
                label: label.clone(),
            };
            lines.iter().map(line).collect::<Vec<_>>()
        };
        [of(LineAxis::Value, &self.levels.hline), of(LineAxis::Step, &self.vline)].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_a_number_and_a_label() {
        assert_eq!(line("0.5"), Ok((0.5, None)));
        assert_eq!(line("-1e2=a=b"), Ok((-100.0, Some("a=b".to_owned()))));
        for bad in ["", "x", "=a", "nan", "1 2"] {
            assert!(line(bad).is_err(), "{bad}");
        }
    }
}
