//! Times as logs store them: Unix times in several units, and ISO 8601 text.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Converts a logged clock value to seconds. The magnitude of a Unix time gives its unit (seconds,
/// milliseconds, microseconds or nanoseconds): as seconds, 1e11 would be the year 5138.
pub(crate) fn normalize_unix_time(logged: f64) -> f64 {
    match logged {
        1e17.. => logged / 1e9,
        1e14.. => logged / 1e6,
        1e11.. => logged / 1e3,
        _ => logged,
    }
}

/// Unix seconds of an ISO 8601 time such as `2026-11-25T01:02:03.5+00:00`. A time without a zone is
/// taken as UTC, since only differences count. `None` for any other text.
pub(crate) fn iso_to_unix_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let (_, time) = text.split_once(['T', ' '])?;
    let timestamp = match time.contains(['Z', 'z', '+', '-']) {
        true => text.parse::<Timestamp>().ok()?,
        false => Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    Some(timestamp.as_duration().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_become_unix_seconds() {
        // Python 3.11: datetime.fromisoformat(…).timestamp(), naive times as UTC.
        let cases = [
            ("2026-11-25T01:02:03.500000+00:00", 1_795_568_523.5),
            ("2026-11-25T01:02:03.5", 1_795_568_523.5),
            ("2026-11-25 03:02:03+02:00", 1_795_568_523.0),
            ("2026-11-24T20:02:03-0500", 1_795_568_523.0),
            ("2000-02-29T00:00Z", 951_782_400.0),
            ("1970-01-01 00:00:00", 0.0),
        ];
        for (text, expected) in cases {
            assert_eq!(iso_to_unix_seconds(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "12.5",
            "2026-11-25",
            "2026-13-01T00:00",
            "2026-01-01T24:00",
            "now T 1:2",
            "2026-01-01T00:00+1",
            "2026-01-01T00:00:61",
            "2026-01-01T00:00+aé",
        ] {
            assert_eq!(iso_to_unix_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn unit_of_unix_time_is_inferred_from_magnitude() {
        for logged in [1.795e9, 1.795e12, 1.795e15, 1.795e18] {
            assert_eq!(normalize_unix_time(logged), 1.795e9);
        }
        assert_eq!((normalize_unix_time(12.5), normalize_unix_time(-1.0)), (12.5, -1.0));
        assert!(normalize_unix_time(f64::NAN).is_nan());
    }
}
