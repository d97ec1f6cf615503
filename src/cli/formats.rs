//! `entropy-viz formats`: what can be read.

use super::Outcome;
use super::failure::Failure;
use super::terminal::Terminal;
use crate::input::FORMATS;

pub(super) fn run(terminal: &Terminal) -> Result<Outcome, Failure> {
    let mut text = String::new();
    for format in FORMATS {
        text.push_str(&format!(
            "{}\n    {}\n    recognised by: {}\n    metrics: {}\n",
            format.name,
            format.about,
            format.recognised_by,
            format.metrics.join(", ")
        ));
    }
    terminal.print(text.as_bytes())?;
    Ok(Outcome::Done)
}
