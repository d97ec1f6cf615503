//! `watch --serve`: the page of `report`, live in a browser.
//!
//! Where to listen is the user's to io_message; that nobody else listens in is ours: an address that other machines
//! reach takes a flag of its own, and every path a token that is new each time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;

use super::WatchArgs;
use crate::cli::Terminal;
use crate::cli::invocation::command_line;
use crate::cli::page::page_smoothing;
use crate::live::request::{Doors, Hosts};
use crate::live::{self, Bulletin, Frame};
use crate::report::{LivePage, Page, document, live_page};
use entropy_history::history::Comparison;
use entropy_history::stats::analyse;
use entropy_history::stats::health::Thresholds;
use entropy_shell::io_message;
use entropy_shell::{Failure, WithHint};

/// Data are made again only after so many times as long as making them took.
const REST: u32 = 5;
/// How long the end waits for browsers to hear of it.
const FAREWELL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Show the page of `report`, live, at an address that is printed: IP:PORT or PORT, 0 for any free
    /// port [default: 127.0.0.1:8765]. Inputs come first.
    #[arg(
        long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8765", value_parser = address,
        conflicts_with_all = ["once", "width", "height", "theme", "over"]
    )]
    serve: Option<SocketAddr>,
    /// Let other machines reach the page: what they and this one say to each other can be read on the way.
    #[arg(long, requires = "serve")]
    allow_remote: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = |text: &str| text.parse::<u16>().ok();
    let (bare, named) =
        (port(text.strip_prefix(':').unwrap_or(text)), text.strip_prefix("localhost:"));
    let here = bare.or_else(|| named.and_then(port)).map(|port| SocketAddr::new(local, port));
    here.or_else(|| text.parse().ok()).ok_or_else(|| {
        "an address is IP:PORT, as 127.0.0.1:8765 or [::1]:0, or PORT alone; inputs come before --serve".to_owned()
    })
}

/// The page while it is served.
pub(super) struct Service {
    bulletin: Arc<Bulletin>,
    ready: Option<Ready>, // until it is started
    facts: Facts,
    is_new: bool,
    shown: bool,
    not_before: Option<Instant>,
}

struct Ready {
    listener: TcpListener,
    doors: Doors,
    frame: Frame,
    url: String,
}

/// What the page says beside its runs.
struct Facts {
    command: String,
    smoothing: f64,
    log_y: bool,
    thresholds: Thresholds,
}

impl Facts {
    fn page(&self) -> Page<'_> {
        Page {
            command: &self.command,
            smoothing: self.smoothing,
            log_y: self.log_y,
            thresholds: self.thresholds,
            ..Page::default()
        }
    }
}

impl ServeArgs {
    pub(super) fn is_asked(&self) -> bool {
        self.serve.is_some()
    }

    /// Listens, if it is asked for; answers nobody yet.
    pub(super) fn prepare(
        &self,
        watch: &WatchArgs,
        places: &str,
    ) -> Result<Option<Service>, Failure> {
        let Some(address) = self.serve else { return Ok(None) };
        if !live::is_local(&address) && !self.allow_remote {
            return Err(anyhow!("refusing to listen on {address}: other machines could reach it"))
                .hint("serve on 127.0.0.1 and reach it by `ssh -L 8765:127.0.0.1:8765 HOST`, or add --allow-remote");
        }
        let smoothing = page_smoothing(watch.curves.smooth)?;
        let listener = TcpListener::bind(address).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => "another port: --serve 127.0.0.1:0 takes a free one",
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 may be the system's: --serve 127.0.0.1:8765"
                }
                _ => "--serve alone listens on 127.0.0.1:8765",
            };
            Failure {
                error: anyhow!("cannot listen on {address}: {}", io_message(&error)),
                hint: Some(hint.to_owned()),
            }
        })?;
        let bound = listener.local_addr()?;
        let token = live::token()
            .map_err(|e| anyhow!("the system gives no randomness: {}", io_message(&e)))?;
        let url = format!("http://{bound}/{token}/");
        let hosts = if self.allow_remote { Hosts::Any } else { Hosts::Local(bound.ip()) };
        let facts = Facts {
            command: command_line(),
            smoothing,
            log_y: watch.curves.log_y,
            thresholds: watch.health.thresholds(),
        };
        let LivePage { before, after, policy, waiting, waiting_policy } =
            live_page(&facts.page(), places);
        // Browsers heed this one in a header alone.
        let framed = |policy| format!("{policy}; frame-ancestors 'none'");
        let frame = Frame {
            before,
            after,
            policy: framed(policy),
            waiting,
            waiting_policy: framed(waiting_policy),
        };
        let doors = Doors { token, hosts };
        Ok(Some(Service {
            bulletin: Arc::default(),
            ready: Some(Ready { listener, doors, frame, url }),
            facts,
            is_new: false,
            shown: false,
            not_before: None,
        }))
    }
}

impl Service {
    /// Begins to answer and says where, unless it has.
    pub(super) fn start(&mut self, terminal: &Terminal) -> Result<(), Failure> {
        let Some(Ready { listener, doors, frame, url }) = self.ready.take() else { return Ok(()) };
        live::start(listener, doors, frame, Arc::clone(&self.bulletin))
            .map_err(|e| anyhow!("cannot start a thread: {}", io_message(&e)))?;
        terminal.print(format!("{url}\n").as_bytes())
    }

    /// Takes note of whether the runs have grown.
    pub(super) fn take(&mut self, grew: bool) {
        self.is_new |= grew;
    }

    /// Publishes the runs if they are new, somebody looks, and the machine is not kept busy by it.
    pub(super) fn go_on(&mut self, comparison: Option<&Comparison>) {
        let Some(comparison) = comparison.filter(|_| self.is_new) else { return };
        let start = Instant::now();
        let is_awaited = !self.shown || self.bulletin.has_readers() || self.bulletin.is_asked();
        if !is_awaited || self.not_before.is_some_and(|time| start < time) {
            self.bulletin.outdate();
            return;
        }
        let analysis = analyse(comparison, &self.facts.thresholds);
        self.bulletin.publish(document(comparison, &analysis, &self.facts.page()));
        self.not_before = Some(Instant::now() + start.elapsed() * REST);
        (self.is_new, self.shown) = (false, true);
    }

    /// Tells browsers that nothing more will come.
    pub(super) fn end(&self) {
        self.bulletin.end(FAREWELL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_port_of_this_machine() {
        let told = |text: &str| address(text).map(|address| address.to_string());
        for text in ["8080", ":8080", "localhost:8080", "127.0.0.1:8080"] {
            assert_eq!(told(text), Ok("127.0.0.1:8080".to_owned()), "{text}");
        }
        assert_eq!(told("[::1]:0"), Ok("[::1]:0".to_owned()));
        for text in ["runs", "example.org:80", "127.0.0.1", "99999", ""] {
            assert!(told(text).is_err(), "{text}");
        }
    }
}
