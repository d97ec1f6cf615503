//! Parsers of flag values.

use std::time::Duration;

use regex::Regex;

/// A finite number.
pub(in crate::cli) fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
    number.ok_or_else(|| "not a finite number".to_owned())
}

/// A fraction from 0 to 1, also as a percentage.
pub(in crate::cli) fn fraction(text: &str) -> Result<f64, String> {
    let fraction = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.parse().ok(),
    };
    let fraction = fraction.filter(|fraction| (0.0..=1.0).contains(fraction));
    fraction.ok_or_else(|| "give a fraction from 0% to 100%, e.g. 73% or 0.73".to_owned())
}

/// A regular expression.
pub(in crate::cli) fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| {
        let text = e.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// A time above 0 with its unit: ms, s, m, h or d.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
    let parse = |(unit, seconds): &(&str, f64)| {
        let number = text.strip_suffix(unit)?.trim().parse::<f64>().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok().filter(|time| !time.is_zero())
    };
    let time = units.iter().find_map(parse);
    time.ok_or_else(|| {
        "give a number above 0 with its unit (ms, s, m, h or d), e.g. 10m".to_owned()
    })
}

/// The time without new rows after which a run is stale; `None` for never.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct StaleAfter(pub(in crate::cli) Option<Duration>);

/// A time, or `never`.
pub(in crate::cli) fn stale_after(text: &str) -> Result<StaleAfter, String> {
    match text {
        "never" => Ok(StaleAfter(None)),
        _ => duration(text).map(|time| StaleAfter(Some(time))),
    }
}

/// A time from 50 ms to one hour.
pub(in crate::cli) fn interval(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let bounds = Duration::from_millis(50)..=Duration::from_secs(3600);
    if bounds.contains(&time) { Ok(time) } else { Err("give a time from 50ms to 1h".to_owned()) }
}

/// Width and height in inches.
pub(in crate::cli) fn inches(text: &str) -> Result<(f64, f64), String> {
    let parse = |side: &str| side.trim().parse::<f64>().ok().filter(|s| (2.0..=100.0).contains(s));
    let sides = text.split_once(['x', 'X', '×', ',']);
    let size = sides.and_then(|(w, h)| Some((parse(w)?, parse(h)?)));
    size.ok_or_else(|| "give WIDTHxHEIGHT in inches, each from 2 to 100, e.g. 14x7".to_owned())
}

/// Pixels per inch.
pub(in crate::cli) fn dots_per_inch(text: &str) -> Result<f64, String> {
    let dots = text.parse::<f64>().ok().filter(|d| (10.0..=2400.0).contains(d));
    dots.ok_or_else(|| "give pixels per inch from 10 to 2400".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_size_is_in_inches() {
        assert_eq!(inches("14x7"), Ok((14.0, 7.0)));
        assert_eq!(inches("11.5X5.6"), Ok((11.5, 5.6)));
        for bad in ["14", "x", "1x1", "14x", "1e9x3", "nanx3"] {
            assert!(inches(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        for bad in ["10", "m", "0s", "-1s", "nans", "1e99d", "10 minutes"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn interval_is_bounded_and_stale_may_be_never() {
        assert!(interval("1ms").is_err() && interval("2h").is_err());
        assert!(stale_after("never").unwrap().0.is_none());
    }
}
