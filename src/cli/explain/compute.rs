//! What `compute` would do for a run, how long it would take, and doing it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::cli::invocation::quoted_words;
use crate::cli::launch::Helper;
use entropy_shell::compute::DumpStep;
use entropy_shell::output::write_atomically;
use entropy_shell::{CliError, Outcome, Terminal, WithHint};

/// The file of the warnings of `compute`.
const WARNINGS: &str = "compute_warnings.txt";

/// A call of `compute`.
#[derive(Debug, Clone)]
pub(super) struct ComputeCall {
    pub(super) run: PathBuf,
    pub(super) prompts: PathBuf,
    /// Which checkpoint scores a dump; `None` if all score one file.
    pub(super) dump_step: Option<DumpStep>,
    /// The first and the last checkpoint; `None` for all.
    pub(super) steps: Option<(u64, u64)>,
    pub(super) history: PathBuf,
    pub(super) tokens: PathBuf,
    /// Further flags of the user.
    pub(super) flags: Vec<OsString>,
}

/// What is planned for a checkpoint, as `compute --plan` prints it.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct PlannedCheckpoint {
    pub(super) step: u64,
    pub(super) state: CheckpointState,
    /// Why it cannot be used.
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) tokens: u64,
    #[serde(default)]
    pub(super) responses: u64,
    /// How many of the responses would be sampled.
    #[serde(default)]
    pub(super) sampled: u64,
}

/// Whether a checkpoint must be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CheckpointState {
    Computed,
    Missing,
    Unusable,
}

/// The document of `compute --plan`.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Plan {
    pub(super) device: String,
    /// About how long the missing checkpoints take.
    pub(super) seconds: f64,
    pub(super) checkpoints: Vec<PlannedCheckpoint>,
}

impl Plan {
    pub(super) fn of_state(
        &self,
        state: CheckpointState,
    ) -> impl Iterator<Item = &PlannedCheckpoint> {
        self.checkpoints.iter().filter(move |checkpoint| checkpoint.state == state)
    }

    /// Checkpoints that are computed or can be.
    pub(super) fn usable(&self) -> impl Iterator<Item = &PlannedCheckpoint> {
        self.checkpoints.iter().filter(|c| c.state != CheckpointState::Unusable)
    }
}

impl ComputeCall {
    /// Keeps warnings for later calls, which reuse the numbers.
    fn keep_warnings(&self, new: Vec<String>) -> std::io::Result<()> {
        let data = self.history.parent().unwrap_or(Path::new("."));
        let mut all = warnings_of(data);
        let before = all.len();
        for warning in new {
            if !all.contains(&warning) {
                all.push(warning);
            }
        }
        match all.len() == before {
            true => Ok(()),
            false => write_atomically(&data.join(WARNINGS), (all.join("\n") + "\n").as_bytes()),
        }
    }

    /// The words after `entropy-viz`.
    fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["compute".into()];
        let mut add = |flag: &str, value: OsString| words.extend([flag.into(), value]);
        add("--model", self.run.clone().into());
        add("--prompts", self.prompts.clone().into());
        if let Some(name) = self.dump_step.and_then(|which| which.to_possible_value()) {
            add("--dump-step", name.get_name().into());
        }
        if let Some((from, to)) = self.steps {
            add("--steps", format!("{from}:{to}").into());
        }
        add("--tokens-out", self.tokens.clone().into());
        add("--output", self.history.clone().into());
        words.extend(self.flags.iter().cloned());
        words
    }

    /// The command as a user would type it.
    pub(super) fn command_line(&self) -> String {
        let words = self.words().into_iter().map(|word| word.to_string_lossy().into_owned());
        quoted_words(std::iter::once("entropy-viz".to_owned()).chain(words))
    }

    /// Asks the helper what it would compute.
    ///
    /// # Errors
    /// When it cannot tell; it has printed why.
    pub(super) fn plan(&self, helper: &Helper) -> Result<Plan, CliError> {
        let words = self.words().into_iter().chain(["--plan".into(), "--quiet".into()]);
        let mut command = helper.command(words)?;
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| helper.cannot_start(&error))?;
        if !output.status.success() {
            return Err(failed("plan", &self.run).into());
        }
        let plan = serde_json::from_slice(&output.stdout);
        Ok(plan.context("cannot read what entropy-viz-compute plans: is it of another version?")?)
    }

    /// Runs `compute`. The outcome is partial if it skipped checkpoints.
    ///
    /// # Errors
    /// When nothing could be computed; the helper has printed why.
    pub(super) fn run(&self, helper: &Helper, terminal: &Terminal) -> Result<Outcome, CliError> {
        // The helper ends after its current batch and keeps what it has; this process must wait for it.
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .context("cannot handle signals")?;
        }
        let verbosity = match (terminal.is_quiet(), terminal.is_verbose()) {
            (true, _) => Some("--quiet"),
            (_, true) => Some("--verbose"),
            _ => None,
        };
        let words = self.words().into_iter().chain(verbosity.map(OsString::from));
        let mut command = helper.command(words)?;
        // Its stdout has the paths of its files, but stdout is for what this command was asked for.
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| helper.cannot_start(&error))?;
        let said = child.stderr.take().map(pass_on).unwrap_or_default();
        let status = child.wait().map_err(|error| helper.cannot_start(&error))?;
        self.keep_warnings(said).context("cannot keep the warnings of compute")?;
        match status.code() {
            _ if interrupted.load(Ordering::Relaxed) => Ok(Outcome::Interrupted),
            Some(0) => Ok(Outcome::Done),
            Some(130) => Ok(Outcome::Interrupted),
            // Some checkpoints were skipped with a warning, or nothing was computed: the plan tells which.
            Some(2) if self.tokens.is_file() => Ok(Outcome::Partial),
            _ => Err(failed("compute", &self.run)).hint(format!(
                "if {} holds numbers of other inputs, give another page with -o, or `-- --overwrite` to compute them anew",
                self.history.parent().unwrap_or(Path::new(".")).display()
            )),
        }
    }
}

/// Prints what the helper says on stderr, and returns its warnings.
fn pass_on(stderr: impl Read) -> Vec<String> {
    let mut warnings = Vec::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // A closed stderr is no reason to stop the computation.
        let _ = writeln!(std::io::stderr(), "{line}");
        if let Some(warning) = line.strip_prefix("entropy-viz: warning: ") {
            warnings.push(warning.to_owned());
        }
    }
    warnings
}

/// The warnings of all computations whose results are in a directory.
pub(super) fn warnings_of(data: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(data.join(WARNINGS)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn failed(what: &str, run: &Path) -> anyhow::Error {
    anyhow!("cannot {what} the entropies of {}: see the message above", run.display())
}

/// Asks before long work.
///
/// # Errors
/// When nobody can be asked.
pub(super) fn confirm(seconds: f64) -> Result<Answer, CliError> {
    use std::io::IsTerminal;
    let duration = duration(seconds);
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(anyhow!("this would take about {duration}, and nobody can be asked"))
            .hint("give --yes, or choose checkpoints with `-- --steps A:B`");
    }
    let mut stderr = std::io::stderr();
    let asked = write!(stderr, "This takes about {duration}. Go on? [y/N] ");
    asked.and_then(|()| stderr.flush()).context("cannot ask")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read the answer")?;
    let is_yes = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

/// What the user answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
}

/// A duration in words, with a unit that suits its size.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "a second".to_owned(),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_can_be_typed() {
        let call = ComputeCall {
            run: "my run".into(),
            prompts: "my run/completions".into(),
            dump_step: Some(DumpStep::Previous),
            steps: Some((0, 60)),
            history: "h.json".into(),
            tokens: "t.jsonl".into(),
            flags: vec!["--temperature".into(), "0.7".into()],
        };
        assert_eq!(
            call.command_line(),
            "entropy-viz compute --model 'my run' --prompts 'my run/completions' --dump-step previous --steps 0:60 \
             --tokens-out t.jsonl --output h.json --temperature 0.7"
        );
    }

    #[test]
    fn durations_have_a_unit_that_suits_them() {
        assert_eq!(
            [0.2, 42.4, 300.0, 9000.0].map(duration),
            ["a second", "42 s", "5 min", "2.5 h"]
        );
    }
}
