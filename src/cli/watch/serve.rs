//! `watch --serve`: the page of `report`, updated live in a browser.
//!
//! An address that other machines can reach needs `--allow-remote`, and every path contains a token that is new at
//! each start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;

use crate::cli::args::{BandArgs, GroupArgs, WithArgs};
use crate::cli::invocation::command_line;
use crate::cli::page::{PAGE_AUX, page_smoothing, watch_in_terminal};
use crate::live::request::{AccessPolicy, Hosts};
use crate::live::{self, Server};
use crate::report::{PageOptions, document, live_page};
use entropy_history::history::Comparison;
use entropy_history::stats::analyse;
use entropy_history::stats::compare::{Plan, compare};
use entropy_history::stats::health::Thresholds;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::store::AuxRequest;
use entropy_shell::{CliError, Terminal, WithHint, io_message};

/// The pause before the next document, as a multiple of the time that the last one took to make.
const REST_FACTOR: u32 = 5;
/// How long the end waits for browsers to receive the end of the event stream.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Serve the page of `report` with live updates at IP:PORT or PORT, 0 for any free port [default:
    /// 127.0.0.1:8765]. Prints the address. Inputs go before this option.
    #[arg(
        long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8765", value_parser = address,
        conflicts_with_all = ["once", "width", "height", "theme", "over", "hline", "no_mouse"]
    )]
    serve: Option<SocketAddr>,
    /// Allow connections from other machines (unencrypted).
    #[arg(long, requires = "serve")]
    allow_remote: bool,
    #[command(flatten)]
    groups: GroupArgs,
    #[command(flatten)]
    bands: BandArgs,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = |text: &str| text.parse::<u16>().ok();
    let (bare, named) =
        (port(text.strip_prefix(':').unwrap_or(text)), text.strip_prefix("localhost:"));
    let here = bare.or_else(|| named.and_then(port)).map(|port| SocketAddr::new(local, port));
    here.or_else(|| text.parse().ok()).ok_or_else(|| {
        "expected IP:PORT, as in 127.0.0.1:8765 or [::1]:0, or PORT; inputs go before --serve"
            .to_owned()
    })
}

/// The page while it is served.
pub(super) struct Service {
    server: Arc<Server>,
    /// The listener and the URL, until the server is started.
    pending: Option<(TcpListener, String)>,
    options: PageOptions<'static>,
    groups: GroupArgs,
    bands: BandArgs,
    with: WithArgs,
    has_new_data: bool,
    is_published: bool,
    not_before: Option<Instant>,
}

impl ServeArgs {
    /// What is read of each run beside its entropy, for the page and for the screen.
    pub(super) fn aux_request(&self) -> AuxRequest {
        self.groups.added_to(PAGE_AUX)
    }

    /// Starts to listen if `--serve` is given, without accepting connections yet. `places` describes where
    /// logs are searched, for the page without runs.
    pub(super) fn prepare(
        &self,
        smoothing: Smoothing,
        log_y: bool,
        thresholds: Thresholds,
        with: &WithArgs,
        places: &str,
    ) -> Result<Option<Service>, CliError> {
        let Some(address) = self.serve else {
            return match self.groups.is_given() {
                true => Err(anyhow!(
                    "{} needs --serve: the terminal shows single runs",
                    self.groups.flag()
                ))
                .hint("add --serve for a page with the means of groups"),
                false => Ok(None),
            };
        };
        if !live::is_local(&address) && !self.allow_remote {
            return Err(anyhow!("refusing to listen on {address}: other machines could reach it"))
                .hint("serve on 127.0.0.1 and connect through `ssh -L 8765:127.0.0.1:8765 HOST`, or add --allow-remote");
        }
        let smoothing = page_smoothing(smoothing)?;
        let listener = TcpListener::bind(address).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => "another port: --serve 127.0.0.1:0 uses a free one",
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 may need privileges: --serve 127.0.0.1:8765"
                }
                _ => "--serve alone listens on 127.0.0.1:8765",
            };
            CliError {
                error: anyhow!("cannot listen on {address}: {}", io_message(&error)),
                hint: Some(hint.to_owned()),
            }
        })?;
        let bound = listener.local_addr()?;
        let token = live::token().map_err(|e| {
            anyhow!("cannot get random numbers from the system: {}", io_message(&e))
        })?;
        let url = format!("http://{bound}/{token}/");
        let hosts = if self.allow_remote { Hosts::Any } else { Hosts::Local(bound.ip()) };
        let access = AccessPolicy { token, hosts };
        let command = command_line();
        let terminal = watch_in_terminal();
        let options = PageOptions {
            command,
            terminal,
            smoothing,
            log_y,
            thresholds,
            ..PageOptions::default()
        };
        let page = live_page(&options, places);
        Ok(Some(Service {
            server: Arc::new(Server::new(access, page)),
            pending: Some((listener, url)),
            options,
            groups: self.groups.clone(),
            bands: self.bands.clone(),
            with: with.clone(),
            has_new_data: false,
            is_published: false,
            not_before: None,
        }))
    }
}

impl Service {
    /// Accepts connections and prints the address, at the first call.
    pub(super) fn start(&mut self, terminal: &Terminal) -> Result<(), CliError> {
        let Some((listener, url)) = self.pending.take() else { return Ok(()) };
        self.server
            .start(listener)
            .map_err(|e| anyhow!("cannot start a thread: {}", io_message(&e)))?;
        terminal.print(format!("{url}\n").as_bytes())
    }

    /// Notes whether the runs have new points.
    pub(super) fn note_growth(&mut self, grew: bool) {
        self.has_new_data |= grew;
    }

    /// Publishes the runs if they have new points, a client waits for them, and the pause after the last document
    /// is over.
    pub(super) fn publish_if_due(&mut self, comparison: Option<&Comparison>) {
        let Some(comparison) = comparison.filter(|_| self.has_new_data) else { return };
        let start = Instant::now();
        let is_awaited = !self.is_published
            || self.server.document.has_subscribers()
            || self.server.document.is_requested();
        if !is_awaited || self.not_before.is_some_and(|time| start < time) {
            self.server.document.mark_outdated();
            return;
        }
        self.server.document.publish(self.document(comparison));
        self.not_before = Some(Instant::now() + start.elapsed() * REST_FACTOR);
        (self.has_new_data, self.is_published) = (false, true);
    }

    /// The newest document, with the groups and the quantities that the runs have so far.
    fn document(&self, comparison: &Comparison) -> String {
        let mut analysis = analyse(comparison, &self.options.thresholds);
        let (quantities, missing) = self.with.found(comparison);
        let note = |name: &&str| format!("No run has {name} yet.");
        let mut notes: Vec<String> = missing.iter().map(note).collect();
        let mut grouped = None;
        if self.groups.is_given() {
            // The runs of a group may appear later.
            match self.groups.on_page(&self.bands, comparison) {
                Ok(groups) => grouped = groups,
                Err(error) => notes.push(format!("There are no groups yet: {:#}", error.error)),
            }
            if let Ok(groups) = self.groups.groups(comparison) {
                compare(comparison, &mut analysis, &Plan { groups, baseline: None });
            }
        }
        let options = PageOptions {
            groups: grouped.as_ref(),
            quantities: &quantities,
            notes: &notes,
            ..self.options.clone()
        };
        document(comparison, &analysis, &options)
    }

    /// Ends the event streams of all browsers.
    pub(super) fn close(&self) {
        self.server.document.close(SHUTDOWN_GRACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_may_be_a_port_only() {
        let parsed = |text: &str| address(text).map(|address| address.to_string());
        for text in ["8080", ":8080", "localhost:8080", "127.0.0.1:8080"] {
            assert_eq!(parsed(text), Ok("127.0.0.1:8080".to_owned()), "{text}");
        }
        assert_eq!(parsed("[::1]:0"), Ok("[::1]:0".to_owned()));
        for text in ["runs", "example.org:80", "127.0.0.1", "99999", ""] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
