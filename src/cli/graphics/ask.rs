//! Asks the terminal what it can show, in raw mode for a moment.

use super::answers::Answers;

#[cfg(unix)]
pub(super) use unix::ask;

/// Terminals are asked on Unix only.
#[cfg(not(unix))]
pub(super) fn ask() -> Result<Answers, &'static str> {
    Err("terminals are only asked on Unix")
}

#[cfg(unix)]
mod unix {
    use std::io::{self, Write};
    use std::time::{Duration, Instant};

    use rustix::io::{Errno, ioctl_fionread, read};
    use rustix::process::getpgrp;
    use rustix::stdio::stdin;
    use rustix::termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
    };

    use super::super::answers::QUESTIONS;
    use super::Answers;
    use entropy_shell::output::SignalDelay;

    /// How long the terminal may take. Nearly all answer at once, over SSH after one round trip.
    const TIMEOUT: Duration = Duration::from_millis(600);
    const TIMEOUT_SSH: Duration = Duration::from_millis(2000);
    /// Most bytes of all answers; what sends more is not answering.
    const MAX_BYTES: usize = 4096;
    /// What Ctrl-C sends in raw mode.
    const INTERRUPT: u8 = 0x03;

    /// Asks the terminal on stdin and stdout; without an answer in time, all answers are no.
    ///
    /// # Errors
    /// When the terminal is not asked; the text says why.
    pub(in super::super) fn ask() -> Result<Answers, &'static str> {
        // The kernel stops a background process that changes the modes of its terminal.
        if tcgetpgrp(stdin()).ok() != Some(getpgrp()) {
            return Err("a process in the background cannot ask the terminal");
        }
        // A process that a signal ends here would leave the terminal in raw mode.
        let delay = SignalDelay::start();
        let mut raw =
            RawMode::enter().map_err(|_| "the modes of the terminal cannot be changed")?;
        if ioctl_fionread(stdin()).is_ok_and(|waiting| waiting > 0) {
            raw.at_end = OptionalActions::Now;
            return Err("keys typed ahead are left to the shell, so the terminal was not asked");
        }
        let input = exchange();
        let answers = Answers::read(&input);
        if answers.is_complete {
            raw.at_end = OptionalActions::Now;
        }
        drop(raw);
        drop(delay);
        if input.contains(&INTERRUPT) && !answers.is_complete {
            let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
        }
        Ok(answers)
    }

    /// Sends the questions, and returns what comes back until the last answer or the end of the time.
    fn exchange() -> Vec<u8> {
        let mut input = Vec::new();
        let mut stdout = io::stdout();
        if stdout.write_all(QUESTIONS.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            return input;
        }
        let is_remote = ["SSH_CONNECTION", "SSH_TTY"].iter().any(|v| std::env::var_os(v).is_some());
        let end = Instant::now() + if is_remote { TIMEOUT_SSH } else { TIMEOUT };
        let mut bytes = [0; 256];
        while Instant::now() < end && input.len() < MAX_BYTES {
            match read(stdin(), &mut bytes) {
                Ok(count) => input.extend(&bytes[..count]),
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
            if input.contains(&INTERRUPT) || Answers::read(&input).is_complete {
                break;
            }
        }
        input
    }

    /// Raw mode until this is dropped: no echo, no waiting for a line, no signals from keys.
    struct RawMode {
        before: Termios,
        /// [`OptionalActions::Flush`] discards input that was not read, such as late answers; `Now` keeps it.
        at_end: OptionalActions,
    }

    impl RawMode {
        fn enter() -> rustix::io::Result<RawMode> {
            let before = tcgetattr(stdin())?;
            let mut raw = before.clone();
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ECHONL;
            raw.local_modes -= LocalModes::ISIG | LocalModes::IEXTEN;
            // A read returns after a tenth of a second, also without input.
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 1;
            tcsetattr(stdin(), OptionalActions::Now, &raw)?;
            Ok(RawMode { before, at_end: OptionalActions::Flush })
        }
    }

    impl Drop for RawMode {
        fn drop(&mut self) {
            let _ = tcsetattr(stdin(), self.at_end, &self.before); // the terminal may have been closed
        }
    }
}
