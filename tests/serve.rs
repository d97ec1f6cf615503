//! `watch --serve`: its HTTP answers, its limits, and the live page in a real browser.
//!
//! For the last test `scripts/browser.sh` installs Chromium and selenium, as for tests/report.rs.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{run, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

/// A running `watch --serve`, killed when dropped.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    address: SocketAddr,
    token: String,
    tmp: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn row(step: u32, entropy: f64) -> String {
    format!("{{\"step\": {step}, \"entropy\": {entropy:?}}}\n")
}

fn serve_at(address: &str, arguments: &[&str], rows: u32) -> Server {
    let tmp = tempfile::tempdir().unwrap();
    let log: String = (1..=rows).map(|i| row(i, 2.0 + f64::from(i % 3) / 10.0)).collect();
    fs::write(tmp.path().join("a.jsonl"), log).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_entropy-viz"))
        .current_dir(tmp.path())
        .env_remove("STORAGE_PATH")
        .args(["watch", "a.jsonl", "--interval", "100ms", "--serve", address])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut url = String::new();
    lines.read_line(&mut url).unwrap();
    let rest = url.strip_prefix("http://").and_then(|u| u.strip_suffix("/\n")).expect(&url);
    let (address, token) = rest.split_once('/').unwrap();
    let (address, token) = (address.parse().unwrap(), token.to_owned());
    Server { child, lines, address, token, tmp }
}

fn serve() -> Server {
    serve_at("127.0.0.1:0", &[], 60)
}

impl Server {
    fn connect(&self) -> TcpStream {
        let port = self.address.port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a raw request and returns the head and the body of the answer.
    fn exchange(&self, request: &[u8]) -> (String, String) {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        (head.to_owned(), body.to_owned())
    }

    fn request(&self, method: &str, path: &str) -> (String, String) {
        self.exchange(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    fn page(&self) -> String {
        format!("/{}/", self.token)
    }

    /// Opens an event stream and reads its head.
    fn events(&self) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        write!(stream, "GET {}events HTTP/1.1\r\nHost: localhost\r\n\r\n", self.page()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"),
            "{head}"
        );
        lines
    }

    fn append(&self, text: &str) {
        let path = self.tmp.path().join("a.jsonl");
        OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the program to end and returns its exit code.
    fn wait_for_exit_code(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The next event that is not a comment: its name (may be empty) and its data.
fn next_event(lines: &mut impl BufRead) -> (String, String) {
    let (mut name, mut data) = (String::new(), None);
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the stream has ended");
        match line.trim_end().split_once(':') {
            Some(("event", text)) => text.trim().clone_into(&mut name),
            Some(("data", text)) => data = Some(text.trim().to_owned()),
            Some(_) => {}
            None => {
                if let Some(data) = data {
                    return (name, data);
                }
            }
        }
    }
}

fn last_step(data: &str) -> Value {
    serde_json::from_str::<Value>(data).unwrap()["runs"][0]["stats"]["last_step"].clone()
}

#[test]
fn page_needs_its_token_and_sends_security_headers() {
    let server = serve();
    assert!(server.address.ip().is_loopback());
    assert_eq!(server.token.len(), 32);
    let (head, body) = server.request("GET", &server.page());
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"),
        "{head}"
    );
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    assert!(body.starts_with("<!doctype html>") && body.ends_with("</html>\n"));
    assert_eq!(
        last_step(
            body.split("id=\"report-data\">").nth(1).unwrap().split("</script>").next().unwrap()
        ),
        60
    );
    for header in [
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
        "Connection: close",
    ] {
        assert!(head.contains(&format!("\r\n{header}")), "{head}");
    }
    let policy =
        head.split("\r\nContent-Security-Policy: ").nth(1).unwrap().lines().next().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(policy.contains("; connect-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.ends_with("; frame-ancestors 'none'"), "{policy}");

    let (only_head, nothing) = server.request("HEAD", &server.page());
    assert_eq!((only_head, nothing), (head, String::new()));
    assert_ne!(serve().token, server.token);
}

#[test]
fn unknown_paths_are_404_and_not_echoed() {
    let server = serve();
    let page = server.page();
    let token = &server.token;
    let paths = [
        "/".to_owned(),
        format!("/{token}"),
        format!("/{}/", &token[1..]),
        format!("/{}/", "0".repeat(32)),
        format!("/{token}0/"),
        format!("{page}events/"),
        format!("/?{page}"),
        format!("{page}a.jsonl"),
        format!("{page}../../etc/passwd"),
        format!("{page}..%2f..%2fetc/passwd"),
        format!("/{token}/../{token}/"),
        "/../../../../etc/passwd".to_owned(),
        "/<script>alert(1)</script>".to_owned(),
        format!("http://localhost{page}"),
    ];
    for path in paths {
        let (head, body) = server.request("GET", &path);
        assert!(
            head.starts_with("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"),
            "{path}: {head}"
        );
        assert!(body.is_empty() && !head.contains("etc") && !head.contains("script>"), "{path}");
    }
}

#[test]
fn methods_other_than_get_and_head_are_405() {
    let server = serve();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get", "X"] {
        let (head, body) = server.request(method, &server.page());
        assert!(
            head.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"),
            "{head}"
        );
        assert!(body.is_empty());
    }
    let long = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n{}",
        server.page(),
        "x".repeat(200_000)
    );
    assert!(server.exchange(long.as_bytes()).0.starts_with("HTTP/1.1 405 "));
}

#[test]
fn foreign_host_headers_are_403() {
    let server = serve();
    let status = |host: &str| {
        let request = format!("GET {} HTTP/1.1\r\n{host}\r\n", server.page());
        server.exchange(request.as_bytes()).0.lines().next().unwrap().to_owned()
    };
    for host in ["localhost", "localhost:9000", "127.0.0.1:8765", "[::1]:1"] {
        assert_eq!(status(&format!("Host: {host}\r\n")), "HTTP/1.1 200 OK", "{host}");
    }
    for host in
        ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8765", "192.0.2.1"]
    {
        assert_eq!(status(&format!("Host: {host}\r\n")), "HTTP/1.1 403 Forbidden", "{host}");
    }
    for none in ["", "Host: localhost\r\nHost: evil.example\r\n"] {
        assert_eq!(status(none), "HTTP/1.1 400 Bad Request", "{none:?}");
    }
}

#[test]
fn malformed_requests_are_rejected_and_server_goes_on() {
    let server = serve();
    let giant = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        server.page(),
        "x".repeat(300_000)
    );
    assert!(server.exchange(giant.as_bytes()).0.starts_with("HTTP/1.1 431 "));
    let many = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        server.page(),
        "X: y\r\n".repeat(500)
    );
    assert!(server.exchange(many.as_bytes()).0.starts_with("HTTP/1.1 431 "));
    for odd in [
        &b"\x16\x03\x01\x02\x00\x01\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        assert!(server.exchange(odd).0.starts_with("HTTP/1.1 400 "), "{odd:?}");
    }
    assert!(server.request("GET", &server.page()).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn idle_connections_are_dropped_and_do_not_block_others() {
    let server = serve();
    let mut idle: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    for stream in &mut idle[50..] {
        stream.write_all(b"GET / HT").unwrap();
    }
    let start = Instant::now();
    assert!(server.request("GET", &server.page()).0.starts_with("HTTP/1.1 200 "));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    for mut stream in idle {
        // A connection reset counts as an end.
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn clients_without_the_token_do_not_lock_the_owner_out() {
    let server = serve();
    let refused: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = server.connect();
            write!(stream, "GET /wrong HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            // The answer is read, and the connection kept open.
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 1);
            stream
        })
        .collect();
    assert!(server.request("GET", &server.page()).0.starts_with("HTTP/1.1 200 "));
    drop(refused);
}

#[test]
fn event_streams_are_limited_to_64() {
    let server = serve();
    let listeners: Vec<_> = (0..64).map(|_| server.events()).collect();
    let mut late = server.connect();
    let _ = write!(late, "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", server.page());
    assert_eq!(late.read(&mut [0; 1]).unwrap_or(0), 0);
    server.append(&row(61, 2.0));
    for mut lines in listeners {
        assert_eq!(last_step(&next_event(&mut lines).1), 60);
        assert_eq!(last_step(&next_event(&mut lines).1), 61);
    }
}

#[test]
fn appended_point_sends_an_event_and_idle_log_sends_none() {
    let server = serve();
    let mut lines = server.events();
    assert_eq!(last_step(&next_event(&mut lines).1), 60);
    lines.get_ref().set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut line = String::new();
    assert!(lines.read_line(&mut line).is_err(), "{}", &line[..line.len().min(80)]);
    lines.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let start = Instant::now();
    server.append(&row(61, 2.0));
    let (name, data) = next_event(&mut lines);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!((name.as_str(), last_step(&data)), ("", 61.into()));
    let (_, page) = server.request("GET", &server.page());
    assert!(page.contains(&data), "the page has what the event had");
}

#[test]
fn groups_are_in_every_document_and_may_come_later() {
    let document = |group: &str| {
        let server = serve_at("127.0.0.1:0", &["--group", group], 60);
        server.append(&row(61, 2.0));
        let (_, data) = next_event(&mut server.events());
        serde_json::from_str::<Value>(&data).unwrap()
    };
    let found = document("(a)");
    let [group] = &found["bands"]["groups"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!((&group["name"], &group["members"]), (&"a".into(), &serde_json::json!([0])));
    assert_eq!(found["groups"]["rows"][0][0], "a");
    assert_eq!(found["terminal"]["command"], "entropy-viz watch a.jsonl --interval 100ms");
    let later = document("solver");
    assert_eq!((&later["bands"], &later["groups"]), (&Value::Null, &Value::Null));
    let note = later["notes"][0].as_str().unwrap();
    assert!(note.starts_with("There are no groups yet: --group solver matches none"), "{note}");
}

#[test]
fn quantities_are_in_every_document_and_may_come_later() {
    let server = serve_at("127.0.0.1:0", &["--with", "kl"], 60);
    let (_, page) = server.request("GET", &server.page());
    let first = crate::report::document(&page);
    assert_eq!(
        (&first["panels"], &first["notes"][0]),
        (&serde_json::json!([]), &"No run has kl yet.".into())
    );
    server.append("{\"step\": 61, \"entropy\": 2.0, \"kl\": 0.25}\n");
    // The first event may be of the time before the new row.
    let mut events = server.events();
    let found = loop {
        let found: Value = serde_json::from_str(&next_event(&mut events).1).unwrap();
        if found["runs"][0]["stats"]["last_step"] == 61 {
            break found;
        }
    };
    let panel = &found["panels"][0];
    assert_eq!(
        (&panel["name"], &panel["unit"], &panel["points"]),
        (&"kl".into(), &"nats".into(), &1.into())
    );
    assert_eq!(
        (&panel["runs"][0]["last"], &found["notes"]),
        (&0.25.into(), &serde_json::json!([]))
    );
    let command = "entropy-viz watch a.jsonl --interval 100ms --with kl";
    assert_eq!(found["terminal"]["command"], command);
}

#[test]
fn page_loaded_later_has_the_newest_points() {
    let server = serve();
    for step in [61, 62] {
        server.append(&row(step, 2.0));
        std::thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        let (_, page) = server.request("GET", &server.page());
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        let data = page.split("id=\"report-data\">").nth(1).unwrap();
        assert_eq!(last_step(data.split("</script>").next().unwrap()), step);
    }
}

#[test]
fn event_stream_opened_later_starts_with_the_newest_points() {
    let server = serve();
    server.append(&row(61, 2.0));
    std::thread::sleep(Duration::from_millis(500));
    let mut lines = server.events();
    let mut data = next_event(&mut lines).1;
    if last_step(&data) == 60 {
        data = next_event(&mut lines).1;
    }
    assert_eq!(last_step(&data), 61);
}

#[test]
fn serve_waits_for_the_first_point_of_a_log() {
    let server = serve_at("127.0.0.1:0", &[], 0);
    let (head, body) = server.request("GET", &server.page());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body.contains("No run yet: looking for logs in a.jsonl"), "{body}");
    server.append(&(1..30).map(|i| row(i, 2.0)).collect::<String>());
    let mut lines = server.events();
    assert_eq!(last_step(&next_event(&mut lines).1), 29);
    assert!(server.request("GET", &server.page()).1.contains("id=\"report-data\""));
}

#[test]
fn interrupt_exits_with_130_and_sends_an_end_event() {
    let mut server = serve();
    let mut lines = server.events();
    next_event(&mut lines);
    server.interrupt();
    assert_eq!(next_event(&mut lines), ("end".to_owned(), String::new()));
    assert_eq!(server.wait_for_exit_code(), Some(130));
}

#[test]
fn exit_on_collapse_exits_with_1_and_sends_an_end_event() {
    let mut server = serve_at("127.0.0.1:0", &["--exit-on", "collapse"], 60);
    let mut lines = server.events();
    next_event(&mut lines);
    server.append(&(61..160).map(|i| row(i, 0.05)).collect::<String>());
    assert_eq!(last_step(&next_event(&mut lines).1), 159);
    assert_eq!(next_event(&mut lines).0, "end");
    assert_eq!(server.wait_for_exit_code(), Some(1));
    let mut told = String::new();
    server.lines.read_to_string(&mut told).unwrap();
    assert!(
        told.starts_with("a: healthy, ") && told.contains("\na: healthy → collapsed at step "),
        "{told}"
    );
}

#[test]
fn remote_addresses_need_allow_remote() {
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join("a.jsonl"), row(1, 2.0)).unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        let output = run(tmp.path(), &["watch", "a.jsonl", "--serve", address]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        let told = stderr(&output);
        assert!(told.contains("refusing to listen on") && told.contains("\n  hint: "), "{told}");
        assert!(told.contains("--allow-remote") && stdout(&output).is_empty(), "{told}");
    }
    let server = serve_at("0.0.0.0:0", &["--allow-remote"], 60);
    let request = format!("GET {} HTTP/1.1\r\nHost: gpu7.example\r\n\r\n", server.page());
    assert!(server.exchange(request.as_bytes()).0.starts_with("HTTP/1.1 200 "));
    assert!(server.request("GET", "/").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn serve_errors_have_a_hint() {
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join("a.jsonl"), row(1, 2.0)).unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 6] = [
        (&["--group", "a"], "add --serve"),
        (&["--serve", &taken], "another port: --serve 127.0.0.1:0"),
        (&["--serve", "a.jsonl"], "inputs go before --serve"),
        (&["--serve", "0", "--smooth", "mean:5"], "--smooth ema:WEIGHT"),
        (&["--serve", "0", "--once"], "cannot be used with '--once'"),
        (&["--allow-remote"], "--serve"),
    ];
    for (arguments, hint) in cases {
        let output = run(tmp.path(), &[&["watch", "a.jsonl"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(hint), "{}", stderr(&output));
    }
    fs::write(tmp.path().join("b.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    let output = run(tmp.path(), &["watch", "b.png", "--serve", "0"]);
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(2), ""),
        "no URL of what fails"
    );
}

#[test]
fn live_page_works_in_a_browser() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = root.join(".venv/browser");
    let status =
        Command::new("bash").arg(root.join("scripts/browser.sh")).arg(&venv).status().unwrap();
    assert!(status.success(), "scripts/browser.sh failed: no browser to look at the page with");
    let script = root.join("tests/browser/live_check.py");
    let program = env!("CARGO_BIN_EXE_entropy-viz");
    let output = Command::new(venv.join("bin/python")).arg(script).arg(program).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
