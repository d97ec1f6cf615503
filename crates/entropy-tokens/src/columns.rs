//! Which columns the user chose, and how rows are grouped by one.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use thiserror::Error;

/// The columns that the user chose. Where none is chosen, known names are tried in turn.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The reward of a response; `a.b` is key `b` of the object `a`.
    pub reward: Option<String>,
    /// The final answer of a response.
    pub answer: Option<String>,
    /// Finds the final answer in the text of a response: the first group of the last match, else the whole match.
    pub answer_regex: Option<Regex>,
    /// What names the prompt.
    pub prompt: Option<String>,
    /// What responses are grouped by.
    pub by: Option<By>,
}

/// What responses are grouped by: the values of a column, or a comparison of a column with a number.
#[derive(Debug, Clone, PartialEq)]
pub struct By {
    /// The column.
    pub column: String,
    /// The comparison; without one, each value is a group.
    pub comparison: Option<(Operator, f64)>,
}

/// How a column is compared with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`, also `=`
    Equal,
    /// `!=`
    NotEqual,
}

/// Why text is not a grouping.
#[derive(Debug, Error, PartialEq)]
pub enum ByError {
    /// There is no column before the operator.
    #[error("there is no column before {0:?}")]
    NoColumn(String),
    /// What follows the operator is not a number.
    #[error("{0:?} is not a number")]
    NoNumber(String),
}

const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("=", Operator::Equal),
];

impl FromStr for By {
    type Err = ByError;

    /// Reads `COLUMN` or `COLUMN OPERATOR NUMBER`.
    fn from_str(text: &str) -> Result<By, ByError> {
        let Some(at) = text.find(['<', '>', '=', '!']) else {
            return match text.trim() {
                "" => Err(ByError::NoColumn(text.to_owned())),
                column => Ok(By { column: column.to_owned(), comparison: None }),
            };
        };
        let (column, rest) = (text[..at].trim(), &text[at..]);
        if column.is_empty() {
            return Err(ByError::NoColumn(text.to_owned()));
        }
        let found = OPERATORS.iter().find_map(|(sign, op)| Some((*op, rest.strip_prefix(sign)?)));
        let (operator, number) = found.ok_or_else(|| ByError::NoNumber(rest.to_owned()))?;
        let number = number.trim();
        let value = number.parse::<f64>().ok().filter(|value| value.is_finite());
        let value = value.ok_or_else(|| ByError::NoNumber(number.to_owned()))?;
        Ok(By { column: column.to_owned(), comparison: Some((operator, value)) })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPERATORS.iter().find(|(_, operator)| operator == self);
        f.write_str(sign.map_or("", |(sign, _)| sign))
    }
}

impl Operator {
    /// Whether `value OPERATOR bound` holds.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Operator::Less => value < bound,
            Operator::AtMost => value <= bound,
            Operator::Greater => value > bound,
            Operator::AtLeast => value >= bound,
            Operator::Equal => value == bound,
            Operator::NotEqual => value != bound,
        }
    }

    /// The comparison that holds where this one does not.
    pub fn opposite(self) -> Operator {
        match self {
            Operator::Less => Operator::AtLeast,
            Operator::AtMost => Operator::Greater,
            Operator::Greater => Operator::AtMost,
            Operator::AtLeast => Operator::Less,
            Operator::Equal => Operator::NotEqual,
            Operator::NotEqual => Operator::Equal,
        }
    }
}

impl By {
    /// The name of the group of a number or a flag.
    pub(crate) fn group_of_number(&self, value: f64) -> Option<String> {
        let (operator, bound) = self.comparison?;
        let shown = if operator.holds(value, bound) { operator } else { operator.opposite() };
        Some(format!("{}{shown}{bound}", self.column))
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.comparison {
            Some((operator, bound)) => write!(f, "{}{operator}{bound}", self.column),
            None => f.write_str(&self.column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grouping_is_a_column_or_a_comparison() {
        let by: By = " env ".parse().unwrap();
        assert_eq!((by.to_string(), by.comparison), ("env".to_owned(), None));
        let by: By = "reward >= 0.5".parse().unwrap();
        assert_eq!(by.comparison, Some((Operator::AtLeast, 0.5)));
        assert_eq!(by.group_of_number(0.5).unwrap(), "reward>=0.5");
        assert_eq!(by.group_of_number(0.4).unwrap(), "reward<0.5");
        assert_eq!("turn=1".parse::<By>().unwrap().to_string(), "turn==1");
    }

    #[test]
    fn rejects_groupings_without_a_column_or_a_number() {
        assert_eq!(">0".parse::<By>(), Err(ByError::NoColumn(">0".to_owned())));
        assert_eq!("".parse::<By>(), Err(ByError::NoColumn(String::new())));
        assert_eq!("a>b".parse::<By>(), Err(ByError::NoNumber("b".to_owned())));
        assert_eq!("a>nan".parse::<By>(), Err(ByError::NoNumber("nan".to_owned())));
        assert_eq!("a!1".parse::<By>(), Err(ByError::NoNumber("!1".to_owned())));
    }
}
