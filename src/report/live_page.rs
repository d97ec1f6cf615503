//! The page of `watch --serve`: the page of `report`, split at the place of its data, with a script that requests
//! newer data.

use minijinja::value::Value;
use minijinja::{AutoEscape, context};

use super::page::{PageKind, PageOptions, STYLE, colours, digest, render, title};
use super::template;
use crate::live::PageShell;
use entropy_history::history::ENTROPY;

static WAITING: &str = include_str!("../../templates/waiting.html");

/// Marks the place of the data. No other text of a page contains it: control characters in names are escaped.
const DATA_MARK: &str = "\0";

/// The parts of the page before and after its data (made by [`document`](super::document)), and the page that is
/// shown before there is a run. `places` describes where logs are searched.
pub fn live_page(options: &PageOptions<'_>, places: &str) -> PageShell {
    let title = title(options, ENTROPY); // the first run may come later
    let (text, policy) = render(DATA_MARK, &title, options, PageKind::Live);
    let (before, after) = text.split_once(DATA_MARK).expect("BUG: the page contains the mark");
    let style = colours() + STYLE;
    let waiting_policy = format!(
        "default-src 'none'; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        digest(&style)
    );
    let waiting = template::render(
        WAITING,
        AutoEscape::Html,
        context! {
            title,
            policy => &waiting_policy,
            style => Value::from_safe_string(style),
            places => entropy_history::label::visible(places),
        },
    );
    // Browsers honour this directive only in a header.
    let in_header = |policy: String| format!("{policy}; frame-ancestors 'none'");
    PageShell {
        before: before.to_owned(),
        after: after.to_owned(),
        policy: in_header(policy),
        waiting,
        waiting_policy: in_header(waiting_policy),
    }
}
