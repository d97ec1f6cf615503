//! Entropy, log-sum-exp and log-prob of the rows of a matrix, on several threads.
//!
//! Threads are started for a call and end with it: a pool that lives on would not exist in a forked process, as
//! Python's `multiprocessing` makes them, and calls there would wait for ever.

use std::mem::{MaybeUninit, take};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use entropy_kernels::element::Element;
use entropy_kernels::logits::LogitStats;

/// A target that stands for no token, as torch's `ignore_index`.
pub const NO_TARGET: i64 = -100;
/// Logits that a thread computes before it takes the next rows: a quarter of a millisecond.
const PIECE: usize = 1 << 20;

/// Logits in memory: row i starts at i · `stride`, and has `vocabulary` logits.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, E> {
    /// (rows − 1) · `stride` + `vocabulary` logits, or none.
    pub logits: &'a [E],
    /// Number of rows.
    pub rows: usize,
    /// Logits per row, at least 1.
    pub vocabulary: usize,
    /// Distance of rows, in elements; at least `vocabulary`.
    pub stride: usize,
}

/// An output: one number per row, or nothing.
pub type Output<'a> = Option<&'a mut [MaybeUninit<f64>]>;

/// What is written: in nats, NaN for a row without a softmax (a logit is NaN or +∞, or all are −∞).
#[derive(Debug, Default)]
pub struct Outputs<'a> {
    /// Shannon entropy.
    pub entropy: Output<'a>,
    /// ln Σ e^(logit / temperature).
    pub log_sum_exp: Output<'a>,
    /// Log-probability of the target; NaN for [`NO_TARGET`]. It needs targets.
    pub log_prob: Output<'a>,
}

/// Rows that one thread computes at a time.
struct Piece<'a, E> {
    matrix: Matrix<'a, E>,
    targets: Option<&'a [i64]>,
    outputs: Outputs<'a>,
}

/// Fills the outputs, on `threads` threads (`None`: one for each core), and returns the number of rows without a softmax.
///
/// `targets` are ids in the vocabulary or [`NO_TARGET`], one per row. `temperature` is from 1e-37 to 1e37.
pub fn compute<E: Element>(
    matrix: Matrix<'_, E>,
    targets: Option<&[i64]>,
    temperature: f64,
    outputs: Outputs<'_>,
    threads: Option<NonZeroUsize>,
) -> usize {
    let pieces = split(Piece { matrix, targets, outputs });
    let available = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = threads.map_or_else(available, NonZeroUsize::get).min(pieces.len());
    let queue = Mutex::new(pieces.into_iter());
    let work = || {
        let mut stats = LogitStats::default();
        let mut without = 0;
        loop {
            // The lock is held only while a piece is taken.
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(piece) = next else { return without };
            without += piece.compute(&mut stats, temperature);
        }
    };
    thread::scope(|scope| {
        // Where no more threads can be started, those that there are do all the work.
        let others: Vec<_> = (1..workers)
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut without = work();
        for other in others {
            match other.join() {
                Ok(count) => without += count,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        without
    })
}

/// Cuts rows into pieces of about [`PIECE`] logits.
fn split<E: Element>(mut rest: Piece<'_, E>) -> Vec<Piece<'_, E>> {
    let Matrix { vocabulary, stride, .. } = rest.matrix;
    let height = (PIECE / vocabulary).max(1);
    let mut pieces = Vec::with_capacity(rest.matrix.rows.div_ceil(height));
    while rest.matrix.rows > height {
        let (logits, later) = rest.matrix.logits.split_at(height * stride);
        rest.matrix.logits = later;
        rest.matrix.rows -= height;
        let targets = rest.targets.map(|targets| targets.split_at(height));
        rest.targets = targets.map(|(_, later)| later);
        let outputs = Outputs {
            entropy: split_output(&mut rest.outputs.entropy, height),
            log_sum_exp: split_output(&mut rest.outputs.log_sum_exp, height),
            log_prob: split_output(&mut rest.outputs.log_prob, height),
        };
        pieces.push(Piece {
            matrix: Matrix { logits, rows: height, vocabulary, stride },
            targets: targets.map(|(first, _)| first),
            outputs,
        });
    }
    if rest.matrix.rows > 0 {
        pieces.push(rest);
    }
    pieces
}

/// Takes the first `count` numbers from an output.
fn split_output<'a>(output: &mut Output<'a>, count: usize) -> Output<'a> {
    let (first, later) = take(output)?.split_at_mut(count);
    *output = Some(later);
    Some(first)
}

impl<E: Element> Piece<'_, E> {
    /// Fills the outputs and returns the number of rows without a softmax.
    fn compute(mut self, stats: &mut LogitStats, temperature: f64) -> usize {
        let mut without = 0;
        for (i, row) in self.matrix.logits.chunks(self.matrix.stride).enumerate() {
            let row = &row[..self.matrix.vocabulary];
            let valid = stats.update(row, temperature).is_ok();
            without += usize::from(!valid);
            let put = |output: &mut Output<'_>, value: &dyn Fn(&LogitStats) -> f64| {
                if let Some(output) = output {
                    output[i].write(if valid { value(stats) } else { f64::NAN });
                }
            };
            put(&mut self.outputs.entropy, &LogitStats::entropy);
            put(&mut self.outputs.log_sum_exp, &LogitStats::log_sum_exp);
            put(&mut self.outputs.log_prob, &|stats| match self
                .targets
                .map_or(NO_TARGET, |targets| targets[i])
            {
                NO_TARGET => f64::NAN,
                target => stats.log_prob(row[target as usize].to_f32()),
            });
        }
        without
    }
}
