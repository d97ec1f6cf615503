//! `--notify`: posts a JSON message to a URL when the state of a run changes.
//!
//! Whoever knows the URL of a webhook can post to it. Therefore its path, query and user are never printed: warnings
//! name only the scheme and the host, and use own words where the text of an HTTP error may contain a URL.
//!
//! One background thread sends the messages one after another, so polling never waits for a server, and the messages
//! of a run arrive in order.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::change_line::change_text;
use super::state_key::state_key;
use crate::tui::run_status::StateChange;
use entropy_history::label::visible;
use entropy_shell::{CliError, Terminal, WithHint, io_message, plural};

/// The environment variable of the URL.
const VARIABLE: &str = "ENTROPY_VIZ_NOTIFY";
/// The largest number of messages that wait to be sent.
const QUEUE_SIZE: usize = 1024;
/// The time limit of one try.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// The pauses after the first and the second try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// The longest pause that a server can ask for with `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct NotifyArgs {
    /// URL to post a JSON message to when the state of a run changes [default: $ENTROPY_VIZ_NOTIFY].
    ///
    /// Works with incoming webhooks of Slack. The first state of a run is not a change: for a run that is already
    /// collapsed when it is first seen, no message is sent. Prefer $ENTROPY_VIZ_NOTIFY for a secret URL: other
    /// users of the machine can see the command line. Warnings name only scheme and host. $HTTPS_PROXY is used.
    #[arg(long, value_name = "URL", conflicts_with = "once")]
    notify: Option<String>,
}

impl NotifyArgs {
    /// The webhook of the flag, else of the environment variable; `None` without either.
    ///
    /// # Errors
    /// When the URL cannot be used. The message does not contain it.
    pub(super) fn webhook(&self) -> Result<Option<Webhook>, CliError> {
        let variable = || std::env::var_os(VARIABLE).filter(|url| !url.is_empty());
        let (url, source) = match &self.notify {
            Some(url) => (url.clone(), "--notify"),
            None => match variable().map(std::ffi::OsString::into_string) {
                Some(url) => (url.unwrap_or_default(), "$ENTROPY_VIZ_NOTIFY"),
                None => return Ok(None),
            },
        };
        let webhook = Webhook::parse(&url).map_err(|reason| {
            anyhow!("cannot use the URL of {source}: {reason} (it may be secret and is not shown)")
        });
        webhook.map(Some).hint("give a URL such as https://hooks.slack.com/services/…")
    }
}

/// Where messages are posted.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    url: Uri,
    /// The scheme and the host, the only parts that may be printed.
    name: String,
}

impl Webhook {
    fn parse(text: &str) -> Result<Webhook, &'static str> {
        let url: Uri = text.parse().map_err(|_| "it is not a valid URL")?;
        let scheme = url.scheme_str().ok_or("it does not start with https:// or http://")?;
        if !matches!(scheme, "https" | "http") {
            return Err("its scheme is neither https nor http");
        }
        let authority = url.authority().ok_or("it names no host")?;
        let host = authority.host();
        if host.is_empty() {
            return Err("it names no host");
        }
        let after_user = authority.as_str().rsplit('@').next().unwrap_or_default();
        if after_user.len() > host.len() && authority.port_u16().is_none() {
            return Err("its port is not a number from 0 to 65535");
        }
        Ok(Webhook { name: format!("{scheme}://{host}"), url })
    }
}

/// The HTTP client.
///
/// The trusted root certificates are those of the system, or of `$SSL_CERT_FILE` and `$SSL_CERT_DIR`: an
/// administrator who adds the authority of a proxy or of an own chat server expects it to count. They are loaded by
/// rustls-native-certs and not by the platform verifier, which on Linux trusts the same files but cannot say that
/// there are none. There are none in many containers; Mozilla's, compiled in, are used then.
fn agent(terminal: &Terminal) -> Result<Agent, CliError> {
    let system = rustls_native_certs::load_native_certs();
    let roots = if !system.certs.is_empty() {
        let owned = |der: &_| Certificate::from_der(AsRef::<[u8]>::as_ref(der)).to_owned();
        RootCerts::from(system.certs.iter().map(owned).collect::<Vec<_>>())
    } else if ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|v| std::env::var_os(v).is_some()) {
        let reason = system.errors.first().map_or(String::new(), |error| format!(": {error}"));
        let error = anyhow!("no root certificate in $SSL_CERT_FILE and $SSL_CERT_DIR{reason}");
        return Err(error).hint("correct these variables, or unset them to use the system's");
    } else {
        terminal.verbose(|| {
            "this system has no root certificates; --notify uses Mozilla's, which are compiled in"
                .to_owned()
        });
        RootCerts::WebPki
    };
    let config = Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_global(Some(TRY_TIMEOUT))
        .http_status_as_error(false)
        // Another URL than the given one gets no message.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // Messages are rare: a connection that was kept would be closed by the server when the next one is sent.
        .max_idle_connections(0)
        .user_agent(concat!("entropy-viz/", env!("CARGO_PKG_VERSION")));
    Ok(config.build().new_agent())
}

/// The body of a request.
#[derive(Debug, Serialize)]
struct Message<'a> {
    /// For people; the only key that Slack reads.
    text: String,
    run: &'a str,
    state: String,
    previous_state: String,
    step: serde_json::Number,
    value: f64,
    unit: &'static str,
}

/// The message about a state change as JSON.
fn message(change: &StateChange) -> String {
    // In Slack's markup <!channel> calls everyone, and a label could contain it:
    // https://docs.slack.dev/messaging/formatting-message-text#escaping
    let text = change_text(change, " nats");
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let step = change.step();
    let whole = (step.fract() == 0.0 && step.abs() < 2f64.powi(53)).then_some(step as i64);
    let message = Message {
        text: format!("entropy-viz: {text}"),
        run: &visible(&change.now.label),
        state: state_key(change.now.state_name()),
        previous_state: state_key(change.before.unwrap_or_default()),
        step: whole
            .map(serde_json::Number::from)
            .or_else(|| serde_json::Number::from_f64(step))
            .expect("BUG: the steps of a history are finite"),
        value: change.now.last.entropy,
        unit: "nats",
    };
    serde_json::to_string(&message).expect("BUG: a message has only strings as keys")
}

/// Why a try failed.
#[derive(Debug, PartialEq)]
struct Failure {
    reason: String,
    retry: Retry,
}

/// Whether another try can succeed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Retry {
    Never,
    /// Not before this time has passed.
    After(Duration),
}

/// One try to post a message.
fn post(agent: &Agent, webhook: &Webhook, body: &str) -> Result<(), Failure> {
    let answer = agent.post(&webhook.url).content_type("application/json").send(body);
    let answer = answer.map_err(|error| failure(&error))?;
    let status = answer.status();
    let code = status.as_u16();
    if status.is_success() {
        return Ok(());
    }
    let retry = match code == 429 || status.is_server_error() {
        true => Retry::After(retry_after(answer.headers().get("retry-after"))),
        false => Retry::Never,
    };
    let words = status.canonical_reason().map_or(String::new(), |words| format!(" ({words})"));
    let redirect = if status.is_redirection() { ", and redirects are not followed" } else { "" };
    Err(Failure { reason: format!("status {code}{words}{redirect}"), retry })
}

/// The time of a `Retry-After` header, in seconds or as a date, limited to [`MAX_RETRY_AFTER`].
fn retry_after(header: Option<&ureq::http::HeaderValue>) -> Duration {
    let Some(text) = header.and_then(|value| value.to_str().ok()) else { return Duration::ZERO };
    let seconds = text.trim().parse().ok().map(Duration::from_secs);
    let until = || {
        let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
        Duration::try_from(date.timestamp().duration_since(jiff::Timestamp::now())).ok()
    };
    seconds.or_else(until).unwrap_or_default().min(MAX_RETRY_AFTER)
}

/// The reason of an HTTP error in own words: some of its texts contain the URL.
fn failure(error: &ureq::Error) -> Failure {
    use std::io::ErrorKind::InvalidData;
    use ureq::Error;
    let tls = |reason: String| {
        let hint = match reason.contains("UnknownIssuer") {
            true => "; if you trust it, name a file with its authority in $SSL_CERT_FILE",
            false => "",
        };
        (format!("no secure connection: {reason}{hint}"), Retry::Never)
    };
    let again = Retry::After(Duration::ZERO);
    let (reason, retry) = match error {
        Error::Timeout(_) => (format!("no answer within {} s", TRY_TIMEOUT.as_secs()), again),
        Error::HostNotFound => ("its address was not found".to_owned(), again),
        // What rustls refuses, such as a certificate, reaches us in an I/O error.
        Error::Io(error) if error.kind() == InvalidData => tls(error.to_string()),
        Error::Rustls(error) => tls(error.to_string()),
        Error::Tls(reason) => tls((*reason).to_owned()),
        Error::Io(error) => (io_message(error), again),
        Error::ConnectionFailed => ("no connection".to_owned(), again),
        Error::ConnectProxyFailed(_) => ("the proxy did not connect".to_owned(), again),
        Error::Protocol(_) | Error::LargeResponseHeader(..) => {
            ("its answer is not valid HTTP".to_owned(), Retry::Never)
        }
        _ => ("the request could not be made".to_owned(), Retry::Never),
    };
    Failure { reason, retry }
}

/// Posts a message, with up to two more tries. Returns a warning if it was not accepted.
fn deliver(agent: &Agent, webhook: &Webhook, change: &StateChange) -> Option<String> {
    let body = message(change);
    let mut pauses = PAUSES.iter();
    let mut tries = 1;
    loop {
        let Failure { reason, retry } = post(agent, webhook, &body).err()?;
        match (retry, pauses.next()) {
            (Retry::After(least), Some(pause)) => std::thread::sleep(least.max(*pause)),
            _ => {
                let (label, name) = (visible(&change.now.label), &webhook.name);
                let tries = if tries == 1 { "" } else { ", in 3 tries" };
                return Some(format!("no message about {label} to {name}{tries}: {reason}"));
            }
        }
        tries += 1;
    }
}

/// Sends a message for each state change.
pub(super) struct Notifier {
    name: String,
    queue: SyncSender<StateChange>,
    /// One result per message: `None` if it was accepted, else a warning.
    results: Receiver<Option<String>>,
    /// The number of messages without a result.
    pending: usize,
    /// The number of messages since the last warning for which the queue had no room.
    dropped: usize,
}

impl Notifier {
    /// Starts the thread that sends the messages.
    ///
    /// # Errors
    /// When `$SSL_CERT_FILE` or `$SSL_CERT_DIR` has no certificates, or the thread cannot be started.
    pub(super) fn start(webhook: Webhook, terminal: &Terminal) -> Result<Notifier, CliError> {
        let agent = agent(terminal)?;
        let name = webhook.name.clone();
        let (queue, changes) = sync_channel::<StateChange>(QUEUE_SIZE);
        let (finished, results) = sync_channel(QUEUE_SIZE);
        let send = move || {
            for change in changes {
                if finished.send(deliver(&agent, &webhook, &change)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("notify".to_owned())
            .spawn(send)
            .map_err(|error| anyhow!("cannot start a thread: {}", io_message(&error)))?;
        Ok(Notifier { name, queue, results, pending: 0, dropped: 0 })
    }

    pub(super) fn enqueue(&mut self, change: &StateChange) {
        match self.queue.try_send(change.clone()) {
            Ok(()) => self.pending += 1,
            Err(_) => self.dropped += 1,
        }
    }

    /// The next warning about a message that was not accepted, if any.
    pub(super) fn next_problem(&mut self) -> Option<String> {
        while let Ok(problem) = self.results.try_recv() {
            self.pending -= 1;
            if problem.is_some() {
                return problem;
            }
        }
        let dropped = std::mem::take(&mut self.dropped);
        (dropped > 0).then(|| {
            let (messages, name) = (plural(dropped, "message", "messages"), &self.name);
            format!("{messages} to {name} left out: {QUEUE_SIZE} wait to be sent")
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending == 0 && self.dropped == 0
    }

    /// The scheme and the host of the webhook.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A warning about the messages without a result; `None` if there are none.
    pub(super) fn unsent(&self) -> Option<String> {
        let messages = plural(self.pending, "message", "messages");
        (self.pending > 0).then(|| format!("not sent to {}: {messages}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    #[test]
    fn webhook_shows_only_scheme_and_host() {
        let name = |text: &str| Webhook::parse(text).map(|webhook| webhook.name);
        let host = |name: &str| Ok(name.to_owned());
        assert_eq!(
            name("https://hooks.slack.com/services/T0/B0/x?y#z"),
            host("https://hooks.slack.com")
        );
        assert_eq!(name("http://user:password@127.0.0.1:8080/x"), host("http://127.0.0.1"));
        assert_eq!(name("HTTPS://[::1]:443"), host("https://[::1]"));
    }

    #[test]
    fn webhook_without_scheme_host_or_port_is_rejected() {
        for text in [
            "",
            "hooks.slack.com/x",
            "hooks.slack.com",
            "/x",
            "https://",
            "https:///x",
            "https:x",
            "ftp://host/x",
            "https://host:99999/x",
            "https://host:port/x",
            "https://ho st/x",
            "https://@/",
            "https://:80/",
            "mailto:a@b.org",
        ] {
            assert!(Webhook::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retry_after_is_in_seconds_or_a_date_and_limited() {
        let seconds = |text: &str| {
            let header = HeaderValue::from_str(text).unwrap();
            retry_after(Some(&header)).as_secs_f64()
        };
        assert_eq!(
            [seconds("7"), seconds("3600"), seconds("soon"), seconds("-1")],
            [7.0, 30.0, 0.0, 0.0]
        );
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), 0.0); // RFC 9110, section 5.6.7
        assert_eq!(seconds("Fri, 06 Nov 2899 08:49:37 GMT"), 30.0);
        let later = jiff::Timestamp::now() + Duration::from_secs(20);
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date = printer.timestamp_to_rfc9110_string(&later).unwrap();
        assert!((15.0..=20.0).contains(&seconds(&date)), "{date}");
        assert_eq!(retry_after(None), Duration::ZERO);
    }
}
