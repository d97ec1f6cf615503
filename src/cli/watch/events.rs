//! What is typed, and new sizes of the terminal.
//!
//! They are read on a thread of their own: of a terminal that has gone away crossterm reads the end over and over
//! and never comes back, so whoever waits for it learns of no signal.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};

/// So many are kept while a frame is drawn; the rest waits in the terminal.
const KEPT: usize = 64;

/// The events of the terminal, as they come.
pub(super) struct Events(Receiver<io::Result<Event>>);

impl Events {
    /// Listens until the program ends.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn listen() -> io::Result<Events> {
        let (sender, receiver) = sync_channel(KEPT);
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

    /// The next event, if there is one before so much time has passed.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(super) fn next(&self, wait: Duration) -> io::Result<Option<Event>> {
        match self.0.recv_timeout(wait) {
            Ok(event) => event.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
