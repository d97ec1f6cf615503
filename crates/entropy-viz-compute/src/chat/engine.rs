//! Runs a template within limits.
//!
//! A template is a program from a checkpoint, so its steps, output and time are limited (a step also pays for 64 bytes).
//! The engine recurses over nested values, so it runs on a thread with a stack for the deepest nesting that the limits
//! allow.

use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State};
use thiserror::Error;

use super::{python, source, tojson};

/// Maximum number of steps; a long chat takes about ten thousand.
const MAX_STEPS: u64 = 4_000_000;
const MAX_OUTPUT: usize = 16 << 20;
const MAX_MESSAGE: usize = 500;
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Stack size in bytes; only the part in use takes memory.
const STACK_SIZE: usize = 512 << 20;
const NAME: &str = "template";

/// Why a template could not be rendered. Lines are counted from 1.
#[derive(Debug, PartialEq)]
pub(super) enum TemplateError {
    /// It is not valid, or it failed.
    Stopped { line: Option<usize>, reason: String },
    /// It called `raise_exception`.
    Raised { line: Option<usize>, message: String },
}

impl TemplateError {
    fn new(line: Option<usize>, reason: impl Into<String>) -> TemplateError {
        TemplateError::Stopped { line, reason: reason.into() }
    }
}

/// The message of `raise_exception`.
#[derive(Debug, Error)]
#[error("{0}")]
struct Raised(String);

/// What happens to a line with only a tag.
#[derive(Debug, Clone, Copy)]
pub(super) enum TagLines {
    /// The line is removed (`trim_blocks` and `lstrip_blocks`).
    Stripped,
    /// The whitespace is kept, Jinja's default.
    Kept,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template(Arc<Environment<'static>>);

impl Template {
    pub(super) fn new(text: &str, lines: TagLines) -> Result<Template, TemplateError> {
        let text =
            source::prepare(text).map_err(|(line, reason)| TemplateError::new(line, reason))?;
        let mut environment = environment(lines);
        let environment = run_with_limits(TIME_LIMIT, move || {
            environment.add_template_owned(NAME, text).map_err(|error| template_error(&error))?;
            Ok(environment)
        })?;
        Ok(Template(Arc::new(environment)))
    }

    pub(super) fn render(&self, variables: Value) -> Result<String, TemplateError> {
        let environment = Arc::clone(&self.0);
        run_with_limits(TIME_LIMIT, move || {
            let mut out = LimitedOutput(Vec::new());
            environment
                .get_template(NAME)
                .and_then(|template| template.render_captured_to(variables, &mut out).map(drop))
                .map_err(|error| template_error(&error))?;
            Ok(String::from_utf8(out.0).expect("BUG: the engine writes strings"))
        })
    }
}

/// The settings of transformers 5.23 (`_cached_compile_jinja_template` in `chat_template_utils.py`).
fn environment(lines: TagLines) -> Environment<'static> {
    let mut environment = Environment::new();
    let strip = matches!(lines, TagLines::Stripped);
    let syntax = SyntaxConfig::builder().trim_blocks(strip).lstrip_blocks(strip).build();
    environment.set_syntax(syntax.expect("BUG: the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_formatter(|out, state, value| Ok(out.write_str(&python::text(state, value)?)?));
    environment.set_unknown_method_callback(python::call_method);
    environment.add_filter("tojson", tojson::tojson);
    environment.add_filter("string", python::text);
    environment.add_filter(source::STORED, python::stored);
    environment.add_filter("trim", python::trim);
    for name in ["e", "escape"] {
        environment.add_filter(name, python::escape);
    }
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment
}

fn raise_exception(state: &State, message: &Value) -> Result<Value, Error> {
    let raised = Raised(python::text(state, message)?);
    Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(raised))
}

/// The local time, or that of `SOURCE_DATE_EPOCH` in UTC, which makes runs reproducible.
fn strftime_now(format: &str) -> Result<String, Error> {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let now: DateTime = match fixed.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        Some(time) => TimeZone::UTC.to_datetime(time),
        None => Zoned::now().datetime(),
    };
    jiff::fmt::strtime::format(format, now).map_err(|_| {
        let reason = format!("strftime_now does not support {format:?}");
        Error::new(ErrorKind::InvalidOperation, reason)
    })
}

/// Limits the length of a message from a template.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn template_error(error: &Error) -> TemplateError {
    let line = error.line();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(Raised(message)) = inner.downcast_ref() {
            return TemplateError::Raised { line, message: shorten(message) };
        }
        cause = inner.source();
    }
    let reason = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it takes more than {MAX_STEPS} steps"),
        (ErrorKind::WriteFailure, _) => {
            format!("it writes more than {} MiB", MAX_OUTPUT >> 20)
        }
        (ErrorKind::UndefinedError, None) => {
            "it uses an attribute of an undefined value".to_owned()
        }
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    TemplateError::new(line, shorten(&reason))
}

/// Collects output up to a limit.
struct LimitedOutput(Vec<u8>);

impl Write for LimitedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs work on a thread with a large stack. After the time limit the thread is abandoned: it cannot be stopped, and
/// the program ends soon after the error.
fn run_with_limits<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        let _ = sender.send(work()); // fails after the time limit
    };
    thread::Builder::new()
        .name(NAME.to_owned())
        .stack_size(STACK_SIZE)
        .spawn(run)
        .map_err(|error| TemplateError::new(None, format!("cannot start a thread: {error}")))?;
    receiver.recv_timeout(limit).unwrap_or_else(|error| {
        Err(match error {
            mpsc::RecvTimeoutError::Timeout => {
                TemplateError::new(None, format!("it takes more than {limit:?}"))
            }
            mpsc::RecvTimeoutError::Disconnected => {
                TemplateError::new(None, "the template engine crashed")
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_beyond_time_limit_is_abandoned() {
        let work = || {
            thread::sleep(Duration::from_secs(5));
            Ok(())
        };
        let error = run_with_limits(Duration::from_millis(10), work).unwrap_err();
        assert_eq!(error, TemplateError::new(None, "it takes more than 10ms"));
    }
}
