//! `watch --notify`: messages to a small HTTP server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{run, stderr, stdout};
use crate::watch::{PROGRAM, Pty, TIMEOUT, append, log, row};

/// The secret part of a webhook's URL.
const SECRET: &str = "/services/T0SECRET/B0SECRET?token=SECRET";

/// What the server does with a request.
#[derive(Clone)]
enum Answer {
    /// Sends this status line and these headers.
    Status(&'static str),
    /// Sends 200 after this time.
    Late(Duration),
    /// Keeps the connection open without an answer.
    Never,
}

struct Request {
    at: Instant,
    head: String,
    message: Value,
    accepted: bool,
}

/// An HTTP server that records the requests. The last answer is repeated.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(answers: &[Answer]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{SECRET}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (record, answers) = (Arc::clone(&requests), answers.to_vec());
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for (i, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let (head, message) = read_request(&stream);
                let answer = &answers[i.min(answers.len() - 1)];
                let status = match answer {
                    Answer::Status(status) => Some(*status),
                    Answer::Late(time) => {
                        std::thread::sleep(*time);
                        Some("200 OK")
                    }
                    Answer::Never => None,
                };
                let accepted = status.is_some_and(|status| status.starts_with('2'));
                let request = Request { at: Instant::now(), head, message, accepted };
                record.lock().unwrap().push(request);
                match status {
                    Some(status) => {
                        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
                        stream.write_all(text.as_bytes()).unwrap();
                    }
                    None => open.push(stream),
                }
            }
        });
        Server { url, requests }
    }

    /// The recorded messages.
    fn messages(&self) -> Vec<Value> {
        self.requests.lock().unwrap().iter().map(|request| request.message.clone()).collect()
    }

    fn wait_for_requests(&self, n: usize) {
        let end = Instant::now() + TIMEOUT;
        while self.requests.lock().unwrap().len() < n {
            assert!(Instant::now() < end, "there are not {n} requests");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn read_request(stream: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

/// `watch` as a process, without settings of the machine.
fn watch(tmp: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["watch", "runs", "--interval", "50ms"]).args(arguments).current_dir(tmp);
    command.env_remove("ENTROPY_VIZ_NOTIFY").env("NO_PROXY", "127.0.0.1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts `watch` and waits for its first line.
fn start(mut command: Command) -> Child {
    let mut child = command.spawn().unwrap();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    child
}

fn collapse(path: &Path) {
    append(path, &(61..=90).map(|step| row(step, 0.1)).collect::<String>());
}

/// Runs `watch --exit-on collapse` until a run collapses.
fn until_collapse(server: &Server, label: &str) -> Output {
    let tmp = tempfile::tempdir().unwrap();
    let path = log(tmp.path(), label, 60, 2.0);
    let arguments = ["--exit-on", "collapse", "-v", "--notify", &server.url];
    let child = start(watch(tmp.path(), &arguments));
    collapse(&path);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(!stderr(&output).contains("SECRET"), "{}", stderr(&output));
    assert!(!stdout(&output).contains("SECRET"), "{}", stdout(&output));
    output
}

#[test]
fn last_message_is_sent_before_exit_on_ends() {
    let server = Server::start(&[Answer::Late(Duration::from_millis(500))]);
    let output = until_collapse(&server, "solver");
    assert_eq!(
        stderr(&output),
        "solver: collapse: collapsed at step 67, its level is now 5 % of its start\n"
    );
    let expected = json!({
        "text": "entropy-viz: solver: healthy → collapsed at step 67, 0.100 nats at step 90",
        "run": "solver", "state": "collapsed", "previous_state": "healthy", "step": 67, "value": 0.1, "unit": "nats",
    });
    assert_eq!(server.messages(), [expected]);
    let head = server.requests.lock().unwrap()[0].head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("post {} http/1.1", SECRET.to_ascii_lowercase())), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
}

#[test]
fn message_is_sent_again_after_a_server_error() {
    let server = Server::start(&[Answer::Status("500 Oops"), Answer::Status("200 OK")]);
    let output = until_collapse(&server, "solver");
    assert_eq!(
        stderr(&output),
        "solver: collapse: collapsed at step 67, its level is now 5 % of its start\n"
    );
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.iter().map(|r| r.accepted).collect::<Vec<_>>(), [false, true]);
    assert_eq!(requests[0].message, requests[1].message);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
}

#[test]
fn message_is_given_up_after_three_tries() {
    let server = Server::start(&[Answer::Status("503 Service Unavailable")]);
    let output = until_collapse(&server, "solver");
    assert!(
        stderr(&output).contains(
            "warning: no message about solver to http://127.0.0.1, in 3 tries: status 503"
        ),
        "{}",
        stderr(&output)
    );
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    assert!(requests[2].at - requests[1].at >= Duration::from_secs(4));
}

#[test]
fn client_error_and_redirect_are_final() {
    for (status, words) in [
        ("404 Not Found", "status 404 (Not Found)"),
        (
            "307 Temporary Redirect\r\nLocation: /SECRET",
            "status 307 (Temporary Redirect), and redirects are not",
        ),
    ] {
        let server = Server::start(&[Answer::Status(status)]);
        let output = until_collapse(&server, "solver");
        let warning = "entropy-viz: warning: no message about solver to http://127.0.0.1: ";
        assert!(stderr(&output).contains(warning), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert_eq!(server.messages().len(), 1, "{status}");
    }
}

#[test]
fn pause_that_the_server_asks_for_is_kept() {
    let busy = Answer::Status("429 Too Many Requests\r\nRetry-After: 3");
    let server = Server::start(&[busy, Answer::Status("200 OK")]);
    until_collapse(&server, "solver");
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(3));
}

#[test]
fn silent_server_delays_the_exit_by_ten_seconds_at_most() {
    let server = Server::start(&[Answer::Never]);
    let start = Instant::now();
    let output = until_collapse(&server, "solver");
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(18), "{taken:?}"); // ten, and a busy machine
    assert!(
        stderr(&output).contains("not sent to http://127.0.0.1: 1 message"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn closed_port_is_a_warning_that_names_only_the_host() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, requests) = (format!("http://user:SECRET@{port}{SECRET}"), Arc::default());
    let output = until_collapse(&Server { url, requests }, "solver");
    let warning = "no message about solver to http://127.0.0.1, in 3 tries: connection refused";
    assert!(stderr(&output).contains(warning), "{}", stderr(&output));
}

#[test]
fn label_is_data_and_not_markup() {
    let server = Server::start(&[Answer::Status("200 OK")]);
    until_collapse(&server, "<!channel> \"&\u{1b}[2J");
    let message = &server.messages()[0];
    assert_eq!(message["run"], "<!channel> \"&\\u{1b}[2J");
    let text = message["text"].as_str().unwrap();
    let start = "entropy-viz: &lt;!channel&gt; \"&amp;\\u{1b}[2J: healthy → collapsed at step 67";
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn messages_of_a_run_keep_their_order_and_polling_goes_on() {
    let server = Server::start(&[
        Answer::Status("500 Oops\r\nRetry-After: 4"),
        Answer::Status("200 OK"),
        Answer::Status("200 OK"),
    ]);
    let tmp = tempfile::tempdir().unwrap();
    let path = log(tmp.path(), "solver", 9, 2.0);
    let mut child = start(watch(tmp.path(), &["--exit-on", "collapse", "--notify", &server.url]));
    append(&path, &(10..=60).map(|step| row(step, 2.0)).collect::<String>());
    server.wait_for_requests(1);
    collapse(&path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("too short → healthy"));
    assert!(lines.next().unwrap().unwrap().contains("healthy → collapsed"));
    // The line was printed while the first message waits for its second try.
    assert_eq!(server.messages().len(), 1);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let states: Vec<_> = server.messages().iter().map(|m| m["state"].clone()).collect();
    assert_eq!(states, ["healthy", "healthy", "collapsed"]);
    assert_eq!(server.messages()[0]["previous_state"], "too_short");
    assert_eq!(server.messages()[0]["step"], 60);
}

#[test]
fn first_state_of_a_run_sends_no_message() {
    let server = Server::start(&[Answer::Status("200 OK")]);
    let tmp = tempfile::tempdir().unwrap();
    collapse(&log(tmp.path(), "solver", 60, 2.0));
    let command = &mut watch(tmp.path(), &["--exit-on", "collapse", "--notify", &server.url]);
    assert_eq!(command.status().unwrap().code(), Some(1));
    assert_eq!(server.messages(), [] as [Value; 0]);
}

#[test]
fn interrupt_waits_for_the_message_that_is_being_sent() {
    let server = Server::start(&[Answer::Late(Duration::from_secs(3))]);
    let tmp = tempfile::tempdir().unwrap();
    let path = log(tmp.path(), "solver", 60, 2.0);
    // The URL of the flag wins over that of the variable.
    let mut command = watch(tmp.path(), &["--notify", &server.url]);
    let mut child = start({
        command.env("ENTROPY_VIZ_NOTIFY", "ftp://host/SECRET");
        command
    });
    collapse(&path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("healthy → collapsed"));
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(stderr(&output), "waiting for http://127.0.0.1; Ctrl-C ends this\n");
    assert_eq!(server.messages().len(), 1);
}

#[test]
fn second_interrupt_does_not_wait() {
    let server = Server::start(&[Answer::Never]);
    let tmp = tempfile::tempdir().unwrap();
    let path = log(tmp.path(), "solver", 60, 2.0);
    let mut child = start(watch(tmp.path(), &["--notify", &server.url]));
    collapse(&path);
    server.wait_for_requests(1);
    let start = Instant::now();
    let interrupt = |child: &Child| {
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    };
    interrupt(&child);
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(errors.next().unwrap().unwrap().starts_with("waiting for http://127.0.0.1"));
    interrupt(&child);
    let warning = "entropy-viz: warning: not sent to http://127.0.0.1: 1 message";
    assert_eq!(errors.next().unwrap().unwrap(), warning);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[test]
fn unusable_url_is_an_error_that_does_not_show_it() {
    let tmp = tempfile::tempdir().unwrap();
    for url in ["ftp://host/SECRET", "SECRET", "https:///SECRET", "https://host:SECRET/", ""] {
        let flag = watch(tmp.path(), &["--notify", url]).output().unwrap();
        let variable = watch(tmp.path(), &[]).env("ENTROPY_VIZ_NOTIFY", url).output().unwrap();
        for (output, source) in [(flag, "--notify"), (variable, "$ENTROPY_VIZ_NOTIFY")] {
            if url.is_empty() && source.starts_with('$') {
                continue; // as if it were not set
            }
            assert_eq!(output.status.code(), Some(2), "{url}");
            let words = format!("entropy-viz: cannot use the URL of {source}: ");
            assert!(stderr(&output).starts_with(&words), "{}", stderr(&output));
            assert!(!stderr(&output).contains("SECRET"), "{}", stderr(&output));
        }
    }
}

#[test]
fn once_sends_no_messages() {
    let tmp = tempfile::tempdir().unwrap();
    log(tmp.path(), "solver", 60, 2.0);
    let output = run(tmp.path(), &["watch", "runs", "--once", "--notify", "https://host/SECRET"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("'--once' cannot be used with '--notify <URL>'"));
    assert!(!stderr(&output).contains("SECRET"));
    let mut command = watch(tmp.path(), &["--once"]);
    let output = command.env("ENTROPY_VIZ_NOTIFY", "https://host/SECRET").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn screen_shows_a_failed_message_without_the_secret() {
    let server = Server::start(&[Answer::Status("404 Not Found")]);
    let tmp = tempfile::tempdir().unwrap();
    let path = log(tmp.path(), "solver", 60, 2.0);
    let mut pty = Pty::watch(tmp.path(), &["runs", "--notify", &server.url]);
    pty.wait_for_text("solver 2.00 60");
    collapse(&path);
    pty.wait_for_text("no message about solver to http://127.0.0.1: status 404 (Not Found)");
    pty.press("q");
    assert_eq!(pty.exit_code(), 0);
    assert_eq!(server.messages().len(), 1);
}

#[test]
fn served_page_does_not_contain_the_secret() {
    let server = Server::start(&[Answer::Status("200 OK")]);
    let tmp = tempfile::tempdir().unwrap();
    let path = log(tmp.path(), "solver", 60, 2.0);
    let arguments = ["--notify", &server.url, "--serve", "0"];
    let mut child = watch(tmp.path(), &arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    let (address, path_of_page) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("GET /{path_of_page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("--notify URL --serve 0"), "the page shows no command line");
    assert!(!page.contains("SECRET"));
    assert!(lines.next().unwrap().unwrap().starts_with("solver: healthy"));
    collapse(&path);
    server.wait_for_requests(1);
    assert_eq!(server.messages()[0]["state"], "collapsed");
    child.kill().unwrap();
    child.wait().unwrap();
}
