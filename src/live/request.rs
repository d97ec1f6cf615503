//! Routes requests: answers only the two paths below the token, and refuses host names that are not those of this
//! machine.
//!
//! A page of another site can point its own host name at this machine (DNS rebinding) and make a browser send
//! requests here. The `Host` header then contains that name. The port is not checked: a tunnel may use another one.

use std::net::IpAddr;

/// The largest number of request headers; browsers send about twenty.
const MAX_HEADERS: usize = 100;

/// Which requests are allowed.
#[derive(Debug)]
pub struct AccessPolicy {
    /// The first segment of every valid path.
    pub token: String,
    /// The host names that are accepted.
    pub hosts: Hosts,
}

/// The accepted values of the `Host` header.
#[derive(Debug)]
pub enum Hosts {
    /// Only `localhost`, loopback addresses, and the address that the server listens on.
    Local(IpAddr),
    /// Any name: other machines may connect, by names that the server does not know.
    Any,
}

/// The supported methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The answer has a head and a body.
    Get,
    /// The answer has only a head.
    Head,
}

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// With the page.
    Page,
    /// With the event stream.
    Events,
    /// With this status and no body.
    Refused(&'static str),
}

/// Whether the bytes contain the end of the headers.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|four| four == b"\r\n\r\n")
}

/// Decides how to answer a request from its request line and headers.
pub fn route(head: &[u8], access: &AccessPolicy) -> (Method, Route) {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let refused = |status| (Method::Get, Route::Refused(status));
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
        (Some(host), None) if access.hosts.allows(host.value) => {}
        (Some(_), None) => return refused("403 Forbidden"),
        // HTTP/1.0 does not require `Host`. Browsers, the only target of DNS rebinding, never use it.
        (None, None) if request.version == Some(0) => {}
        _ => return refused("400 Bad Request"),
    }
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let route = match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((token, rest)) if constant_time_eq(token, &access.token) => match rest {
            "" => Route::Page,
            "events" => Route::Events,
            _ => Route::Refused("404 Not Found"),
        },
        _ => Route::Refused("404 Not Found"),
    };
    (method, route)
}

/// Compares two texts. The time does not depend on where they differ, so that a token cannot be guessed byte by byte.
fn constant_time_eq(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

impl Hosts {
    fn allows(&self, host: &[u8]) -> bool {
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
        return Some(host); // the colon belongs to an IPv6 address
    }
    port.bytes().all(|b| b.is_ascii_digit()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_of(request: &str) -> Route {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let access = AccessPolicy { token: "abc".to_owned(), hosts: Hosts::Local(ip) };
        route(request.as_bytes(), &access).1
    }

    #[test]
    fn only_the_page_and_its_events_have_a_path() {
        let get = |path: &str| route_of(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(get("/abc/"), Route::Page);
        assert_eq!(get("/abc/events"), Route::Events);
        assert_eq!((get("/abc/?x=1"), get("/abc/events?")), (Route::Page, Route::Events));
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
            assert_eq!(get(path), Route::Refused("404 Not Found"), "{path}");
        }
    }

    #[test]
    fn rejects_hosts_other_than_this_machine() {
        let host = |host: &str| route_of(&format!("GET /abc/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        for local in
            ["localhost", "LocalHost:80", "127.0.0.1:9", "127.0.0.2", "[::1]:8765", "[::1]"]
        {
            assert_eq!(host(local), Route::Page, "{local}");
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
            assert_eq!(host(other), Route::Refused("403 Forbidden"), "{other}");
        }
        assert_eq!(route_of("GET /abc/ HTTP/1.0\r\n\r\n"), Route::Page);
        let named = "GET /abc/ HTTP/1.0\r\nHost: example.org\r\n\r\n";
        assert_eq!(route_of(named), Route::Refused("403 Forbidden"));
        for odd in [
            "GET /abc/ HTTP/1.1\r\n\r\n",
            "GET /abc/ HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            "GET /abc/ HTTP/1.1\r\nHost: localhost\r\nhost: a\r\n\r\n",
        ] {
            assert_eq!(route_of(odd), Route::Refused("400 Bad Request"));
        }
    }
}
