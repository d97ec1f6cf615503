//! Why a dump of tokens cannot be read.

use std::io;

use thiserror::Error;

/// Why a dump could not be read.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The source could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// There is nothing in it.
    #[error("{0}")]
    Nothing(&'static str),
    /// It is another kind of file.
    #[error("it is no dump of tokens: {0}")]
    Foreign(String),
    /// A response is not what the format says.
    #[error("{place}: {what}")]
    Response {
        /// Which line, or which row.
        place: String,
        /// What is wrong with it.
        what: String,
    },
}
