//! The page of `watch --serve`: the page of `report`, split where its data go, with a script that fetches newer
//! data.

use minijinja::value::Value;
use minijinja::{AutoEscape, context};

use super::page::{PageKind, PageOptions, STYLE, colours, digest, render, title};
use super::template;
use crate::live::PageShell;

static WAITING: &str = include_str!("../../templates/waiting.html");

/// Marks where the data go. It cannot occur in a page: control characters in names are shown as escapes.
const DATA_MARK: &str = "\0";

/// The page around any document of [`document`](super::document), and the page to show before the first run;
/// `places` says in words where logs are expected.
pub fn live_page(options: &PageOptions<'_>, places: &str) -> PageShell {
    let (text, policy) = render(DATA_MARK, options, PageKind::Live);
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
            title => title(options),
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
