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
    is_old: bool,
    is_asked: bool,
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
        (state.is_old, state.is_asked) = (false, false);
        self.changed.notify_all();
    }

    /// Says that newer data could be published: whoever asks for them once then waits for these.
    pub fn outdate(&self) {
        self.lock().is_old = true;
    }

    /// Whether somebody waits to see the data once.
    pub fn is_asked(&self) -> bool {
        self.lock().is_asked
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

    /// The newest data; if newer ones could be published, those, should they come before long.
    pub(super) fn newest(&self, patience: Duration) -> Option<Arc<str>> {
        let mut state = self.lock();
        state.is_asked |= state.is_old;
        let is_old = |state: &mut State| state.is_old && !state.ended;
        let waited = self.changed.wait_timeout_while(state, patience, is_old);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.data.clone()
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

    #[test]
    fn who_asks_once_gets_what_is_published_for_it_or_the_old_when_that_takes_long() {
        let bulletin = Bulletin::default();
        bulletin.publish("1".to_owned());
        assert_eq!(bulletin.newest(Duration::ZERO).as_deref(), Some("1"));
        bulletin.outdate();
        assert!(!bulletin.is_asked());
        assert_eq!(bulletin.newest(Duration::ZERO).as_deref(), Some("1"));
        assert!(bulletin.is_asked());
        std::thread::scope(|scope| {
            let asks = scope.spawn(|| bulletin.newest(Duration::from_secs(60)));
            bulletin.publish("2".to_owned());
            assert_eq!(asks.join().unwrap().as_deref(), Some("2"));
        });
        assert!(!bulletin.is_asked());
    }
}
