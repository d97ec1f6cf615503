//! Hints for errors of the library: flags and commands that help.

use std::path::Path;

use anyhow::anyhow;

use super::invocation::quoted;
use entropy_history::discover::DiscoverError;
use entropy_history::formats::{ReadError, is_reward_like};
use entropy_history::run_config::{ConfigKeyError, ConfigKeys};
use entropy_history::store::{AuxError, LoadError};
use entropy_shell::{CliError, plural};

/// Possible reasons for a missing history.
pub(super) const NO_HISTORY_HINT: &str = "either training did not finish (the trainer writes the file at its end), or it ran before entropy \
     was recorded; `entropy-viz compute` can compute one from its checkpoints";

/// Hint for `--x time`: the logs that have timestamps.
pub(super) const CLOCK_HINT: &str = "logs of TensorBoard, W&B, SwanLab, MLflow, ClearML and trackio have a clock, and so have JSON lines \
     and tables with _timestamp, wall_time or time; --x step and --x relative need no clock";

const GLOB_HINT: &str = "put * ? or [ in brackets, as in [*], to mean the character";

/// Converts an error of the library: adds its hint, and names flags as the user types them.
pub(super) fn cli_error(error: LoadError) -> CliError {
    let hint = hint(&error);
    let error = match error {
        LoadError::MetricPattern { .. }
        | LoadError::LabelFrom { .. }
        | LoadError::LabelFromConfig { .. }
        | LoadError::SameLabelFrom { .. }
        | LoadError::NoStages { .. } => anyhow!("--{error}"),
        LoadError::EmptyLabel(position) => anyhow!("label {position} of --labels is empty"),
        error => error.into(),
    };
    CliError { error, hint }
}

/// The hint for an error; `None` if there is none.
pub(super) fn hint(error: &LoadError) -> Option<String> {
    let hint = match error {
        LoadError::Discover(error) => return discover_hint(error),
        LoadError::Read { error, .. } => return read_hint(error),
        LoadError::History { .. } => {
            "no value of this series is usable; choose another series with --metric KEY"
        }
        LoadError::Aux(error) => return Some(aux_hint(error)),
        LoadError::MixedSegments { .. } => "choose the same series in each file with --metric KEY",
        LoadError::MetricPattern { .. } | LoadError::QuantityPattern { .. } => GLOB_HINT,
        LoadError::NotRecognised(files) => match &files[..] {
            [file] => return Some(format!("`entropy-viz inspect {file}` shows its content")),
            _ => "`entropy-viz formats` lists what can be read",
        },
        LoadError::NothingReadable(_) => "the warnings above say why",
        LoadError::NoEntropy { reasons, .. } if reasons.len() == 1 => {
            "choose the series with --metric KEY"
        }
        LoadError::NoEntropy { .. } => {
            "choose the series with --metric KEY; `entropy-viz inspect FILE` lists the series"
        }
        LoadError::EmptyLabel(_) => "give each run a visible label",
        LoadError::TwoLabels { .. } => "use LABEL=INPUT or --labels, not both",
        LoadError::LabelCount { labels, unit, .. } => {
            if labels.iter().any(|label| Path::new(label).exists()) {
                "--labels also took file names as labels: put the files first"
            } else {
                return Some(format!("give one label per {unit}, in this order"));
            }
        }
        LoadError::GivenTwice(_) => "name each log once",
        LoadError::SameLabel { .. } => "give each run its own label",
        LoadError::LabelFrom { .. } => {
            "the pattern is searched in the whole path; give this log its label as LABEL=INPUT, or leave it out"
        }
        LoadError::ConfigKey(error) => return Some(config_hint(error)),
        LoadError::LabelFromConfig { .. } => {
            "give this log its label as LABEL=INPUT, or leave it out; `entropy-viz inspect --config` lists the keys of a run"
        }
        LoadError::SameLabelFrom { pattern, .. } if ConfigKeys::is_list(pattern) => {
            "add a key whose value differs: --label-from config.lr,config.seed"
        }
        LoadError::SameLabelFrom { .. } => {
            "add a capture group around what differs: the groups are joined with _"
        }
        LoadError::NoStages { .. } => {
            "the pattern is matched against labels, as in '(.*)_v([0-9]+)'"
        }
        LoadError::Stages(_) => "name the runs, or another --chain",
        LoadError::FollowStdin => {
            "write it to a file, e.g. with `tee run.jsonl`, and give that file"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn config_hint(error: &ConfigKeyError) -> String {
    match error {
        ConfigKeyError::NoConfig(_) => {
            "a configuration is read from logs of W&B, SwanLab, TensorBoard, MLflow and trackio, from what verl and EasyR1 \
             print, and from config.yaml or config.json in the directory of a run"
                .to_owned()
        }
        ConfigKeyError::Unknown { near, known, .. } => {
            let near = match &near[..] {
                [] => String::new(),
                near => format!("did you mean {}? ", near.join(" or ")),
            };
            let known = plural(*known, "key", "keys");
            format!("{near}`entropy-viz inspect --config` lists the {known} that there are")
        }
        ConfigKeyError::Ambiguous { matches, .. } => {
            let first = matches.first().map_or("", String::as_str);
            format!("give more of its parts, as in {first}")
        }
    }
}

fn aux_hint(error: &AuxError) -> String {
    let hint = match error {
        AuxError::NoQuantity { found, .. } => match found.first() {
            Some(key) if is_reward_like(key) => return format!("try --reward {key}"),
            _ => "`entropy-viz inspect` lists the series of a log; this log may not have a reward",
        },
        AuxError::Ambiguous { matches, .. } => {
            let best = matches.first().filter(|name| is_reward_like(name));
            return format!("name one of them: --reward {}", best.map_or("KEY", String::as_str));
        }
        AuxError::NotFinite { .. } => "choose another series with --reward KEY",
        _ => CLOCK_HINT,
    };
    hint.to_owned()
}

/// Whether a path looks like one of R-Zero's, whose trainer writes a history only when it ends.
fn is_rzero(path: &str) -> bool {
    path.contains("entropy_history")
        || Path::new(path).components().any(|c| c.as_os_str() == "models")
}

fn discover_hint(error: &DiscoverError) -> Option<String> {
    let hint = match error {
        DiscoverError::Missing(_) => {
            "check the path, or quote a glob so that the shell leaves it alone"
        }
        DiscoverError::NoMatch(pattern) => {
            let storage = std::env::var_os("STORAGE_PATH").filter(|path| !path.is_empty());
            let storage =
                storage.map_or("not set".to_owned(), |s| s.to_string_lossy().into_owned());
            let more =
                if is_rzero(pattern) { format!("; {NO_HISTORY_HINT}") } else { String::new() };
            return Some(format!(
                "a pattern is matched from the current directory, and $STORAGE_PATH is {storage}{more}"
            ));
        }
        DiscoverError::NoLog(directory) => {
            let more =
                if is_rzero(directory) { format!("; {NO_HISTORY_HINT}") } else { String::new() };
            return Some(format!("name the log file itself{more}"));
        }
        DiscoverError::ManySegments(_) => "name the files of one run with + between them",
        DiscoverError::BadPattern(..) => GLOB_HINT,
        DiscoverError::OneLabelForMany { .. } => "use --labels with one label per log",
        DiscoverError::StdinTwice => "name each log once",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn read_hint(error: &ReadError) -> Option<String> {
    let hint = match error {
        ReadError::NoMetric { found, .. } if found.iter().any(|k| k == "response_token_ids") => {
            "it is a dump of single tokens, which `entropy-viz tokens FILE` and `report RUN --tokens FILE` show"
        }
        ReadError::NoMetric { .. } => match error.near_miss() {
            Some(key) => return Some(format!("try --metric {}", quoted(key))),
            None => "choose the series with --metric KEY",
        },
        ReadError::OverTime(_) => "set the x-axis of the panel to Step, and download it again",
        ReadError::Codec(_) => {
            "write it again with zstd or snappy, as in df.to_parquet(path, compression=\"zstd\")"
        }
        ReadError::NoStep { .. } => {
            "each row needs a \"step\"; --step-key KEY names another key of the steps"
        }
        ReadError::Unrecognised(what) if what.contains("UTF-16") => {
            "convert it: iconv -f UTF-16 -t UTF-8"
        }
        ReadError::Unrecognised(_) | ReadError::NoRows(_) => {
            "`entropy-viz formats` lists what can be read"
        }
        ReadError::Nothing(what) if what.contains("deleted") => {
            "`mlflow runs restore --run-id ID` undoes it"
        }
        ReadError::Nothing(_) => {
            "the trainer may not have logged yet, or may write only when training ends"
        }
        ReadError::Scan(_) | ReadError::CutFirstRow(_) | ReadError::Row { .. } => {
            "repair the file at that place, or leave it out"
        }
        ReadError::Trackio(_) => {
            "trackio keeps <project>.db below $TRACKIO_DIR or ~/.cache/huggingface/trackio; MLflow \
             writes mlflow.db, SwanLab runs.swanlab"
        }
        ReadError::Record { .. } => "the file is damaged, or --format names the wrong format",
        ReadError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            "restore the file from its source: values before the damage may be wrong too"
        }
        ReadError::Io(error) if error.kind() == std::io::ErrorKind::Other => return None,
        ReadError::Io(_) => "check that it is a file and that you have permission to read it",
        _ => return None,
    };
    Some(hint.to_owned())
}
