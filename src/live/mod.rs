//! One page over HTTP, with events that bring newer data: what `watch --serve` needs of a web server.
//!
//! Two paths are answered, both below a token that nobody guesses: the page, and its events
//! ([server-sent](https://html.spec.whatwg.org/multipage/server-sent-events.html)). Paths are compared whole and
//! never looked up anywhere; [`request`] judges what was asked. Each connection has a thread, one request and a
//! bound on how long it may take. Data are [`Bulletin`]'s: whoever is slow misses what was newer for a while, and
//! nothing is queued for it.

mod bulletin;
mod connections;
pub mod request;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use bulletin::Bulletin;
use bulletin::News;
use connections::{Connections, Place};
use request::{Answer, Doors, Method};

/// What is sent of a request may take so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is left.
const STALL: Duration = Duration::from_secs(10);
/// So often something is sent to clients that wait, so that both ends learn that the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Line and headers of a request.
const LARGEST_HEAD: usize = 16 << 10;
/// What a client may send after an answer before it is cut off.
const LARGEST_REST: usize = 1 << 20;
/// Clients at once.
const MOST: usize = 64;
/// Waiting after the system had no connection to give, as when too many files are open.
const REST: Duration = Duration::from_millis(100);

/// What stands around the data of a page, and the policy that it is sent with.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The page up to its data.
    pub before: String,
    /// The page behind them.
    pub after: String,
    /// Its content security policy.
    pub policy: String,
    /// The page as long as there are no data.
    pub waiting: String,
    /// The policy of that one.
    pub waiting_policy: String,
}

/// What all connections share.
struct Shared {
    doors: Doors,
    frame: Frame,
    bulletin: Arc<Bulletin>,
    connections: Connections,
}

/// Answers whoever comes, from threads of its own, as long as the program runs.
///
/// # Errors
/// When no thread can be started.
pub fn start(
    listener: TcpListener,
    doors: Doors,
    frame: Frame,
    bulletin: Arc<Bulletin>,
) -> io::Result<()> {
    let shared = Arc::new(Shared { doors, frame, bulletin, connections: Connections::new(MOST) });
    thread().spawn(move || accept(&listener, &shared))?;
    Ok(())
}

fn thread() -> std::thread::Builder {
    std::thread::Builder::new().name("serve".to_owned()).stack_size(256 << 10)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(REST);
            continue;
        };
        // All places are taken by those who wait for events: a browser tries again later.
        let Some(place) = shared.connections.enter(stream) else { continue };
        let shared = Arc::clone(shared);
        // A client that finds no thread is hung up on.
        let _ = thread().spawn(move || {
            let _ = attend(&shared, &place); // it went away, or was too slow
            shared.connections.leave(&place);
        });
    }
}

/// Reads one request and answers it.
fn attend(shared: &Shared, place: &Place) -> io::Result<()> {
    let stream = &*place.stream;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STALL))?;
    let mut buffer = vec![0; LARGEST_HEAD];
    let Some(head) = read_head(stream, &mut buffer)? else { return Ok(()) };
    shared.connections.asked(place);
    let (method, answer) = request::judge(head, &shared.doors);
    match answer {
        Answer::Page => page(stream, method, shared)?,
        Answer::Events => events(stream, method, shared)?,
        Answer::Refused(status) => refuse(stream, status)?,
    }
    part(stream)
}

/// The bytes of a request up to the end of its headers, or as much as may be looked at; none when the
/// client went away or took too long.
fn read_head<'a>(mut stream: &TcpStream, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
    let end = Instant::now() + PATIENCE;
    let mut filled = 0;
    while filled < buffer.len() && !request::is_whole(&buffer[..filled]) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(None),
            n => filled += n,
        }
    }
    Ok(Some(&buffer[..filled]))
}

fn refuse(mut stream: &TcpStream, status: &str) -> io::Result<()> {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let policy = "default-src 'none'; frame-ancestors 'none'";
    let head = head(status, policy, &format!("{allow}Content-Length: 0\r\n"));
    stream.write_all(head.as_bytes())
}

fn page(mut stream: &TcpStream, method: Method, shared: &Shared) -> io::Result<()> {
    let Frame { before, after, policy, waiting, waiting_policy } = &shared.frame;
    let data = shared.bulletin.newest(PATIENCE);
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

/// Sends the data, and newer ones as they come, until the client goes or there will be no more.
fn events(mut stream: &TcpStream, method: Method, shared: &Shared) -> io::Result<()> {
    let policy = "default-src 'none'; frame-ancestors 'none'";
    let head = head("200 OK", policy, "Content-Type: text/event-stream\r\n");
    stream.write_all(head.as_bytes())?;
    if method == Method::Head {
        return Ok(());
    }
    stream.write_all(b"retry: 1000\n\n")?;
    let reader = shared.bulletin.subscribe();
    let mut seen = 0;
    loop {
        match reader.wait(seen, HEARTBEAT) {
            News::Newer { number, data } => {
                seen = number;
                stream.write_all(b"data: ")?;
                stream.write_all(data.as_bytes())?;
                stream.write_all(b"\n\n")?;
            }
            News::None => stream.write_all(b":\n\n")?,
            News::Ended => return stream.write_all(b"event: end\ndata:\n\n"),
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

/// Says that no more will come, and takes what the client still sends: a connection that is closed with
/// bytes unread is reset, and the answer may be lost with it.
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let end = Instant::now() + PATIENCE;
    let (mut buffer, mut taken) = ([0; 4096], 0);
    while taken < LARGEST_REST {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => break,
            n => taken += n,
        }
    }
    Ok(())
}

/// The path that nobody guesses: 128 bits of the system's randomness, as hexadecimal digits.
///
/// # Errors
/// When the system has none.
pub fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether only programs of the same machine reach an address.
pub fn is_local(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
