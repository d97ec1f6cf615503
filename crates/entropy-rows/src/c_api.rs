//! The functions that C calls. The header `include/entropy_rows.h` describes them.
//!
//! Everything that a mistake may put into the arguments is checked before memory is touched. What cannot be checked,
//! that the arrays are as long as the caller says, is the caller's promise.
#![allow(unsafe_code)] // pointers from C

use std::ffi::{c_char, c_void};
use std::mem::{MaybeUninit, size_of};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use entropy_kernels::element::{self, Bf16, Element};

use crate::rows::{Matrix, NO_TARGET, Output, Outputs, compute};
use crate::status::Status;

/// `ENTROPY_ROWS_F32`
pub const F32: i32 = 0;
/// `ENTROPY_ROWS_BF16`
pub const BF16: i32 = 1;
/// `ENTROPY_ROWS_F16`
pub const F16: i32 = 2;

/// The arguments of [`entropy_rows`].
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) logits: *const c_void,
    pub(crate) dtype: i32,
    pub(crate) rows: usize,
    pub(crate) vocabulary: usize,
    pub(crate) stride: usize,
    pub(crate) temperature: f64,
    pub(crate) targets: *const i64,
    pub(crate) entropy: *mut f64,
    pub(crate) log_sum_exp: *mut f64,
    pub(crate) log_prob: *mut f64,
    pub(crate) threads: u32,
    pub(crate) rows_without_softmax: *mut usize,
}

/// Computes rows of logits; see `include/entropy_rows.h`.
///
/// # Safety
/// `logits` has (`rows` − 1) · `stride` + `vocabulary` elements of `dtype`. `targets` and the outputs are NULL or have
/// `rows` elements, `rows_without_softmax` is NULL or has one. Nobody writes to them, or reads an output, during the call.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)] // C has no better way
pub unsafe extern "C" fn entropy_rows(
    logits: *const c_void,
    dtype: i32,
    rows: usize,
    vocabulary: usize,
    stride: usize,
    temperature: f64,
    targets: *const i64,
    entropy: *mut f64,
    log_sum_exp: *mut f64,
    log_prob: *mut f64,
    threads: u32,
    rows_without_softmax: *mut usize,
) -> i32 {
    let call = Call {
        logits,
        dtype,
        rows,
        vocabulary,
        stride,
        temperature,
        targets,
        entropy,
        log_sum_exp,
        log_prob,
        threads,
        rows_without_softmax,
    };
    // A panic must not cross into C. All that it may leave half done are the outputs.
    // SAFETY: the promises of the caller.
    let result = catch_unwind(AssertUnwindSafe(|| unsafe { call.run() }));
    match result.unwrap_or(Err(Status::Internal)) {
        Ok(()) => Status::Ok as i32,
        Err(status) => status as i32,
    }
}

/// The text of a result of [`entropy_rows`]: UTF-8 with a final zero, valid as long as the program runs.
#[unsafe(no_mangle)]
pub extern "C" fn entropy_rows_error_text(result: i32) -> *const c_char {
    let status = Status::ALL.into_iter().find(|status| *status as i32 == result);
    status.map_or(c"unknown result of entropy_rows", Status::text).as_ptr()
}

/// The version of this library, such as "0.2.0", valid as long as the program runs.
#[unsafe(no_mangle)]
pub extern "C" fn entropy_rows_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

impl Call {
    /// # Safety
    /// Those of [`entropy_rows`].
    unsafe fn run(&self) -> Result<(), Status> {
        // SAFETY: handed on.
        unsafe {
            match self.dtype {
                F32 => self.run_as::<f32>(),
                BF16 => self.run_as::<Bf16>(),
                F16 => self.run_as::<element::F16>(),
                _ => Err(Status::Dtype),
            }
        }
    }

    /// # Safety
    /// Those of [`entropy_rows`]; `E` is `dtype`.
    unsafe fn run_as<E: Element>(&self) -> Result<(), Status> {
        let length = self.check::<E>()?;
        let rows = self.rows;
        let mut without = 0;
        if rows > 0 {
            // SAFETY: not NULL and aligned; the caller promised the lengths; outputs share no memory.
            let (logits, targets, outputs) = unsafe {
                let targets =
                    (!self.targets.is_null()).then(|| slice::from_raw_parts(self.targets, rows));
                let outputs = Outputs {
                    entropy: output(self.entropy, rows),
                    log_sum_exp: output(self.log_sum_exp, rows),
                    log_prob: output(self.log_prob, rows),
                };
                (slice::from_raw_parts(self.logits.cast::<E>(), length), targets, outputs)
            };
            let in_vocabulary = |target: &i64| {
                *target == NO_TARGET
                    || usize::try_from(*target).is_ok_and(|target| target < self.vocabulary)
            };
            if !targets.unwrap_or_default().iter().all(in_vocabulary) {
                return Err(Status::Target);
            }
            let matrix = Matrix { logits, rows, vocabulary: self.vocabulary, stride: self.stride };
            let threads = NonZeroUsize::new(self.threads as usize);
            without = compute(matrix, targets, self.temperature, outputs, threads);
        }
        if !self.rows_without_softmax.is_null() {
            // SAFETY: not NULL, aligned, and no array of this call.
            unsafe { self.rows_without_softmax.write(without) };
        }
        Ok(())
    }

    /// Checks all arguments but the targets' values, and returns the number of logits with those between rows.
    fn check<E>(&self) -> Result<usize, Status> {
        let outputs = [self.entropy, self.log_sum_exp, self.log_prob];
        if !(1e-37..=1e37).contains(&self.temperature) {
            return Err(Status::Temperature);
        }
        if self.vocabulary == 0 || self.stride < self.vocabulary {
            return Err(Status::Shape);
        }
        // Empty arrays are often NULL.
        if self.rows > 0 {
            let has_output = outputs.iter().any(|output| !output.is_null());
            let targets_fit = self.targets.is_null() == self.log_prob.is_null();
            if self.logits.is_null() || !has_output || !targets_fit {
                return Err(Status::Null);
            }
        }
        // No object is larger than half of the address space.
        let is_possible = |bytes: &usize| isize::try_from(*bytes).is_ok();
        let length = match self.rows.checked_sub(1) {
            None => Some(0),
            Some(rows) => {
                rows.checked_mul(self.stride).and_then(|n| n.checked_add(self.vocabulary))
            }
        };
        let bytes = length.and_then(|n| n.checked_mul(size_of::<E>())).filter(is_possible);
        let column = self.rows.checked_mul(size_of::<f64>()).filter(is_possible);
        let (Some(length), Some(bytes), Some(column)) = (length, bytes, column) else {
            return Err(Status::Shape);
        };
        let inputs = [region(self.logits.cast::<E>(), bytes)?, region(self.targets, column)?];
        let written = [
            region(self.entropy, column)?,
            region(self.log_sum_exp, column)?,
            region(self.log_prob, column)?,
            region(self.rows_without_softmax, size_of::<usize>())?,
        ];
        for (i, output) in written.iter().enumerate() {
            if inputs.iter().chain(&written[..i]).any(|other| overlap(output, other)) {
                return Err(Status::Overlap);
            }
        }
        Ok(length)
    }
}

/// The addresses of an array of `bytes` bytes; none for NULL.
fn region<T>(start: *const T, bytes: usize) -> Result<Range<usize>, Status> {
    if !start.is_aligned() {
        return Err(Status::Alignment);
    }
    let bytes = if start.is_null() { 0 } else { bytes };
    let end = start.addr().checked_add(bytes).ok_or(Status::Shape)?;
    Ok(start.addr()..end)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end
}

/// # Safety
/// `start` is NULL, or `rows` numbers that nothing else uses for as long as the output.
unsafe fn output<'a>(start: *mut f64, rows: usize) -> Output<'a> {
    // SAFETY: the promise of the caller; numbers that are not initialised may be MaybeUninit.
    (!start.is_null())
        .then(|| unsafe { slice::from_raw_parts_mut(start.cast::<MaybeUninit<f64>>(), rows) })
}
