//! `watch`: in a real terminal, and without one.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{fixture, program, run, stderr, stdout};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_entropy-viz");
/// Longer than any step of a test takes on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Replaces runs of white space in each line with one space.
fn collapse_spaces(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

fn nonzero(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

/// A shell command that writes its process id to `pid` and then becomes the program.
fn command_with_pid_file(arguments: &str) -> String {
    format!("sh -c 'echo $$ > pid; exec {PROGRAM} {arguments}'")
}

fn signal(tmp: &Path, name: &str) {
    let pid = fs::read_to_string(tmp.join("pid")).unwrap();
    assert!(Command::new("kill").args([name, pid.trim()]).status().unwrap().success());
}

/// A program in its own pseudo-terminal.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Pty {
    fn start(tmp: &Path, program: &str, arguments: &[&str], (columns, rows): (u16, u16)) -> Pty {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(tmp);
        for variable in ["STORAGE_PATH", "NO_COLOR", "COLORTERM", "COLORFGBG", "GITHUB_ACTIONS"] {
            command.env_remove(variable);
        }
        command.env_remove("ENTROPY_VIZ_NOTIFY");
        command.env("NO_PROXY", "127.0.0.1");
        command.env("TERM", "xterm-256color");
        command.env("PS1", "prompt> ");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(nonzero(rows), nonzero(columns), 0)));
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

    pub fn watch(tmp: &Path, arguments: &[&str]) -> Pty {
        let arguments = [&["watch", "--interval", "50ms"], arguments].concat();
        Pty::start(tmp, PROGRAM, &arguments, (80, 24))
    }

    pub fn text(&self) -> String {
        collapse_spaces(&self.screen.lock().unwrap().screen().contents())
    }

    /// Waits until the screen satisfies the condition.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + TIMEOUT;
        while !holds(self.screen.lock().unwrap().screen()) {
            assert!(Instant::now() < end, "never {what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_for_text(&self, words: &str) {
        self.wait_until(words, |screen| collapse_spaces(&screen.contents()).contains(words));
    }

    /// What the program asked the terminal to report of the mouse.
    pub fn mouse(&self) -> vt100::MouseProtocolMode {
        self.screen.lock().unwrap().screen().mouse_protocol_mode()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn exit_code(&mut self) -> u32 {
        let end = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The terminal's termios flags.
    fn modes(&self) -> String {
        let modes = self.master.get_termios().unwrap();
        format!("{:?} {:?} {:?}", modes.input_flags, modes.output_flags, modes.local_flags)
    }

    /// Waits until the normal screen and cursor are back, and asserts the termios flags.
    fn assert_restored(&self, modes: &str) {
        self.wait_until("left", |screen| !screen.alternate_screen() && !screen.hide_cursor());
        assert_eq!(self.modes(), modes);
        assert_eq!(self.mouse(), vt100::MouseProtocolMode::None);
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill(); // an error means that it has ended
        let _ = self.child.wait();
    }
}

pub fn row(step: usize, entropy: f64) -> String {
    format!("{{\"step\": {step}, \"data\": {{\"actor/entropy\": {entropy:?}}}}}\n")
}

pub fn append(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Writes a run of `steps` steps with constant entropy.
pub fn log(tmp: &Path, run: &str, steps: usize, entropy: f64) -> std::path::PathBuf {
    let path = tmp.join(format!("runs/{run}/metrics.jsonl"));
    append(&path, &(1..=steps).map(|step| row(step, entropy)).collect::<String>());
    path
}

fn temp_dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn appended_points_and_new_runs_appear() {
    let tmp = temp_dir();
    let path = log(tmp.path(), "solver_v1", 40, 2.25);
    let mut pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("solver_v1 2.25 40");
    assert!(pty.text().contains("1 run · healthy"), "{}", pty.text());
    append(&path, &row(41, 1.75));
    pty.wait_for_text("solver_v1 1.75 41");
    append(&path, "{\"step\": 42, \"data\": {\"actor/entropy\": 1.5"); // an incomplete line
    append(&path, "}}\n");
    pty.wait_for_text("solver_v1 1.50 42");
    log(tmp.path(), "questioner", 30, 3.5);
    pty.wait_for_text("questioner 3.50 30");
    assert!(pty.text().contains("2 runs"), "{}", pty.text());
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
}

#[test]
fn other_quantities_grow_with_the_entropy() {
    let tmp = temp_dir();
    let path = tmp.path().join("runs/a/metrics.jsonl");
    let row = |step: usize, kl: f64| {
        format!(
            "{{\"step\": {step}, \"data\": {{\"actor/entropy\": 2.5, \"actor/kl_loss\": {kl:?}}}}}\n"
        )
    };
    append(&path, &(1..=20).map(|step| row(step, 0.1)).collect::<String>());
    let mut pty = Pty::watch(tmp.path(), &["runs", "--with", "kl,late/key"]);
    pty.wait_for_text("kl · actor/kl_loss");
    pty.wait_for_text("no shown run has it");
    let is_drawn = |screen: &vt100::Screen| screen.contents().contains(" 10 │");
    assert!(!is_drawn(pty.screen.lock().unwrap().screen()), "{}", pty.text());
    append(&path, &row(21, 8.0));
    pty.wait_until("the new value", is_drawn);
    append(&path, "{\"step\": 22, \"data\": {\"actor/entropy\": 2.5, \"late/key\": 3.0}}\n");
    pty.wait_until("the late key", |screen| !screen.contents().contains("no shown run has it"));
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
}

#[test]
fn truncated_or_replaced_log_is_read_again() {
    let tmp = temp_dir();
    let path = log(tmp.path(), "solver_v1", 40, 2.25);
    let pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("solver_v1 2.25 40");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    append(&path, &(1..=20).map(|step| row(step, 1.25)).collect::<String>());
    pty.wait_for_text("solver_v1 1.25 20");
    let other = tmp.path().join("other");
    append(&other, &(1..=99).map(|step| row(step, 0.75)).collect::<String>());
    fs::rename(&other, &path).unwrap();
    pty.wait_for_text("solver_v1 0.750 99");
}

#[test]
fn follows_a_history_that_is_rewritten_each_step() {
    let tmp = temp_dir();
    let path = tmp.path().join("models/q/entropy_history_q.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let history = |steps: usize| {
        let rows: Vec<String> =
            (1..=steps).map(|s| format!("{{\"step\": {s}, \"entropy\": 2.5}}")).collect();
        format!("[{}]", rows.join(", "))
    };
    let write = |steps| {
        let whole = tmp.path().join("whole");
        fs::write(&whole, history(steps)).unwrap();
        fs::rename(&whole, &path).unwrap();
    };
    write(12);
    let arguments = ["watch", "--interval", "50ms"];
    let storage = tmp.path().to_str().unwrap().to_owned();
    let shell = format!("STORAGE_PATH='{storage}' exec '{PROGRAM}' {}", arguments.join(" "));
    let pty = Pty::start(tmp.path(), "sh", &["-c", &shell], (80, 24));
    pty.wait_for_text("q 2.50 12");
    write(13);
    pty.wait_for_text("q 2.50 13");
}

#[test]
fn duplicate_logs_are_shown_once_while_one_lags_behind() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let table = tmp.path().join("runs/a/progress.csv");
    let rows: String = (1..=40).map(|step| format!("{step},2.25\n")).collect();
    append(&table, &format!("step,actor/entropy\n{rows}"));
    let pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("1 run · healthy");
    append(&table, "41,2.5\n42,2.5\n");
    append(&tmp.path().join("runs/a/metrics.jsonl"), &row(41, 2.5));
    pty.wait_for_text("a 2.50 42");
    std::thread::sleep(Duration::from_millis(200));
    assert!(pty.text().contains("1 run · healthy"), "{}", pty.text());
}

#[test]
fn exits_when_the_terminal_closes() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 15, 2.5);
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["watch", "runs"]);
    command.cwd(tmp.path());
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
    let end = Instant::now() + TIMEOUT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it goes on without a terminal");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn waits_for_the_first_run() {
    let tmp = temp_dir();
    fs::create_dir(tmp.path().join("runs")).unwrap();
    let pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("no run yet: looking for logs in runs");
    assert!(!pty.text().contains("cannot read"), "{}", pty.text());
    log(tmp.path(), "late", 15, 2.5);
    pty.wait_for_text("late 2.50 15");
}

#[test]
fn exit_on_waits_while_a_log_is_young() {
    let rows = |entropy: fn(usize) -> f64| {
        move |step: usize| format!("step:{step} - actor/entropy:{:?} - a/b:1\n", entropy(step))
    };
    let collapse = rows(|step| if step < 20 { 2.0 } else { 0.001 * step as f64 });
    let console: String = (1..=100).map(collapse).collect();
    let json: String = (1..=100)
        .map(|step| row(step, if step < 20 { 2.0 } else { 0.001 * step as f64 }))
        .collect();
    let starts = [
        ("absent.log", None, console.as_str()),
        ("empty.log", Some(""), &console),
        ("banner.log", Some("[2026-04-02 10:00:00] starting\n"), &console),
        ("configuration.log", Some("{\n  \"lr\": 1e-6,\n  \"steps\": 5\n}\n"), &console),
        ("escape.log", Some("\x1b[36mhello\x1b[0m\n"), &console),
        ("cut.jsonl", Some(&json[..12]), &json[12..]),
    ];
    for (name, start, more) in starts {
        let tmp = temp_dir();
        let path = tmp.path().join(name);
        if let Some(start) = start {
            fs::write(&path, start).unwrap();
        }
        let mut child = Command::new(PROGRAM)
            .args(["watch", name, "--interval", "50ms", "--exit-on", "collapse"])
            .current_dir(tmp.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "{name}: it does not wait");
        append(&path, more);
        let end = Instant::now() + TIMEOUT;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if Instant::now() > end => {
                    child.kill().unwrap();
                    panic!("{name}: it does not see the collapse");
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        assert_eq!(status, Some(1), "{name}");
    }
}

#[test]
fn keys_toggle_help_smoothing_scale_zoom_and_visibility() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    log(tmp.path(), "b", 40, 1.25);
    let mut pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("2 runs");
    pty.press("?");
    pty.wait_for_text("logarithmic or linear entropy");
    pty.press("q"); // closes the help
    pty.wait_until("without help", |screen| !screen.contents().contains("linear entropy"));
    pty.press("s");
    pty.wait_for_text("EMA 0.5");
    pty.press("l");
    pty.wait_for_text("EMA 0.5 · log");
    pty.press("+");
    pty.wait_for_text("zoomed · EMA 0.5 · log");
    pty.press("\x1b[B ");
    pty.wait_for_text("1 hidden");
    pty.wait_for_text("▸○");
    pty.press(" \x1b[Bo");
    pty.wait_until("b alone", |screen| {
        let contents = screen.contents();
        contents.contains("▸━━ b") && contents.contains(" ○  a")
    });
    pty.press("r");
    pty.wait_until("all again", |screen| !screen.contents().contains("hidden"));
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
}

#[test]
fn redraws_after_terminal_resize() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("q quit");
    let size = PtySize { rows: 12, cols: 50, pixel_width: 0, pixel_height: 0 };
    pty.screen.lock().unwrap().screen_mut().set_size(nonzero(12), nonzero(50));
    pty.master.resize(size).unwrap();
    pty.wait_until("of the new size", |screen| {
        screen.contents_between(11, 0, 11, 50).starts_with("q quit")
    });
}

#[test]
fn terminal_is_restored_on_every_exit() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let end_by = |end: &dyn Fn(&mut Pty), code: u32| {
        // The shell starts the program only after the state of the terminal was read, and keeps the terminal open
        // after the program ends, so that its state can be compared.
        let watch = command_with_pid_file("watch runs --interval 50ms");
        let script = format!("read x; {watch}; echo left with $?; read x");
        let mut pty = Pty::start(tmp.path(), "sh", &["-c", &script], (80, 24));
        let modes = pty.modes();
        pty.press("\n");
        pty.wait_until("taken over", |screen| screen.alternate_screen() && screen.hide_cursor());
        pty.wait_for_text("q quit");
        assert_ne!(pty.modes(), modes);
        end(&mut pty);
        pty.wait_for_text(&format!("left with {code}"));
        pty.assert_restored(&modes);
    };
    end_by(&|pty| pty.press("q"), 0);
    end_by(&|pty| pty.press("\x03"), 130);
    end_by(&|_| signal(tmp.path(), "-TERM"), 130);
    end_by(&|_| signal(tmp.path(), "-INT"), 130);
}

#[test]
fn suspends_and_resumes_under_job_control() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let shell = ["--norc", "--noprofile", "-i"];
    let mut pty = Pty::start(tmp.path(), "bash", &shell, (80, 24));
    pty.wait_for_text("prompt>");
    pty.press(&format!("{}\n", command_with_pid_file("watch runs --interval 50ms")));
    for keys in ["\x1a", "kill"] {
        pty.wait_for_text("q quit");
        match keys {
            "kill" => signal(tmp.path(), "-TSTP"),
            keys => pty.press(keys),
        }
        pty.wait_until("stopped", |screen| {
            !screen.alternate_screen() && screen.contents().contains("Stopped")
        });
        assert!(!pty.screen.lock().unwrap().screen().hide_cursor());
        assert_eq!(pty.mouse(), vt100::MouseProtocolMode::None);
        pty.press("clear; echo it is $((40 + 2))\n"); // echo and line editing work
        pty.wait_for_text("it is 42");
        pty.press("fg\n");
        pty.wait_until("back", |screen| screen.alternate_screen());
        pty.wait_until("with the mouse", |screen| {
            screen.mouse_protocol_mode() == vt100::MouseProtocolMode::PressRelease
        });
    }
    pty.wait_for_text("q quit");
    pty.press("q");
    pty.wait_until("left", |screen| !screen.alternate_screen() && !screen.hide_cursor());
}

#[test]
fn suspends_and_resumes_without_full_screen() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let shell = ["--norc", "--noprofile", "-i"];
    for arguments in ["watch runs --serve 0", "env TERM=dumb watch runs --bell"] {
        let mut pty = Pty::start(tmp.path(), "bash", &shell, (120, 24));
        pty.wait_for_text("prompt>");
        let (before, arguments) = arguments.split_once("watch").unwrap();
        pty.press(&format!("{before} {PROGRAM} watch {arguments}\n"));
        pty.wait_for_text("a: healthy");
        pty.press("\x1a");
        pty.wait_for_text("Stopped");
        pty.press("clear; fg\n");
        pty.wait_until("on", |screen| !screen.contents().contains("prompt>"));
        pty.press("\x03");
        pty.wait_for_text("prompt>");
        pty.press("echo left with $?\n");
        pty.wait_for_text("left with 130");
    }
}

#[test]
fn uses_the_colours_that_the_terminal_supports() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let colour_of_line = |settings: &str| {
        let script = format!("{settings} exec '{PROGRAM}' watch runs");
        let pty = Pty::start(tmp.path(), "sh", &["-c", &script], (80, 24));
        pty.wait_for_text("q quit");
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
fn run_name_cannot_inject_terminal_escapes() {
    let tmp = temp_dir();
    log(tmp.path(), "x\u{1b}[?1049l\u{1b}]0;owned\u{7}", 40, 2.25);
    let pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text(r"x\u{1b}[?1049l");
    assert!(pty.screen.lock().unwrap().screen().alternate_screen());
}

#[test]
fn once_prints_one_frame_to_a_pipe() {
    let tmp = temp_dir();
    let models = fixture("models").to_str().unwrap().to_owned();
    let arguments = ["watch", &models, "--stale", "never", "--width", "100", "--height", "30"];
    let output = run(tmp.path(), &arguments);
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
    assert_eq!(stdout(&run(tmp.path(), &again)), frame);
}

#[test]
fn plot_on_the_terminal_writes_no_picture() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let output = run(tmp.path(), &["plot", "runs", "--terminal"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(collapse_spaces(&stdout(&output)).contains("A a 2.25 40"), "{}", stdout(&output));
    assert_eq!(crate::common::files(tmp.path()), ["runs/a/metrics.jsonl"]);
    let both = run(tmp.path(), &["plot", "runs", "--terminal", "-o", "x.png"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn watch_without_readable_input_is_an_error() {
    let tmp = temp_dir();
    fs::create_dir(tmp.path().join("runs")).unwrap();
    let refused = |arguments: &[&str], words: &str| {
        let output = run(tmp.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    };
    refused(&["watch"], "no input is given, and $STORAGE_PATH is not set");
    refused(&["watch", "runs", "--once"], "holds no file that looks like a log");
    refused(&["watch", "nowhere.jsonl", "--once"], "there is no such file");
    refused(&["watch", "-"], "cannot follow stdin");
    append(&tmp.path().join("x.bin"), "no log\0\n"); // a text may be a young log
    refused(&["watch", "x.bin", "--bell"], "the format is not recognised");
    refused(&["watch", "runs", "--interval", "0s"], "--interval");
}

#[test]
fn exit_on_collapse_prints_a_line_and_exits_with_1() {
    let tmp = temp_dir();
    let path = log(tmp.path(), "solver", 60, 2.0);
    log(tmp.path(), "other", 60, 1.5);
    let mut child = Command::new(PROGRAM)
        .args(["watch", "runs", "--interval", "50ms", "--exit-on", "collapse"])
        .args(["--exec", "echo \"$ENTROPY_VIZ_RUN $ENTROPY_VIZ_STATE $ENTROPY_VIZ_STEP\" >> told"])
        .current_dir(tmp.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "other: healthy, 1.50 at step 60");
    assert_eq!(lines.next().unwrap().unwrap(), "solver: healthy, 2.00 at step 60");
    append(&path, &(61..=90).map(|step| row(step, 0.1)).collect::<String>());
    // The median of five is low from step 63 on, the fifth time at step 67.
    assert_eq!(
        lines.next().unwrap().unwrap(),
        "solver: healthy → collapsed at step 67, 0.100 at step 90"
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "solver: collapse: collapsed at step 67, its level is now 5 % of its start\n"
    );
    let told = fs::read_to_string(tmp.path().join("told")).unwrap();
    assert_eq!(told, "solver collapsed 67\n");
}

#[test]
fn once_with_exit_on_collapse_exits_with_1() {
    let tmp = temp_dir();
    let models = fixture("models").to_str().unwrap().to_owned();
    let output = run(tmp.path(), &["watch", &models, "--once", "--exit-on", "collapse"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let output = run(tmp.path(), &["watch", &models, "--once", "--exit-on", "explode"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn exec_does_not_interpret_the_run_name() {
    let tmp = temp_dir();
    let path = log(tmp.path(), "$(touch owned); \"x", 9, 2.0);
    let mut child = Command::new(PROGRAM)
        .args(["watch", "runs", "--interval", "50ms", "--exec", "echo \"$ENTROPY_VIZ_RUN\" > told"])
        .current_dir(tmp.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().ends_with("too short, 2.00 at step 9"));
    append(&path, &row(10, 2.0));
    assert!(lines.next().unwrap().unwrap().contains("too short → healthy"));
    let told = tmp.path().join("told");
    let end = Instant::now() + TIMEOUT;
    while fs::read_to_string(&told).unwrap_or_default().is_empty() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(fs::read_to_string(&told).unwrap(), "$(touch owned); \"x\n");
    assert!(!tmp.path().join("owned").exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn idle_run_becomes_stale() {
    let tmp = temp_dir();
    log(tmp.path(), "a", 40, 2.25);
    let mut child = Command::new(PROGRAM)
        .args(["watch", "runs", "--interval", "50ms", "--stale", "300ms", "--bell"])
        .current_dir(tmp.path())
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
fn broken_log_keeps_its_curve_and_shows_the_error() {
    let tmp = temp_dir();
    let path = log(tmp.path(), "a", 40, 2.25);
    log(tmp.path(), "b", 40, 1.25);
    let pty = Pty::watch(tmp.path(), &["runs"]);
    pty.wait_for_text("2 runs");
    append(&path, "{\"step\": null, \"actor/entropy\": 2.25}\n");
    pty.wait_for_text("row 41 (line 41, column");
    assert!(pty.text().contains("a 2.25 40"), "{}", pty.text());
    append(&tmp.path().join("runs/b/metrics.jsonl"), &row(41, 1.5));
    pty.wait_for_text("b 1.50 41");
}

#[test]
fn half_written_history_is_not_reported_as_collapse() {
    let tmp = temp_dir();
    let path = tmp.path().join("r.json");
    // A run that dipped once and recovered: cut in the dip, it would look collapsed.
    let history = |steps: usize| {
        let entropy = |step| if (20..60).contains(&step) { 0.1 } else { 2.0 };
        let row = |step| format!("{{\"step\": {step}, \"entropy\": {:?}}}", entropy(step));
        format!("[{}]", (1..=steps).map(row).collect::<Vec<_>>().join(", "))
    };
    fs::write(&path, &history(100)[..2000]).unwrap(); // truncated when `watch` starts
    let mut child = Command::new(PROGRAM)
        .args(["watch", "r.json", "--interval", "50ms", "--exit-on", "collapse"])
        .current_dir(tmp.path())
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
fn footer_shows_an_error_until_it_is_resolved() {
    let tmp = temp_dir();
    let path = log(tmp.path(), "a", 40, 2.25);
    let mut pty = Pty::watch(tmp.path(), &["runs/a/metrics.jsonl"]);
    pty.wait_for_text("q quit");
    fs::remove_file(&path).unwrap();
    pty.wait_for_text("cannot read runs/a/metrics.jsonl: no such file");
    pty.press("s");
    pty.wait_for_text("EMA 0.5");
    assert!(pty.text().contains("cannot read runs/a/metrics.jsonl"), "{}", pty.text());
    log(tmp.path(), "a", 60, 2.25);
    pty.wait_for_text("a 2.25 60");
    pty.wait_until("without the message", |screen| !screen.contents().contains("cannot read"));
    assert!(pty.text().contains("q quit"), "{}", pty.text());
}

#[test]
fn once_shows_every_format_that_grows() {
    let tmp = temp_dir();
    let expected = [("tensorboard", 1), ("wandb", 1), ("trainer_state", 1), ("csv", 1)];
    for (format, least) in expected {
        let directory = fixture(format).to_str().unwrap().to_owned();
        let mut command = program(tmp.path());
        let output = command.args(["watch", &directory, "--once"]).output().unwrap();
        let runs = stdout(&output).lines().next().unwrap_or_default().to_owned();
        let count: usize = runs.split(' ').next().unwrap().parse().unwrap_or(0);
        assert!(count >= least, "{format}: {runs} {}", stderr(&output));
    }
}
