//! The error of a failed command: what could not be done, and a hint for the user.

/// An error with an optional hint. `?` converts any other error into one without a hint.
#[derive(Debug)]
pub struct CliError {
    /// What could not be done, to which file, where in it and why.
    pub error: anyhow::Error,
    /// What the user can do about it, such as a flag to try.
    pub hint: Option<String>,
}

impl<E: Into<anyhow::Error>> From<E> for CliError {
    fn from(error: E) -> CliError {
        CliError { error: error.into(), hint: None }
    }
}

/// Adds a hint to the error of a result.
pub trait WithHint<T> {
    /// Sets the hint; a hint that was there is replaced.
    ///
    /// # Errors
    /// The error of `self`, with the hint.
    fn hint(self, hint: impl Into<String>) -> Result<T, CliError>;
}

impl<T, E: Into<CliError>> WithHint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> Result<T, CliError> {
        self.map_err(|error| CliError { hint: Some(hint.into()), ..error.into() })
    }
}
