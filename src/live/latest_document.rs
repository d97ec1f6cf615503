//! The newest version of the document that clients see. Publishing never blocks on a client, and a slow client
//! skips the versions in between.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The newest document, as one line of text, with a version number that increases.
#[derive(Debug, Default)]
pub struct LatestDocument {
    state: Mutex<DocumentState>,
    changed: Condvar,
    subscribers: AtomicUsize,
}

#[derive(Debug, Default)]
struct DocumentState {
    version: u64,
    text: Option<Arc<str>>,
    is_outdated: bool,
    is_requested: bool,
    is_closed: bool,
}

/// The result of [`Subscription::wait`].
pub(super) enum Update {
    Newer {
        version: u64,
        text: Arc<str>,
    },
    /// The wait timed out without a newer version.
    Timeout,
    /// No version will follow.
    Closed,
}

/// A client that waits for newer versions; counted until it is dropped.
pub(super) struct Subscription<'a> {
    document: &'a LatestDocument,
}

impl LatestDocument {
    /// Publishes a new version: one line of text.
    pub fn publish(&self, text: String) {
        debug_assert!(!text.contains(['\n', '\r']), "a line break would end the event");
        let mut state = self.lock();
        state.version += 1;
        state.text = Some(text.into());
        (state.is_outdated, state.is_requested) = (false, false);
        self.changed.notify_all();
    }

    /// Records that a newer version could be published: the next [`LatestDocument::newest`] requests it.
    pub fn mark_outdated(&self) {
        self.lock().is_outdated = true;
    }

    /// Whether a request waits for a newer version.
    pub fn is_requested(&self) -> bool {
        self.lock().is_requested
    }

    /// Tells the subscribers that no version will follow, and waits up to `timeout` until all are gone.
    pub fn close(&self, timeout: Duration) {
        self.lock().is_closed = true;
        self.changed.notify_all();
        let end = Instant::now() + timeout;
        while self.has_subscribers() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether any client waits for newer versions.
    pub fn has_subscribers(&self) -> bool {
        self.subscribers.load(Ordering::SeqCst) > 0
    }

    /// The newest version; `None` before the first is published. If it is outdated, waits up to `timeout` for the next.
    pub(super) fn newest(&self, timeout: Duration) -> Option<Arc<str>> {
        let mut state = self.lock();
        state.is_requested |= state.is_outdated;
        let must_wait = |state: &mut DocumentState| state.is_outdated && !state.is_closed;
        let waited = self.changed.wait_timeout_while(state, timeout, must_wait);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.text.clone()
    }

    pub(super) fn subscribe(&self) -> Subscription<'_> {
        self.subscribers.fetch_add(1, Ordering::SeqCst);
        Subscription { document: self }
    }

    fn lock(&self) -> MutexGuard<'_, DocumentState> {
        // A panic cannot leave the state half changed, so a poisoned lock is safe to use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription<'_> {
    /// Waits up to `timeout` for a version other than `seen`.
    pub(super) fn wait(&self, seen: u64, timeout: Duration) -> Update {
        let must_wait = |state: &mut DocumentState| state.version == seen && !state.is_closed;
        let LatestDocument { changed, .. } = self.document;
        let waited = changed.wait_timeout_while(self.document.lock(), timeout, must_wait);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &state.text {
            Some(text) if state.version != seen => {
                Update::Newer { version: state.version, text: Arc::clone(text) }
            }
            _ if state.is_closed => Update::Closed,
            _ => Update::Timeout,
        }
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        self.document.subscribers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriber_gets_the_newest_version_and_skips_older_ones() {
        let document = LatestDocument::default();
        let subscription = document.subscribe();
        let soon = Duration::from_millis(1);
        assert!(matches!(subscription.wait(0, soon), Update::Timeout));
        for i in 1..=3 {
            document.publish(i.to_string());
        }
        let Update::Newer { version, text } = subscription.wait(0, soon) else { panic!() };
        assert_eq!((version, &*text), (3, "3"));
        assert!(matches!(subscription.wait(3, soon), Update::Timeout));
        document.close(Duration::ZERO);
        let last = subscription.wait(0, soon);
        assert!(matches!(last, Update::Newer { .. }), "the last version is not lost");
        assert!(matches!(subscription.wait(3, soon), Update::Closed));
        assert!(document.has_subscribers());
        drop(subscription);
        assert!(!document.has_subscribers());
    }

    #[test]
    fn document_is_renewed_on_request_or_the_old_one_is_given_after_a_timeout() {
        let document = LatestDocument::default();
        document.publish("1".to_owned());
        assert_eq!(document.newest(Duration::ZERO).as_deref(), Some("1"));
        document.mark_outdated();
        assert!(!document.is_requested());
        assert_eq!(document.newest(Duration::ZERO).as_deref(), Some("1"));
        assert!(document.is_requested());
        std::thread::scope(|scope| {
            let request = scope.spawn(|| document.newest(Duration::from_secs(60)));
            document.publish("2".to_owned());
            assert_eq!(request.join().unwrap().as_deref(), Some("2"));
        });
        assert!(!document.is_requested());
    }
}
