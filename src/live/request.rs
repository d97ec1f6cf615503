//! What a request asks for, and whether it may: only the token's two paths are answered, and a name that is
//! not this machine's is refused.
//!
//! A page of another site can make a browser ask this server under a name of its own whose address it changed
//! (DNS rebinding); the name then stands in the header `Host`. Its port does not matter: a tunnel may have another.

use std::net::IpAddr;

/// Headers of a request; browsers send about twenty.
const MOST_HEADERS: usize = 100;

/// Which requests are let in.
#[derive(Debug)]
pub struct Doors {
    /// The first part of every path.
    pub token: String,
    /// Under which names.
    pub hosts: Hosts,
}

/// The names that a server may be asked under.
#[derive(Debug)]
pub enum Hosts {
    /// Those of this machine alone, and the address that it listens on.
    Local(IpAddr),
    /// Any: others are to reach it, by names that it does not know.
    Any,
}

/// The methods that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Head and body.
    Get,
    /// The head alone.
    Head,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The page.
    Page,
    /// Its events.
    Events,
    /// Nothing, with this status.
    Refused(&'static str),
}

/// Whether the end of the headers has come.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|four| four == b"\r\n\r\n")
}

/// Judges a request by its line and headers.
pub fn judge(head: &[u8], doors: &Doors) -> (Method, Answer) {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let refused = |status| (Method::Get, Answer::Refused(status));
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return refused("431 Request Header Fields Too Large");
        }
        Err(_) => return refused("400 Bad Request"),
    }
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => return refused("405 Method Not Allowed"),
    };
    let is_host = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("host");
    let mut hosts = request.headers.iter().filter(is_host);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if doors.hosts.knows(host.value) => {}
        (Some(_), None) => return refused("403 Forbidden"),
        // HTTP/1.0 need not name one. Browsers, which alone can be led here, never speak it.
        (None, None) if request.version == Some(0) => {}
        _ => return refused("400 Bad Request"),
    }
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let answer = match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((token, rest)) if is_same(token, &doors.token) => match rest {
            "" => Answer::Page,
            "events" => Answer::Events,
            _ => Answer::Refused("404 Not Found"),
        },
        _ => Answer::Refused("404 Not Found"),
    };
    (method, answer)
}

/// Compares in a time that tells nothing of where two texts differ.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |odd, (a, b)| odd | (a ^ b)) == 0
}

impl Hosts {
    fn knows(&self, host: &[u8]) -> bool {
        let Hosts::Local(bound) = self else { return true };
        let Ok(host) = std::str::from_utf8(host) else { return false };
        let Some(name) = without_port(host.trim()) else { return false };
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let name = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == *bound)
    }
}

fn without_port(host: &str) -> Option<&str> {
    let Some((name, port)) = host.rsplit_once(':') else { return Some(host) };
    if host.ends_with(']') {
        return Some(host); // the colon is inside an IPv6 address
    }
    port.bytes().all(|b| b.is_ascii_digit()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: &str) -> Answer {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let doors = Doors { token: "abc".to_owned(), hosts: Hosts::Local(ip) };
        judge(request.as_bytes(), &doors).1
    }

    #[test]
    fn a_path_is_the_page_its_events_or_nothing() {
        let get = |path: &str| asked(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(get("/abc/"), Answer::Page);
        assert_eq!(get("/abc/events"), Answer::Events);
        assert_eq!((get("/abc/?x=1"), get("/abc/events?")), (Answer::Page, Answer::Events));
        let others = [
            "/",
            "/abc",
            "/abd/",
            "/ab/",
            "/abcd/",
            "//",
            "/abc//",
            "/abc/events/",
            "/abc?/",
            "/?/abc/",
            "/abc/%2e",
            "/abc/../abc/",
            "/ABC/",
            "/abc/Events",
            "abc/",
            "http://localhost/abc/",
            "*",
        ];
        for path in others {
            assert_eq!(get(path), Answer::Refused("404 Not Found"), "{path}");
        }
    }

    #[test]
    fn a_host_is_this_machine_whatever_the_port() {
        let host = |host: &str| asked(&format!("GET /abc/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        for local in
            ["localhost", "LocalHost:80", "127.0.0.1:9", "127.0.0.2", "[::1]:8765", "[::1]"]
        {
            assert_eq!(host(local), Answer::Page, "{local}");
        }
        for other in [
            "example.org",
            "localhost.example.org",
            "127.0.0.1.nip.io:8765",
            "",
            "a@localhost",
            "localhost:x",
            "10.0.0.1",
            "[::1",
            "localhost, example.org",
        ] {
            assert_eq!(host(other), Answer::Refused("403 Forbidden"), "{other}");
        }
        assert_eq!(asked("GET /abc/ HTTP/1.0\r\n\r\n"), Answer::Page);
        let named = "GET /abc/ HTTP/1.0\r\nHost: example.org\r\n\r\n";
        assert_eq!(asked(named), Answer::Refused("403 Forbidden"));
        for odd in [
            "GET /abc/ HTTP/1.1\r\n\r\n",
            "GET /abc/ HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            "GET /abc/ HTTP/1.1\r\nHost: localhost\r\nhost: a\r\n\r\n",
        ] {
            assert_eq!(asked(odd), Answer::Refused("400 Bad Request"));
        }
    }
}
