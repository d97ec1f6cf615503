use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::open::Store;
use super::options::LoadOptions;
use super::poll::Changes;
use super::search::SearchPath;

/// A directory with a store of one search path in it, and a clock that a test moves.
struct Followed {
    tmp: tempfile::TempDir,
    store: Store,
    now: Instant,
}

impl Followed {
    fn new(path: &str, files: &[(&str, &str)]) -> Followed {
        let tmp = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| write(&tmp.path().join(name), text));
        let path = SearchPath::Argument(tmp.path().join(path).into());
        let interval = Duration::from_millis(50);
        let store = Store::follow(vec![path], &LoadOptions::default(), interval).unwrap();
        let mut followed = Followed { tmp, store, now: Instant::now() };
        followed.poll(0);
        followed
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.tmp.path().join(name), text);
    }

    /// Polls that many seconds later.
    fn poll(&mut self, seconds: u64) -> Changes {
        self.now += Duration::from_secs(seconds);
        self.store.poll(self.now).unwrap()
    }

    fn lengths(&self) -> Vec<usize> {
        self.store.runs().iter().map(|run| run.history.points().len()).collect()
    }

    fn errors(&self) -> Vec<String> {
        let directory = format!("{}/", self.tmp.path().display());
        self.store.errors().iter().map(|text| text.replace(&directory, "")).collect()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn history(steps: usize) -> String {
    let row = |step: usize| format!("{{\"step\": {step}, \"entropy\": 2.5}}");
    format!("[{}]", (1..=steps).map(row).collect::<Vec<_>>().join(", "))
}

/// The first half of a text, as a reader finds it while it is written.
fn half(text: &str) -> &str {
    &text[..text.len() / 2]
}

#[test]
fn partly_rewritten_document_does_not_replace_the_run() {
    let mut logs = Followed::new("r.json", &[("r.json", &history(60))]);
    for steps in [61, 62] {
        logs.write("r.json", half(&history(steps)));
        assert!(!logs.poll(1).updated);
        logs.write("r.json", "");
        assert!(!logs.poll(20).updated);
        assert_eq!((logs.lengths(), logs.errors()), (vec![steps - 1], vec![]));
        logs.write("r.json", &history(steps));
        assert!(logs.poll(20).updated);
        assert_eq!(logs.lengths(), [steps]);
    }
}

#[test]
fn document_that_stays_truncated_is_used_and_reported() {
    let mut logs = Followed::new("r.json", &[("r.json", &history(60))]);
    logs.write("r.json", half(&history(60)));
    logs.poll(1);
    assert!(!logs.poll(29).updated);
    let changes = logs.poll(1);
    assert!(changes.updated && changes.problems.len() == 1);
    assert_eq!(logs.lengths(), [30]);
    let error = logs.errors().join("\n");
    assert!(error.starts_with("r.json: the file ends inside"), "{error}");
    assert!(!logs.poll(60).updated);
    logs.write("r.json", &history(70));
    logs.poll(1);
    assert_eq!((logs.lengths(), logs.errors()), (vec![70], vec![]));
}

#[test]
fn run_of_truncated_document_is_provisional_until_complete_or_unchanged() {
    for whole in [true, false] {
        let mut logs = Followed::new("r.json", &[("r.json", half(&history(60)))]);
        assert_eq!((logs.lengths(), logs.store.provisional()), (vec![30], &[true][..]));
        logs.poll(20);
        assert_eq!(logs.store.provisional(), [true]);
        if whole {
            logs.write("r.json", &history(60));
        }
        logs.poll(10);
        assert_eq!(logs.store.provisional(), [false]);
        assert_eq!(logs.lengths(), [if whole { 60 } else { 30 }]);
        assert_eq!(logs.errors().len(), usize::from(!whole));
    }
}

#[test]
fn appended_rows_are_not_provisional_while_the_last_is_incomplete() {
    let rows = |steps: usize| -> String {
        (1..=steps).map(|step| format!("{{\"step\": {step}, \"entropy\": 2.5}}\n")).collect()
    };
    let part = "{\"step\": 31, \"ent";
    let mut logs = Followed::new("r.jsonl", &[("r.jsonl", &(rows(30) + part))]);
    assert_eq!((logs.lengths(), logs.store.provisional()), (vec![30], &[false][..]));
    logs.write("r.jsonl", &(rows(32) + part));
    logs.poll(1);
    assert_eq!((logs.lengths(), logs.store.provisional()), (vec![32], &[false][..]));
}

#[test]
fn partly_written_state_of_next_checkpoint_does_not_replace_the_run() {
    let state = |steps: usize| {
        let row = |step: usize| format!("{{\"step\": {step}, \"entropy\": 2.5}}");
        let rows: Vec<String> = (1..=steps).map(row).collect();
        format!("{{\"global_step\": {steps}, \"log_history\": [{}]}}", rows.join(", "))
    };
    let mut logs = Followed::new("out", &[("out/checkpoint-40/trainer_state.json", &state(40))]);
    for written in ["", half(&state(60))] {
        logs.write("out/checkpoint-60/trainer_state.json", written);
        logs.poll(1);
        assert_eq!(logs.lengths(), [40]);
    }
    logs.write("out/checkpoint-60/trainer_state.json", &state(60));
    logs.poll(1);
    assert_eq!(logs.lengths(), [60]);
    fs::remove_dir_all(logs.tmp.path().join("out/checkpoint-40")).unwrap();
    logs.poll(1);
    assert_eq!((logs.lengths(), logs.errors()), (vec![60], vec![]));
}

#[test]
fn log_deleted_from_directory_keeps_its_run_and_is_an_error_until_it_is_back() {
    let files = ["m/a.json", "m/b.json", "m/c.json"].map(|name| (name, history(60)));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
    let mut logs = Followed::new("m", &files);
    assert_eq!(logs.lengths().len(), 3);
    fs::remove_file(logs.tmp.path().join("m/b.json")).unwrap();
    assert_eq!(logs.poll(1).problems.len(), 1);
    for _ in 0..2 {
        let labels = || logs.store.comparison().unwrap().runs().iter().map(|r| r.history.label());
        assert_eq!(labels().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(logs.errors(), ["cannot read m/b.json: no such file or directory"]);
        assert!(logs.poll(1).problems.is_empty());
    }
    logs.write("m/b.json", &history(61));
    logs.poll(1);
    assert_eq!((logs.lengths(), logs.errors()), (vec![60, 61, 60], vec![]));
}

#[test]
fn error_of_deleted_named_log_ends_when_it_is_back() {
    let mut logs = Followed::new("r.json", &[("r.json", &history(60))]);
    fs::remove_file(logs.tmp.path().join("r.json")).unwrap();
    assert!(logs.poll(1).errors);
    assert_eq!(logs.errors(), ["cannot read r.json: no such file or directory"]);
    logs.write("r.json", &history(90));
    assert!(logs.poll(1).errors);
    assert_eq!((logs.lengths(), logs.errors()), (vec![90], vec![]));
}
