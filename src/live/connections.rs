//! Who is connected. There are so many places; whoever takes one and asks nothing loses it to the next who
//! comes when all are taken.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All who are connected.
pub(super) struct Connections {
    most: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    taken: BTreeMap<u64, Client>, // in the order in which they came
}

struct Client {
    stream: Arc<TcpStream>,
    asked: bool,
}

/// A place that is taken.
pub(super) struct Place {
    number: u64,
    pub(super) stream: Arc<TcpStream>,
}

impl Connections {
    pub(super) fn new(most: usize) -> Connections {
        Connections { most, table: Mutex::default() }
    }

    /// Takes a place; none when all are taken by clients that are being answered.
    pub(super) fn enter(&self, stream: TcpStream) -> Option<Place> {
        let mut table = self.lock();
        if table.taken.len() >= self.most {
            let (&oldest, _) = table.taken.iter().find(|(_, client)| !client.asked)?;
            if let Some(client) = table.taken.remove(&oldest) {
                let _ = client.stream.shutdown(Shutdown::Both); // its thread wakes and ends
            }
        }
        let (number, stream) = (table.next, Arc::new(stream));
        table.next += 1;
        table.taken.insert(number, Client { stream: Arc::clone(&stream), asked: false });
        Some(Place { number, stream })
    }

    /// Its request has come: it keeps its place.
    pub(super) fn asked(&self, place: &Place) {
        if let Some(client) = self.lock().taken.get_mut(&place.number) {
            client.asked = true;
        }
    }

    /// Gives the place back.
    pub(super) fn leave(&self, place: &Place) {
        self.lock().taken.remove(&place.number);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Each change of the table is a whole one.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
