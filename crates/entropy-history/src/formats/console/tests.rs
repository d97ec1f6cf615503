use super::rows::ConsoleRow;
use super::*;

fn rows(log: &str) -> Vec<(usize, f64, String)> {
    let mut console = ConsoleParser::default();
    segments(&mut log.as_bytes(), |segment| console.take(&segment)).unwrap();
    console.finish();
    let show = |row: ConsoleRow| {
        let value = |v: &Option<f64>| v.map_or("?".to_owned(), |v| v.to_string());
        let values = row.values.iter().map(|(k, v)| format!("{k}={}", value(v)));
        (row.training, row.step, values.collect::<Vec<_>>().join(" "))
    };
    console.take_rows().into_iter().map(show).collect()
}

fn row(training: usize, step: f64, values: &str) -> (usize, f64, String) {
    (training, step, values.to_owned())
}

#[test]
fn row_follows_prefix_or_bar_or_text() {
    let log = "\x1b[36m(TaskRunner pid=7)\x1b[0m step:1 - a/b:2.5\n\
               \rTraining:  5%|#| 1/20 [0:02]step:2 - a/b:3\n\
               then step:3 - a/b:4\n(TaskRunner pid=7) [answer] {'epoch': 1}\n";
    let steps = [row(0, 1.0, "a/b=2.5"), row(0, 2.0, "a/b=3"), row(0, 3.0, "a/b=4")];
    assert_eq!(rows(log), steps);
}

#[test]
fn last_row_is_read_only_if_complete() {
    assert_eq!(rows("step:1 - a:0.53\nstep:2 - a:0.5"), [row(0, 1.0, "a=0.53")]);
    assert_eq!(rows("{'epoch': 0.5, 'a': '1'}"), [row(0, 1.0, "epoch=0.5 a=1")]);
    assert_eq!(rows("Step 1\na:\n  b: 2\n"), []);
    assert_eq!(rows("Step 1\na:\n  b: 2\n\n"), [row(0, 1.0, "a/b=2")]);
}

#[test]
fn text_with_numbered_steps_is_not_a_row() {
    assert_eq!(rows("Step 1\nSum: 5\n\nStep 2\n  x: 1\n\nStep 3: y\n"), []);
}

#[test]
fn step_restart_begins_another_training() {
    let log =
        |steps: &[u32]| steps.iter().map(|s| format!("step:{s} - a:{s}\n")).collect::<String>();
    let trainings = |steps| rows(&log(steps)).iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(trainings(&[0, 1, 2, 3, 2, 3, 4]), [0; 7]);
    assert_eq!(trainings(&[1, 2, 3, 1, 2, 1]), [0, 0, 0, 1, 1, 2]);
}

/// From <https://github.com/modelscope/ms-swift>, whose rows contain their step.
#[test]
fn ms_swift_writes_the_step_into_the_row() {
    let log = "Train:  31%|###| 5/16 [05:28<11:41]\n\
               {'a': 2.1, 'epoch': 0.3, 'global_step/max_steps': '5/16', 'time': '5m 28s'}\n\
               {'eval_a': 2, 'epoch': 0.3, 'global_step/max_steps': '5/16'}\n";
    assert_eq!(rows(log), [row(0, 5.0, "a=2.1 epoch=0.3 global_step/max_steps=5 time=?")]);
}

#[test]
fn other_formats_and_prose_are_not_claimed() {
    let claims = |text: &str| {
        let head = Head::new(text.as_bytes(), None);
        let formats = [VERL, EASYR1, HUGGING_FACE, OTHER].map(|format| (format.recognise)(&head));
        formats.into_iter().max().unwrap()
    };
    for text in [
        "{\"step\":1,\"data\":{\"actor/entropy\":2.8}}\n{\"step\":2}\n",
        "[{'step': 1, 'entropy': 2.3}]",
        "Step,Name: WARNING\n1,2.5\n2,2.4\n",
        "In step 3 the entropy falls.\n\nIt rises again in step 4: see below.\n",
        "WARNING\n\0\n",
        "",
    ] {
        assert_eq!(claims(text), Confidence::No, "{text}");
    }
    assert_eq!(claims("WARNING: no GPU\nstarting\n"), Confidence::Maybe);
    assert_eq!(claims("WARNING: no GPU\nstep:1 - a:2\n"), Confidence::Likely);
}

/// Numbers of steps as verl 0.9 and tqdm 4.70 print them.
#[test]
fn number_of_steps_is_read_where_it_is_printed() {
    let total = |log: &str| {
        let selector = SeriesSelector::default_keys();
        let source = crate::formats::Source { reader: &mut log.as_bytes(), path: None };
        let (_, log) = crate::formats::read(source, None, &selector).unwrap();
        log.series[0].total_steps
    };
    let verl = "step:1 - actor/entropy:0.5\nstep:2 - actor/entropy:0.4\n";
    let prefix = "\x1b[36m(TaskRunner pid=7)\x1b[0m";
    assert_eq!(total(&format!("{prefix} Total training steps: 435\n{verl}")), Some(435.0));
    assert_eq!(total(verl), None);
    assert_eq!(total(&format!("Total training steps: None\n{verl}")), None);
    assert_eq!(total(&format!("{verl}Total training steps: 43")), None, "it may be cut");
    let bar = |done| format!("\r {done}0%|#| {done}/9 [00:02<00:04, 2.3it/s]");
    let row = "\r        \r{'entropy': 2.3, 'epoch': 0.1}\n";
    let trl = format!("{}{}{row}{}", bar(0), bar(1), bar(1));
    assert_eq!(total(&trl), Some(9.0));
}

#[test]
fn shape_decides_the_format() {
    let name = |log: &[u8]| shape_of(log).map(|shape| shape.format().name);
    assert_eq!(name(b"step:1 - actor/entropy_loss:2\n"), Some("verl-console"));
    assert_eq!(name(b"Step 1\nactor:\n  entropy_loss: 2\n\n"), Some("easyr1-console"));
    assert_eq!(name(b"{'entropy': 2, 'epoch': 1}\n"), Some("trainer-console"));
    assert_eq!(name(b"Step 1: {'actor/entropy_loss': 2}\n"), Some("console"));
}
