//! Progress of long work on stderr: one line that is overwritten on a terminal, else a line every 30 seconds.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use entropy_history::label::visible;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::stderr::write_stderr;

/// Work that takes less time than this shows no progress.
const DELAY: Duration = Duration::from_millis(500);
/// Time between two lines of a log file. A job that is silent for minutes looks dead.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// A counter with a message on stderr. On a terminal it appears after half a second, and is erased when dropped;
/// elsewhere it is written as a line every 30 seconds. It may be advanced from several threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    is_drawn: bool,
    log: Option<LogLines>,
}

impl Progress {
    /// A counter `MESSAGE 3/10`.
    pub(crate) fn new(message: String, total: usize, quiet: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        bar.set_style(style("{msg} {pos}/{len}"));
        bar.set_message(message.clone());
        let is_terminal = io::stderr().is_terminal();
        let counter = bar.clone();
        let line = move |_| format!("{message} {}/{total}", counter.position());
        let log = (!quiet && !is_terminal).then(|| LogLines::start(LOG_INTERVAL, line, log_line));
        Progress { bar, is_drawn: !quiet && is_terminal, log }
    }

    /// Shows the rate and the remaining time instead: `MESSAGE: 5061 tokens/s, at most 12s left`. `total`
    /// is then an upper bound.
    pub fn with_rate(mut self, unit: &str) -> Progress {
        let template = format!("{{msg}}: {{rate}} {unit}/s, at most {{eta}} left");
        let rate = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            // Writing to a string cannot fail.
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        self.bar.set_style(style(&template).with_key("rate", rate));
        if self.log.is_some() {
            let (counter, message, unit) = (self.bar.clone(), self.bar.message(), unit.to_owned());
            let total = self.bar.length().unwrap_or(0);
            let line =
                move |elapsed| rate_line(&message, counter.position(), total, &unit, elapsed);
            self.log = Some(LogLines::start(LOG_INTERVAL, line, log_line));
        }
        self
    }

    /// Adds `n` to the count.
    pub fn advance(&self, n: usize) {
        if self.is_drawn && self.bar.is_hidden() && self.bar.elapsed() >= DELAY {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.bar.inc(n as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("BUG: the template is well formed")
}

/// `MESSAGE: 1200 of at most 5000 tokens, 40 tokens/s, at most 2 minutes left`
fn rate_line(message: &str, done: u64, total: u64, unit: &str, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64();
    let left = Duration::try_from_secs_f64(total.saturating_sub(done) as f64 / rate);
    let left = left.map_or(String::new(), |left| format!(", at most {} left", HumanDuration(left)));
    format!("{message}: {done} of at most {total} {unit}, {rate:.0} {unit}/s{left}")
}

/// Work without a count: on a terminal nothing is shown, elsewhere a line every 30 seconds until it is dropped.
#[derive(Debug)]
pub struct Waiting {
    _log: Option<LogLines>,
}

impl Waiting {
    pub(crate) fn new(message: String, quiet: bool) -> Waiting {
        let line = move |elapsed| format!("{message}, {} so far", HumanDuration(elapsed));
        let is_logged = !quiet && !io::stderr().is_terminal();
        Waiting { _log: is_logged.then(|| LogLines::start(LOG_INTERVAL, line, log_line)) }
    }
}

fn log_line(line: &str) {
    write_stderr(&format!("{}\n", visible(line)));
}

/// A thread that writes a line at a fixed interval, however long a single part of the work takes.
#[derive(Debug)]
struct LogLines {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LogLines {
    /// `line` gets the time since the start.
    fn start(
        interval: Duration,
        line: impl Fn(Duration) -> String + Send + 'static,
        write: impl Fn(&str) + Send + 'static,
    ) -> LogLines {
        let (stop, stopped) = mpsc::channel();
        let start = Instant::now();
        let run = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                write(&line(start.elapsed()));
            }
        };
        // Without a thread there are no lines; the work goes on.
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(run).ok();
        LogLines { stop: Some(stop), thread }
    }
}

impl Drop for LogLines {
    fn drop(&mut self) {
        drop(self.stop.take()); // ends the thread
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // an error is a panic of the thread, which has been reported
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_has_lines_while_nothing_advances() {
        let (sender, lines) = mpsc::channel();
        let write = move |line: &str| sender.send(line.to_owned()).unwrap();
        let line = |elapsed: Duration| format!("after {}", elapsed >= Duration::from_millis(5));
        let log = LogLines::start(Duration::from_millis(5), line, write);
        for _ in 0..3 {
            assert_eq!(lines.recv_timeout(Duration::from_secs(10)).unwrap(), "after true");
        }
        drop(log);
        while lines.try_recv().is_ok() {}
        // The thread has ended, and with it the sender.
        assert_eq!(lines.recv(), Err(mpsc::RecvError));
    }

    #[test]
    fn rate_line_has_count_rate_and_remaining_time() {
        let line = |done| rate_line("step 40", done, 5000, "tokens", Duration::from_secs(30));
        let expected = "step 40: 1200 of at most 5000 tokens, 40 tokens/s, at most 2 minutes left";
        assert_eq!(line(1200), expected);
        assert_eq!(line(0), "step 40: 0 of at most 5000 tokens, 0 tokens/s");
    }
}
