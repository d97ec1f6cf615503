//! Watching runs: through a real terminal, and without one.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{fixture, program, run, stderr, stdout};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

const PROGRAM: &str = env!("CARGO_BIN_EXE_entropy-viz");
/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The text with one space for many.
fn spaced(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

fn sized(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

/// The program as a shell runs it, leaving its number in a file.
fn known_by_number(arguments: &str) -> String {
    format!("sh -c 'echo $$ > pid; exec {PROGRAM} {arguments}'")
}

fn signal(desk: &Path, name: &str) {
    let pid = fs::read_to_string(desk.join("pid")).unwrap();
    assert!(Command::new("kill").args([name, pid.trim()]).status().unwrap().success());
}

/// A program in a terminal of its own.
struct Pty {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Pty {
    fn start(desk: &Path, program: &str, arguments: &[&str], (columns, rows): (u16, u16)) -> Pty {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(desk);
        for variable in ["STORAGE_PATH", "NO_COLOR", "COLORTERM", "COLORFGBG", "GITHUB_ACTIONS"] {
            command.env_remove(variable);
        }
        command.env("TERM", "xterm-256color");
        command.env("PS1", "prompt> ");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(sized(rows), sized(columns), 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let drawn = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                drawn.lock().unwrap().process(&bytes[..n]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Pty { master: pair.master, child, keys, screen }
    }

    fn watch(desk: &Path, arguments: &[&str]) -> Pty {
        let arguments = [&["watch", "--interval", "50ms"], arguments].concat();
        Pty::start(desk, PROGRAM, &arguments, (80, 24))
    }

    fn text(&self) -> String {
        spaced(&self.screen.lock().unwrap().screen().contents())
    }

    /// Waits until the screen is as it is to be.
    fn until(&self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self.screen.lock().unwrap().screen()) {
            assert!(Instant::now() < end, "never {what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn until_says(&self, words: &str) {
        self.until(words, |screen| spaced(&screen.contents()).contains(words));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn exit_code(&mut self) -> u32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How the terminal treats what is typed.
    fn modes(&self) -> String {
        let modes = self.master.get_termios().unwrap();
        format!("{:?} {:?} {:?}", modes.input_flags, modes.output_flags, modes.local_flags)
    }

    /// Whether the terminal is as a shell leaves it to a program.
    fn until_given_back(&self, modes: &str) {
        self.until("left", |screen| !screen.alternate_screen() && !screen.hide_cursor());
        assert_eq!(self.modes(), modes);
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

fn row(step: usize, entropy: f64) -> String {
    format!("{{\"step\": {step}, \"data\": {{\"actor/entropy\": {entropy:?}}}}}\n")
}

fn append(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A run of so many steps at that entropy.
fn log(desk: &Path, run: &str, steps: usize, entropy: f64) -> std::path::PathBuf {
    let path = desk.join(format!("runs/{run}/metrics.jsonl"));
    append(&path, &(1..=steps).map(|step| row(step, entropy)).collect::<String>());
    path
}

fn desk() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn what_is_appended_appears_and_so_do_new_runs() {
    let desk = desk();
    let path = log(desk.path(), "solver_v1", 40, 2.25);
    let mut pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says("solver_v1 2.25 40");
    assert!(pty.text().contains("1 run · healthy"), "{}", pty.text());
    append(&path, &row(41, 1.75));
    pty.until_says("solver_v1 1.75 41");
    append(&path, "{\"step\": 42, \"data\": {\"actor/entropy\": 1.5"); // not whole yet
    append(&path, "}}\n");
    pty.until_says("solver_v1 1.50 42");
    log(desk.path(), "questioner", 30, 3.5);
    pty.until_says("questioner 3.50 30");
    assert!(pty.text().contains("2 runs"), "{}", pty.text());
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
}

#[test]
fn a_log_that_is_cut_short_or_replaced_is_read_anew() {
    let desk = desk();
    let path = log(desk.path(), "solver_v1", 40, 2.25);
    let pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says("solver_v1 2.25 40");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    append(&path, &(1..=20).map(|step| row(step, 1.25)).collect::<String>());
    pty.until_says("solver_v1 1.25 20");
    let other = desk.path().join("other");
    append(&other, &(1..=99).map(|step| row(step, 0.75)).collect::<String>());
    fs::rename(&other, &path).unwrap();
    pty.until_says("solver_v1 0.750 99");
}

#[test]
fn a_history_that_is_written_anew_each_time_is_followed() {
    let desk = desk();
    let path = desk.path().join("models/q/entropy_history_q.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let history = |steps: usize| {
        let rows: Vec<String> =
            (1..=steps).map(|s| format!("{{\"step\": {s}, \"entropy\": 2.5}}")).collect();
        format!("[{}]", rows.join(", "))
    };
    let write = |steps| {
        let whole = desk.path().join("whole");
        fs::write(&whole, history(steps)).unwrap();
        fs::rename(&whole, &path).unwrap();
    };
    write(12);
    let arguments = ["watch", "--interval", "50ms"];
    let storage = desk.path().to_str().unwrap().to_owned();
    let shell = format!("STORAGE_PATH='{storage}' exec '{PROGRAM}' {}", arguments.join(" "));
    let pty = Pty::start(desk.path(), "sh", &["-c", &shell], (80, 24));
    pty.until_says("q 2.50 12");
    write(13);
    pty.until_says("q 2.50 13");
}

#[test]
fn a_run_logged_twice_is_shown_once_also_while_one_log_is_a_row_behind() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let table = desk.path().join("runs/a/progress.csv");
    let rows: String = (1..=40).map(|step| format!("{step},2.25\n")).collect();
    append(&table, &format!("step,actor/entropy\n{rows}"));
    let pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says("1 run · healthy");
    append(&table, "41,2.5\n42,2.5\n");
    append(&desk.path().join("runs/a/metrics.jsonl"), &row(41, 2.5));
    pty.until_says("a 2.50 41");
    std::thread::sleep(Duration::from_millis(200));
    assert!(pty.text().contains("1 run · healthy"), "{}", pty.text());
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let desk = desk();
    log(desk.path(), "a", 15, 2.5);
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["watch", "runs"]);
    command.cwd(desk.path());
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().unwrap();
    let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("healthy") {
        let n = output.read(&mut bytes).unwrap();
        seen.extend_from_slice(&bytes[..n]);
    }
    drop((output, pair.master));
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it goes on without a terminal");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_yet_is_waited_for() {
    let desk = desk();
    fs::create_dir(desk.path().join("runs")).unwrap();
    let pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says("no run yet: looking for logs in runs");
    assert!(!pty.text().contains("cannot read"), "{}", pty.text());
    log(desk.path(), "late", 15, 2.5);
    pty.until_says("late 2.50 15");
}

#[test]
fn keys_change_what_is_seen() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    log(desk.path(), "b", 40, 1.25);
    let mut pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says("2 runs");
    pty.press("?");
    pty.until_says("logarithmic or linear entropy");
    pty.press("q"); // closes the help
    pty.until("without help", |screen| !screen.contents().contains("linear entropy"));
    pty.press("s");
    pty.until_says("EMA 0.5");
    pty.press("l");
    pty.until_says("EMA 0.5 · log");
    pty.press("+");
    pty.until_says("zoomed · EMA 0.5 · log");
    pty.press("\x1b[B ");
    pty.until_says("1 hidden");
    pty.until_says("▸○");
    pty.press(" \x1b[Bo");
    pty.until("b alone", |screen| {
        let contents = screen.contents();
        contents.contains("▸━━ b") && contents.contains(" ○  a")
    });
    pty.press("r");
    pty.until("all again", |screen| !screen.contents().contains("hidden"));
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
}

#[test]
fn a_new_size_is_filled() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says("q quit");
    let size = PtySize { rows: 12, cols: 50, pixel_width: 0, pixel_height: 0 };
    pty.screen.lock().unwrap().screen_mut().set_size(sized(12), sized(50));
    pty.master.resize(size).unwrap();
    pty.until("of the new size", |screen| {
        screen.contents_between(11, 0, 11, 50).starts_with("q quit")
    });
}

#[test]
fn whatever_ends_it_the_terminal_is_as_it_was() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let end_by = |end: &dyn Fn(&mut Pty), code: u32| {
        // The shell is there before and after, so the terminal is looked at while it is open.
        let watch = known_by_number("watch runs --interval 50ms");
        let script = format!("{watch}; echo left with $?; read x");
        let mut pty = Pty::start(desk.path(), "sh", &["-c", &script], (80, 24));
        let modes = pty.modes();
        pty.until("taken over", |screen| screen.alternate_screen() && screen.hide_cursor());
        pty.until_says("q quit");
        assert_ne!(pty.modes(), modes);
        end(&mut pty);
        pty.until_says(&format!("left with {code}"));
        pty.until_given_back(&modes);
    };
    end_by(&|pty| pty.press("q"), 0);
    end_by(&|pty| pty.press("\x03"), 130);
    end_by(&|_| signal(desk.path(), "-TERM"), 130);
    end_by(&|_| signal(desk.path(), "-INT"), 130);
}

#[test]
fn it_stops_and_comes_back_under_a_shell() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let shell = ["--norc", "--noprofile", "-i"];
    let mut pty = Pty::start(desk.path(), "bash", &shell, (80, 24));
    pty.until_says("prompt>");
    pty.press(&format!("{}\n", known_by_number("watch runs --interval 50ms")));
    for keys in ["\x1a", "kill"] {
        pty.until_says("q quit");
        match keys {
            "kill" => signal(desk.path(), "-TSTP"),
            keys => pty.press(keys),
        }
        pty.until("stopped", |screen| {
            !screen.alternate_screen() && screen.contents().contains("Stopped")
        });
        assert!(!pty.screen.lock().unwrap().screen().hide_cursor());
        pty.press("clear; echo it is $((40 + 2))\n"); // what is typed is seen, and lines are edited
        pty.until_says("it is 42");
        pty.press("fg\n");
        pty.until("back", |screen| screen.alternate_screen());
    }
    pty.until_says("q quit");
    pty.press("q");
    pty.until("left", |screen| !screen.alternate_screen() && !screen.hide_cursor());
}

#[test]
fn without_a_screen_it_is_stopped_as_any_program() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let shell = ["--norc", "--noprofile", "-i"];
    for arguments in ["watch runs --serve 0", "env TERM=dumb watch runs --bell"] {
        let mut pty = Pty::start(desk.path(), "bash", &shell, (120, 24));
        pty.until_says("prompt>");
        let (before, arguments) = arguments.split_once("watch").unwrap();
        pty.press(&format!("{before} {PROGRAM} watch {arguments}\n"));
        pty.until_says("a: healthy");
        pty.press("\x1a");
        pty.until_says("Stopped");
        pty.press("clear; fg\n");
        pty.until("on", |screen| !screen.contents().contains("prompt>"));
        pty.press("\x03");
        pty.until_says("prompt>");
        pty.press("echo left with $?\n");
        pty.until_says("left with 130");
    }
}

#[test]
fn colours_are_those_that_the_terminal_has() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let colour_of_line = |settings: &str| {
        let script = format!("{settings} exec '{PROGRAM}' watch runs");
        let pty = Pty::start(desk.path(), "sh", &["-c", &script], (80, 24));
        pty.until_says("q quit");
        let screen = pty.screen.lock().unwrap();
        let row = (0..24).find(|row| {
            let cell = screen.screen().cell(*row, 4).unwrap();
            cell.contents() == "a"
        });
        let row = row.unwrap();
        let cell = screen.screen().cell(row, 1).unwrap();
        (cell.contents().to_owned(), cell.fgcolor())
    };
    let line = |colour| ("━".to_owned(), colour);
    assert_eq!(colour_of_line("COLORTERM=truecolor"), line(vt100::Color::Rgb(0x4a, 0xab, 0xfd)));
    assert_eq!(colour_of_line("TERM=xterm-256color"), line(vt100::Color::Idx(75)));
    assert_eq!(colour_of_line("TERM=xterm"), line(vt100::Color::Idx(12)));
    assert_eq!(colour_of_line("NO_COLOR=1"), ("A".to_owned(), vt100::Color::Default));
}

#[test]
fn a_hostile_name_does_nothing_to_the_terminal() {
    let desk = desk();
    log(desk.path(), "x\u{1b}[?1049l\u{1b}]0;owned\u{7}", 40, 2.25);
    let pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says(r"x\u{1b}[?1049l");
    assert!(pty.screen.lock().unwrap().screen().alternate_screen());
}

#[test]
fn one_frame_is_printed_for_a_pipe() {
    let desk = desk();
    let models = fixture("models").to_str().unwrap().to_owned();
    let arguments = ["watch", &models, "--stale", "never", "--width", "100", "--height", "30"];
    let output = run(desk.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let frame = stdout(&output);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/watch_models.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &frame).unwrap();
    }
    assert_eq!(frame, fs::read_to_string(&golden).unwrap());
    assert_eq!(frame.lines().count(), 30);
    assert!(!frame.contains('\u{1b}'));
    let again = [&arguments[..], &["--once"]].concat();
    assert_eq!(stdout(&run(desk.path(), &again)), frame);
}

#[test]
fn plot_draws_on_the_terminal_and_writes_no_picture() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let output = run(desk.path(), &["plot", "runs", "--terminal"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(spaced(&stdout(&output)).contains("A a 2.25 40"), "{}", stdout(&output));
    assert_eq!(crate::common::files(desk.path()), ["runs/a/metrics.jsonl"]);
    let both = run(desk.path(), &["plot", "runs", "--terminal", "-o", "x.png"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn nothing_to_show_is_an_error_for_one_frame() {
    let desk = desk();
    fs::create_dir(desk.path().join("runs")).unwrap();
    let refused = |arguments: &[&str], words: &str| {
        let output = run(desk.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    };
    refused(&["watch"], "no input is given, and $STORAGE_PATH is not set");
    refused(&["watch", "runs", "--once"], "holds no file that looks like a log");
    refused(&["watch", "nowhere.jsonl", "--exit-on", "collapse"], "there is no such file");
    refused(&["watch", "-"], "cannot follow stdin");
    append(&desk.path().join("x.txt"), "no log\n");
    refused(&["watch", "x.txt", "--bell"], "the format is not recognised");
    refused(&["watch", "runs", "--interval", "0s"], "--interval");
}

#[test]
fn a_collapse_ends_it_with_a_line_and_exit_code_1() {
    let desk = desk();
    let path = log(desk.path(), "solver", 60, 2.0);
    log(desk.path(), "other", 60, 1.5);
    let mut child = Command::new(PROGRAM)
        .args(["watch", "runs", "--interval", "50ms", "--exit-on", "collapse"])
        .args(["--exec", "echo \"$ENTROPY_VIZ_RUN $ENTROPY_VIZ_STATE $ENTROPY_VIZ_STEP\" >> told"])
        .current_dir(desk.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "other: healthy, 1.50 at step 60");
    assert_eq!(lines.next().unwrap().unwrap(), "solver: healthy, 2.00 at step 60");
    append(&path, &(61..=90).map(|step| row(step, 0.1)).collect::<String>());
    // Centred mean of 5 at step 62: (2 + 4 × 0.1) / 5 = 0.48, at most a quarter of 2.
    assert_eq!(
        lines.next().unwrap().unwrap(),
        "solver: healthy → collapsed from step 62 on, 0.100 at step 90"
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "solver collapsed from step 62 on\n");
    let told = fs::read_to_string(desk.path().join("told")).unwrap();
    assert_eq!(told, "solver collapsed 62\n");
}

#[test]
fn one_frame_of_a_collapsed_run_leaves_with_1_if_asked() {
    let desk = desk();
    let models = fixture("models").to_str().unwrap().to_owned();
    let output = run(desk.path(), &["watch", &models, "--once", "--exit-on", "collapse"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let output = run(desk.path(), &["watch", &models, "--once", "--exit-on", "explode"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_name_of_a_run_is_no_part_of_the_command() {
    let desk = desk();
    let path = log(desk.path(), "$(touch owned); \"x", 9, 2.0);
    let mut child = Command::new(PROGRAM)
        .args(["watch", "runs", "--interval", "50ms", "--exec", "echo \"$ENTROPY_VIZ_RUN\" > told"])
        .current_dir(desk.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().ends_with("too short, 2.00 at step 9"));
    append(&path, &row(10, 2.0));
    assert!(lines.next().unwrap().unwrap().contains("too short → healthy"));
    let told = desk.path().join("told");
    let end = Instant::now() + PATIENCE;
    while fs::read_to_string(&told).unwrap_or_default().is_empty() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(fs::read_to_string(&told).unwrap(), "$(touch owned); \"x\n");
    assert!(!desk.path().join("owned").exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_that_is_silent_is_stale() {
    let desk = desk();
    log(desk.path(), "a", 40, 2.25);
    let mut child = Command::new(PROGRAM)
        .args(["watch", "runs", "--interval", "50ms", "--stale", "300ms", "--bell"])
        .current_dir(desk.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    if first.contains("healthy") {
        assert_eq!(lines.next().unwrap().unwrap(), "a: healthy → stale, 2.25 at step 40");
        let mut bell = [0];
        child.stderr.take().unwrap().read_exact(&mut bell).unwrap();
        assert_eq!(bell, [7]);
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_log_that_breaks_keeps_its_curve_and_is_told() {
    let desk = desk();
    let path = log(desk.path(), "a", 40, 2.25);
    log(desk.path(), "b", 40, 1.25);
    let pty = Pty::watch(desk.path(), &["runs"]);
    pty.until_says("2 runs");
    append(&path, "Traceback (most recent call last):\n");
    pty.until_says("line 41, column 1: expected an object, found 'T'");
    assert!(pty.text().contains("a 2.25 40"), "{}", pty.text());
    append(&desk.path().join("runs/b/metrics.jsonl"), &row(41, 1.5));
    pty.until_says("b 1.50 41");
}

#[test]
fn a_half_written_document_is_no_collapse_of_a_healthy_run() {
    let desk = desk();
    let path = desk.path().join("r.json");
    // It dipped once and came back.
    let history = |steps: usize| {
        let entropy = |step| if (20..60).contains(&step) { 0.1 } else { 2.0 };
        let row = |step| format!("{{\"step\": {step}, \"entropy\": {:?}}}", entropy(step));
        format!("[{}]", (1..=steps).map(row).collect::<Vec<_>>().join(", "))
    };
    fs::write(&path, &history(100)[..2000]).unwrap(); // as it is found when the watching begins
    let mut child = Command::new(PROGRAM)
        .args(["watch", "r.json", "--interval", "50ms", "--exit-on", "collapse"])
        .current_dir(desk.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for steps in 100..103 {
        std::thread::sleep(Duration::from_millis(300));
        fs::write(&path, history(steps)).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        fs::write(&path, &history(steps + 1)[..2000]).unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    let told = stdout(&child.wait_with_output().unwrap());
    assert_eq!(told, "r: healthy, 2.00 at step 100\n");
}

#[test]
fn the_foot_says_what_is_wrong_as_long_as_it_is() {
    let desk = desk();
    let path = log(desk.path(), "a", 40, 2.25);
    let mut pty = Pty::watch(desk.path(), &["runs/a/metrics.jsonl"]);
    pty.until_says("q quit");
    fs::remove_file(&path).unwrap();
    pty.until_says("cannot read runs/a/metrics.jsonl: no such file");
    pty.press("s");
    pty.until_says("EMA 0.5");
    assert!(pty.text().contains("cannot read runs/a/metrics.jsonl"), "{}", pty.text());
    log(desk.path(), "a", 60, 2.25);
    pty.until_says("a 2.25 60");
    pty.until("without the message", |screen| !screen.contents().contains("cannot read"));
    assert!(pty.text().contains("q quit"), "{}", pty.text());
}

#[test]
fn every_format_that_is_appended_to_is_shown() {
    let desk = desk();
    let expected = [("tensorboard", 1), ("wandb", 1), ("trainer_state", 1), ("csv", 1)];
    for (format, least) in expected {
        let directory = fixture(format).to_str().unwrap().to_owned();
        let mut command = program(desk.path());
        let output = command.args(["watch", &directory, "--once"]).output().unwrap();
        let runs = stdout(&output).lines().next().unwrap_or_default().to_owned();
        let count: usize = runs.split(' ').next().unwrap().parse().unwrap_or(0);
        assert!(count >= least, "{format}: {runs} {}", stderr(&output));
    }
}
