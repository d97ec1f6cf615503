//! The functions as C calls them, against closed forms and definitions in f64. Arrays have exactly the length that
//! was promised, so that AddressSanitizer notices an access outside.

use std::ffi::CStr;
use std::ptr::{null, null_mut};

use entropy_kernels::element::{Bf16, Element, F16 as Half};

use crate::c_api::{
    BF16, Call, F16, F32, entropy_rows, entropy_rows_error_text, entropy_rows_version,
};
use crate::rows::NO_TARGET;
use crate::status::Status;

const HEADER: &str = include_str!("../include/entropy_rows.h");

impl Call {
    fn of<E>(logits: &[E], dtype: i32, rows: usize, vocabulary: usize) -> Call {
        Call {
            logits: logits.as_ptr().cast(),
            dtype,
            rows,
            vocabulary,
            stride: vocabulary,
            temperature: 1.0,
            targets: null(),
            entropy: null_mut(),
            log_sum_exp: null_mut(),
            log_prob: null_mut(),
            threads: 1,
            rows_without_softmax: null_mut(),
        }
    }

    fn call(&self) -> i32 {
        let a = self;
        // SAFETY: the arrays of the tests have the promised lengths, or the call is refused.
        unsafe {
            entropy_rows(
                a.logits,
                a.dtype,
                a.rows,
                a.vocabulary,
                a.stride,
                a.temperature,
                a.targets,
                a.entropy,
                a.log_sum_exp,
                a.log_prob,
                a.threads,
                a.rows_without_softmax,
            )
        }
    }
}

/// Entropies, log-sum-exps and log-probs, and the number of rows without a softmax.
type Results = (Vec<f64>, Vec<f64>, Vec<f64>, usize);

/// All outputs of a call that succeeds.
fn results(arguments: &Call, targets: &[i64]) -> Results {
    let n = arguments.rows;
    let (mut entropy, mut log_sum_exp, mut log_prob) = (vec![7.0; n], vec![7.0; n], vec![7.0; n]);
    let mut without = usize::MAX;
    let arguments = Call {
        targets: targets.as_ptr(),
        entropy: entropy.as_mut_ptr(),
        log_sum_exp: log_sum_exp.as_mut_ptr(),
        log_prob: log_prob.as_mut_ptr(),
        rows_without_softmax: &raw mut without,
        ..arguments.clone()
    };
    assert_eq!(arguments.call(), 0);
    (entropy, log_sum_exp, log_prob, without)
}

/// Entropy, log-sum-exp and log-probs of all tokens in f64 by definition.
fn by_definition<E: Element>(row: &[E], temperature: f64) -> (f64, f64, Vec<f64>) {
    let z: Vec<f64> = row.iter().map(|z| f64::from(z.to_f32()) / temperature).collect();
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum_exp = max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
    let log_probs: Vec<f64> = z.iter().map(|z| z - log_sum_exp).collect();
    let possible = log_probs.iter().filter(|p| p.is_finite());
    (-possible.map(|p| p.exp() * p).sum::<f64>(), log_sum_exp, log_probs)
}

/// The bits of numbers that look random: f32 in ±`spread`.
fn noise(n: usize, spread: f32) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| spread * next()).collect()
}

/// The nearest float16 below in magnitude of numbers that are normal in it.
fn to_half(z: f32) -> Half {
    let bits = z.to_bits();
    let exponent = (bits >> 23 & 255) as i32 - 127 + 15;
    let magnitude = if exponent < 1 { 0 } else { (exponent as u32) << 10 | bits >> 13 & 0x3ff };
    Half((bits >> 16 & 0x8000 | magnitude) as u16)
}

fn matches_definition<E: Element>(dtype: i32, convert: impl Fn(f32) -> E) {
    for (rows, vocabulary, gap) in [(1, 1, 0), (3, 31, 5), (7, 64, 0), (2, 4097, 3), (1, 70_001, 0)]
    {
        let stride = vocabulary + gap;
        // The gaps between rows are NaN, the end of the last row the end of the array.
        let mut logits: Vec<E> = vec![convert(f32::NAN); (rows - 1) * stride + vocabulary];
        let numbers = noise(rows * vocabulary, 9.0);
        for (i, row) in numbers.chunks(vocabulary).enumerate() {
            for (j, z) in row.iter().enumerate() {
                logits[i * stride + j] = convert(*z);
            }
        }
        let targets: Vec<i64> = (0..rows).map(|i| ((i * 37 + 5) % vocabulary) as i64).collect();
        for temperature in [0.6, 1.0] {
            let arguments =
                Call { stride, temperature, ..Call::of(&logits, dtype, rows, vocabulary) };
            let (entropy, log_sum_exp, log_prob, without) = results(&arguments, &targets);
            assert_eq!(without, 0);
            for i in 0..rows {
                let row = &logits[i * stride..][..vocabulary];
                let exact = by_definition(row, temperature);
                let close = |ours: f64, exact: f64| {
                    let what = format!("dtype {dtype}, row {i} of {vocabulary} at {temperature}");
                    assert!(
                        (ours - exact).abs() < 2e-6 * exact.abs().max(1.0),
                        "{what}: {ours} {exact}"
                    );
                };
                close(entropy[i], exact.0);
                close(log_sum_exp[i], exact.1);
                close(log_prob[i], exact.2[targets[i] as usize]);
            }
        }
    }
}

#[test]
fn rows_of_every_dtype_match_their_definition_in_f64() {
    matches_definition(F32, |z| z);
    matches_definition(BF16, |z| Bf16((z.to_bits() >> 16) as u16 | u16::from(z.is_nan())));
    matches_definition(F16, |z| if z.is_nan() { Half(0x7e00) } else { to_half(z) });
}

#[test]
fn uniform_and_geometric_rows_have_their_closed_forms() {
    let n = 151_936;
    let q = 0.99f64;
    let mut logits = vec![-2.5f32; n];
    logits.extend((0..n).map(|k| (k as f64 * q.ln()) as f32));
    let (entropy, log_sum_exp, log_prob, _) = results(&Call::of(&logits, F32, 2, n), &[9, 0]);
    assert!((entropy[0] - (n as f64).ln()).abs() < 1e-6);
    assert!((log_sum_exp[0] - ((n as f64).ln() - 2.5)).abs() < 1e-6);
    assert!((log_prob[0] + (n as f64).ln()).abs() < 1e-6);
    // p_k = (1 − q)·q^k
    assert!((entropy[1] - (-(1.0 - q).ln() - q * q.ln() / (1.0 - q))).abs() < 1e-5);
    assert!((log_prob[1] - (1.0 - q).ln()).abs() < 1e-6);
}

#[test]
fn masked_logits_have_probability_0() {
    let masked = f32::NEG_INFINITY;
    let logits = [masked, 0.5, masked, 0.5, /**/ masked, masked, 3.0, masked];
    let (entropy, log_sum_exp, log_prob, without) = results(&Call::of(&logits, F32, 2, 4), &[1, 0]);
    assert!((entropy[0] - 2f64.ln()).abs() < 1e-7);
    assert!((log_prob[0] + 2f64.ln()).abs() < 1e-7);
    assert_eq!((entropy[1], log_sum_exp[1]), (0.0, 3.0));
    assert_eq!((log_prob[1], without), (f64::NEG_INFINITY, 0));
}

#[test]
fn rows_without_a_softmax_are_nan_and_counted() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let logits = [
        0.0, 1.0, /**/ 0.0, nan, /**/ inf, 0.0, /**/ -inf, -inf, /**/ 2.0, 2.0,
    ];
    let (entropy, log_sum_exp, log_prob, without) =
        results(&Call::of(&logits, F32, 5, 2), &[0, 0, 0, 0, 1]);
    assert_eq!(without, 3);
    for numbers in [&entropy, &log_sum_exp, &log_prob] {
        let are_nan: Vec<bool> = numbers.iter().map(|x| x.is_nan()).collect();
        assert_eq!(are_nan, [false, true, true, true, false]);
    }
    assert!((entropy[4] - 2f64.ln()).abs() < 1e-7);
}

#[test]
fn no_target_has_no_log_prob() {
    let (entropy, _, log_prob, without) =
        results(&Call::of(&[0f32; 6], F32, 2, 3), &[NO_TARGET, 2]);
    assert!(log_prob[0].is_nan() && (log_prob[1] + 3f64.ln()).abs() < 1e-7);
    assert!((entropy[0] - 3f64.ln()).abs() < 1e-7 && without == 0);
}

#[test]
fn every_number_of_threads_gives_the_same_bits() {
    // More than one piece of work.
    let (rows, vocabulary) = (700, 5003);
    let mut logits = noise(rows * vocabulary, 20.0);
    logits[123 * vocabulary] = f32::NAN;
    let targets: Vec<i64> = (0..rows as i64).collect();
    let arguments = Call::of(&logits, F32, rows, vocabulary);
    let one = results(&arguments, &targets);
    let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
    for threads in [0, 2, 5, 400] {
        let several = results(&Call { threads, ..arguments.clone() }, &targets);
        assert_eq!(bits(&one.0), bits(&several.0));
        assert_eq!(bits(&one.1), bits(&several.1));
        assert_eq!(bits(&one.2), bits(&several.2));
        assert_eq!((one.3, several.3), (1, 1));
    }
}

#[test]
fn no_rows_need_no_arrays() {
    let mut without = 9;
    let none = Call {
        logits: null(),
        rows_without_softmax: &raw mut without,
        ..Call::of::<f32>(&[], F32, 0, 5)
    };
    assert_eq!((none.call(), without), (0, 0));
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_written() {
    let logits = [0f32; 12];
    let targets = [0i64, 2, 1];
    let mut numbers = [5.0f64; 12];
    let start = numbers.as_mut_ptr();
    let good = Call {
        targets: targets.as_ptr(),
        entropy: start,
        log_sum_exp: start.wrapping_add(3),
        log_prob: start.wrapping_add(6),
        ..Call::of(&logits, F32, 3, 4)
    };
    let refused = |status: Status, wrong: Call| assert_eq!(wrong.call(), status as i32);
    let nothing: *mut f64 = null_mut();

    refused(Status::Null, Call { logits: null(), ..good.clone() });
    refused(Status::Null, Call { targets: null(), ..good.clone() });
    refused(Status::Null, Call { log_prob: nothing, ..good.clone() });
    let none = Call { entropy: nothing, log_sum_exp: nothing, log_prob: nothing, ..good.clone() };
    refused(Status::Null, Call { targets: null(), ..none });
    for dtype in [-1, 3, i32::MAX] {
        refused(Status::Dtype, Call { dtype, ..good.clone() });
    }
    refused(Status::Shape, Call { vocabulary: 0, ..good.clone() });
    refused(Status::Shape, Call { stride: 3, ..good.clone() });
    refused(Status::Shape, Call { rows: usize::MAX, ..good.clone() });
    refused(Status::Shape, Call { stride: usize::MAX, ..good.clone() });
    refused(Status::Shape, Call { vocabulary: usize::MAX, stride: usize::MAX, ..good.clone() });
    // 2^62 logits, whose bytes overflow; 2^63 bytes, more than an object may have.
    refused(Status::Shape, Call { rows: 3, stride: 1 << 61, ..good.clone() });
    refused(Status::Shape, Call { rows: 3, stride: 1 << 60, ..good.clone() });
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-40, 1e40] {
        refused(Status::Temperature, Call { temperature, ..good.clone() });
    }
    for bad in [-1, 4, i64::MIN, i64::MAX] {
        let targets = [0, bad, 1];
        refused(Status::Target, Call { targets: targets.as_ptr(), ..good.clone() });
    }
    let odd = |pointer: *mut f64| pointer.cast::<u8>().wrapping_add(1).cast::<f64>();
    refused(Status::Alignment, Call { entropy: odd(start), ..good.clone() });
    refused(Status::Alignment, Call { logits: odd(start).cast(), ..good.clone() });
    refused(Status::Alignment, Call { targets: odd(start).cast(), ..good.clone() });
    refused(Status::Alignment, Call { rows_without_softmax: odd(start).cast(), ..good.clone() });
    refused(Status::Overlap, Call { log_sum_exp: start.wrapping_add(2), ..good.clone() });
    refused(Status::Overlap, Call { logits: start.cast(), ..good.clone() });
    refused(Status::Overlap, Call { targets: start.cast(), ..good.clone() });
    refused(
        Status::Overlap,
        Call { rows_without_softmax: start.wrapping_add(8).cast(), ..good.clone() },
    );
    assert_eq!(numbers, [5.0; 12]);
    assert_eq!(good.call(), 0);
}

#[test]
fn every_result_has_its_own_text() {
    // SAFETY: the library promises text that ends with zero.
    let text =
        |result| unsafe { CStr::from_ptr(entropy_rows_error_text(result)) }.to_str().unwrap();
    let mut texts: Vec<&str> = Status::ALL.iter().map(|status| text(*status as i32)).collect();
    texts.push(text(99));
    assert_eq!(text(-1), text(99));
    let all = texts.len();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), all);
    assert!(texts.iter().all(|text| text.len() > 5));
    // SAFETY: as above.
    let version = unsafe { CStr::from_ptr(entropy_rows_version()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}

#[test]
fn constants_of_the_header_are_those_of_the_library() {
    let mut defined: Vec<(&str, i64)> = HEADER
        .lines()
        .filter_map(|line| line.strip_prefix("#define ENTROPY_ROWS_")?.split_once(' '))
        .filter_map(|(name, rest)| {
            let number = rest.split("/*").next()?.trim().trim_matches(['(', ')']);
            Some((name, number.parse().ok()?))
        })
        .collect();
    let mut expected = vec![
        ("F32", F32.into()),
        ("BF16", BF16.into()),
        ("F16", F16.into()),
        ("NO_TARGET", NO_TARGET),
    ];
    let names = [
        "OK",
        "NULL",
        "DTYPE",
        "SHAPE",
        "TEMPERATURE",
        "TARGET",
        "ALIGNMENT",
        "OVERLAP",
        "INTERNAL",
    ];
    for (name, status) in names.into_iter().zip(Status::ALL) {
        expected.push((name, status as i64));
    }
    for (name, _) in &mut defined {
        *name = name.strip_prefix("ERROR_").unwrap_or(name);
    }
    assert_eq!(defined, expected);
}
