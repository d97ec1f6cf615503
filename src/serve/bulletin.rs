//! The data that are shown now. Who publishes never waits for who reads, and a reader takes the newest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The newest data, on one line, with a number that grows.
#[derive(Debug, Default)]
pub struct Bulletin {
    state: Mutex<State>,
    changed: Condvar,
    readers: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    number: u64,
    data: Option<Arc<str>>,
    ended: bool,
}

/// What a reader learns.
pub(super) enum News {
    Newer {
        number: u64,
        data: Arc<str>,
    },
    /// Nothing, for as long as it waited.
    None,
    /// There will be no more.
    Ended,
}

/// One who waits for newer data.
pub(super) struct Reader<'a> {
    bulletin: &'a Bulletin,
}

impl Bulletin {
    /// Shows newer data: one line of text.
    pub fn publish(&self, data: String) {
        debug_assert!(!data.contains(['\n', '\r']), "a line break would end the event");
        let mut state = self.lock();
        state.number += 1;
        state.data = Some(data.into());
        self.changed.notify_all();
    }

    /// Says that there will be no more, and waits for a while until the readers have heard it.
    pub fn end(&self, patience: Duration) {
        self.lock().ended = true;
        self.changed.notify_all();
        let end = Instant::now() + patience;
        while self.has_readers() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether anybody waits for newer data.
    pub fn has_readers(&self) -> bool {
        self.readers.load(Ordering::SeqCst) > 0
    }

    /// The newest data.
    pub(super) fn now(&self) -> Option<Arc<str>> {
        self.lock().data.clone()
    }

    pub(super) fn subscribe(&self) -> Reader<'_> {
        self.readers.fetch_add(1, Ordering::SeqCst);
        Reader { bulletin: self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// Waits for data of another number than `seen`.
    pub(super) fn wait(&self, seen: u64, patience: Duration) -> News {
        let is_old = |state: &mut State| state.number == seen && !state.ended;
        let waited =
            self.bulletin.changed.wait_timeout_while(self.bulletin.lock(), patience, is_old);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &state.data {
            Some(data) if state.number != seen => {
                News::Newer { number: state.number, data: Arc::clone(data) }
            }
            _ if state.ended => News::Ended,
            _ => News::None,
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.bulletin.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_takes_the_newest_and_misses_what_was_between() {
        let bulletin = Bulletin::default();
        let reader = bulletin.subscribe();
        let soon = Duration::from_millis(1);
        assert!(matches!(reader.wait(0, soon), News::None));
        for i in 1..=3 {
            bulletin.publish(i.to_string());
        }
        let News::Newer { number, data } = reader.wait(0, soon) else { panic!() };
        assert_eq!((number, &*data), (3, "3"));
        assert!(matches!(reader.wait(3, soon), News::None));
        bulletin.end(Duration::ZERO);
        assert!(matches!(reader.wait(0, soon), News::Newer { .. }), "what came last is not lost");
        assert!(matches!(reader.wait(3, soon), News::Ended));
        assert!(bulletin.has_readers());
        drop(reader);
        assert!(!bulletin.has_readers());
    }
}
