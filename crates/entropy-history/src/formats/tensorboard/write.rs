//! Writes TensorBoard's event file, as PyTorch's `SummaryWriter.add_scalar` does.
//!
//! The first TFRecord is the event `file_version`, each other one a scalar:
//!
//! ```text
//! Event { wall_time: double = 1, step: int64 = 2, file_version: string = 3, summary = 5 }
//! Summary { value = 1 { tag: string = 1, simple_value: float = 2 } }
//! ```
//!
//! A scalar is a float32, so an entropy keeps about seven digits.

use thiserror::Error;

use crate::formats::integer_step::integer_step;
use crate::framing::protobuf::Message;
use crate::framing::tfrecord;
use crate::history::Point;

/// A step that TensorBoard cannot represent.
#[derive(Debug, Error, PartialEq)]
#[error("step {0:?} is not an integer of 64 bits, which TensorBoard requires")]
pub struct TensorBoardStepError(pub f64);

/// The whole event file of one curve. `start` is the Unix time of its first point in seconds. Since
/// histories have no times, each further point is dated one second later.
///
/// # Errors
/// The first step that is not an integer; rounding it could merge two steps.
pub fn event_file(
    tag: &str,
    points: &[Point],
    start: f64,
) -> Result<Vec<u8>, TensorBoardStepError> {
    let mut file = Vec::new();
    tfrecord::append_record(
        &mut file,
        Message::new().double(1, start).text(3, "brain.Event:2").bytes(),
    );
    for (second, point) in points.iter().enumerate() {
        let step = integer_step(point.step).ok_or(TensorBoardStepError(point.step))?;
        let value = Message::new().text(1, tag).float(2, point.entropy as f32);
        let summary = Message::new().message(1, &value);
        let time = start + second as f64;
        tfrecord::append_record(
            &mut file,
            Message::new().double(1, time).integer(2, step).message(5, &summary).bytes(),
        );
    }
    Ok(file)
}

/// The name of an event file that begins at `start`, in Unix seconds.
///
/// Other writers add the host and the process id; a fixed word makes equal input give equal names. A
/// directory holds one curve, so names need not differ.
pub fn file_name(start: u64) -> String {
    format!("events.out.tfevents.{start:010}.entropy-viz") // ten digits: TensorBoard sorts by name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: f64, entropy: f64) -> Point {
        Point { step, entropy }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The data of the records; `bytes_equal_those_of_tensorboard` checks the checksums.
    fn records(mut file: &[u8]) -> Vec<&[u8]> {
        let mut records = Vec::new();
        while let Some((length, rest)) = file.split_first_chunk::<8>() {
            let (data, rest) = rest[4..].split_at(u64::from_le_bytes(*length) as usize);
            records.push(data);
            file = &rest[4..];
        }
        records
    }

    // RecordWriter(f).write(Event(…).SerializeToString()) of tensorboard 2.21.0.
    const VERSION: &str = "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a\
                           32eced8f9d";
    const SCALAR: &str = "2400000000000000422b804d0900000040fc54d94110072a170a150a0e706f6c69637\
                          92f656e74726f707915000020407731d1ab";

    #[test]
    fn bytes_equal_those_of_tensorboard() {
        let points = [at(7.0, 2.5)];
        let file = event_file("policy/entropy", &points, 1_700_000_000.0).unwrap();
        assert_eq!(hex(&file), [VERSION, SCALAR].concat());
    }

    #[test]
    fn curve_without_points_has_only_the_version_record() {
        let file = event_file("policy/entropy", &[], 1_700_000_000.0).unwrap();
        assert_eq!(hex(&file), VERSION);
    }

    #[test]
    fn points_are_one_second_apart() {
        let points = [at(10.0, 1.0), at(20.0, 2.0), at(1000.0, 3.0)];
        let file = event_file("t", &points, 5.25).unwrap();
        let times: Vec<_> = records(&file)
            .iter()
            .map(|data| f64::from_le_bytes(data[1..9].try_into().unwrap()))
            .collect();
        assert_eq!(times, [5.25, 5.25, 6.25, 7.25]);
    }

    #[test]
    fn step_zero_is_left_out_and_value_zero_is_not() {
        let file = event_file("t", &[at(0.0, 0.0)], 1.0).unwrap();
        // wall_time (9 bytes), then the summary with its simple_value of four zero bytes
        assert_eq!(hex(&records(&file)[1][9..]), "2a0a0a080a017415 00000000".replace(' ', ""));
    }

    #[test]
    fn steps_are_never_rounded() {
        assert!(event_file("t", &[at(-4.0, 1.0)], 0.0).is_ok());
        for step in [1.5, -0.25, 1e19] {
            let points = [at(-4.0, 1.0), at(step, 1.0)];
            assert_eq!(event_file("t", &points, 0.0), Err(TensorBoardStepError(step)));
        }
        let message = "step 1.5 is not an integer of 64 bits, which TensorBoard requires";
        assert_eq!(TensorBoardStepError(1.5).to_string(), message);
    }

    #[test]
    fn file_name_depends_only_on_start_time() {
        assert_eq!(file_name(1_700_000_000), "events.out.tfevents.1700000000.entropy-viz");
        assert_eq!(file_name(5), "events.out.tfevents.0000000005.entropy-viz");
    }
}
