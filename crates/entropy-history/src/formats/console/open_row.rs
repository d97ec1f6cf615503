//! Rows that the next line may continue.

use super::dict::Brackets;
use super::label::StepLabel;
use super::line_patterns::YamlBlock;
use super::table::Table;
use super::verl_row;

/// A row that the next line may continue.
#[derive(Debug)]
pub(crate) enum OpenRow {
    Yaml(YamlBlock),
    Dict(OpenDict),
    Fields(OpenFields),
    Table(Table),
}

/// A dictionary whose closing bracket is not there yet.
#[derive(Debug)]
pub(crate) struct OpenDict {
    pub(crate) prefix: String,
    pub(crate) text: String,
    pub(crate) brackets: Brackets,
    pub(crate) label: Option<DictLabel>,
    pub(crate) lines: usize,
    pub(crate) foreign: usize,
}

impl OpenDict {
    /// Whether a line is the start of another row.
    pub(crate) fn is_restarted_by(&self, piece: &str) -> bool {
        let is_dict = piece.starts_with("{'") || piece.starts_with("{\"");
        is_dict || verl_row::find(piece, 0) == Some(0)
    }

    /// Whether a line belongs to the dictionary.
    pub(crate) fn is_continued_by(&self, piece: &str) -> bool {
        let next = piece.trim_start();
        if self.is_restarted_by(piece) || next.is_empty() {
            return false;
        }
        if !self.text.trim_end().ends_with([',', '{', '[', '(', ':']) {
            return next.contains(['\'', '"', ',', '}', ')', ']']); // broken anywhere
        }
        const LITERALS: [&str; 9] =
            ["nan", "inf", "None", "True", "False", "null", "tensor(", "np.", "array("];
        next.starts_with(['\'', '"', '}', ']', ')', '{', '[', '-', '.'])
            || next.starts_with(|c: char| c.is_ascii_digit())
            || LITERALS.iter().any(|literal| next.starts_with(literal))
    }
}

/// The step that is named before a dictionary.
#[derive(Debug)]
pub(crate) struct DictLabel {
    pub(crate) label: StepLabel,
    /// Whether it comes directly before the dictionary.
    pub(crate) is_adjacent: bool,
}

/// A line of fields.
#[derive(Debug)]
pub(crate) struct OpenFields {
    pub(crate) prefix: String,
    pub(crate) text: String,
    pub(crate) is_verl: bool,
    pub(crate) is_joined: bool,
}
