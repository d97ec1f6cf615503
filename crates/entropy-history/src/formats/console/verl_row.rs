//! verl's row: `step:12 - actor/entropy:0.53 - …`.

use super::line_patterns::Values;
use crate::python_number::python_number;

/// The offset of the first row in a text, from `from` on.
pub(crate) fn find(text: &str, from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + text[from..].find("step:")?;
        let digits = text[at + 5..].bytes().take_while(u8::is_ascii_digit).count();
        let is_named = text[..at].ends_with(['_', '/']); // global_step:
        if digits > 0
            && !is_named
            && text[at + 5 + digits..].strip_prefix(" - ").is_some_and(|fields| {
                // Behind other text, prose may look alike; verl's keys have slashes.
                let key = fields.split(':').next().unwrap_or_default();
                at == 0 || key.len() < fields.len() && key.contains('/') && !key.contains(' ')
            })
        {
            return Some(at);
        }
        from = at + 5;
    }
}

/// The step and the values of the row that a text is.
pub(crate) fn parse(text: &str) -> Option<(f64, Values)> {
    let mut fields = text.strip_prefix("step:")?.split(" - ");
    let step = python_number(fields.next()?).filter(|step| step.is_finite())?;
    let values: Values = fields.filter_map(field).collect();
    values.iter().any(|(_, value)| value.is_some()).then_some((step, values))
}

/// A key and its value; both may contain colons: `tensor(0.5, device='cuda:0')`.
fn field(text: &str) -> Option<(String, Option<f64>)> {
    let text = text.split_once(" [repeated ").map_or(text, |(text, _)| text); // Ray's
    let text = text.trim();
    let colons = text.bytes().enumerate().filter(|(_, b)| *b == b':').map(|(at, _)| at);
    let mut first = None;
    for at in colons {
        first = first.or(Some(at));
        if let Some(value) = python_number(&text[at + 1..]) {
            return Some((text[..at].to_owned(), Some(value)));
        }
    }
    Some((text[..first?].to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_python_prints_them() {
        let row = "step:2 - a:np.float64(0.53) - b:tensor(1.5, device='cuda:0') - c:@x:2 - d:<object> - e:12 [repeated 3x across cluster] (Ray deduplicates logs by default.)";
        let (step, values) = parse(row).unwrap();
        let show = |(key, value): (String, Option<f64>)| format!("{key}={value:?}");
        let shown: Vec<String> = values.into_iter().map(show).collect();
        assert_eq!(step, 2.0);
        assert_eq!(
            shown,
            ["a=Some(0.53)", "b=Some(1.5)", "c:@x=Some(2.0)", "d=None", "e=Some(12.0)"]
        );
        assert!(parse("step:1 - hello").is_none());
    }

    #[test]
    fn row_is_found_behind_other_text() {
        assert_eq!(find("saved...step:1 - a/b:2", 0), Some(8));
        assert_eq!(find("step:1 - a:2step:2 - a/b:3", 1), Some(12));
        assert_eq!(find("the entropy is step:3 - 4:5", 0), None);
        assert_eq!(find("global_step:1 - a/b:2", 0), None);
        assert_eq!(find("step: 1 - a:2", 0), None);
    }
}
