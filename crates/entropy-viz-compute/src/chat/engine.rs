//! Runs a template, within limits.
//!
//! A template is a program that came with a checkpoint, so it gets a budget: so many steps (each
//! pays for 64 bytes, too), so much output, so much time. The engine recurses over what a template
//! nests, so it runs on a thread whose stack holds the deepest nesting that the budget can pay for.

use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State};
use thiserror::Error;

use super::{json, methods, python, source};

/// A long conversation takes some ten thousand.
const STEPS: u64 = 4_000_000;
const LARGEST_OUTPUT: usize = 16 << 20;
const LONGEST_MESSAGE: usize = 500;
const PATIENCE: Duration = Duration::from_secs(10);
/// Address space, not memory: only what is used is there.
const STACK: usize = 512 << 20;
const NAME: &str = "template";

/// Why a template gave no text. Lines are the template's, from 1.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// It is not valid, or could not go on.
    Stopped { line: Option<usize>, why: String },
    /// It called `raise_exception`.
    Raised { line: Option<usize>, message: String },
}

impl Fault {
    fn new(line: Option<usize>, why: impl Into<String>) -> Fault {
        Fault::Stopped { line, why: why.into() }
    }
}

/// What `raise_exception` was given.
#[derive(Debug, Error)]
#[error("{0}")]
struct Raised(String);

/// What becomes of the line a tag stands on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lines {
    /// A line with nothing but a tag leaves nothing.
    TagsStripped,
    /// Jinja's default.
    AsWritten,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template(Arc<Environment<'static>>);

impl Template {
    pub(super) fn new(text: &str, lines: Lines) -> Result<Template, Fault> {
        let text = source::prepared(text).map_err(|(line, why)| Fault::new(line, why))?;
        let mut environment = environment(lines);
        let environment = on_own_stack(PATIENCE, move || {
            environment.add_template_owned(NAME, text).map_err(|error| fault(&error))?;
            Ok(environment)
        })?;
        Ok(Template(Arc::new(environment)))
    }

    pub(super) fn render(&self, variables: Value) -> Result<String, Fault> {
        let environment = Arc::clone(&self.0);
        on_own_stack(PATIENCE, move || {
            let mut out = Limited(Vec::new());
            environment
                .get_template(NAME)
                .and_then(|template| template.render_captured_to(variables, &mut out).map(drop))
                .map_err(|error| fault(&error))?;
            Ok(String::from_utf8(out.0).expect("BUG: the engine writes strings"))
        })
    }
}

/// As transformers sets Jinja up (`_cached_compile_jinja_template` of its `chat_template_utils.py`,
/// 5.23).
fn environment(lines: Lines) -> Environment<'static> {
    let mut environment = Environment::new();
    let strip = matches!(lines, Lines::TagsStripped);
    let syntax = SyntaxConfig::builder().trim_blocks(strip).lstrip_blocks(strip).build();
    environment.set_syntax(syntax.expect("BUG: the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(STEPS));
    environment.set_formatter(|out, state, value| Ok(out.write_str(&python::text(state, value)?)?));
    environment.set_unknown_method_callback(methods::call);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("string", python::text);
    environment.add_filter("format", python::format);
    environment.add_filter(source::PERCENT, python::percent);
    environment.add_filter("trim", python::trim);
    for name in ["e", "escape"] {
        environment.add_filter(name, python::escape);
    }
    for name in ["d", "default"] {
        environment.add_filter(name, python::default);
    }
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_test("number", python::is_number);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment
}

fn raise_exception(state: &State, message: &Value) -> Result<Value, Error> {
    let raised = Raised(python::text(state, message)?);
    Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(raised))
}

/// The local time, or the one in `SOURCE_DATE_EPOCH`, which makes two runs alike.
fn strftime_now(format: &str) -> Result<String, Error> {
    use std::fmt::Write;
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let now: NaiveDateTime = match fixed.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
        Some(time) => time.naive_utc(),
        None => Local::now().naive_local(),
    };
    let mut text = String::new();
    write!(text, "{}", now.format(format)).map_err(|_| {
        Error::new(ErrorKind::InvalidOperation, format!("strftime_now cannot write {format:?}"))
    })?;
    Ok(text)
}

/// What a template says can be as long as it likes.
fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn fault(error: &Error) -> Fault {
    let line = error.line();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(Raised(message)) = inner.downcast_ref() {
            return Fault::Raised { line, message: short(message) };
        }
        cause = inner.source();
    }
    let why = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it takes more than {STEPS} steps"),
        (ErrorKind::WriteFailure, _) => {
            format!("it writes more than {} MiB", LARGEST_OUTPUT >> 20)
        }
        (ErrorKind::UndefinedError, None) => {
            "it takes something from an undefined value".to_owned()
        }
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    Fault::new(line, short(&why))
}

/// Collects what is written, up to a limit.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does the work on a thread with a large stack. Work that takes too long is left to itself: a
/// thread cannot be stopped, and the program, told of the error, is about to end.
fn on_own_stack<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        let _ = sender.send(work()); // nobody waits any more: too late
    };
    thread::Builder::new()
        .name(NAME.to_owned())
        .stack_size(STACK)
        .spawn(run)
        .map_err(|error| Fault::new(None, format!("no thread to run it on: {error}")))?;
    receiver.recv_timeout(patience).unwrap_or_else(|error| {
        Err(match error {
            mpsc::RecvTimeoutError::Timeout => {
                Fault::new(None, format!("it takes more than {patience:?}"))
            }
            mpsc::RecvTimeoutError::Disconnected => Fault::new(None, "the engine gave up on it"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_without_end_is_left_behind() {
        let work = || {
            thread::sleep(Duration::from_secs(5));
            Ok(())
        };
        let fault = on_own_stack(Duration::from_millis(10), work).unwrap_err();
        assert_eq!(fault, Fault::new(None, "it takes more than 10ms"));
    }
}
