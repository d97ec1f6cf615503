//! The alternate screen in raw mode, restored in every case.
//!
//! A panic, an error and a signal all lead to [`restore`], which can be called at any time and more than once.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
#[cfg(unix)]
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::Rect;

static IS_ENTERED: AtomicBool = AtomicBool::new(false);
static HAS_MOUSE: AtomicBool = AtomicBool::new(false);

/// Who gets clicks and the wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mouse {
    /// This program.
    Captured,
    /// The terminal, which selects text with them.
    Free,
}

/// The alternate screen in raw mode until this is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: Mouse,
}

impl Screen {
    /// Switches the terminal to the alternate screen and raw mode.
    pub(super) fn enter(mouse: Mouse) -> io::Result<Screen> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            // The message of a panic would disappear with the alternate screen.
            let default_hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                default_hook(info);
            }));
        });
        enter_screen(mouse)?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout()));
        match Terminal::new(backend) {
            Ok(terminal) => Ok(Screen { terminal, mouse }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws a frame with the current size of the terminal.
    pub(super) fn draw(&mut self, render: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        self.terminal.draw(|frame| render(frame.area(), frame.buffer_mut()))?;
        Ok(())
    }

    /// Rings the bell.
    pub(super) fn ring(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout();
        stdout.write_all(b"\x07")?;
        stdout.flush()
    }

    /// Restores the terminal, stops the process, and enters the screen again when it continues.
    #[cfg(unix)]
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        restore();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        self.resume()
    }

    /// Enters the screen again after other programs have used the terminal.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        disable_raw_mode()?; // the modes may have been changed meanwhile
        enter_screen(self.mouse)?;
        // Unlike `clear`, this does not query the cursor position, which some terminals never answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn enter_screen(mouse: Mouse) -> io::Result<()> {
    enable_raw_mode()?;
    IS_ENTERED.store(true, Ordering::SeqCst);
    let mut entered = execute!(io::stdout(), EnterAlternateScreen, Hide);
    if entered.is_ok() && mouse == Mouse::Captured {
        HAS_MOUSE.store(true, Ordering::SeqCst);
        entered = capture_mouse();
    }
    if entered.is_err() {
        restore();
    }
    entered
}

/// Restores the terminal. Errors are ignored: it may have been closed.
fn restore() {
    if HAS_MOUSE.swap(false, Ordering::SeqCst) {
        let _ = release_mouse();
    }
    if IS_ENTERED.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Asks for clicks and the wheel with coordinates in decimals (xterm's modes 1000 and 1006). What crossterm asks for
/// includes every movement of the mouse, which would wake this program all the time.
#[cfg(unix)]
fn capture_mouse() -> io::Result<()> {
    execute!(io::stdout(), Print("\x1b[?1000h\x1b[?1006h"))
}

#[cfg(unix)]
fn release_mouse() -> io::Result<()> {
    execute!(io::stdout(), Print("\x1b[?1006l\x1b[?1000l"))
}

#[cfg(not(unix))]
fn capture_mouse() -> io::Result<()> {
    execute!(io::stdout(), ratatui::crossterm::event::EnableMouseCapture)
}

#[cfg(not(unix))]
fn release_mouse() -> io::Result<()> {
    execute!(io::stdout(), ratatui::crossterm::event::DisableMouseCapture)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::Read;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::*;

    #[test]
    #[ignore = "panics on the screen; the test below runs it in a separate terminal"]
    fn child_that_panics() {
        let mut screen = Screen::enter(Mouse::Captured).unwrap();
        screen.draw(|area, buffer| buffer.set_style(area, ratatui::style::Style::new())).unwrap();
        panic!("something is wrong");
    }

    #[test]
    fn panic_restores_the_terminal_and_shows_its_message() {
        let sized = |n| std::num::NonZero::new(n).unwrap();
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let modes = |pair: &portable_pty::PtyPair| {
            let modes = pair.master.get_termios().unwrap();
            format!("{:?} {:?} {:?}", modes.input_flags, modes.output_flags, modes.local_flags)
        };
        let before = modes(&pair);
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        let name = "cli::watch::screen::tests::child_that_panics";
        command.args([name, "--exact", "--ignored", "--nocapture"]);
        command.env("RUST_BACKTRACE", "0"); // so that all of it fits
        let mut child = pair.slave.spawn_command(command).unwrap();
        child.wait().unwrap();
        assert_eq!(modes(&pair), before);
        let mut output = pair.master.try_clone_reader().unwrap();
        drop(pair.slave);
        let mut bytes = vec![0; 1 << 16];
        let mut screen = vt100::Parser::new(sized(24), sized(80), 0);
        while let Ok(n @ 1..) = output.read(&mut bytes) {
            screen.process(&bytes[..n]);
        }
        let screen = screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor());
        assert!(screen.contents().contains("something is wrong"), "{}", screen.contents());
    }
}
