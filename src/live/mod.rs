//! A small HTTP server for one page and a stream of events with newer data: what `watch --serve` needs.
//!
//! Two paths are answered, both below a random token: the page, and its events
//! ([server-sent](https://html.spec.whatwg.org/multipage/server-sent-events.html)). Paths are compared as a whole
//! and never looked up in a file system; [`request`] decides how a request is answered. Each connection has its
//! own thread, one request and a time limit. [`LatestDocument`] holds the data: nothing is queued for a slow client,
//! which skips versions.

mod connections;
mod latest_document;
pub mod request;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use connections::{ConnectionSlot, Connections};
pub use latest_document::LatestDocument;
use latest_document::Update;
use request::{AccessPolicy, Method, Route};

/// The longest wait for a request to arrive completely.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait for a client to take what is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two comments in an event stream; they let both sides notice a lost connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The largest size of a request's line and headers, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// How many bytes a client may send after its request before it is cut off.
const MAX_TRAILING: usize = 1 << 20;
/// The largest number of connections at the same time.
const MAX_CONNECTIONS: usize = 64;
/// The pause after `accept` failed, for example because too many files are open.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// The content security policy of answers that are not a page.
const NO_CONTENT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The parts of the page before and after its data, and the page shown before there are data.
#[derive(Debug, Clone)]
pub struct PageShell {
    /// The part before the data.
    pub before: String,
    /// The part after the data.
    pub after: String,
    /// The content security policy of the page.
    pub policy: String,
    /// The whole page as long as there are no data.
    pub waiting: String,
    /// The content security policy of `waiting`.
    pub waiting_policy: String,
}

/// A server of one page.
pub struct Server {
    access: AccessPolicy,
    page: PageShell,
    /// The data of the page.
    pub document: LatestDocument,
    connections: Connections,
}

impl Server {
    /// A server that is not started yet.
    pub fn new(access: AccessPolicy, page: PageShell) -> Server {
        let connections = Connections::new(MAX_CONNECTIONS);
        Server { access, page, document: LatestDocument::default(), connections }
    }

    /// Serves in background threads until the process ends.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(self: &Arc<Server>, listener: TcpListener) -> io::Result<()> {
        let server = Arc::clone(self);
        thread().spawn(move || accept(&listener, &server))?;
        Ok(())
    }
}

fn thread() -> std::thread::Builder {
    std::thread::Builder::new().name("serve".to_owned()).stack_size(256 << 10)
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(ACCEPT_BACKOFF);
            continue;
        };
        // When event streams hold all slots, the connection is dropped; a browser tries again later.
        let Some(slot) = server.connections.open(stream) else { continue };
        let server = Arc::clone(server);
        // If no thread can be spawned, the connection is dropped as well.
        let _ = thread().spawn(move || {
            let _ = handle(&server, &slot); // the client disconnected, or was too slow
            server.connections.close(&slot);
        });
    }
}

/// Reads one request and answers it.
fn handle(server: &Server, slot: &ConnectionSlot) -> io::Result<()> {
    let stream = &*slot.stream;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut buffer = vec![0; MAX_HEAD];
    let Some(head) = read_head(stream, &mut buffer)? else { return Ok(()) };
    let (method, route) = request::route(head, &server.access);
    if !matches!(route, Route::Refused(_)) {
        // Clients without the token never keep those with it out.
        server.connections.mark_requested(slot);
    }
    match route {
        Route::Page => send_page(stream, method, server)?,
        Route::Events => send_events(stream, method, server)?,
        Route::Refused(status) => refuse(stream, status)?,
    }
    close(stream)
}

/// Reads up to the end of the headers, or until the buffer is full; `None` when the client disconnected or took
/// too long.
fn read_head<'a>(mut stream: &TcpStream, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
    let deadline = Instant::now() + READ_TIMEOUT;
    let mut filled = 0;
    while filled < buffer.len() && !request::is_complete(&buffer[..filled]) {
        if !set_read_deadline(stream, deadline)? {
            return Ok(None);
        }
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(None),
            n => filled += n,
        }
    }
    Ok(Some(&buffer[..filled]))
}

/// Sets the timeout of the next read so that it ends at the deadline; false if the deadline has passed.
fn set_read_deadline(stream: &TcpStream, deadline: Instant) -> io::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        stream.set_read_timeout(Some(left))?;
    }
    Ok(!left.is_zero())
}

fn refuse(mut stream: &TcpStream, status: &str) -> io::Result<()> {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let head = head(status, NO_CONTENT_POLICY, &format!("{allow}Content-Length: 0\r\n"));
    stream.write_all(head.as_bytes())
}

fn send_page(mut stream: &TcpStream, method: Method, server: &Server) -> io::Result<()> {
    let PageShell { before, after, policy, waiting, waiting_policy } = &server.page;
    let data = server.document.newest(READ_TIMEOUT);
    let (parts, policy) = match &data {
        Some(data) => ([before, &**data, after], policy),
        None => ([&**waiting, "", ""], waiting_policy),
    };
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let more = format!("Content-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n");
    stream.write_all(head("200 OK", policy, &more).as_bytes())?;
    if method == Method::Get {
        for part in parts {
            stream.write_all(part.as_bytes())?;
        }
    }
    Ok(())
}

/// Sends the document and every newer version, until the client disconnects or the document is closed.
fn send_events(mut stream: &TcpStream, method: Method, server: &Server) -> io::Result<()> {
    let head = head("200 OK", NO_CONTENT_POLICY, "Content-Type: text/event-stream\r\n");
    stream.write_all(head.as_bytes())?;
    if method == Method::Head {
        return Ok(());
    }
    stream.write_all(b"retry: 1000\n\n")?;
    let subscription = server.document.subscribe();
    let mut seen = 0;
    loop {
        match subscription.wait(seen, HEARTBEAT) {
            Update::Newer { version, text } => {
                seen = version;
                stream.write_all(b"data: ")?;
                stream.write_all(text.as_bytes())?;
                stream.write_all(b"\n\n")?;
            }
            Update::Timeout => stream.write_all(b":\n\n")?,
            Update::Closed => return stream.write_all(b"event: end\ndata:\n\n"),
        }
    }
}

fn head(status: &str, policy: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{more}Content-Security-Policy: {policy}\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n"
    )
}

/// Ends the answer and reads what the client still sends: a connection that is closed with unread bytes is
/// reset, and the client may then lose the answer.
fn close(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + READ_TIMEOUT;
    let (mut buffer, mut received) = ([0; 4096], 0);
    while received < MAX_TRAILING && set_read_deadline(stream, deadline)? {
        match stream.read(&mut buffer)? {
            0 => break,
            n => received += n,
        }
    }
    Ok(())
}

/// A path segment that cannot be guessed: 128 random bits as hexadecimal digits.
///
/// # Errors
/// When the system cannot provide random numbers.
pub fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether an address can be reached only from this machine.
pub fn is_local(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
