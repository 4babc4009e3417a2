//! A time on the command line.

/// Units of a time, longest first, each in seconds.
const UNITS: [(&[&str], f64); 4] = [
    (&["d", "day", "days"], 86_400.0),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600.0),
    (&["m", "min", "mins", "minute", "minutes"], 60.0),
    (&["s", "sec", "secs", "second", "seconds"], 1.0),
];

/// What a time looks like, for messages.
const EXAMPLES: &str = "a time is a number of seconds, or numbers with units, for example 90, 90s, 30m, 1h30m, 2 hours";

/// The seconds of a time: numbers with units, the longest first, as `1h30m`, `90 sec` or `1.5h`; a number alone is seconds.
pub(crate) fn parse_seconds(text: &str) -> Result<f64, String> {
    let (mut rest, mut seconds, mut last_unit) = (text.trim(), 0.0, None);
    if rest.is_empty() {
        return Err(EXAMPLES.into());
    }
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| EXAMPLES.to_owned())?;
        let after = after.trim_start();
        let end = after.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let place = match unit {
            "" if last_unit.is_none() && after.is_empty() => UNITS.len() - 1,
            "" => return Err(format!("the last number has no unit; {EXAMPLES}")),
            unit => UNITS
                .iter()
                .position(|(names, _)| names.contains(&unit.to_ascii_lowercase().as_str()))
                .ok_or_else(|| format!("{unit:?} is no unit of time: s, m, h, d; {EXAMPLES}"))?,
        };
        if last_unit.is_some_and(|last| place <= last) {
            return Err(format!("its units are not in order, the longest first; {EXAMPLES}"));
        }
        last_unit = Some(place);
        seconds += number * UNITS[place].1;
        rest = after.trim_start();
    }
    if seconds.is_finite() && seconds > 0.0 { Ok(seconds) } else { Err(format!("a time is above 0; {EXAMPLES}")) }
}

#[cfg(test)]
mod tests {
    use super::parse_seconds;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, seconds) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("90 sec", 90.0),
            ("1.5m", 90.0),
            ("1h30m", 5_400.0),
            ("1 h 30 min", 5_400.0),
            ("2 hours", 7_200.0),
            ("1d2h", 93_600.0),
            ("1 min 30 s", 90.0),
            ("0.5H", 1_800.0),
        ] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", " ", "m", "-3m", "0s", "0", "3weeks", "nan", "inf", "1h30", "30m1h", "1h1h", "1..5h", "1e3s", "90s!"]
        {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
        assert!(parse_seconds("1h30").unwrap_err().contains("no unit"));
        assert!(parse_seconds("3weeks").unwrap_err().contains("weeks"));
    }
}
