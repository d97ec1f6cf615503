//! What a long computation says on stderr while it runs.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use entropy_shell::write_stderr;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C end the work after the batch in hand; a second one ends it at once.
pub(crate) fn listen() {
    // Without the handler Ctrl-C just kills the process, which loses no finished row either.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// A line that is written over: checkpoint i of n, tokens a second, time left.
pub(crate) struct Progress {
    shown: bool,
    doing: String,
    total: usize,
    state: RefCell<State>,
}

struct State {
    start: Instant,
    next: Instant,
    done: usize,
    written: bool,
}

impl Progress {
    /// `total` is the number of tokens, an upper bound where responses are sampled.
    pub(crate) fn new(quiet: bool, doing: String, total: usize) -> Progress {
        let now = Instant::now();
        let state =
            State { start: now, next: now + Duration::from_millis(500), done: 0, written: false };
        Progress {
            shown: !quiet && std::io::stderr().is_terminal(),
            doing,
            total,
            state: RefCell::new(state),
        }
    }

    /// So many tokens more; whether to go on.
    pub(crate) fn advance(&self, tokens: usize) -> bool {
        let mut state = self.state.borrow_mut();
        state.done += tokens;
        if self.shown && Instant::now() >= state.next {
            state.next = Instant::now() + Duration::from_millis(200);
            state.written = true;
            let rate = state.done as f64 / state.start.elapsed().as_secs_f64();
            let left = self.total.saturating_sub(state.done) as f64 / rate;
            let left = duration(left);
            write_stderr(&format!(
                "\r\x1b[K{}: {rate:.0} tokens/s, at most {left} left",
                self.doing
            ));
        }
        !interrupted()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.state.borrow().written {
            write_stderr("\r\x1b[K");
        }
    }
}

/// Seconds as a person says them.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
