//! The page of `watch --serve`: the page of `report` in two pieces, between which any document can be put, with a
//! script that takes newer ones as they come.

use minijinja::{AutoEscape, context};

use super::{Kind, Page, STYLE as PAGE_STYLE, colours, digest, whole};

static WAITING: &str = include_str!("../../../templates/waiting.html");
pub(super) static STYLE: &str = include_str!("../../../templates/live.css");
pub(super) static SCRIPT: &str = include_str!("../../../templates/live.js");

/// No text of a page has it: control characters in names are shown as escapes.
const MARK: &str = "\0";

/// A page without its data, and one for as long as there are none.
#[derive(Debug, Clone)]
pub struct LivePage {
    /// What stands before a [`document`](super::document).
    pub before: String,
    /// What stands behind it.
    pub after: String,
    /// What the page may do.
    pub policy: String,
    /// The page that waits for a first run.
    pub waiting: String,
    /// What that one may do.
    pub waiting_policy: String,
}

/// The page to put documents into; `places` is where logs are looked for, in words.
pub fn live_page(page: &Page<'_>, places: &str) -> LivePage {
    let (text, policy) = whole(MARK, page, Kind::Live);
    let (before, after) = text.split_once(MARK).expect("BUG: the mark was put into the page");
    let style = colours() + PAGE_STYLE;
    let waiting_policy = format!(
        "default-src 'none'; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        digest(&style)
    );
    let mut environment = super::super::environment();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("waiting.html", WAITING).expect("BUG: the template parses");
    let template = environment.get_template("waiting.html").expect("BUG: it was just added");
    let waiting = template.render(context! {
        title => super::title(page),
        policy => &waiting_policy,
        style => minijinja::value::Value::from_safe_string(style),
        places => entropy_history::label::visible(places),
    });
    LivePage {
        before: before.to_owned(),
        after: after.to_owned(),
        policy,
        waiting: waiting.expect("BUG: the template names what it is given"),
        waiting_policy,
    }
}
