//! The groups of `--by`: which responses belong to which, by a column of the prompts or by the turn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_history::dump::{ColumnValue, Comparison, GroupBy, Membership};
use entropy_history::text::names_hint;
use entropy_shell::{CliError, WithHint, plural};
use serde_json::Value;
use thiserror::Error;

use crate::prompts::PromptRow;
use crate::response::ResponseRecord;

/// Maximum number of groups by the values of one column.
const MOST_VALUES: usize = 50;

/// The column whose values are those of the records, where they have some.
const TURN: &str = "turn";

/// No row has the column of `--by`.
#[derive(Debug, Error)]
#[error("cannot group the responses by {column:?}: no row of {} has a value for it", file.display())]
pub(crate) struct NoColumn {
    column: String,
    file: PathBuf,
}

/// The groups of the responses of a checkpoint.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Groups {
    /// The indices of the responses of each group, by its name: `reward>0`, `env=math`.
    pub(crate) members: BTreeMap<String, Vec<usize>>,
    /// Messages about responses that belong to no group.
    pub(crate) left_out: Vec<String>,
}

impl Groups {
    /// Divides the responses to `rows` of a file.
    ///
    /// # Errors
    /// If no row has the column, or it has too many values.
    pub(crate) fn new(
        by: &[GroupBy],
        records: &[ResponseRecord],
        rows: &[PromptRow],
        file: &Path,
    ) -> Result<Groups, CliError> {
        let mut groups = Groups::default();
        for by in by {
            let column = by.column();
            let turn = |record: &ResponseRecord| {
                record.turn.filter(|_| column == TURN).map(|turn| place(by, &turn.into()))
            };
            // Over all rows of the file, also those of other shards.
            let of_rows: Vec<Membership> = rows
                .iter()
                .map(|row| {
                    row.columns.get(column).map_or(Membership::Missing, |value| place(by, value))
                })
                .collect();
            let of_records: Vec<Option<Membership>> = records.iter().map(turn).collect();
            let all = || of_rows.iter().chain(of_records.iter().flatten());
            let names: BTreeSet<&str> = all()
                .filter_map(|place| match place {
                    Membership::Group(name) => Some(&name[..]),
                    _ => None,
                })
                .collect();
            if all().all(|place| *place == Membership::Missing) {
                let error = NoColumn { column: column.to_owned(), file: file.to_owned() };
                let names = rows.first().and_then(|row| names_hint(column, &row.names));
                return Err(anyhow::Error::new(error)).hint(match (column, names) {
                    (TURN, _) => {
                        "turns are those of conversations in \"messages\", or a column \"turn\"".to_owned()
                    }
                    (_, Some(names)) => names,
                    (_, None) => {
                        "--by takes the name of a column or key of the prompts as it is written there"
                            .to_owned()
                    }
                });
            }
            if let (GroupBy::Values(_), true) = (by, names.len() > MOST_VALUES) {
                return Err(anyhow!(
                    "cannot group the responses by {column:?}: {} has {} values of it, and at most {MOST_VALUES} are possible",
                    file.display(),
                    names.len()
                ))
                .hint(format!("compare it, as in --by '{column}>0', or group by another column"));
            }
            if let GroupBy::Comparison(comparison) = by {
                // Both are in every row of the history.
                for is_true in [true, false] {
                    groups.members.entry(comparison.group(is_true)).or_default();
                }
            }
            let mut left_out = LeftOut::default();
            for (index, (record, turn)) in records.iter().zip(of_records).enumerate() {
                match turn.as_ref().unwrap_or(&of_rows[record.row]) {
                    Membership::Group(name) => {
                        groups.members.entry(name.clone()).or_default().push(index);
                    }
                    Membership::Missing => left_out.missing.push(record.row),
                    Membership::Unfit => left_out.unfit.push(record.row),
                }
            }
            groups.left_out.extend(left_out.message(by, rows));
        }
        Ok(groups)
    }
}

/// The rows of responses that belong to no group.
#[derive(Default)]
struct LeftOut {
    missing: Vec<usize>,
    unfit: Vec<usize>,
}

impl LeftOut {
    fn message(&self, by: &GroupBy, rows: &[PromptRow]) -> Option<String> {
        let count = self.missing.len() + self.unfit.len();
        let what = match by {
            GroupBy::Comparison(Comparison { number: Some(_), .. }) => "is not a number",
            _ => "is neither a text, a number nor a boolean",
        };
        let reasons = [
            (&self.missing, format!("without {:?}", by.column())),
            (&self.unfit, format!("whose {:?} {what}", by.column())),
        ];
        let reasons: Vec<String> = reasons
            .iter()
            .filter_map(|(of, reason)| {
                let first = &rows[*of.first()?].place;
                Some(format!("{} {reason} (the first is {first})", of.len()))
            })
            .collect();
        (count > 0).then(|| {
            let responses = plural(count, "response belongs", "responses belong");
            format!("{responses} to no group of --by '{}': {}", by.text(), reasons.join(", "))
        })
    }
}

/// Where a value of the prompts belongs.
fn place(by: &GroupBy, value: &Value) -> Membership {
    let place = by.group_of(&match value {
        Value::Null => ColumnValue::Missing,
        Value::Bool(flag) => ColumnValue::Flag(*flag),
        Value::Number(number) => {
            ColumnValue::Number(number.as_f64().unwrap_or(f64::NAN), number.to_string())
        }
        Value::String(text) => ColumnValue::Text(text.into()),
        Value::Array(_) | Value::Object(_) => ColumnValue::Nested,
    });
    // The keys of a history have groups of several columns.
    match (by, place) {
        (GroupBy::Values(column), Membership::Group(value)) => {
            Membership::Group(format!("{column}={value}"))
        }
        (_, place) => place,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(by: &str, values: Value) -> Vec<Option<String>> {
        let by = GroupBy::parse(by).unwrap();
        let group = |value: &Value| match place(&by, value) {
            Membership::Group(name) => Some(name),
            _ => None,
        };
        values.as_array().unwrap().iter().map(group).collect()
    }

    fn some(names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| Some((*name).to_owned()).filter(|name| !name.is_empty())).collect()
    }

    #[test]
    fn comparisons_take_numbers_booleans_and_numbers_as_text() {
        let values =
            json!([1, 0, -0.5, true, false, "0.5", " 1 ", "high", null, [1], {}, "", "nan"]);
        let expected = ["r>0", "r<=0", "r<=0", "r>0", "r<=0", "r>0", "r>0", "", "", "", "", "", ""];
        assert_eq!(places("r>0", values), some(&expected));
        assert_eq!(places("r==1.0", json!([1, 2, "1"])), some(&["r==1.0", "r!=1.0", "r==1.0"]));
        assert_eq!(places("r!=1", json!([1, 2])), some(&["r==1", "r!=1"]));
    }

    #[test]
    fn texts_are_equal_or_different() {
        let values = json!(["test", "train", true, 3, null]);
        let expected = ["s==test", "s!=test", "s!=test", "s!=test", ""];
        assert_eq!(places("s==test", values.clone()), some(&expected));
        assert_eq!(
            places("s!=true", values),
            some(&["s!=true", "s!=true", "s==true", "s!=true", ""])
        );
    }

    #[test]
    fn each_value_has_a_group() {
        let values = json!(["math", "code", 3, 0.5, true, null, "", ["a"]]);
        let expected = ["env=math", "env=code", "env=3", "env=0.5", "env=true", "", "", ""];
        assert_eq!(places("env", values), some(&expected));
    }
}
