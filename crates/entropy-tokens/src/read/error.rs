//! Why a file is not a dump of tokens.

use std::io;

use thiserror::Error;

/// Why a file cannot be read as a dump of tokens.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The source cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is empty.
    #[error("{0}")]
    Nothing(&'static str),
    /// The file is something else.
    #[error("it is not a dump of tokens: {0}")]
    Foreign(String),
    /// No row is a response; the text says why the first one is not.
    #[error("none of its {rows} is a response with token ids and entropies or log-probs; {first}")]
    NoResponse {
        /// The number of rows, in words.
        rows: String,
        /// The first row and what is wrong with it.
        first: String,
    },
    /// The table is damaged.
    #[error("{0}")]
    Damaged(String),
}
