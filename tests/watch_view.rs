//! `watch`: filter, order, mouse, lines, pace, and the command of the view.

use std::fs;

use tempfile::{TempDir, tempdir};
use vt100::{MouseProtocolEncoding, MouseProtocolMode};

use crate::common::{run, stderr, stdout};
use crate::watch::{Pty, append, log, row};

/// Three runs of 40 steps.
fn three_runs() -> TempDir {
    let tmp = tempdir().unwrap();
    log(tmp.path(), "solver_s1", 40, 2.25);
    log(tmp.path(), "solver_s2", 40, 1.25);
    log(tmp.path(), "questioner", 40, 3.25);
    tmp
}

/// A mouse event of xterm's mode 1006 at a column and a row, both from 1.
fn mouse(button: u8, column: u16, row: u16) -> String {
    format!("\x1b[<{button};{column};{row}M")
}

const LEFT: u8 = 0;
const WHEEL_UP: u8 = 64;
const WHEEL_DOWN: u8 = 65;

#[test]
fn filter_is_typed_kept_and_cleared() {
    let tmp = three_runs();
    let mut pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("3 runs · 3 healthy");
    pty.press("/SOLVERq\x7f");
    pty.wait_for_text("/SOLVER▏ 2 of 3 runs Enter keep Esc clear");
    assert!(!pty.text().contains("questioner"), "{}", pty.text());
    pty.press("\r");
    pty.wait_for_text("2 of 3 runs · 2 healthy");
    pty.wait_for_text("q quit");
    pty.press("\x1b");
    pty.wait_for_text("3 runs · 3 healthy");
    pty.press("/nothing");
    pty.wait_for_text("no run matches the filter");
    pty.press("\x03"); // also while a filter is typed
    assert_eq!(pty.exit_code(), 130);
}

#[test]
fn t_sorts_by_the_next_column() {
    let tmp = three_runs();
    let mut pty = Pty::watch(tmp.path(), &["runs"]);
    let order = |pty: &Pty, expected: [&str; 3]| {
        pty.wait_until(&format!("{expected:?}"), |screen| {
            let contents = screen.contents();
            let at = expected.map(|name| contents.find(&format!("━ {name} ")));
            at.iter().all(Option::is_some) && at.is_sorted()
        });
    };
    order(&pty, ["questioner", "solver_s1", "solver_s2"]);
    pty.press("tt");
    pty.wait_for_text("last▴");
    order(&pty, ["solver_s2", "solver_s1", "questioner"]);
    pty.press("T");
    pty.wait_for_text("last▾");
    order(&pty, ["questioner", "solver_s1", "solver_s2"]);
}

#[test]
fn mouse_selects_zooms_and_shows_the_values_of_a_step() {
    let tmp = three_runs();
    let mut pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("3 runs");
    assert_eq!(pty.mouse(), MouseProtocolMode::PressRelease);
    pty.wait_until("with decimals", |screen| {
        screen.mouse_protocol_encoding() == MouseProtocolEncoding::Sgr
    });
    pty.press(&mouse(LEFT, 10, 22)); // the rows of the table are the last before the keys
    pty.wait_for_text("▸━━ solver_s1");
    pty.press(&mouse(WHEEL_DOWN, 10, 22));
    pty.wait_for_text("▸━━ solver_s2");
    pty.press(&mouse(WHEEL_UP, 10, 22));
    pty.wait_for_text("▸━━ solver_s1");
    pty.press(&mouse(LEFT, 40, 8));
    pty.wait_for_text("2.25 at step 19");
    pty.wait_for_text("solver_s2 1.25");
    pty.press("\x1b");
    pty.wait_until("without a step", |screen| !screen.contents().contains("at step"));
    pty.press(&mouse(WHEEL_UP, 40, 8));
    pty.wait_for_text("zoomed");
    pty.press(&mouse(WHEEL_DOWN, 40, 8));
    pty.wait_until("whole again", |screen| !screen.contents().contains("zoomed"));
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
    pty.wait_until("left", |screen| screen.mouse_protocol_mode() == MouseProtocolMode::None);
}

#[test]
fn no_mouse_leaves_it_to_the_terminal() {
    let tmp = three_runs();
    let mut pty = Pty::watch(tmp.path(), &["runs", "--no-mouse"]);
    pty.wait_for_text("q quit");
    assert_eq!(pty.mouse(), MouseProtocolMode::None);
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
}

#[test]
fn w_writes_a_command_that_draws_the_view() {
    let tmp = three_runs();
    let mut pty = Pty::watch(tmp.path(), &["runs", "--log-y"]);
    pty.wait_for_text("3 runs");
    pty.press("s/solver\rw");
    let command = "entropy-viz plot runs --smooth ema:0.5 --log-y --select solver_s1 solver_s2";
    pty.wait_for_text(command);
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
    pty.wait_until("printed", |screen| {
        !screen.alternate_screen() && screen.contents().replace('\n', "").contains(command)
    });
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let output = run(tmp.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(tmp.path().join("entropy_plot.png").exists());
}

#[test]
fn lines_are_drawn_at_given_values_limits_and_the_threshold_of_a_run() {
    let tmp = tempdir().unwrap();
    log(tmp.path(), "a", 40, 2.0);
    let frame = |arguments: &[&str]| {
        let output = run(tmp.path(), &[&["watch", "runs", "--once"], arguments].concat());
        stdout(&output)
    };
    // The y axis reaches to the line of the user, but not to limits and thresholds.
    let all = frame(&["--hline", "4=target", "--min-entropy", "1.9", "--max-entropy", "60"]);
    for text in ["target", "min 1.90", "▴ max 60.0", "▾ collapse 0.500", "4"] {
        assert!(all.contains(text), "{text}: {all}");
    }
    log(tmp.path(), "b", 40, 1.0);
    assert!(!frame(&[]).contains("collapse 0"), "two runs have two thresholds");
    let output = run(tmp.path(), &["plot", "runs", "--terminal", "--hline", "3=goal"]);
    assert!(stdout(&output).contains("goal"), "{}", stderr(&output));
    let served = run(tmp.path(), &["watch", "runs", "--serve", "0", "--hline", "3"]);
    assert_eq!(served.status.code(), Some(2));
}

#[test]
fn pace_and_time_left_are_shown_where_they_are_known() {
    let tmp = tempdir().unwrap();
    let path = tmp.path().join("train.log");
    let row = |step: usize| format!("step:{step} - actor/entropy:2.5 - actor/lr:1e-6\n");
    let start = "(TaskRunner pid=7) Total training steps: 100000\n".to_owned();
    append(&path, &(1..=12).map(row).fold(start, |log, row| log + &row));
    let pty = Pty::watch(tmp.path(), &["train.log"]);
    pty.wait_for_text("1 run · healthy");
    assert!(!pty.text().contains("steps/min"), "one reading has no pace: {}", pty.text());
    append(&path, &row(13));
    pty.wait_for_text("steps/min");
    let text = pty.text();
    let first = text.lines().next().unwrap();
    assert!(first.contains(" steps/min, ") && first.ends_with(" left"), "{text}");

    // The clock of the log: a step every 30 s. Nothing says how many there will be.
    let clock = |step: usize| {
        format!("{{\"step\": {step}, \"entropy\": 2.5, \"_timestamp\": {}}}\n", 30 * step)
    };
    fs::write(tmp.path().join("c.jsonl"), (1..=40).map(clock).collect::<String>()).unwrap();
    let output = run(tmp.path(), &["watch", "c.jsonl", "--once", "--stale", "never"]);
    let frame = stdout(&output);
    assert!(frame.lines().next().unwrap().ends_with("2.00 steps/min"), "{frame}");
}

#[test]
fn log_of_many_runs_names_few_of_them() {
    let tmp = tempdir().unwrap();
    for i in 0..20 {
        let rows = (1..=30).map(|step| row(step, 1.0 + 0.1 * f64::from(i)));
        append(&tmp.path().join(format!("runs/r{i:02}/metrics.jsonl")), &rows.collect::<String>());
    }
    let arguments = ["watch", "runs", "--once", "--width", "140", "--height", "40"];
    let frame = stdout(&run(tmp.path(), &arguments));
    // Beside the chart and in the table, with the letter of the curve.
    for name in ["A r00", "H r19"] {
        assert!(frame.contains(name), "{name}: {frame}");
    }
    assert_eq!(frame.matches("r10").count(), 1, "{frame}");
    assert_eq!(frame.matches("r19").count(), 2, "{frame}");
}
