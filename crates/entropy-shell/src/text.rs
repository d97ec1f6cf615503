//! Parts of messages.

pub use entropy_history::text::{io_message, plural};
