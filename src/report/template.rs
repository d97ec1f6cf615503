//! Rendering of the templates.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment};

/// Renders a template. A line that contains only a statement produces no output.
pub(super) fn render(template: &str, escape: AutoEscape, context: Value) -> String {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    environment.set_syntax(syntax.expect("BUG: the delimiters are the default ones"));
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.render_str(template, context).expect("BUG: the template matches its context")
}
