//! Keys and size changes of the terminal.
//!
//! They are read on a separate thread: when the terminal is closed, crossterm reads its end over and over and never
//! returns, so a caller would not notice a signal.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};

/// The number of buffered events; more stay in the buffer of the terminal.
const BUFFERED: usize = 64;

/// The events of the terminal.
pub(super) struct Events(Receiver<io::Result<Event>>);

impl Events {
    /// Reads events until the process ends.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn listen() -> io::Result<Events> {
        let (sender, receiver) = sync_channel(BUFFERED);
        std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            loop {
                let event = event::read();
                let is_last = event.is_err();
                if sender.send(event).is_err() || is_last {
                    return;
                }
            }
        })?;
        Ok(Events(receiver))
    }

    /// Waits for the next event; `None` after the timeout.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(super) fn next(&self, timeout: Duration) -> io::Result<Option<Event>> {
        match self.0.recv_timeout(timeout) {
            Ok(event) => event.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
