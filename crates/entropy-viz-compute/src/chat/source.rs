//! Prepares the text of a template for the engine, which differs from Jinja in some points.
//!
//! - transformers adds the tag `{% generation %} … {% endgeneration %}`, which opens a scope and prints its content.
//!   It becomes `{% with %} … {% endwith %}`.
//! - Python's `'%s' % (a, b)` becomes `'%s'|format(a, b)`.
//! - `{% set ns.name = value %}` checks that the value has no namespace: one that contains itself would be printed
//!   and compared without end.
//! - Escapes in strings that the engine reads in another way, and the tag `raw`, are errors.

/// Maximum length of a template in bytes; published ones have up to about 50 KiB.
const MAX_LENGTH: usize = 512 << 10;
/// Maximum length of a tag, without its strings: the engine recurses over chains such as `a + b + c …`.
const MAX_TAG_LENGTH: usize = 16 << 10;

/// The filter of values that are stored in a namespace.
pub(super) const STORED: &str = "stored_in_namespace";

/// Rewrites a template. Line numbers do not change. An error is a line, if it is known, and a reason.
pub(super) fn prepare(source: &str) -> Result<String, (Option<usize>, String)> {
    if source.len() > MAX_LENGTH {
        return Err((None, format!("it is longer than {} KiB", MAX_LENGTH >> 10)));
    }
    // Jinja's lexer does this in text and in strings alike.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(start) = rest.find('{') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let length = match rest.as_bytes().get(1) {
            Some(b'#') => rest[2..].find("#}").map(|at| at + 2),
            Some(b'{') => code_length(&rest[2..], "}}"),
            Some(b'%') => code_length(&rest[2..], "%}"),
            _ => {
                out.push('{');
                rest = &rest[1..];
                continue;
            }
        };
        // The engine reports tags that are not closed.
        let (tag, after) = rest.split_at(length.map_or(rest.len(), |length| length + 2));
        let rewritten = match tag_name(tag) {
            _ if tag.starts_with("{#") => Ok(tag.to_owned()),
            Some("generation") => Ok(tag.replacen("generation", "with", 1)),
            Some("endgeneration") => Ok(tag.replacen("endgeneration", "endwith", 1)),
            Some("raw") => Err("the tag raw is not supported".to_owned()),
            _ => rewrite_code(tag).map(|tag| check_stored_value(&tag).unwrap_or(tag)),
        };
        let line = || source[..source.len() - rest.len()].matches('\n').count() + 1;
        out.push_str(&rewritten.map_err(|reason| (Some(line()), reason))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The content of a tag that is a single word: `generation` for `{%- generation -%}`.
fn tag_name(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
    Some(inside.strip_suffix(['-', '+']).unwrap_or(inside).trim())
}

/// Rewrites the formats in a tag, and checks its strings and its length.
fn rewrite_code(tag: &str) -> Result<String, String> {
    let mut out = String::with_capacity(tag.len());
    let mut rest = tag;
    let mut unquoted = 0;
    while let Some(at) = rest.find(['"', '\'']) {
        let Some(length) = quoted_length(&rest.as_bytes()[at..]) else { break };
        check_escapes(&rest[at..at + length])?;
        out.push_str(&rest[..at + length]);
        unquoted += at;
        rest = &rest[at + length..];
        if let Some(operands) = format_operands(rest) {
            out.push_str("|format");
            rest = operands;
        }
    }
    out.push_str(rest);
    if unquoted + rest.len() > MAX_TAG_LENGTH {
        return Err(format!("a tag is longer than {} KiB", MAX_TAG_LENGTH >> 10));
    }
    Ok(out)
}

/// For `{% set ns.name = value %}`, the tag with a filter that keeps `ns` from containing itself.
fn check_stored_value(tag: &str) -> Option<String> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let code = inside.strip_prefix(['-', '+']).unwrap_or(inside).trim_start();
    let assignment = code.strip_prefix("set").filter(|rest| !rest.starts_with(is_name))?;
    let end = code_length(assignment, "=")?;
    let (target, value) = (&assignment[..end], &assignment[end..]);
    if !target.contains('.') || value.starts_with('=') {
        return None;
    }
    let control = value.len() - value.strip_suffix(['-', '+']).unwrap_or(value).len();
    let (value, control) = value.split_at(value.len() - control);
    let before = &tag[..tag.len() - 2 - value.len() - control.len()];
    Some(format!("{before}({value})|{STORED} {control}%}}"))
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// After a string: for ` % (a, b) …`, the text from the parenthesis on.
fn format_operands(rest: &str) -> Option<&str> {
    let operands = rest.trim_start().strip_prefix('%')?.trim_start();
    let end = 1 + code_length(operands.strip_prefix('(')?, ")")?;
    // `% (a).b` formats a.b, but `|format(a).b` would take b of the text.
    let is_whole = !operands[end..].trim_start().starts_with(['.', '[', '(']);
    is_whole.then_some(operands)
}

/// Returns an error for an escape that means something else in Python.
fn check_escapes(quoted: &str) -> Result<(), String> {
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        if c == '\\'
            && let Some(escaped @ ('/' | 'a' | 'v' | 'N' | 'U' | '\n')) = chars.next()
        {
            let escape = format!("\\{escaped}");
            return Err(format!("the escape {escape:?} in a string is not supported"));
        }
    }
    Ok(())
}

/// The length of code up to and including `end`, which is not searched in strings and brackets.
fn code_length(code: &str, end: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut at = 0;
    while let Some(&byte) = code.as_bytes().get(at) {
        if open == 0 && code.as_bytes()[at..].starts_with(end.as_bytes()) {
            return Some(at + end.len());
        }
        match byte {
            b'"' | b'\'' => at += quoted_length(&code.as_bytes()[at..])? - 1,
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The length of a string including its quotes.
fn quoted_length(code: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match *code.get(at)? {
            b'\\' => at += 1,
            byte if byte == code[0] => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unchanged(source: &str) {
        assert_eq!(prepare(source).unwrap(), source);
    }

    #[test]
    fn generation_tag_becomes_with_and_keeps_whitespace_control() {
        let source = "a {%- generation -%} b {%+endgeneration+%} c";
        assert_eq!(prepare(source).unwrap(), "a {%- with -%} b {%+endwith+%} c");
    }

    #[test]
    fn comments_strings_and_text_are_not_tags() {
        unchanged("{# {% generation %} #}");
        unchanged("{{ '{% generation %}' }}{{ \"\\\"{% generation %}\" }}");
        unchanged("{% set generation = 1 %}{{ generation }} generation { % }");
        unchanged("{{ {'a': {'}}': 1}} }}{% if {'%}': 1} %}{% endif %}");
    }

    #[test]
    fn carriage_returns_become_newlines() {
        assert_eq!(prepare("a\r\nb\rc\n").unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn percent_format_becomes_filter() {
        let rewrite = |code: &str| prepare(&format!("{{{{ {code} }}}}")).unwrap();
        assert_eq!(rewrite("'%s-%d' % (a['b'], 1) ~ 'c'"), "{{ '%s-%d'|format(a['b'], 1) ~ 'c' }}");
        assert_eq!(
            rewrite("1 if '%s' % (x.y(')')) else ''"),
            "{{ 1 if '%s'|format(x.y(')')) else '' }}"
        );
        unchanged(
            "{% if x == 'a' %}{% if x == 'a'%}{{ 5 % x }}{{ '%s' % (a).b }}{% endif %}{% endif %}",
        );
    }

    #[test]
    fn rejects_raw_and_escapes_of_python() {
        let refusal = |source: &str| prepare(source).unwrap_err();
        assert_eq!(refusal("\n{% raw -%}"), (Some(2), "the tag raw is not supported".to_owned()));
        for escape in ["\\/", "\\a", "\\v", "\\U0001F389"] {
            let (line, reason) = refusal(&format!("{{{{ '\\n\\\\{escape}' }}}}"));
            assert_eq!(line, Some(1));
            assert!(reason.ends_with("in a string is not supported"), "{reason}");
        }
        unchanged(r#"{{ '\n\\/\'\u00e9' }} \/ {# \/ #}"#);
    }

    #[test]
    fn unclosed_tags_are_left_to_the_engine() {
        for source in ["{", "{%", "{{ 'a", "{# a", "a {% if 'é' ", "{% generation"] {
            unchanged(source);
        }
    }

    #[test]
    fn rejects_long_tags() {
        let chain = format!("a\n{{{{ 1{} }}}}", "+1".repeat(10_000));
        assert_eq!(prepare(&chain), Err((Some(2), "a tag is longer than 16 KiB".to_owned())));
        unchanged(&format!("{{{{ '{}' }}}}", "it is a long text. ".repeat(1000)));
    }
}
