//! `plot --terminal --graphics`: a pseudo-terminal plays terminals that show pictures, and others that do not.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use tempfile::{TempDir, tempdir};

use crate::common::{program, run, stderr, stdout};
use crate::watch::{PROGRAM, TIMEOUT, log};

/// The last question, which each terminal answers.
const LAST_QUESTION: &[u8] = b"\x1b[c";
const KITTY: &str = "\x1b_Gi=31;OK\x1b\\\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[6;20;10t\x1b[?62;c";
/// xterm as a VT340: cells are known by the size of the text area.
const SIXEL: &str =
    "\x1b]11;rgb:0000/0000/0000\x07\x1b[4;384;640t\x1b[?2;0;1000;1000S\x1b[?63;1;2;4;6;22c";

/// A terminal of 80 columns and 24 rows that answers the questions once.
struct FakeTerminal<'a> {
    answer: &'a [u8],
    typed_ahead: &'a [u8],
    /// What is done at the questions, with the process id of the program.
    at_question: Option<fn(u32)>,
    variables: &'a [(&'a str, &'a str)],
    pixels: (u16, u16),
}

/// What a program left behind.
struct Shown {
    output: Vec<u8>,
    modes_restored: bool,
    /// Whether a signal ended it.
    is_killed: bool,
    took: Duration,
}

impl Shown {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The output without the questions.
    fn picture(&self) -> String {
        let text = self.text();
        let at = text.find("\x1b[c").map_or(0, |at| at + 3);
        text[at..].to_owned()
    }

    fn asked(&self) -> bool {
        self.output.windows(3).any(|window| window == LAST_QUESTION)
    }

    fn is_text(&self) -> bool {
        let has_dots = |text: &str| text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
        has_dots(&self.text())
            && !self.picture().contains("\x1b_G")
            && !self.picture().contains("\x1bP")
    }
}

impl Default for FakeTerminal<'_> {
    fn default() -> Self {
        FakeTerminal {
            answer: b"",
            typed_ahead: b"",
            at_question: None,
            variables: &[],
            pixels: (0, 0),
        }
    }
}

impl FakeTerminal<'_> {
    fn answering(answer: &str) -> FakeTerminal<'_> {
        FakeTerminal { answer: answer.as_bytes(), ..FakeTerminal::default() }
    }

    /// Runs `program` with `arguments` in this terminal until it ends.
    fn run(&self, tmp: &Path, program: &str, arguments: &[&str]) -> Shown {
        let (pixel_width, pixel_height) = self.pixels;
        let size = PtySize { rows: 24, cols: 80, pixel_width, pixel_height };
        let pair = native_pty_system().openpty(size).unwrap();
        let modes = || {
            let modes = pair.master.get_termios().unwrap();
            (modes.input_flags, modes.local_flags, modes.control_chars)
        };
        let before = modes();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(tmp);
        for name in
            ["NO_COLOR", "COLORTERM", "COLORFGBG", "TMUX", "STY", "SSH_CONNECTION", "SSH_TTY"]
        {
            command.env_remove(name);
        }
        for name in ["TERM_PROGRAM", "STORAGE_PATH", "GITHUB_ACTIONS"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        self.variables.iter().for_each(|(name, value)| command.env(name, value));
        let mut keys = pair.master.take_writer().unwrap();
        keys.write_all(self.typed_ahead).unwrap();
        let start = Instant::now();
        let mut child = pair.slave.spawn_command(command).unwrap();
        let pid = child.process_id().unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let (shared, answer, at_question) =
            (Arc::clone(&output), self.answer.to_vec(), self.at_question);
        let reading = std::thread::spawn(move || {
            let (mut bytes, mut is_answered) = ([0; 1 << 16], false);
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let mut output = shared.lock().unwrap();
                output.extend(&bytes[..count]);
                let is_asked = output.windows(3).any(|window| window == LAST_QUESTION);
                if is_asked && !is_answered {
                    is_answered = true;
                    keys.write_all(&answer).unwrap();
                    at_question.iter().for_each(|act| act(pid));
                }
            }
        });
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < TIMEOUT, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = start.elapsed();
        let modes_restored = modes() == before;
        drop(pair.slave);
        reading.join().unwrap();
        let output = std::mem::take(&mut *output.lock().unwrap());
        Shown { output, modes_restored, is_killed: status.signal().is_some(), took }
    }

    /// Runs `plot runs --terminal` with more arguments.
    fn plot(&self, tmp: &Path, arguments: &[&str]) -> Shown {
        self.run(tmp, PROGRAM, &[&["plot", "runs", "--terminal"], arguments].concat())
    }

    /// Runs it in a shell that prints what is left in the input, between `<` and `>`.
    fn plot_and_read_input(&self, tmp: &Path, arguments: &str) -> String {
        let script = format!(
            "sleep 0.2; {PROGRAM} plot runs --terminal {arguments}; stty -icanon -echo min 0 time 3; \
             printf 'left<'; dd bs=4096 count=1 2>/dev/null | od -An -c; printf '>'"
        );
        let text = self.run(tmp, "sh", &["-c", &script]).text();
        let left = text.rsplit_once("left<").unwrap().1;
        left.trim_end_matches('>').split_whitespace().collect()
    }
}

fn runs() -> TempDir {
    let tmp = tempdir().unwrap();
    log(tmp.path(), "solver", 40, 2.25);
    log(tmp.path(), "questioner", 40, 3.25);
    tmp
}

/// The control keys and the PNG of a picture of the kitty protocol.
fn kitty_picture(text: &str) -> (String, Vec<u8>) {
    let start = text.find("\x1b_G").expect("a picture");
    let end = text.rfind("\x1b\\").unwrap();
    let (mut keys, mut base64) = (Vec::new(), String::new());
    for piece in text[start..end].split("\x1b\\") {
        let piece = piece.strip_prefix("\x1b_G").unwrap();
        let (control, data) = piece.split_once(';').unwrap();
        assert!(data.len() <= 4096 && data.len().is_multiple_of(4), "{}", data.len());
        keys.push(control.to_owned());
        base64.push_str(data);
    }
    let (last, earlier) = keys.split_last().unwrap();
    assert!(last.ends_with("m=0"), "{last}");
    assert!(earlier.iter().all(|control| control.ends_with("m=1")));
    assert!(keys[1..].iter().all(|control| control.starts_with("m=")));
    (keys[0].clone(), STANDARD.decode(base64).unwrap())
}

/// Width, height and colour of the first pixel of an RGB PNG whose rows are complete.
fn png(bytes: &[u8]) -> (u32, u32, [u8; 3]) {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (width, height) = (number(16), number(20));
    let (mut at, mut packed) = (8, Vec::new());
    while at < bytes.len() {
        let length = number(at) as usize;
        if &bytes[at + 4..at + 8] == b"IDAT" {
            packed.extend(&bytes[at + 8..at + 8 + length]);
        }
        at += 12 + length;
    }
    let mut rows = Vec::new();
    flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut rows).unwrap();
    assert_eq!(rows.len() as u32, height * (1 + 3 * width));
    (width, height, rows[1..4].try_into().unwrap())
}

#[test]
fn kitty_gets_a_png_over_the_width_of_the_terminal() {
    let tmp = runs();
    let shown = FakeTerminal::answering(KITTY).plot(tmp.path(), &[]);
    assert!(shown.asked() && shown.modes_restored);
    let (keys, picture) = kitty_picture(&shown.picture());
    assert_eq!(keys.split(",m=").next(), Some("a=T,f=100,q=2,c=80,r=20"));
    // 80 cells of 10 px; 24 lines less four, of 20 px; white, as the terminal is.
    assert_eq!(png(&picture), (800, 400, [255; 3]));
    assert!(shown.text().ends_with("\x1b\\\r\n"), "the prompt is below the picture");
    let dark = FakeTerminal::answering(KITTY).plot(tmp.path(), &["--theme", "dark"]);
    assert_eq!(png(&kitty_picture(&dark.picture()).1), (800, 400, [0x12, 0x15, 0x1a]));
}

#[test]
fn sixel_terminal_gets_sixels_of_its_size() {
    let tmp = runs();
    let shown = FakeTerminal::answering(SIXEL).plot(tmp.path(), &[]);
    assert!(shown.asked() && shown.modes_restored);
    let picture = shown.picture();
    // 640 x 384 pixels are 80 x 24 cells of 8 x 16.
    assert!(picture.starts_with("\x1bP0;1q\"1;1;640;320#0;2;"), "{:?}", &picture[..60]);
    assert!(picture.ends_with("\x1b\\\r\n"));
    let body = picture.split_once('q').unwrap().1.trim_end().strip_suffix("\x1b\\").unwrap();
    assert_eq!(body.matches('-').count(), 320 / 6, "bands");
    assert!(body.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
    let limited = SIXEL.replace("2;0;1000;1000", "2;0;400;300");
    let shown = FakeTerminal::answering(&limited).plot(tmp.path(), &[]);
    assert!(shown.picture().starts_with("\x1bP0;1q\"1;1;400;"), "the largest that it shows");
}

#[test]
fn silent_and_confused_terminals_get_text_in_time() {
    let tmp = runs();
    for answer in
        ["", "\x1b[?62;22c", "garbage\x1b[\x1b_Gi=31\x1b]11", "\x1b_Gi=31;EINVAL\x1b\\\x1b[?1;2c"]
    {
        let shown = FakeTerminal::answering(answer).plot(tmp.path(), &[]);
        assert!(shown.asked() && shown.is_text() && shown.modes_restored, "{answer:?}");
        assert!(shown.took < Duration::from_secs(5), "{answer:?} took {:?}", shown.took);
    }
    let flood = "x".repeat(3000);
    assert!(FakeTerminal::answering(&flood).plot(tmp.path(), &[]).is_text());
}

#[test]
fn no_byte_of_an_answer_is_left_in_the_input() {
    let tmp = runs();
    for answer in [KITTY, SIXEL, "garbage\x1b[", "\x1b_Gi=31;OK\x1b\\"] {
        let left = FakeTerminal::answering(answer).plot_and_read_input(tmp.path(), "");
        assert_eq!(left, "", "{answer:?}");
    }
}

#[test]
fn keys_typed_before_the_question_are_left_to_the_shell() {
    let tmp = runs();
    let terminal = FakeTerminal { typed_ahead: b"next\n", ..FakeTerminal::answering(KITTY) };
    assert_eq!(terminal.plot_and_read_input(tmp.path(), ""), "next\\n");
}

#[test]
fn terminals_that_cannot_show_pictures_are_not_asked() {
    let tmp = runs();
    let variables = [
        ("NO_COLOR", "1"),
        ("TERM", "dumb"),
        ("TERM", "linux"),
        ("TMUX", "/tmp/tmux-0/default,1,0"),
        ("STY", "1.pts-0.host"),
        ("TERM", "screen-256color"),
        ("TERM_PROGRAM", "Apple_Terminal"),
    ];
    for variable in variables {
        let terminal = FakeTerminal { variables: &[variable], ..FakeTerminal::answering(KITTY) };
        let shown = terminal.plot(tmp.path(), &[]);
        assert!(!shown.asked() && shown.is_text(), "{variable:?}");
    }
    let braille = FakeTerminal::answering(KITTY).plot(tmp.path(), &["--graphics", "braille"]);
    assert!(!braille.asked() && braille.is_text());
    for script in ["plot runs --terminal | cat", "plot runs --terminal < /dev/null"] {
        let script = format!("{PROGRAM} {script}");
        let shown = FakeTerminal::answering(KITTY).run(tmp.path(), "sh", &["-c", &script]);
        assert!(!shown.asked() && shown.is_text(), "{script}");
    }
}

#[test]
fn named_protocol_is_drawn_without_a_terminal_too() {
    let tmp = runs();
    let plot = |how: &str| run(tmp.path(), &["plot", "runs", "--terminal", "--graphics", how]);
    let (keys, picture) = kitty_picture(&stdout(&plot("kitty")));
    assert!(keys.contains("c=80,r=20"), "{keys}");
    assert_eq!(png(&picture), (800, 400, [0x12, 0x15, 0x1a]));
    assert!(stdout(&plot("sixel")).starts_with("\x1bP0;1q\"1;1;800;400#0"));
    // With the pixels that the kernel knows.
    let terminal =
        FakeTerminal { variables: &[("TMUX", "x")], pixels: (720, 432), ..FakeTerminal::default() };
    let shown = terminal.plot(tmp.path(), &["--graphics", "sixel"]);
    assert!(shown.picture().contains("\"1;1;720;360#0"));
}

#[test]
fn interrupted_question_restores_the_terminal() {
    let tmp = runs();
    let ctrl_c = FakeTerminal::answering("\x03").plot(tmp.path(), &[]);
    assert!(ctrl_c.is_killed && ctrl_c.modes_restored && !ctrl_c.is_text());
    let terminate = |pid: u32| {
        assert!(Command::new("kill").arg(pid.to_string()).status().unwrap().success());
    };
    let terminal = FakeTerminal { at_question: Some(terminate), ..FakeTerminal::default() };
    let killed = terminal.plot(tmp.path(), &[]);
    assert!(killed.is_killed && killed.modes_restored);
}

#[test]
fn picture_has_what_the_file_has_and_text_says_what_it_lacks() {
    let tmp = runs();
    let arguments = ["--highlight", "solver", "--title", "Two runs", "--legend", "inside"];
    let shown = FakeTerminal::answering(KITTY).plot(tmp.path(), &arguments);
    assert_eq!(png(&kitty_picture(&shown.picture()).1).0, 800);
    let text = run(tmp.path(), &[&["plot", "runs", "--terminal"], &arguments[..]].concat());
    assert!(
        stderr(&text).contains("cannot draw text with --legend, --highlight"),
        "{}",
        stderr(&text)
    );
    assert_eq!(text.status.code(), Some(2));
    let titled = run(tmp.path(), &["plot", "runs", "--terminal", "--title", "T", "--group", "q|s"]);
    assert!(
        stderr(&titled).contains("drawn as text, without --title, --group"),
        "{}",
        stderr(&titled)
    );
    assert_eq!(titled.status.code(), Some(0));
    let preview = FakeTerminal::answering(KITTY).plot(tmp.path(), &["--paper"]);
    // 3.25 x 2.2 in at the largest size that fits 800 x 400 pixels.
    let (width, height, _) = png(&kitty_picture(&preview.picture()).1);
    assert_eq!((width, height), (591, 400));
    for flag in [&["--graphics", "sixel"][..], &["--terminal", "--graphics", "vt100"]] {
        let output = program(tmp.path()).args(["plot", "runs"]).args(flag).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag:?}");
    }
}
