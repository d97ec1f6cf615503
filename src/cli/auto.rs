//! `entropy-viz auto`: finds the histories of a directory of models and compares them.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::args::{BaselineArgs, ChartArgs};
use super::chart_hints::print_hints;
use super::charts::{ChartKind, ChartRequest, draw, stats_path};
use super::check::judge;
use super::hints::NO_HISTORY_HINT;
use super::invocation::{command_line, date, quoted, source_date_epoch};
use super::load::LoadArgs;
use super::page::{PAGE_AUX, PARTIAL, ema_weight};
use super::states::{tally, warn_about_states};
use super::storage::storage_path;
use super::target::Target;
use crate::report::{self, PageOptions};
use entropy_history::discover::{self, Found, Input, Origin};
use entropy_history::history::Comparison;
use entropy_history::stats::check::Rules;
use entropy_history::stats::compare::compare;
use entropy_history::stats::{Analysis, analyse};
use entropy_history::store::{ClockRequest, LoadError};
use entropy_history::x_axis::XAxis;
use entropy_plot::Encoding;
use entropy_shell::{CliError, Outcome, Terminal, WithHint, io_message, output};

const PATTERN: &str = "*/entropy_history_*.json";
const OUTPUT: &str = "entropy_comparison.png";

const EXAMPLES: &str = "\
Examples:
  entropy-viz auto
  entropy-viz auto /storage/models comparison.png
  entropy-viz auto runs --smooth ema:0.9
  entropy-viz auto --artifacts ci/entropy";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct AutoArgs {
    /// Directory of models [default: $STORAGE_PATH/models].
    models_dir: Option<PathBuf>,
    /// The picture to write, as the second argument of the original shell script.
    #[arg(value_name = "OUTPUT", hide = true, conflicts_with = "output")]
    positional_output: Option<PathBuf>,
    /// Picture to write [default: entropy_comparison.png].
    ///
    /// The statistics are written to <stem>_stats.<ext> in the same directory.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Directory to write all results to, for CI.
    ///
    /// Pictures, report.html, stats.json, stats.csv, summary.md and junit.xml.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Histories below MODELS_DIR [default: all logs of each run].
    #[arg(long, value_name = "GLOB", conflicts_with = "recursive")]
    pattern: Option<String>,
    /// Accepted for earlier scripts: directories are always searched at any depth.
    #[arg(long, hide = true)]
    recursive: bool,
    #[command(flatten)]
    reading: LoadArgs,
    #[command(flatten)]
    chart: ChartArgs,
    #[command(flatten)]
    baseline: BaselineArgs,
}

/// The files below the directory of models.
struct FoundHistories {
    sources: Found<Input>,
    none_found: String, // the error message if no file is a log
}

/// The runs as logged, and over the chosen x axis.
struct LoadedRuns {
    by_step: Comparison,
    by_axis: Comparison,
    x_axis: XAxis,
    outcome: Outcome,
}

fn no_history(what: String) -> CliError {
    CliError { error: anyhow!(what), hint: Some(NO_HISTORY_HINT.to_owned()) }
}

impl AutoArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        self.chart.validate()?;
        source_date_epoch()?;
        if self.artifacts.is_some() && self.chart.x_axis.is_moved() && self.chart.steps.is_limited()
        {
            return Err(anyhow!(
                "--artifacts writes numbers by step: --from-step and --to-step cannot be in the unit of --x"
            ))
            .hint("leave out --x, or --from-step and --to-step");
        }
        let output = self.output.clone().or_else(|| self.positional_output.clone());
        // --artifacts includes the pictures: another one is written only if the user names it.
        let output = output.or_else(|| self.artifacts.is_none().then(|| OUTPUT.into()));
        let encoding = match output.as_deref().map(Target::new) {
            Some(Target::Stdout) => {
                return Err(anyhow!("two pictures cannot both go to stdout"))
                    .hint("name a file with -o");
            }
            Some(target) => Some(self.chart.picture.encoding(&target)?),
            None => None,
        };

        let loaded = self.load(terminal)?;
        self.chart.groups.warn_ungrouped(&loaded.by_axis, " and not drawn", terminal)?;
        if let (Some(output), Some(encoding)) = (&output, encoding) {
            let request = self.charts(loaded.x_axis, std::slice::from_ref(&encoding));
            draw(&loaded.by_axis, &request, terminal, |_, kind, bytes| {
                let path = match kind {
                    ChartKind::Curves => output.clone(),
                    ChartKind::Stats => stats_path(output),
                };
                Target::File(path).write(bytes, terminal)
            })?;
        }
        if let Some(directory) = &self.artifacts {
            self.write_artifacts(directory, &loaded, terminal)?;
        }
        print_hints(&loaded.by_axis, &self.chart, terminal);
        let analysis = analyse(&loaded.by_step, &self.chart.health.thresholds());
        warn_about_states(&analysis, terminal);
        terminal.info(&tally(&analysis));
        Ok(loaded.outcome)
    }

    /// Finds and reads the runs.
    ///
    /// # Errors
    /// When there are none.
    fn load(&self, terminal: &Terminal) -> Result<LoadedRuns, CliError> {
        let FoundHistories { sources, none_found } = self.find()?;
        let mut aux = self.chart.x_axis.aux_request();
        if self.artifacts.is_some() && aux.clock == ClockRequest::Skip {
            aux = PAGE_AUX;
        }
        let aux = self.chart.groups.added_to(self.chart.with.added_to(aux));
        let loaded = self.reading.load(sources, &[], aux, terminal);
        let (by_step, outcome) =
            loaded.map_err(|failure| match failure.error.downcast_ref::<LoadError>() {
                Some(LoadError::NotRecognised(_)) => no_history(none_found),
                _ => failure,
            })?;
        let by_step = self.chart.select.choose(by_step, terminal)?;
        let (by_axis, x_axis) = self.chart.x_axis.reindex(&by_step, terminal)?;
        Ok(LoadedRuns { by_step, by_axis, x_axis, outcome })
    }

    fn charts<'a>(&'a self, x_axis: XAxis, encodings: &'a [Encoding]) -> ChartRequest<'a> {
        let kinds = &[ChartKind::Curves, ChartKind::Stats];
        ChartRequest {
            args: &self.chart,
            x_axis,
            kinds,
            encodings,
            stats_chart: None,
            screen: None,
        }
    }

    /// The files that may be histories.
    ///
    /// # Errors
    /// When there is no file. The message names the searched directory, the hint gives possible reasons.
    fn find(&self) -> Result<FoundHistories, CliError> {
        let (models, origin) = match (&self.models_dir, storage_path()) {
            (Some(directory), _) => (directory.clone(), String::new()),
            (None, Some(storage)) => {
                (storage.join("models"), format!("; $STORAGE_PATH is {}", storage.display()))
            }
            (None, None) => {
                let error =
                    anyhow!("no directory of models is given, and $STORAGE_PATH is not set");
                return Err(error)
                    .hint("name a directory: entropy-viz auto MODELS_DIR, or export STORAGE_PATH");
            }
        };
        let name = models.to_string_lossy();
        if !models.is_dir() && name.contains(['*', '?', '[']) {
            let pattern = quoted(&name);
            return Err(anyhow!("auto takes a directory, and {pattern} is a pattern")).hint(format!(
                "name the directory above, with --pattern for some of its files, or draw the files: entropy-viz plot {pattern} --with-stats"
            ));
        }
        if !models.is_dir() {
            let error = anyhow!("directory {} does not exist{origin}", models.display());
            return Err(error).hint(format!(
                "name the directory if it is elsewhere: entropy-viz auto MODELS_DIR; otherwise {NO_HISTORY_HINT}"
            ));
        }
        let pattern = discover::below(&models, self.pattern.as_deref().unwrap_or(PATTERN));
        let found = match &self.pattern {
            Some(_) => {
                let found = discover::expand(&pattern).hint("see --pattern")?;
                let file = |path| Input::file(path, Origin::Found);
                Found {
                    files: found.files.into_iter().map(file).collect(),
                    unreadable: found.unreadable,
                    ..Found::default()
                }
            }
            None => discover::logs_in(&models),
        };
        let unreadable = match &found.unreadable[..] {
            [] => String::new(),
            [first, ..] => format!("; could not read {first}"),
        };
        let message = format!(
            "no entropy history found: no file matches {pattern}, and there is no other log{origin}{unreadable}"
        );
        if found.files.is_empty() {
            return Err(no_history(message));
        }
        Ok(FoundHistories { sources: found, none_found: message })
    }

    /// Writes the files of `--artifacts`. Charts use the chosen x axis; numbers are by step.
    fn write_artifacts(
        &self,
        directory: &Path,
        loaded: &LoadedRuns,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        let (comparison, x_axis) = (&loaded.by_step, loaded.x_axis);
        let write = |encoding, kind, bytes: &[u8]| {
            let extension = if matches!(encoding, Encoding::Svg(_)) { "svg" } else { "png" };
            let stem = match kind {
                ChartKind::Curves => "entropy_comparison",
                ChartKind::Stats => "entropy_comparison_stats",
            };
            Target::File(directory.join(format!("{stem}.{extension}"))).write(bytes, terminal)
        };
        let encodings = [Encoding::Png, self.chart.picture.svg()];
        let request = self.charts(x_axis, &encodings);
        let drawn = draw(&loaded.by_axis, &request, terminal, write)?;
        // --from-step and --to-step are in the unit of the x axis: steps only if it shows steps.
        let window = self.chart.steps.window_quietly(comparison).filter(|_| x_axis == XAxis::Step);
        let shown = window.as_ref().map_or(comparison, |window| &window.cut);
        let mut analysis = match x_axis {
            XAxis::Step => drawn,
            XAxis::RelativeStep | XAxis::WallTime(_) => {
                analyse(comparison, &self.chart.health.thresholds())
            }
        };
        compare(shown, &mut analysis, &self.baseline.plan(&self.chart.groups, shown)?);
        let summary = report::summary(&analysis);
        let page = self.report(shown, &analysis, loaded.outcome)?;
        Target::File(directory.join("report.html")).write(page.as_bytes(), terminal)?;
        // Checks always use whole runs.
        let whole = window.map(|_| analyse(comparison, &self.chart.health.thresholds()));
        let verdicts = judge(comparison, whole.as_ref().unwrap_or(&analysis), &Rules::default());
        let texts = [
            ("stats.json", report::json(&analysis)),
            ("stats.csv", report::csv(&analysis, &[])),
            ("summary.md", summary.clone()),
            ("junit.xml", report::junit(&verdicts)),
        ];
        for (name, text) in texts {
            Target::File(directory.join(name)).write(text.as_bytes(), terminal)?;
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

    /// The interactive page.
    fn report(
        &self,
        comparison: &Comparison,
        analysis: &Analysis,
        outcome: Outcome,
    ) -> Result<String, CliError> {
        let date = source_date_epoch()?.map(date);
        let smoothing = self.chart.curves.smooth;
        let mut notes = Vec::new();
        if outcome == Outcome::Partial {
            notes.push(PARTIAL.to_owned());
        }
        let weight = ema_weight(smoothing);
        if weight.is_none() {
            notes.push(format!(
                "The pictures are smoothed with {smoothing}; this page supports only an exponential moving \
                 average and starts without smoothing."
            ));
        }
        let grouped = self.chart.groups.on_page(&self.chart.bands, comparison)?;
        // Drawing has named the runs that lack a quantity.
        let (quantities, missing) = self.chart.with.found(comparison);
        notes.extend(missing.iter().map(|name| format!("No run has {name} in the steps shown.")));
        let page = PageOptions {
            title: self.chart.picture.title(),
            command: command_line(),
            terminal: None,
            date: date.as_deref(),
            smoothing: weight.unwrap_or(0.0),
            log_y: self.chart.curves.log_y,
            thresholds: self.chart.health.thresholds(),
            groups: grouped.as_ref(),
            quantities: &quantities,
            notes: &notes,
            tokens: None,
            explanation: None,
        };
        Ok(report::page(comparison, analysis, &page))
    }
}
