//! `entropy-viz auto`: every history below a directory of models, drawn and counted at once.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::call::{command_line, day, source_date_epoch};
use super::chart::{ChartArgs, Target, stats_beside, target, write};
use super::check::judge;
use super::compare::CompareArgs;
use super::groups::BandArgs;
use super::health::HealthArgs;
use super::hints::NO_HISTORY_HINT;
use super::load::LoadArgs;
use super::plot::{Chart, Charts, Looks, draw};
use super::report::{PARTIAL, REPORT_AUX, weight};
use super::x_axis::XAxisArgs;
use crate::report::{self, Page};
use entropy_history::discover::{self, Depth, Found, Input, Origin};
use entropy_history::history::Comparison;
use entropy_history::stats::check::Rules;
use entropy_history::stats::compare::compare;
use entropy_history::stats::{Analysis, analyse};
use entropy_history::store::{ClockRequest, LoadError};
use entropy_history::x_axis::XAxis;
use entropy_plot::Encoding;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::output;
use entropy_shell::{Failure, WithHint};
use entropy_shell::{io_message, plural};

const PATTERN: &str = "*/entropy_history_*.json";
const OUTPUT: &str = "entropy_comparison.png";

const EXAMPLES: &str = "\
Examples:
  entropy-viz auto
  entropy-viz auto /storage/models comparison.png
  entropy-viz auto runs --recursive --smooth ema:0.9
  entropy-viz auto --artifacts ci/entropy";

/// Finds, draws and counts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Auto {
    /// Where the models are [default: $STORAGE_PATH/models].
    models_dir: Option<PathBuf>,
    /// The picture to write, as the shell script took it.
    #[arg(value_name = "OUTPUT", hide = true, conflicts_with = "output")]
    positional_output: Option<PathBuf>,
    /// The picture to write; the statistics go beside it [default: entropy_comparison.png].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the whole set for CI into this directory: pictures, report.html, stats.json, stats.csv,
    /// summary.md, junit.xml.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Which files below MODELS_DIR are histories.
    #[arg(long, value_name = "GLOB", conflicts_with = "recursive")]
    pattern: Option<String>,
    /// Look at any depth.
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    reading: LoadArgs,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    bands: BandArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    chart: ChartArgs,
    #[command(flatten)]
    across: XAxisArgs,
}

/// What was found below the directory of models.
struct Histories {
    sources: Found<Input>,
    nothing: String, // what to say if none of it is a log
}

fn none_found(what: String) -> Failure {
    Failure { error: anyhow!(what), hint: Some(NO_HISTORY_HINT.to_owned()) }
}

impl Auto {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        self.chart.check()?;
        source_date_epoch()?;
        if self.artifacts.is_some() && self.across.is_moved() && self.chart.is_limited() {
            return Err(anyhow!(
                "the numbers of --artifacts are by step: --from-step and --to-step cannot count in --x"
            ))
            .hint("leave out --x, or the limits");
        }
        let output = self.output.clone().or_else(|| self.positional_output.clone());
        // The set for CI has the pictures in it: others are written only if they are asked for.
        let output = output.or_else(|| self.artifacts.is_none().then(|| OUTPUT.into()));
        let encoding = match output.as_deref().map(target) {
            Some(Target::Stdout) => {
                return Err(anyhow!("two pictures do not go to stdout"))
                    .hint("name a file with -o");
            }
            Some(target) => Some(self.chart.encoding(&target)?),
            None => None,
        };

        let Histories { sources, nothing } = self.find()?;
        let mut aux = self.across.aux_request();
        if self.artifacts.is_some() && aux.clock == ClockRequest::Skip {
            aux = REPORT_AUX;
        }
        let loaded = self.reading.load(sources, &[], aux, terminal);
        let (comparison, outcome) =
            loaded.map_err(|failure| match failure.error.downcast_ref::<LoadError>() {
                Some(LoadError::NotRecognised(_)) => none_found(nothing),
                _ => failure,
            })?;
        let (placed, across) = self.across.reindex(&comparison, terminal)?;
        self.compare.groups.tell_ungrouped(&placed, " and without a curve", terminal)?;
        if let (Some(output), Some(encoding)) = (&output, encoding) {
            draw(&placed, &self.looks(across), &[encoding], Charts::Both, terminal, |_, chart| {
                Target::File(match chart {
                    Chart::Curves => output.clone(),
                    Chart::Stats => stats_beside(output),
                })
            })?;
        }
        if let Some(directory) = &self.artifacts {
            self.write_artifacts(directory, (&comparison, outcome), (&placed, across), terminal)?;
        }
        terminal.info(&format!("{} compared", plural(comparison.runs().len(), "run", "runs")));
        Ok(outcome)
    }

    fn looks(&self, across: XAxis) -> Looks<'_> {
        Looks {
            chart: &self.chart,
            health: &self.health,
            across,
            groups: &self.compare.groups,
            bands: &self.bands,
        }
    }

    /// The histories, or an error that says where was looked and why there may be none.
    fn find(&self) -> Result<Histories, Failure> {
        let storage = std::env::var_os("STORAGE_PATH").filter(|path| !path.is_empty());
        let models = match (&self.models_dir, &storage) {
            (Some(directory), _) => directory.clone(),
            (None, Some(storage)) => Path::new(storage).join("models"),
            (None, None) => {
                return Err(anyhow!("cannot tell where the models are: $STORAGE_PATH is not set"))
                    .hint("entropy-viz auto MODELS_DIR, or export STORAGE_PATH");
            }
        };
        let told = match (&self.models_dir, &storage) {
            (Some(_), _) => String::new(),
            (None, storage) => {
                let path = storage.as_deref().unwrap_or_default();
                format!("; $STORAGE_PATH is {}", path.to_string_lossy())
            }
        };
        if !models.is_dir() {
            return Err(anyhow!(
                "cannot look into {}: there is no such directory{told}",
                models.display()
            ))
            .hint(format!(
                "entropy-viz auto MODELS_DIR, if they are elsewhere; else {NO_HISTORY_HINT}"
            ));
        }
        let pattern = discover::below(&models, self.pattern.as_deref().unwrap_or(PATTERN));
        let found = match (&self.pattern, self.recursive) {
            (Some(_), _) => {
                let found = discover::expand(&pattern).hint("see --pattern")?;
                let file = |path| Input::file(path, Origin::Found);
                Found {
                    files: found.files.into_iter().map(file).collect(),
                    unreadable: found.unreadable,
                }
            }
            (None, true) => discover::logs_in(&models, Depth::Any),
            (None, false) => discover::logs_in(&models, Depth::Runs),
        };
        let unreadable = match &found.unreadable[..] {
            [] => String::new(),
            [first, ..] => format!("; could not look into {first}"),
        };
        let nothing = format!(
            "no entropy history found: nothing matches {pattern}, and no other log is there{told}{unreadable}"
        );
        if found.files.is_empty() {
            return Err(none_found(nothing));
        }
        Ok(Histories { sources: found, nothing })
    }

    /// The set for CI; pictures are of `placed`, over what its axis counts.
    fn write_artifacts(
        &self,
        directory: &Path,
        (comparison, outcome): (&Comparison, Outcome),
        (placed, across): (&Comparison, XAxis),
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let encodings = [Encoding::Png, Encoding::Svg];
        let pictures = |encoding, chart| {
            let extension = if encoding == Encoding::Svg { "svg" } else { "png" };
            let stem = match chart {
                Chart::Curves => "entropy_comparison",
                Chart::Stats => "entropy_comparison_stats",
            };
            Target::File(directory.join(format!("{stem}.{extension}")))
        };
        let drawn =
            draw(placed, &self.looks(across), &encodings, Charts::Both, terminal, pictures)?;
        // Numbers are by step, whatever the axis counts; its limits are steps only where it counts them.
        let window = self.chart.window_again(comparison).filter(|_| across == XAxis::Step);
        let shown = window.as_ref().map_or(comparison, |window| &window.cut);
        let mut analysis = match across {
            XAxis::Step => drawn,
            XAxis::RelativeStep | XAxis::WallTime(_) => {
                analyse(comparison, &self.health.thresholds())
            }
        };
        compare(shown, &mut analysis, &self.compare.plan(shown)?);
        let summary = report::summary(&analysis);
        let page = self.report(shown, &analysis, outcome)?;
        write(&Target::File(directory.join("report.html")), page.as_bytes(), terminal)?;
        // What is judged are whole runs, all of them.
        let whole = window.map(|_| analyse(comparison, &self.health.thresholds()));
        let verdicts = judge(comparison, whole.as_ref().unwrap_or(&analysis), &Rules::default());
        let texts = [
            ("stats.json", report::json(&analysis)),
            ("stats.csv", report::csv(&analysis)),
            ("summary.md", summary.clone()),
            ("junit.xml", report::junit(&verdicts)),
        ];
        for (name, text) in texts {
            write(&Target::File(directory.join(name)), text.as_bytes(), terminal)?;
        }
        if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty())
        {
            let path = PathBuf::from(path);
            output::append(&path, &summary).map_err(|e| {
                anyhow!(
                    "cannot append to $GITHUB_STEP_SUMMARY {}: {}",
                    path.display(),
                    io_message(&e)
                )
            })?;
        }
        Ok(())
    }

    /// The interactive page of the set.
    fn report(
        &self,
        comparison: &Comparison,
        analysis: &Analysis,
        outcome: Outcome,
    ) -> Result<String, Failure> {
        let date = source_date_epoch()?.map(day);
        let (title, smoothing, log_y) = self.chart.of_a_page();
        let mut notes = Vec::new();
        if outcome == Outcome::Partial {
            notes.push(PARTIAL.to_owned());
        }
        let weight = weight(smoothing);
        if weight.is_none() {
            notes.push(format!(
                "The pictures beside this page are smoothed ({smoothing}); its slider is an exponential \
                 moving average and starts at none."
            ));
        }
        let page = Page {
            title,
            command: &command_line(),
            date: date.as_deref(),
            smoothing: weight.unwrap_or(0.0),
            log_y,
            thresholds: self.health.thresholds(),
            notes: &notes,
            tokens: None,
        };
        Ok(report::page(comparison, analysis, &page))
    }
}
