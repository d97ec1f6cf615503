use std::fs;
use std::path::Path;

use super::super::super::curves::AuxRequest;
use super::super::super::load::LARGEST_VOCABULARY;
use super::*;
use entropy_history::formats::SeriesSelector;

/// A desk with a follower of one place on it, and a clock that a test moves.
struct Desk {
    directory: tempfile::TempDir,
    follower: Follower<'static>,
    now: Instant,
}

impl Desk {
    fn new(place: &str, files: &[(&str, &str)]) -> Desk {
        let directory = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| write(&directory.path().join(name), text));
        let wanted: &'static SeriesSelector = Box::leak(Box::new(SeriesSelector::default_keys()));
        let besides: &'static AuxRequest<'_> = Box::leak(Box::default());
        let reader = Reader { format: None, wanted, besides, vocabulary: LARGEST_VOCABULARY };
        let place = Place::Argument(directory.path().join(place).into());
        let follower = Follower::new(vec![place], reader, Duration::from_millis(50));
        let mut desk = Desk { directory, follower, now: Instant::now() };
        desk.look(0);
        desk
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.directory.path().join(name), text);
    }

    /// Looks so many seconds later.
    fn look(&mut self, seconds: u64) -> Changes {
        self.now += Duration::from_secs(seconds);
        self.follower.poll(self.now).unwrap()
    }

    fn lengths(&self) -> Vec<usize> {
        let runs = self.follower.comparison().map_or(&[][..], Comparison::runs);
        runs.iter().map(|run| run.history.points().len()).collect()
    }

    fn troubles(&self) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        self.follower.troubles().iter().map(|text| text.replace(&directory, "")).collect()
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

/// The start of a text, as another program finds it while it is written.
fn half(text: &str) -> &str {
    &text[..text.len() / 2]
}

#[test]
fn a_half_written_document_does_not_replace_the_curve() {
    let mut desk = Desk::new("r.json", &[("r.json", &history(60))]);
    for steps in [61, 62] {
        desk.write("r.json", half(&history(steps)));
        assert!(!desk.look(1).grew);
        desk.write("r.json", "");
        assert!(!desk.look(20).grew);
        assert_eq!((desk.lengths(), desk.troubles()), (vec![steps - 1], vec![]));
        desk.write("r.json", &history(steps));
        assert!(desk.look(20).grew);
        assert_eq!(desk.lengths(), [steps]);
    }
}

#[test]
fn a_document_that_stays_cut_is_taken_and_told() {
    let mut desk = Desk::new("r.json", &[("r.json", &history(60))]);
    desk.write("r.json", half(&history(60)));
    desk.look(1);
    assert!(!desk.look(29).grew);
    let changes = desk.look(1);
    assert!(changes.grew && changes.problems.len() == 1);
    assert_eq!(desk.lengths(), [30]);
    let told = desk.troubles().join("\n");
    assert!(told.starts_with("r.json: the file ends inside"), "{told}");
    assert!(!desk.look(60).grew);
    desk.write("r.json", &history(70));
    desk.look(1);
    assert_eq!((desk.lengths(), desk.troubles()), (vec![70], vec![]));
}

#[test]
fn a_first_reading_of_a_cut_document_is_shown_and_uncertain_until_it_is_whole_or_stays_cut() {
    for whole in [true, false] {
        let mut desk = Desk::new("r.json", &[("r.json", half(&history(60)))]);
        assert_eq!((desk.lengths(), desk.follower.unsure()), (vec![30], &[true][..]));
        desk.look(20);
        assert_eq!(desk.follower.unsure(), [true]);
        if whole {
            desk.write("r.json", &history(60));
        }
        desk.look(10);
        assert_eq!(desk.follower.unsure(), [false]);
        assert_eq!(desk.lengths(), [if whole { 60 } else { 30 }]);
        assert_eq!(desk.troubles().len(), usize::from(!whole));
    }
}

#[test]
fn rows_that_are_appended_are_certain_also_while_the_last_is_not_whole() {
    let rows = |steps: usize| -> String {
        (1..=steps).map(|step| format!("{{\"step\": {step}, \"entropy\": 2.5}}\n")).collect()
    };
    let part = "{\"step\": 31, \"ent";
    let mut desk = Desk::new("r.jsonl", &[("r.jsonl", &(rows(30) + part))]);
    assert_eq!((desk.lengths(), desk.follower.unsure()), (vec![30], &[false][..]));
    desk.write("r.jsonl", &(rows(32) + part));
    desk.look(1);
    assert_eq!((desk.lengths(), desk.follower.unsure()), (vec![32], &[false][..]));
}

#[test]
fn a_half_written_state_of_the_next_checkpoint_does_not_replace_the_curve() {
    let state = |steps: usize| {
        let row = |step: usize| format!("{{\"step\": {step}, \"entropy\": 2.5}}");
        let rows: Vec<String> = (1..=steps).map(row).collect();
        format!("{{\"global_step\": {steps}, \"log_history\": [{}]}}", rows.join(", "))
    };
    let mut desk = Desk::new("out", &[("out/checkpoint-40/trainer_state.json", &state(40))]);
    for written in ["", half(&state(60))] {
        desk.write("out/checkpoint-60/trainer_state.json", written);
        desk.look(1);
        assert_eq!(desk.lengths(), [40]);
    }
    desk.write("out/checkpoint-60/trainer_state.json", &state(60));
    desk.look(1);
    assert_eq!(desk.lengths(), [60]);
    fs::remove_dir_all(desk.directory.path().join("out/checkpoint-40")).unwrap();
    desk.look(1);
    assert_eq!((desk.lengths(), desk.troubles()), (vec![60], vec![]));
}

#[test]
fn a_log_that_is_deleted_from_a_directory_keeps_its_curve_and_is_told_until_it_is_back() {
    let files = ["m/a.json", "m/b.json", "m/c.json"].map(|name| (name, history(60)));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
    let mut desk = Desk::new("m", &files);
    assert_eq!(desk.lengths().len(), 3);
    fs::remove_file(desk.directory.path().join("m/b.json")).unwrap();
    assert_eq!(desk.look(1).problems.len(), 1);
    for _ in 0..2 {
        let labels =
            || desk.follower.comparison().unwrap().runs().iter().map(|r| r.history.label());
        assert_eq!(labels().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(desk.troubles(), ["cannot read m/b.json: no such file or directory"]);
        assert!(desk.look(1).problems.is_empty());
    }
    desk.write("m/b.json", &history(61));
    desk.look(1);
    assert_eq!((desk.lengths(), desk.troubles()), (vec![60, 61, 60], vec![]));
}

#[test]
fn a_named_log_that_is_back_is_no_trouble_any_more() {
    let mut desk = Desk::new("r.json", &[("r.json", &history(60))]);
    fs::remove_file(desk.directory.path().join("r.json")).unwrap();
    assert!(desk.look(1).troubles);
    assert_eq!(desk.troubles(), ["cannot read r.json: no such file or directory"]);
    desk.write("r.json", &history(90));
    assert!(desk.look(1).troubles);
    assert_eq!((desk.lengths(), desk.troubles()), (vec![90], vec![]));
}
