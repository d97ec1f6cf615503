//! Results of `check` for other programs: JUnit for CI servers, annotations for GitHub.

use entropy_history::label::visible;
use entropy_history::stats::check::{Outcome, Verdict};

/// A JUnit file with one test case per run and rule.
pub fn junit(verdicts: &[Verdict]) -> String {
    let count = |outcome| verdicts.iter().filter(|v| v.outcome == outcome).count();
    let (tests, failures) = (verdicts.len(), count(Outcome::Violated));
    let skipped = count(Outcome::Skipped);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let totals = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\"");
    text.push_str(&format!("<testsuites {totals}>\n"));
    text.push_str(&format!(
        "  <testsuite name=\"entropy-viz check\" {totals} skipped=\"{skipped}\">\n"
    ));
    for verdict in verdicts {
        let (run, rule) = (xml(&verdict.run), verdict.rule.name());
        let message = xml(&verdict.message);
        text.push_str(&format!("    <testcase classname=\"{run}\" name=\"{rule}\""));
        text.push_str(&match verdict.outcome {
            Outcome::Passed => "/>\n".to_owned(),
            Outcome::Skipped => {
                format!("><skipped message=\"{message}\"/></testcase>\n")
            }
            Outcome::Violated => format!(
                "><failure type=\"{rule}\" message=\"{message}\">{run}: {message}</failure></testcase>\n"
            ),
        });
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Escapes text for XML content and attribute values; characters that XML does not allow are written as escapes.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A workflow command that makes GitHub Actions show the violation on the page of the job.
/// (docs.github.com, "Workflow commands for GitHub Actions": `%` and line ends are escaped, and in properties
/// also `:` and `,`.)
pub fn annotation(verdict: &Verdict) -> String {
    let data = |text: &str| visible(text).replace('%', "%25");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let title = property(&format!("{}: {}", verdict.rule.name(), verdict.run));
    format!("::error title={title}::{}\n", data(&format!("{}: {}", verdict.run, verdict.message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::stats::check::Rule;

    fn verdict(run: &str) -> Verdict {
        Verdict {
            run: run.to_owned(),
            rule: Rule::MaxDrop,
            outcome: Outcome::Violated,
            step: Some(3.0),
            value: Some(0.9),
            bound: Some(0.5),
            message: "is 90 % under its start".to_owned(),
        }
    }

    #[test]
    fn labels_are_escaped_in_junit_and_annotations() {
        let junit = junit(&[verdict("]]></failure>\u{1b}[31m<x a=\"'&\">")]);
        assert!(!junit.contains('\u{1b}') && !junit.contains("<x "), "{junit}");
        assert_eq!(junit.matches("<failure").count(), 1);
        let annotation = annotation(&verdict("a:b,c\n::error::x%"));
        assert_eq!(annotation.lines().count(), 1);
        assert!(annotation.starts_with("::error title=max-drop%3A a%3Ab%2Cc"), "{annotation}");
        assert!(annotation.contains("90 %25 under"), "{annotation}");
    }
}
