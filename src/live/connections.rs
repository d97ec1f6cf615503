//! The bounded table of connections. When it is full, a new client replaces the oldest connection that has not
//! sent an accepted request yet.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All open connections.
pub(super) struct Connections {
    capacity: usize,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    next_id: u64,
    clients: BTreeMap<u64, Client>, // the oldest first
}

struct Client {
    stream: Arc<TcpStream>,
    has_request: bool,
}

/// An occupied slot of the table.
pub(super) struct ConnectionSlot {
    id: u64,
    pub(super) stream: Arc<TcpStream>,
}

impl Connections {
    pub(super) fn new(capacity: usize) -> Connections {
        Connections { capacity, slots: Mutex::default() }
    }

    /// Occupies a slot; `None` if every slot belongs to a client whose accepted request is being answered.
    pub(super) fn open(&self, stream: TcpStream) -> Option<ConnectionSlot> {
        let mut slots = self.lock();
        if slots.clients.len() >= self.capacity {
            let (&oldest, _) = slots.clients.iter().find(|(_, client)| !client.has_request)?;
            if let Some(client) = slots.clients.remove(&oldest) {
                let _ = client.stream.shutdown(Shutdown::Both); // its thread wakes up and ends
            }
        }
        let (id, stream) = (slots.next_id, Arc::new(stream));
        slots.next_id += 1;
        slots.clients.insert(id, Client { stream: Arc::clone(&stream), has_request: false });
        Some(ConnectionSlot { id, stream })
    }

    /// Records that an accepted request has arrived: from now on the slot is not given to another client.
    pub(super) fn mark_requested(&self, slot: &ConnectionSlot) {
        if let Some(client) = self.lock().clients.get_mut(&slot.id) {
            client.has_request = true;
        }
    }

    /// Frees the slot.
    pub(super) fn close(&self, slot: &ConnectionSlot) {
        self.lock().clients.remove(&slot.id);
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // A panic cannot leave the table half changed, so a poisoned lock is safe to use.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
