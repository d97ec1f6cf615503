//! Why a dump of tokens cannot be read.

use std::io;

use thiserror::Error;

/// Why a dump of tokens cannot be read.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The source cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The dump is empty.
    #[error("{0}")]
    Nothing(&'static str),
    /// The file is not a dump of tokens.
    #[error("it is not a dump of tokens: {0}")]
    Foreign(String),
    /// A response is not valid.
    #[error("{place}: {what}")]
    Response {
        /// Number of the line or the row.
        place: String,
        /// What is wrong with it.
        what: String,
    },
}
