//! The results of a call, as C sees them: a number and a text for each.

use std::ffi::CStr;

/// The result of a call. The numbers never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// All rows were computed.
    Ok = 0,
    /// A pointer that is needed is NULL.
    Null = 1,
    /// `dtype` is no known number type.
    Dtype = 2,
    /// The sizes do not describe a matrix.
    Shape = 3,
    /// The temperature cannot be used.
    Temperature = 4,
    /// A target is not in the vocabulary.
    Target = 5,
    /// A pointer is not a multiple of the size of what it points to.
    Alignment = 6,
    /// An output shares memory with another array.
    Overlap = 7,
    /// A fault of this library.
    Internal = 8,
}

impl Status {
    /// All results, in the order of their numbers.
    pub const ALL: [Status; 9] = [
        Status::Ok,
        Status::Null,
        Status::Dtype,
        Status::Shape,
        Status::Temperature,
        Status::Target,
        Status::Alignment,
        Status::Overlap,
        Status::Internal,
    ];

    /// What is wrong, and what to do.
    pub fn text(self) -> &'static CStr {
        match self {
            Status::Ok => c"success",
            Status::Null => {
                c"a pointer is NULL: logits are needed, at least one output, and targets with log_prob (or neither)"
            }
            Status::Dtype => c"unknown dtype: use ENTROPY_ROWS_F32, ENTROPY_ROWS_BF16 or ENTROPY_ROWS_F16",
            Status::Shape => {
                c"wrong shape: vocabulary must be at least 1, stride (in elements) at least vocabulary, and the matrix must fit the address space"
            }
            Status::Temperature => {
                c"wrong temperature: it must be from 1e-37 to 1e37; for a temperature of 0, take the largest logit"
            }
            Status::Target => {
                c"a target is outside of the vocabulary: use ids from 0 to vocabulary - 1, or ENTROPY_ROWS_NO_TARGET (-100) for no token"
            }
            Status::Alignment => {
                c"a pointer is not aligned: its address must be a multiple of the size of its elements"
            }
            Status::Overlap => c"an output shares memory with the logits, the targets or another output",
            Status::Internal => c"a fault of entropy_rows, which it has written to stderr: please report it",
        }
    }
}
