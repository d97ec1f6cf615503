//! The signals that end, stop and continue the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;

use entropy_shell::CliError;

/// Where the runs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Display {
    /// On the alternate screen.
    Screen,
    /// As lines of text, or in a browser.
    Lines,
}

/// The signals received since the last query.
#[derive(Default)]
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    suspend: Arc<AtomicBool>,
    resumed: Arc<AtomicBool>,
}

impl Signals {
    /// Registers the signal handlers. SIGTSTP is handled only with a screen, which must be restored before the process
    /// stops; otherwise the default action stops it.
    pub(super) fn listen(display: Display) -> Result<Signals, CliError> {
        use signal_hook::consts;
        let signals = Signals::default();
        let mut handled = vec![(consts::SIGINT, &signals.stop), (consts::SIGTERM, &signals.stop)];
        #[cfg(unix)]
        handled.extend([(consts::SIGHUP, &signals.stop), (consts::SIGCONT, &signals.resumed)]);
        #[cfg(unix)]
        if display == Display::Screen {
            handled.push((consts::SIGTSTP, &signals.suspend));
        }
        for (signal, flag) in handled {
            signal_hook::flag::register(signal, Arc::clone(flag))
                .map_err(|e| anyhow!("cannot handle signals: {e}"))?;
        }
        Ok(signals)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(super) fn take_stop(&self) -> bool {
        self.stop.swap(false, Ordering::SeqCst)
    }

    pub(super) fn take_suspend(&self) -> bool {
        self.suspend.swap(false, Ordering::SeqCst)
    }

    pub(super) fn take_continue(&self) -> bool {
        self.resumed.swap(false, Ordering::SeqCst)
    }
}
