//! `--by EXPR`: groups of responses, by the values of a column or by a comparison of it.

use std::borrow::Cow;

/// How responses are divided into groups.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupBy {
    /// A group for each value of a column.
    Values(String),
    /// Two groups: the responses for which a comparison is true, and the others.
    Comparison(Comparison),
}

/// A comparison of a column with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The column on the left.
    pub column: String,
    /// The operator.
    pub operator: Operator,
    /// The value on the right, as it was given.
    pub text: String,
    /// The value as a finite number; `None` if it is a text, which is only compared with `==` and `!=`.
    pub number: Option<f64>,
}

/// An operator of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    Different,
}

/// The operators; of two with the same beginning, the longer comes first.
const OPERATORS: [(&str, Operator); 6] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Equal),
    ("!=", Operator::Different),
    (">", Operator::Above),
    ("<", Operator::Below),
];

/// A value of a column, in a row of any format.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValue<'a> {
    /// Null, or there is no such column.
    Missing,
    /// A text; it is compared with numbers if it is one, such as a cell of CSV.
    Text(Cow<'a, str>),
    /// A number, and its digits, which name its group.
    Number(f64, String),
    /// A boolean, which counts as 1 or 0.
    Flag(bool),
    /// A list or an object.
    Nested,
}

/// Where a value belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// To the group of this name.
    Group(String),
    /// To none, because there is no value.
    Missing,
    /// To none, because the value cannot be compared, or is a list or an object.
    Unfit,
}

impl Operator {
    /// Its sign.
    pub fn sign(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |(sign, _)| sign)
    }

    /// The operator that is true where this one is false.
    pub fn complement(self) -> Operator {
        match self {
            Operator::Above => Operator::AtMost,
            Operator::AtLeast => Operator::Below,
            Operator::Below => Operator::AtLeast,
            Operator::AtMost => Operator::Above,
            Operator::Equal => Operator::Different,
            Operator::Different => Operator::Equal,
        }
    }

    /// Whether it is true of two numbers.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Operator::Above => a > b,
            Operator::AtLeast => a >= b,
            Operator::Below => a < b,
            Operator::AtMost => a <= b,
            Operator::Equal => a == b,
            Operator::Different => a != b,
        }
    }
}

impl GroupBy {
    /// Reads `env`, `reward>0` or `split == test`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<GroupBy, String> {
        let place = |sign: &str| text.find(sign).map(|at| (at, sign.len()));
        let found = OPERATORS.iter().filter_map(|(sign, operator)| {
            let (at, length) = place(sign)?;
            Some((at, length, *operator))
        });
        // The first one; of two that begin there, the longer.
        let found = found.min_by_key(|(at, length, _)| (*at, usize::MAX - length));
        let Some((at, length, operator)) = found else {
            let column = text.trim();
            if column.contains('=') {
                return Err("use == to compare, as in --by 'reward==1'".to_owned());
            }
            return match column {
                "" => Err("give a column, as in --by env, or a comparison, as in --by 'reward>0'"
                    .to_owned()),
                column => Ok(GroupBy::Values(column.to_owned())),
            };
        };
        let (column, value) = (text[..at].trim(), text[at + length..].trim());
        if column.is_empty() || value.is_empty() {
            return Err("give a column, an operator and a value, as in --by 'reward>0'".to_owned());
        }
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        let is_order = !matches!(operator, Operator::Equal | Operator::Different);
        if number.is_none() && (is_order || value.contains(['<', '>', '='])) {
            return Err(format!("{value:?} is not a number; texts are compared with == and !="));
        }
        let quoted =
            |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
        let value = if quoted('\'') || quoted('"') { &value[1..value.len() - 1] } else { value };
        let (column, text) = (column.to_owned(), value.to_owned());
        Ok(GroupBy::Comparison(Comparison { column, operator, text, number }))
    }

    /// The column that it needs.
    pub fn column(&self) -> &str {
        match self {
            GroupBy::Values(column) | GroupBy::Comparison(Comparison { column, .. }) => column,
        }
    }

    /// The group of a response with this value: the value itself, or for a comparison `reward>0` or `reward<=0`.
    pub fn group_of(&self, value: &ColumnValue<'_>) -> Membership {
        let text = match value {
            ColumnValue::Missing => return Membership::Missing,
            ColumnValue::Nested => return Membership::Unfit,
            ColumnValue::Text(text) => Cow::Borrowed(&text[..]),
            ColumnValue::Number(_, digits) => Cow::Borrowed(&digits[..]),
            ColumnValue::Flag(flag) => Cow::Owned(flag.to_string()),
        };
        let comparison = match self {
            // CSV has empty cells for missing values.
            GroupBy::Values(_) if text.is_empty() => return Membership::Missing,
            GroupBy::Values(_) => return Membership::Group(text.into_owned()),
            GroupBy::Comparison(comparison) => comparison,
        };
        let is_true = match comparison.number {
            None => (text == comparison.text) == (comparison.operator == Operator::Equal),
            Some(bound) => match value.number() {
                Some(number) => comparison.operator.holds(number, bound),
                None if text.trim().is_empty() => return Membership::Missing,
                None => return Membership::Unfit,
            },
        };
        Membership::Group(comparison.group(is_true))
    }

    /// It in words, without blanks: `reward>0`.
    pub fn text(&self) -> String {
        match self {
            GroupBy::Values(column) => column.clone(),
            GroupBy::Comparison(comparison) => comparison.group(true),
        }
    }
}

impl ColumnValue<'_> {
    /// The value as a finite number.
    fn number(&self) -> Option<f64> {
        let number = match self {
            ColumnValue::Number(number, _) => Some(*number),
            ColumnValue::Flag(flag) => Some(f64::from(u8::from(*flag))),
            ColumnValue::Text(text) => text.trim().parse().ok(),
            ColumnValue::Missing | ColumnValue::Nested => None,
        };
        number.filter(|number| number.is_finite())
    }
}

impl Comparison {
    /// The name of the group for which it is true, or of the other one: `reward>0`, `reward<=0`.
    pub fn group(&self, is_true: bool) -> String {
        let operator = if is_true { self.operator } else { self.operator.complement() };
        format!("{}{}{}", self.column, operator.sign(), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> [String; 2] {
        match GroupBy::parse(text).unwrap() {
            GroupBy::Comparison(comparison) => [comparison.group(true), comparison.group(false)],
            GroupBy::Values(column) => panic!("{column}"),
        }
    }

    #[test]
    fn the_other_group_is_a_condition_of_its_own() {
        assert_eq!(groups("reward>0"), ["reward>0", "reward<=0"]);
        assert_eq!(groups(" reward >= 0.5 "), ["reward>=0.5", "reward<0.5"]);
        assert_eq!(groups("a<-1e3"), ["a<-1e3", "a>=-1e3"]);
        assert_eq!(groups("a<=2"), ["a<=2", "a>2"]);
        assert_eq!(groups("split==test"), ["split==test", "split!=test"]);
        assert_eq!(groups("split != 'a b'"), ["split!=a b", "split==a b"]);
    }

    #[test]
    fn a_column_alone_has_a_group_for_each_value() {
        assert_eq!(GroupBy::parse(" data source "), Ok(GroupBy::Values("data source".to_owned())));
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, words) in [
            ("", "a column"),
            ("reward=1", "=="),
            (">0", "a column, an operator"),
            ("reward>", "a value"),
            ("reward>high", "not a number"),
            ("reward>nan", "not a number"),
            ("0<reward<1", "not a number"),
            ("a===1", "not a number"),
        ] {
            let said = GroupBy::parse(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
