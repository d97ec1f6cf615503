//! `entropy-viz explain RUN`: where and why the entropy of a run changed.
//!
//! A run has checkpoints and rollouts. What is missing is computed by `compute`; the dump of tokens is analysed as
//! `tokens` does; the largest change is split, and said in sentences.

mod compute;
mod document;
mod dump;
mod figure;
mod phrases;
mod prepare;
mod scoring;
mod survey;
mod text;
mod words;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::args::{JsonArgs, PictureArgs, to_json};
use super::invocation::{command_line, date, source_date_epoch};
use super::page::PAGE_AUX;
use super::target::Target;
use super::tokens::DumpArgs;
use super::tokens::output::{file_name, write_figures};
use crate::report::{self, PageOptions, TokenPage};
use entropy_history::discover::resolve_all;
use entropy_history::dump::GroupBy;
use entropy_history::history::{Comparison, History, Point, Run};
use entropy_history::quantity::EntropyKind;
use entropy_history::stats::analyse;
use entropy_history::store::{LoadOptions, Store};
use entropy_plot::Encoding;
use entropy_shell::compute::DumpStep;
use entropy_shell::{CliError, Outcome, Terminal, WithHint};
use entropy_tokens::{Changes, changes};

const EXAMPLES: &str = "\
Examples:
  entropy-viz explain runs/solver                  finds checkpoints and rollouts, computes what is missing
  entropy-viz explain runs/solver --yes -o solver.html --figures solver.pdf
  entropy-viz explain runs/solver -- --temperature 0.7 --dtype bfloat16
  entropy-viz explain runs/solver --tokens tokens.jsonl --reward acc

The page says between which steps the entropy fell or rose most, and on which tokens: right or wrong
answers, positions, forking tokens, turns. Each sentence follows from a number on the page.
Flags after -- are those of `entropy-viz compute`; give the temperature of the rollouts.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// Directory of a run: checkpoints, rollouts by step, logs.
    #[arg(id = "dumps", value_name = "RUN")]
    run: PathBuf,
    /// HTML file to write [default: explain_<run>.html].
    ///
    /// What is computed is kept in a directory beside it, <name>_data, and used again.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Rollouts: a directory with a dump per step, or one file for all checkpoints [default: those in RUN].
    #[arg(long, value_name = "PATH", conflicts_with = "tokens")]
    rollouts: Option<PathBuf>,
    /// Dump of tokens with entropies: nothing is computed; repeatable.
    ///
    /// The default is tokens.jsonl, tokens.parquet or token_exports/ in RUN.
    #[arg(long, value_name = "DUMP")]
    tokens: Vec<String>,
    /// The checkpoint that scores the dump of step N [default: previous if the dumps allow it, else same].
    #[arg(long, value_name = "WHICH", value_enum)]
    dump_step: Option<DumpStep>,
    /// Compute without asking, however long it takes.
    #[arg(short, long)]
    yes: bool,
    /// Also write figures: FILE with the name of each before its extension, .png, .svg or .pdf.
    ///
    /// `changes` has the parts of the change, as on the page; the others are those of `tokens`.
    #[arg(long, value_name = "FILE")]
    figures: Option<PathBuf>,
    /// libtorch 2.11, as in `compute`.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    libtorch: Option<PathBuf>,
    #[command(flatten)]
    dump: DumpArgs,
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    json: JsonArgs,
    /// Flags for `compute`, after --.
    #[arg(last = true, value_name = "COMPUTE FLAGS")]
    compute_flags: Vec<OsString>,
}

impl ExplainArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        if !self.run.is_dir() {
            let what = if self.run.exists() { "not a directory" } else { "no such directory" };
            return Err(anyhow!("cannot explain {}: {what}", self.run.display()))
                .hint("give the directory of a run; `entropy-viz tokens` reads single dumps");
        }
        let page = self.page()?;
        let figures = match &self.figures {
            Some(file) => {
                let target = Target::new(file);
                if target == Target::Stdout {
                    return Err(anyhow!("--figures writes several files"))
                        .hint("name a file, e.g. --figures figures.pdf");
                }
                let encoding = self.picture.encoding(&target)?;
                Some((target, encoding))
            }
            None => None,
        };
        let date = source_date_epoch()?.map(date);
        let Some(prepared) = self.prepare(&page, terminal)? else {
            return Ok(Outcome::Interrupted);
        };
        let dump = dump::load(&prepared, &self.name(), &self.dump, terminal)?;
        let changes = changes(&dump.table, &dump.analysis, &dump.options, 0);
        let (comparison, logged) = self.comparison(&changes, terminal)?;
        let mut sentences = words::sentences(&changes, &dump.analysis, &prepared.scoring);
        sentences.extend(document::logged(&comparison, &changes, prepared.scoring));
        let warnings = [&prepared.warnings[..], &dump.warnings[..]].concat();
        let explanation = document::Explanation {
            run: self.run.display().to_string(),
            prepared: &prepared,
            sentences,
            missing: document::missing(&dump.analysis, &changes, logged),
            warnings: &warnings,
            changes: &changes,
            right_above: dump.options.right_above,
        };

        if let Some((target, encoding)) = &figures {
            let by = dump.columns.by.as_ref();
            write_figures(
                (target, *encoding),
                (&dump.table, &dump.analysis),
                by,
                &self.picture,
                terminal,
            )?;
            self.write_parts(&changes, (target, *encoding), terminal)?;
        }
        let section = explanation.section();
        let by = dump.columns.by.as_ref().map(GroupBy::text);
        let sections =
            TokenPage { options: &dump.options, by: by.as_deref(), warnings: &dump.warnings };
        let tokens = report::tokens(&dump.table, &dump.analysis, &sections);
        let analysis = analyse(&comparison, &Default::default());
        let title = format!("Where the entropy of {} changed", self.name());
        let options = PageOptions {
            title: Some(&title),
            command: command_line(),
            date: date.as_deref(),
            explanation: Some(&section),
            tokens: tokens.as_ref(),
            ..PageOptions::default()
        };
        let html = report::page(&comparison, &analysis, &options);
        page.write_beside_document(html.as_bytes(), terminal)?;
        let text = match self.json.json {
            true => to_json(&explanation),
            false => text::render(&explanation, super::table::width()),
        };
        terminal.print(text.as_bytes())?;
        Ok(match prepared.outcome {
            Outcome::Done if dump.skipped > 0 => Outcome::Partial,
            outcome => outcome,
        })
    }

    /// Writes the figure of the parts of the change, if there are any.
    fn write_parts(
        &self,
        changes: &Changes,
        (target, encoding): (&Target, Encoding),
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        let (Target::File(path), Some(data)) = (target, figure::parts(changes, &self.name()))
        else {
            return Ok(());
        };
        let options = self.picture.options_of(&[&self.run.display().to_string()]);
        let renderer =
            self.picture.renderer_of(&figure::texts(&data, &options), options, terminal)?;
        let picture = renderer.parts(&data);
        picture.warnings.iter().for_each(|warning| terminal.warn(warning));
        let bytes = renderer.encode(&picture, encoding)?;
        let file = Target::File(file_name(path, None, "changes"));
        file.write_beside_document(&bytes, terminal)
    }

    /// The name of the run.
    fn name(&self) -> String {
        let path = std::fs::canonicalize(&self.run).unwrap_or_else(|_| self.run.clone());
        path.file_name()
            .map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The file of the page.
    fn page(&self) -> Result<Target, CliError> {
        let path = match &self.output {
            Some(path) => path.clone(),
            None => PathBuf::from(format!("explain_{}.html", self.name())),
        };
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match Target::new(&path) {
            Target::File(path) if extension == "html" || extension == "htm" => {
                Ok(Target::File(path))
            }
            Target::File(path) => {
                let what = match extension.is_empty() {
                    true => "its name has no type".to_owned(),
                    false => format!("{extension:?} is not a type of page"),
                };
                Err(anyhow!("cannot write the page {}: {what}", path.display()))
                    .hint("end its name in .html")
            }
            Target::Stdout => Err(anyhow!("the page is written to a file")).hint(
                "name it with -o; the sentences are printed to stdout, with --json as a document",
            ),
        }
    }

    /// The run's own logs and the computed entropies, and how many runs are of logs.
    fn comparison(
        &self,
        changes: &Changes,
        terminal: &Terminal,
    ) -> Result<(Comparison, usize), CliError> {
        let options = LoadOptions { aux: PAGE_AUX, ..LoadOptions::default() };
        let mut runs: Vec<Run> = match resolve_all(&[&self.run]) {
            Ok(found) => match Store::load(found, &options, || {}) {
                Ok(store) => store.runs().to_vec(),
                Err(error) => {
                    terminal.verbose(|| format!("no log of the run: {}", error.error));
                    Vec::new()
                }
            },
            Err(error) => {
                terminal.verbose(|| format!("no log of the run: {error}"));
                Vec::new()
            }
        };
        let logged = runs.len();
        let points = changes
            .steps
            .iter()
            .map(|step| Point { step: step.step as f64, entropy: step.mean })
            .collect();
        let label = document::COMPUTED;
        let history = History::from_raw(label, EntropyKind::TokenMean, points);
        let (history, _) = history
            .map_err(|error| anyhow!("cannot explain {}: {error}", self.run.display()))
            .hint("a dump of tokens with entropies is needed")?;
        runs.retain(|run| run.history.label() != label);
        runs.push(Run::new(history, "dump of tokens", "tokens", "entropy"));
        Ok((Comparison::new(runs)?, logged))
    }
}

/// The directory beside the page for what is computed.
fn data_directory(page: &Path) -> PathBuf {
    let stem = page.file_stem().unwrap_or_default().to_string_lossy();
    page.with_file_name(format!("{stem}_data"))
}
