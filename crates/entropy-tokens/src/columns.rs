//! Which columns the user chose.

use entropy_history::dump::GroupBy;
use regex::Regex;

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
    pub by: Option<GroupBy>,
}
