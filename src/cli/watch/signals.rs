//! The signals that end, stop and continue a program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;

use entropy_shell::Failure;

/// Where the runs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Display {
    /// On a terminal that is taken over.
    Screen,
    /// In lines, or in a browser.
    Lines,
}

/// The signals that a watching program listens to.
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    suspend: Arc<AtomicBool>,
    resumed: Arc<AtomicBool>,
}

impl Signals {
    /// Listens; with a screen also for being stopped, since it is given back first. Without one, to stop is
    /// the system's own affair.
    pub(super) fn listen(display: Display) -> Result<Signals, Failure> {
        use signal_hook::consts as signals;
        let flag = || Arc::new(AtomicBool::new(false));
        let listening = Signals { stop: flag(), suspend: flag(), resumed: flag() };
        let mut wanted =
            vec![(signals::SIGINT, &listening.stop), (signals::SIGTERM, &listening.stop)];
        #[cfg(unix)]
        wanted.extend([(signals::SIGHUP, &listening.stop), (signals::SIGCONT, &listening.resumed)]);
        #[cfg(unix)]
        if display == Display::Screen {
            wanted.push((signals::SIGTSTP, &listening.suspend));
        }
        for (signal, flag) in wanted {
            signal_hook::flag::register(signal, Arc::clone(flag))
                .map_err(|e| anyhow!("cannot listen to signals: {e}"))?;
        }
        Ok(listening)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(super) fn take_suspend(&self) -> bool {
        self.suspend.swap(false, Ordering::SeqCst)
    }

    pub(super) fn take_continue(&self) -> bool {
        self.resumed.swap(false, Ordering::SeqCst)
    }
}
