//! What every command that draws has in common: how pictures look, and where they go.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Arg, Args, ValueEnum};

use super::watch::ThemeName;
use crate::tui::view::View;
use entropy_history::history::{Comparison, Window};
use entropy_history::stats::Analysis;
use entropy_history::stats::law::Law;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::x_axis::XAxis;
use entropy_plot::theme::{DARK, LIGHT};
use entropy_plot::{
    ChartOptions, Curves, Encoding, Fonts, GroupOptions, NothingToDraw, Picture, ValueScale, bars,
    encode, forest, law, texts_of,
};
use entropy_shell::Terminal;
use entropy_shell::io_message;
use entropy_shell::output::write_atomically;
use entropy_shell::{Failure, WithHint};

/// How pictures look.
#[derive(Debug, Args)]
#[command(next_help_heading = "Picture")]
pub(super) struct ChartArgs {
    /// Title of the picture.
    #[arg(long)]
    title: Option<String>,
    /// Name of the x axis.
    #[arg(long, value_name = "TEXT")]
    x_label: Option<String>,
    /// Name and unit of the y axis.
    #[arg(long, value_name = "TEXT")]
    y_label: Option<String>,
    /// Logarithmic y axis.
    #[arg(long)]
    log_y: bool,
    /// First step to show, and to take numbers of; states are of whole runs. With --x, in what the axis
    /// counts.
    #[arg(long, value_name = "STEP", allow_negative_numbers = true, value_parser = finite)]
    from_step: Option<f64>,
    /// Last step to show, likewise.
    #[arg(long, value_name = "STEP", allow_negative_numbers = true, value_parser = finite)]
    to_step: Option<f64>,
    /// Smallest entropy to show, in nats.
    #[arg(long, value_name = "NATS", allow_negative_numbers = true, value_parser = finite)]
    y_min: Option<f64>,
    /// Largest entropy to show, in nats.
    #[arg(long, value_name = "NATS", allow_negative_numbers = true, value_parser = finite)]
    y_max: Option<f64>,
    /// Smoothing of the curves: none, ema:WEIGHT (TensorBoard's slider), twema:WEIGHT (W&B's), mean:POINTS
    /// or gaussian:STEPS; the logged curve stays behind it.
    #[arg(long, value_name = "KIND", default_value = "none")]
    smooth: Smoothing,
    /// Width and height in inches, as in 14x7.
    #[arg(long, value_name = "WxH", value_parser = inches)]
    size: Option<(f64, f64)>,
    /// Pixels an inch, for PNG.
    #[arg(long, default_value_t = 200.0, value_parser = dots)]
    dpi: f64,
    /// Colours [default: light; with --terminal, what the terminal says, else dark].
    #[arg(long, value_enum)]
    theme: Option<ThemeName>,
    /// A TrueType or OpenType font for characters that the built-in one lacks, such as Chinese.
    #[arg(long, value_name = "FILE")]
    font: Option<PathBuf>,
    /// A quiet line at the foot; without TEXT, the version and the sources.
    #[arg(long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "")]
    footer: Option<String>,
    /// Kind of picture, instead of the file's extension.
    #[arg(long, value_enum, value_name = "KIND")]
    output_format: Option<EncodingName>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EncodingName {
    Png,
    Svg,
    Pdf,
}

/// Leaves a flag out of the help of a command that refuses it.
pub(super) fn hide(arg: Arg, refused: &[&str]) -> Arg {
    let is_refused = refused.iter().any(|id| arg.get_id() == *id);
    if is_refused { arg.hide(true) } else { arg }
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
    number.ok_or_else(|| "it is not a finite number".to_owned())
}

fn inches(text: &str) -> Result<(f64, f64), String> {
    let parse = |side: &str| side.trim().parse::<f64>().ok().filter(|s| (2.0..=100.0).contains(s));
    let sides = text.split_once(['x', 'X', '×', ',']);
    let size = sides.and_then(|(w, h)| Some((parse(w)?, parse(h)?)));
    size.ok_or_else(|| {
        "a size is WIDTHxHEIGHT in inches, each from 2 to 100, as in 14x7".to_owned()
    })
}

fn dots(text: &str) -> Result<f64, String> {
    let dots = text.parse::<f64>().ok().filter(|d| (10.0..=2400.0).contains(d));
    dots.ok_or_else(|| "dots an inch are a number from 10 to 2400".to_owned())
}

/// A file to be written, or stdout.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    Stdout,
    File(PathBuf),
}

impl ChartArgs {
    /// Checks flags that limit each other.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if let (Some(from), Some(to)) = (self.from_step, self.to_step)
            && from >= to
        {
            return Err(anyhow!("--from-step {from} is not before --to-step {to}"))
                .hint("swap them");
        }
        if let (Some(min), Some(max)) = (self.y_min, self.y_max)
            && min >= max
        {
            return Err(anyhow!("--y-min {min} is not below --y-max {max}")).hint("swap them");
        }
        if self.log_y && self.y_min.is_some_and(|min| min <= 0.0) {
            return Err(anyhow!(
                "a logarithmic axis cannot start at --y-min {}",
                self.y_min.unwrap_or(0.0)
            ))
            .hint("give a --y-min above 0");
        }
        Ok(())
    }

    /// Checks that nothing is asked for that bars and differences cannot show: both are of what was logged, on an
    /// axis with a 0.
    pub(super) fn check_for_stats(&self) -> Result<(), Failure> {
        self.check()?;
        if self.smooth != Smoothing::None {
            return Err(anyhow!("statistics are of what was logged, without --smooth")).hint(
                "leave --smooth out; plot --smooth --with-stats smooths the curves beside them",
            );
        }
        if self.log_y {
            return Err(anyhow!("bars begin at 0, which a logarithmic axis has no place for"))
                .hint("leave --log-y out; plot --log-y --with-stats has it for the curves");
        }
        if self.y_min.is_some() || self.y_max.is_some() {
            return Err(anyhow!(
                "bars begin at 0 and show all of each value: they have no --y-min and --y-max"
            ))
            .hint("leave them out; plot --y-min --y-max --with-stats has them for the curves");
        }
        Ok(())
    }

    /// Checks that nothing is asked for that a picture of the reward–entropy law cannot show.
    pub(super) fn check_for_law(&self) -> Result<(), Failure> {
        self.check()?;
        if self.smooth != Smoothing::None {
            return Err(anyhow!("the law is fitted to what was logged, without --smooth"))
                .hint("leave --smooth out");
        }
        if self.log_y {
            return Err(anyhow!("rewards may be negative: the law has no --log-y"))
                .hint("leave --log-y out");
        }
        Ok(())
    }

    /// The encoding of a target, checked before any work is done.
    pub(super) fn encoding(&self, target: &Target) -> Result<Encoding, Failure> {
        let named = self.output_format.map(|name| match name {
            EncodingName::Png => Encoding::Png,
            EncodingName::Svg => Encoding::Svg,
            EncodingName::Pdf => Encoding::Pdf,
        });
        if let Some(encoding) = named {
            return Ok(encoding);
        }
        let Target::File(path) = target else {
            return Err(anyhow!("cannot tell the kind of picture for stdout"))
                .hint("add --output-format png, svg or pdf");
        };
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        Encoding::of_extension(&extension)
            .ok_or_else(|| {
                anyhow!("cannot draw {}: {extension:?} is no kind of picture", path.display())
            })
            .hint("end its name in .png, .svg or .pdf, or add --output-format")
    }

    /// What a page can be given of it: title, smoothing and whether the value axis is logarithmic.
    pub(super) fn of_a_page(&self) -> (Option<&str>, Smoothing, bool) {
        (self.title.as_deref(), self.smooth, self.log_y)
    }

    /// Whether a part of the x axis is shown.
    pub(super) fn is_limited(&self) -> bool {
        self.from_step.is_some() || self.to_step.is_some()
    }

    /// The steps shown; infinite where not limited.
    fn steps(&self) -> (f64, f64) {
        (self.from_step.unwrap_or(f64::NEG_INFINITY), self.to_step.unwrap_or(f64::INFINITY))
    }

    /// The look of a picture of `comparison`.
    fn look(&self, comparison: &Comparison, across: XAxis) -> ChartOptions {
        let sources = || {
            let sources = comparison.runs().iter().map(|run| run.source.as_str());
            format!(
                "entropy-viz {} · {}",
                env!("CARGO_PKG_VERSION"),
                sources.collect::<Vec<_>>().join(", ")
            )
        };
        let footer = self.footer.as_ref().map(|t| if t.is_empty() { sources() } else { t.clone() });
        ChartOptions {
            theme: match self.theme {
                None | Some(ThemeName::Light) => &LIGHT,
                Some(ThemeName::Dark) => &DARK,
            },
            size: self.size,
            title: self.title.clone(),
            footer,
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
            scale: if self.log_y { ValueScale::Log } else { ValueScale::Linear },
            smoothing: self.smooth,
            x_axis: across,
            steps: self.steps(),
            y_min: self.y_min,
            y_max: self.y_max,
            groups: None,
        }
    }

    /// The same for a terminal.
    pub(super) fn view(&self) -> View {
        let scale = if self.log_y { ValueScale::Log } else { ValueScale::Linear };
        View::new(self.smooth, scale, self.steps())
    }

    /// The colours, if they were chosen.
    pub(super) fn theme_if_given(&self) -> Option<ThemeName> {
        self.theme
    }

    /// A studio for pictures of `comparison`, or a part of it, over training steps.
    pub(super) fn studio(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<Studio, Failure> {
        self.studio_across(comparison, XAxis::Step, terminal)
    }

    /// The same, over what else the x axis may count.
    pub(super) fn studio_across(
        &self,
        comparison: &Comparison,
        across: XAxis,
        terminal: &Terminal,
    ) -> Result<Studio, Failure> {
        let look = self.look(comparison, across);
        let texts = texts_of(comparison, &look);
        let fonts = Fonts::for_texts(texts.iter().map(String::as_str), self.font.as_deref())
            .map_err(|e| {
                let font = self.font.as_deref().unwrap_or(Path::new(""));
                anyhow!("cannot use the font {}: {}", font.display(), io_message(&e))
            })
            .hint("--font takes a .ttf, .otf or .ttc file")?;
        if !fonts.missing().is_empty() {
            let missing: Vec<String> = fonts.missing().iter().map(|c| format!("{c}")).collect();
            terminal.warn(&format!(
                "no font here has {}: drawn as boxes; --font FILE names one that has",
                missing.join(" ")
            ));
        }
        Ok(Studio { look, fonts, dpi: self.dpi })
    }

    /// The runs with points among the steps shown, if these are limited; the others are told and left
    /// out.
    pub(super) fn window(
        &self,
        comparison: &Comparison,
        terminal: &Terminal,
    ) -> Result<Option<Window>, Failure> {
        if !self.is_limited() {
            return Ok(None);
        }
        let (from, to) = self.steps();
        let (window, outside) = comparison.between(from, to);
        for label in &outside {
            terminal.warn(&format!("{label} has no point among the steps shown and is left out"));
        }
        window
            .map(Some)
            .ok_or_else(|| anyhow!("no run has a point among the steps shown"))
            .hint("widen --from-step and --to-step")
    }

    /// The same without a warning, for whoever was warned before.
    pub(super) fn window_again(&self, comparison: &Comparison) -> Option<Window> {
        let (from, to) = self.steps();
        self.is_limited().then(|| comparison.between(from, to).0).flatten()
    }
}

/// What pictures are drawn with.
pub(super) struct Studio {
    look: ChartOptions,
    fonts: Fonts,
    dpi: f64,
}

impl Studio {
    /// The same for pictures of groups, if there are any.
    pub(super) fn with_groups(mut self, groups: Option<GroupOptions>) -> Studio {
        self.look.groups = groups;
        self
    }

    pub(super) fn curves<'a>(&'a self, comparison: &'a Comparison) -> Result<Curves<'a>, Failure> {
        Curves::new(comparison, &self.look, &self.fonts).map_err(|why| {
            let hint = match why {
                NothingToDraw::Limits => {
                    "widen --y-min and --y-max; zeros have no place with --log-y"
                }
                NothingToDraw::NoMean(_) => {
                    "--interpolate takes values between logged points; --metric KEY takes one \
                     quantity of each; without --group every run has a line"
                }
            };
            Failure { error: why.into(), hint: Some(hint.to_owned()) }
        })
    }

    pub(super) fn bars(&self, comparison: &Comparison, analysis: &Analysis) -> Picture {
        bars(comparison, analysis, &self.look, &self.fonts)
    }

    pub(super) fn forest(&self, comparison: &Comparison, analysis: &Analysis) -> Picture {
        forest(comparison, analysis, &self.look, &self.fonts)
    }

    pub(super) fn law(&self, comparison: &Comparison, laws: &[Law]) -> Result<Picture, Failure> {
        law(comparison, laws, &self.look, &self.fonts).hint("widen --y-min and --y-max")
    }

    pub(super) fn encode(&self, picture: &Picture, encoding: Encoding) -> Result<Vec<u8>, Failure> {
        encode(&picture.drawing, &self.fonts, encoding, self.dpi)
            .map_err(|e| anyhow!("cannot draw the picture: {e}"))
            .hint("a smaller --size or --dpi may help")
    }
}

/// Writes bytes where they belong and says where that was: among the warnings where stdout carries a
/// document.
pub(super) fn write_beside_document(
    target: &Target,
    bytes: &[u8],
    terminal: &Terminal,
) -> Result<(), Failure> {
    match target {
        Target::Stdout => terminal.print(bytes)?,
        Target::File(path) => {
            save(path, bytes)?;
            terminal.info(&path.display().to_string());
        }
    }
    Ok(())
}

/// Writes bytes where they belong and says where that was.
pub(super) fn write(target: &Target, bytes: &[u8], terminal: &Terminal) -> Result<(), Failure> {
    match target {
        Target::Stdout => terminal.print(bytes)?,
        Target::File(path) => {
            save(path, bytes)?;
            terminal.print(format!("{}\n", path.display()).as_bytes())?;
        }
    }
    Ok(())
}

/// Writes a file, whole or not at all.
pub(super) fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_atomically(path, bytes)
        .map_err(|e| anyhow!("cannot write {}: {}", path.display(), io_message(&e)))
        .hint("check the directory, its permissions and the free space")
}

/// `<stem>_stats.<ext>` beside a picture.
pub(super) fn stats_beside(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension() {
        Some(extension) => {
            path.with_file_name(format!("{stem}_stats.{}", extension.to_string_lossy()))
        }
        None => path.with_file_name(format!("{stem}_stats")),
    }
}

/// `-` is stdout, and so are its names as a file: behind a picture there comes no line with its path.
pub(super) fn target(path: &Path) -> Target {
    let names = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    if names.iter().any(|name| path == Path::new(name)) {
        return Target::Stdout;
    }
    Target::File(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_inches() {
        assert_eq!(inches("14x7"), Ok((14.0, 7.0)));
        assert_eq!(inches("11.5X5.6"), Ok((11.5, 5.6)));
        for bad in ["14", "x", "1x1", "14x", "1e9x3", "nanx3"] {
            assert!(inches(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn statistics_stand_beside_the_picture() {
        assert_eq!(stats_beside(Path::new("a/b.c.png")), Path::new("a/b.c_stats.png"));
        assert_eq!(stats_beside(Path::new("plot")), Path::new("plot_stats"));
    }
}
