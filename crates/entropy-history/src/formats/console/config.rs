//! The configuration that a trainer prints before it trains.
//!
//! ```text
//! (TaskRunner pid=7) {'actor_rollout_ref': {'actor': {'entropy_coeff': 0,       verl: pprint of a dictionary
//! (TaskRunner pid=7)  'trainer': {'logger': ['console']}}
//! {                                                                             EasyR1: JSON,
//!   "algorithm": {"adv_estimator": "grpo"}
//! }
//! Config                                                                        or YAML up to an empty line
//! algorithm:
//!   adv_estimator: grpo
//! ```
//!
//! Other dictionaries are rows or texts of a model. A configuration has one of the parts that verl and EasyR1 always
//! have. It is that of the training whose rows follow; a job that is resumed into the same log prints it again.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use memchr::memmem;

use super::dict::Brackets;
use super::line_patterns::split_prefix;
use super::parser::ConsoleParser;
use super::segments::{LONGEST, Segment, segments};
use crate::formats::compressed::Decompressed;
use crate::formats::reader_api::ReadError;
use crate::formats::run_config::{LoggedConfig, parse_json, parse_python, parse_yaml};
use crate::run_config::Tree;
use crate::text::without_ansi;

/// Parts of the configurations of verl and EasyR1.
const PARTS: [&str; 3] = ["trainer", "algorithm", "actor_rollout_ref"];
/// Other lines between the lines of a dictionary are skipped, up to this many.
const MOST_FOREIGN: usize = 8;
/// The line before EasyR1's YAML.
const TITLE: &str = "Config";

pub(super) fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let mut file = File::open(path)?;
    let mut source = Decompressed::new(&mut file)?;
    let (mut console, mut printed) = (ConsoleParser::default(), Printed::default());
    let mut of_training: BTreeMap<usize, Tree> = BTreeMap::new();
    segments(&mut source, |segment| {
        printed.take(&segment);
        console.take(&segment);
        for row in console.take_rows() {
            let known = of_training.entry(row.training).or_default();
            if let Some(latest) = printed.latest.take() {
                *known = latest;
            }
        }
    })?;
    // A log without a row yet, or whose rows are only known at its end.
    let first = of_training.entry(0).or_default();
    if let Some(latest) = printed.latest.take().filter(|_| first.parts().is_empty()) {
        *first = latest;
    }
    let source = path.to_string_lossy().into_owned();
    let named = |(training, tree): (usize, Tree)| {
        let run = (training > 0).then(|| super::training_name(training));
        LoggedConfig::new(run, tree, source.clone())
    };
    let mut found: Vec<LoggedConfig> = of_training.into_iter().map(named).collect();
    if let Some(first) = found.first_mut() {
        first.problem = printed.problem();
    }
    Ok(found)
}

/// Finds configurations among the lines of a log.
#[derive(Default)]
struct Printed {
    open: Option<OpenText>,
    /// The last configuration that no training has yet.
    latest: Option<Tree>,
    /// Why the first one that cannot be read cannot be.
    unreadable: Option<String>,
    lines: usize,
}

/// The lines of a configuration that is not complete.
struct OpenText {
    prefix: String,
    text: String,
    line: usize,                // its first line in the log, from 1
    foreign: usize,             // lines between its lines
    brackets: Option<Brackets>, // `None` for YAML
}

impl OpenText {
    /// Whether a line may be its next one: those of a dictionary are indented or close it.
    fn is_continued_by(&self, line: &str) -> bool {
        self.brackets.is_none() || line.starts_with([' ', '}', ']'])
    }
}

impl Printed {
    fn take(&mut self, segment: &Segment<'_>) {
        self.lines += usize::from(segment.after == Some(b'\n'));
        let may_begin = memmem::find(segment.text, b"{").is_some()
            || memmem::find(segment.text, TITLE.as_bytes()).is_some();
        if self.open.is_none() && !may_begin {
            return;
        }
        let text = String::from_utf8_lossy(segment.text);
        let whole = without_ansi(&text);
        let (prefix, line) = split_prefix(&whole);
        if let Some(mut open) = self.open.take() {
            let is_longer = if open.prefix == prefix && open.is_continued_by(line) {
                if self.extend(&mut open, line) {
                    return;
                }
                open.text.len() < LONGEST
            } else {
                open.foreign += 1;
                open.foreign <= MOST_FOREIGN
            };
            if is_longer {
                self.open = Some(open);
            } else {
                self.give_up(&open);
            }
        }
        let brackets = match line {
            TITLE => None,
            "{" => Some(Brackets::default()),
            line if line.starts_with("{'") || line.starts_with("{\"") => Some(Brackets::default()),
            _ => return,
        };
        let (prefix, text) = (prefix.to_owned(), String::new());
        let line_number = self.lines + usize::from(segment.after != Some(b'\n'));
        let mut open = OpenText { prefix, text, line: line_number, foreign: 0, brackets };
        let is_complete = open.brackets.is_some() && self.extend(&mut open, line);
        if !is_complete && let Some(before) = self.open.replace(open) {
            self.give_up(&before);
        }
    }

    /// Notes a dictionary that was a configuration, and whose end is not in the log.
    fn give_up(&mut self, open: &OpenText) {
        if open.brackets.is_some() && parts_named(&open.text) > 1 {
            self.cannot_read(open, "its end is not there");
        }
    }

    fn cannot_read(&mut self, open: &OpenText, what: &str) {
        self.unreadable.get_or_insert_with(|| {
            format!("the configuration that it prints at line {}: {what}", open.line)
        });
    }

    /// What is wrong with the configurations of the whole log.
    fn problem(mut self) -> Option<String> {
        if let Some(open) = self.open.take() {
            self.give_up(&open);
        }
        self.unreadable
    }

    /// Adds a line; returns whether the text is complete.
    fn extend(&mut self, open: &mut OpenText, line: &str) -> bool {
        let end = match &mut open.brackets {
            Some(brackets) => brackets.close(line),
            None => Some(line.len()).filter(|_| line.trim().is_empty()),
        };
        open.text.push_str(&line[..end.unwrap_or(line.len())]);
        open.text.push('\n');
        if end.is_none() {
            return false;
        }
        let tree = match open.brackets {
            Some(_) => self.dictionary(open),
            None => self.yaml(open),
        };
        let is_config = |tree: &Tree| PARTS.iter().any(|part| tree.get(part).is_some());
        if let Some(tree) = tree.filter(is_config) {
            self.latest = Some(tree);
        }
        true
    }

    fn yaml(&mut self, open: &OpenText) -> Option<Tree> {
        match parse_yaml(&open.text) {
            Ok(tree) => Some(tree),
            Err(what) => {
                if PARTS.iter().any(|part| open.text.contains(&format!("{part}:"))) {
                    self.cannot_read(open, &what);
                }
                None
            }
        }
    }

    /// A dictionary of Python or JSON that names a part of a configuration: most dictionaries are rows. One that cannot
    /// be read must name two to be noted: a model may write the word "trainer" in quotes, too.
    fn dictionary(&mut self, open: &OpenText) -> Option<Tree> {
        let named = parts_named(&open.text);
        if named == 0 {
            return None;
        }
        let json = || parse_json(open.text.as_bytes()).ok();
        let tree = parse_python(open.text.trim()).or_else(json);
        if tree.is_none() && named > 1 {
            self.cannot_read(open, "it is neither a dictionary of Python nor JSON");
        }
        tree
    }
}

/// How many parts of a configuration a text names in quotes.
fn parts_named(text: &str) -> usize {
    let is_named =
        |part: &&&str| text.contains(&format!("'{part}'")) || text.contains(&format!("\"{part}\""));
    PARTS.iter().filter(is_named).count()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::formats::log_configs::LogConfigs;

    fn entries(format: &str, path: &Path, run: Option<&str>) -> Vec<String> {
        let config = LogConfigs::read(format, path).unwrap().of_run(run);
        config.entries().iter().map(|(key, value)| format!("{key}={}", value.text())).collect()
    }

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
    }

    #[test]
    fn printed_configurations_are_read() {
        let expected = [
            "actor_rollout_ref.actor.entropy_coeff=0",
            "actor_rollout_ref.actor.loss_agg_mode=token-mean",
            "trainer.logger=[console]",
            "trainer.step=3",
            "trainer.total_epochs=1",
            "trainer.val_before_train=True",
        ];
        for log in ["verl_ray.out", "verl_0_4.out", "verl_cut.out", "verl_resumed.out"] {
            let path = fixture("verl-console").join(log);
            assert_eq!(entries("verl-console", &path, None), expected, "{log}");
        }
        let expected = [
            "algorithm.adv_estimator=grpo",
            "algorithm.kl_coef=0.01",
            "trainer.logger=[console, file]",
            "trainer.max_steps=12",
            "trainer.total_epochs=15",
            "worker.actor.entropy_coeff=0.0",
        ];
        let path = fixture("easyr1-console/easyr1_ray.out");
        assert_eq!(entries("easyr1-console", &path, None), expected);
        let path = fixture("trainer-console/trl_log5.out");
        assert!(entries("trainer-console", &path, None).is_empty());
    }

    #[test]
    fn each_training_of_a_log_has_its_own() {
        let rows = |entropy: f64| {
            let row = |step: u32| format!("step:{step} - actor/entropy:{entropy}\n");
            (1..4).map(row).collect::<String>()
        };
        let config = |seed: u32| format!("{{\n  \"trainer\": {{\"seed\": {seed}}}\n}}\n");
        let log = [config(1), rows(2.0), config(2), rows(1.0), rows(0.5)].concat();
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("train.log");
        fs::write(&path, log).unwrap();
        let seed = |run| entries("verl-console", &path, run);
        assert_eq!(seed(None), ["trainer.seed=1"]);
        assert_eq!(seed(Some("training 2")), ["trainer.seed=2"]);
        assert!(seed(Some("training 3")).is_empty(), "it printed none");
    }

    #[test]
    fn rows_and_texts_of_a_model_are_not_configurations() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("train.log");
        let read = |end: &str| {
            let log = "{'trainer': 1\n(a pid=1) {'loss': 0.5, 'epoch': 1.0}\nstep:1 - actor/entropy:2\n\
                       [answer] {'trainer': 2}\nConfig\nnot yaml\n\nstep:2 - actor/entropy:2\n";
            fs::write(&path, [log, end].concat()).unwrap();
            LogConfigs::read("verl-console", &path)
        };
        assert!(read("").unwrap().is_empty());
        let problem = |end| read(end).unwrap().problems(&path).join("; ");
        let unreadable = problem("Config\ntrainer: [1\nb: 2\n\n");
        let place = "train.log: the configuration that it prints at line 9: line 2";
        assert!(unreadable.contains(place), "{unreadable}");
        let two = "{'trainer': {'seed': 1},\n 'algorithm', 'x' y}\n";
        let unreadable = problem(two);
        assert!(unreadable.contains("at line 9: it is neither a dictionary"), "{unreadable}");
        let unreadable = problem("{'trainer': {'seed': 1},\n 'algorithm': 1,\n");
        assert!(unreadable.contains("at line 9: its end is not there"), "{unreadable}");
        assert_eq!(problem("{'trainer': {'seed': 1}, oops}\n"), "", "a text of a model");
        // One that can be read is there in spite of another that cannot.
        let both = ["{'trainer': {'seed': 1}, 'algorithm': 1}\n", two].concat();
        assert_eq!(read(&both).unwrap().of_run(None).entries().len(), 2);
        assert!(problem(&both).contains("at line 10:"));
        // A dictionary that was cut does not hide the next one.
        let found = read("{'trainer':\n{'trainer': {'seed': 1},\nwarning\n 'b': 2}\n").unwrap();
        assert_eq!(found.of_run(None).entries().len(), 2);
    }
}
