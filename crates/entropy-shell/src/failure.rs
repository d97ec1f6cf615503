//! A failed command: what could not be done, and what to type next.

/// An error with a hint. `?` turns any error into one without.
#[derive(Debug)]
pub struct Failure {
    /// What could not be done, to which file, where in it and why.
    pub error: anyhow::Error,
    /// What to type next.
    pub hint: Option<String>,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { error: error.into(), hint: None }
    }
}

/// Adds a hint to an error.
pub trait WithHint<T> {
    /// The same result, its error with a hint.
    ///
    /// # Errors
    /// Whatever it was.
    fn hint(self, hint: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> WithHint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure { hint: Some(hint.into()), ..error.into() })
    }
}
