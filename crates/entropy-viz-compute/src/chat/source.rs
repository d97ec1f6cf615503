//! A template's text, made ready for the engine.
//!
//! transformers adds a tag to Jinja: `{% generation %} … {% endgeneration %}` marks what an assistant
//! said and prints it. It opens a scope of its own, which is all that `{% with %}` does, so one is
//! written for the other, with the dashes and pluses that strip whitespace left as they are.

/// Templates in use have up to some 50 KiB.
const LARGEST: usize = 512 << 10;
/// Within one tag, besides text in quotes. The engine takes a chain like `a + b + c …` one call
/// deeper for each link.
const LONGEST_TAG: usize = 16 << 10;
/// The filter that does what `%` behind a text does in Python; the engine has no such operator.
pub(super) const PERCENT: &str = "_percent";

/// Rewrites a template for the engine, line for line. An error is a line, and why.
pub(super) fn prepared(source: &str) -> Result<String, (Option<usize>, String)> {
    if source.len() > LARGEST {
        return Err((None, format!("it is longer than {} KiB", LARGEST >> 10)));
    }
    // As Jinja's lexer does, in texts and in quotes alike.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(start) = rest.find('{') {
        let (text, tag) = rest.split_at(start);
        out.push_str(text);
        let length = match tag.as_bytes().get(1) {
            Some(b'#') => tag[2..].find("#}").map(|at| 2 + at + 2),
            Some(b'{') => code_length(&tag[2..], "}}").map(|length| 2 + length),
            Some(b'%') if word(tag) == Some("raw") => raw_length(tag),
            Some(b'%') => code_length(&tag[2..], "%}").map(|length| 2 + length),
            _ => Some(1),
        };
        // A tag that does not end: the engine says so.
        let (tag, after) = tag.split_at(length.unwrap_or(tag.len()));
        let code = tag.starts_with("{%") || tag.starts_with("{{");
        if code && word(tag) != Some("raw") && unquoted_length(tag) > LONGEST_TAG {
            let line = source[..source.len() - after.len() - tag.len()].matches('\n').count() + 1;
            return Err((Some(line), format!("a tag is longer than {} KiB", LONGEST_TAG >> 10)));
        }
        match word(tag) {
            Some("generation") => out.push_str(&tag.replacen("generation", "with", 1)),
            Some("endgeneration") => out.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            Some("raw") => out.push_str(&newline_kept(tag)),
            _ if code => push_code(&mut out, tag),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Jinja, alone behind this tag, does not strip a newline; the engine is told so with a plus.
fn newline_kept(tag: &str) -> String {
    match tag.split_once("%}") {
        Some((start, text)) if !start.ends_with(['-', '+']) => format!("{start}+%}}{text}"),
        _ => tag.to_owned(),
    }
}

/// Writes code as the engine takes it for what Python does.
fn push_code(out: &mut String, code: &str) {
    let mut rest = code;
    while let Some(at) = rest.find(['"', '\'']) {
        let Some(length) = quoted_length(&rest.as_bytes()[at..]) else {
            break;
        };
        out.push_str(&rest[..at]);
        push_quoted(out, &rest[at..at + length]);
        rest = &rest[at + length..];
        if let Some((operand, after)) = percent_operand(rest) {
            out.push_str(&format!("|{PERCENT}("));
            push_code(out, operand);
            out.push(')');
            rest = after;
        }
    }
    out.push_str(rest);
}

/// Writes a quoted text, its escapes as the engine knows them.
fn push_quoted(out: &mut String, mut quoted: &str) {
    while let Some(at) = quoted.find('\\') {
        let (before, escape) = quoted.split_at(at);
        out.push_str(before);
        if let Some(c) = wide(escape) {
            out.push(c);
            quoted = &escape[10..];
            continue;
        }
        let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
        out.push_str(match &escape[..length] {
            r"\/" => r"\\/",
            r"\a" => r"\x07",
            r"\v" => r"\x0b",
            known => known,
        });
        quoted = &escape[length..];
    }
    out.push_str(quoted);
}

/// `\U0001F389` is 🎉.
fn wide(escape: &str) -> Option<char> {
    let digits = escape.strip_prefix(r"\U")?.get(..8)?;
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    (!c.is_ascii()).then_some(c) // a quote would end the text
}

/// Behind a quoted text: ` % (a, b) …` is the operand `(a, b)` and the rest.
fn percent_operand(behind: &str) -> Option<(&str, &str)> {
    let operand = behind.trim_start().strip_prefix('%')?.trim_start();
    let mut at = 0;
    while let Some(&byte) = operand.as_bytes().get(at) {
        at += match byte {
            b'(' => 1 + code_length(&operand[at + 1..], ")")?,
            b'[' => 1 + code_length(&operand[at + 1..], "]")?,
            b'"' | b'\'' => quoted_length(&operand.as_bytes()[at..])?,
            b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => 1,
            _ => break,
        };
    }
    (at > 0).then(|| operand.split_at(at))
}

/// What a tag is that is one word: `{%- generation -%}` is `generation`.
fn word(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?;
    let inside = &inside[..inside.find("%}")?];
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
    let inside = inside.strip_suffix(['-', '+']).unwrap_or(inside);
    Some(inside.trim())
}

/// From the start of `{% raw %}` to the end of `{% endraw %}`.
fn raw_length(tag: &str) -> Option<usize> {
    let mut from = 2;
    loop {
        from += tag[from..].find("{%")?;
        if word(&tag[from..]) == Some("endraw") {
            return Some(from + tag[from..].find("%}")? + 2);
        }
        from += 2;
    }
}

/// The length of code up to and with `end`; an end in quotes or brackets does not count.
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

/// The length of a text in quotes, with its quotes.
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

fn unquoted_length(tag: &str) -> usize {
    let (mut at, mut length) = (0, 0);
    while let Some(byte) = tag.as_bytes().get(at) {
        let quoted = match byte {
            b'"' | b'\'' => quoted_length(&tag.as_bytes()[at..]),
            _ => None,
        };
        at += quoted.unwrap_or(1);
        length += usize::from(quoted.is_none());
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(source: &str) {
        assert_eq!(prepared(source).unwrap(), source);
    }

    #[test]
    fn a_generation_tag_becomes_a_scope_and_keeps_its_whitespace_control() {
        let source = "a {%- generation -%} b {%+endgeneration+%} c";
        assert_eq!(prepared(source).unwrap(), "a {%- with -%} b {%+endwith+%} c");
    }

    #[test]
    fn only_a_tag_is_a_tag() {
        same("{% raw -%}{% generation %}{% endraw %}");
        same("{# {% generation %} #}");
        same("{{ '{% generation %}' }}{{ \"\\\"{% generation %}\" }}");
        same("{% set generation = 1 %}{{ generation }} generation { % }");
        same("{{ {'a': {'}}': 1}} }}{% if {'%}': 1} %}{% endif %}");
    }

    #[test]
    fn newlines_are_as_jinja_sees_them() {
        assert_eq!(prepared("a\r\nb\rc\n").unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn escapes_are_pythons() {
        let source = r#"{{ '\/\a\v\U0001F389\n\\/\\a\'' }} \/ {# \/ #}"#;
        let wanted = r#"{{ '\\/\x07\x0b🎉\n\\/\\a\'' }} \/ {# \/ #}"#;
        assert_eq!(prepared(source).unwrap(), wanted);
    }

    #[test]
    fn a_text_and_a_percent_sign_are_a_format() {
        let given =
            ["'%s' % x", "'%s-%d' % (a['b'], 1) ~ 'c'", "1 if '%s' % x.y(')') else '' % '%'"];
        let wanted = [
            "'%s'|_percent(x)",
            "'%s-%d'|_percent((a['b'], 1)) ~ 'c'",
            "1 if '%s'|_percent(x.y(')')) else ''|_percent('%')",
        ];
        for (given, wanted) in given.iter().zip(wanted) {
            assert_eq!(
                prepared(&format!("{{{{ {given} }}}}")).unwrap(),
                format!("{{{{ {wanted} }}}}")
            );
        }
        same("{% if x == 'a' %}{% if x == 'a'%}{{ 5 % x }}{% endif %}{% endif %}");
    }

    #[test]
    fn the_newline_behind_raw_stays() {
        assert_eq!(prepared("{% raw %}\na{% endraw %}").unwrap(), "{% raw +%}\na{% endraw %}");
        same("{% raw -%}\na{% endraw %}");
    }

    #[test]
    fn a_tag_that_does_not_end_is_left_to_the_engine() {
        for source in ["{", "{%", "{{ 'a", "{# a", "a {% if 'é' ", "{% generation"] {
            same(source);
        }
    }

    #[test]
    fn a_tag_of_any_length_is_not_for_the_engine() {
        let chain = format!("a\n{{{{ 1{} }}}}", "+1".repeat(10_000));
        assert_eq!(prepared(&chain), Err((Some(2), "a tag is longer than 16 KiB".to_owned())));
        same(&format!("{{{{ '{}' }}}}", "it is a long text. ".repeat(1000)));
    }
}
