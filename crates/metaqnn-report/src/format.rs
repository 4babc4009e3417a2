//! Numbers, times and dates in words.

use metaqnn_store::utc;

/// `1.23 M`, `45.6 k`, `789`.
pub(crate) fn count(number: u64) -> String {
    let value = number as f64;
    match number {
        0..=9_999 => number.to_string(),
        10_000..=999_999 => format!("{:.1} k", value / 1e3),
        1_000_000..=999_999_999 => format!("{:.2} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// A share as percent with two digits; a dash where there is none.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".into(), |share| format!("{:.2} %", 100.0 * share))
}

/// `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..=59 => format!("{seconds:.1} s"),
        60..=3_599 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..=86_399 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// `2026-01-31 14:05 UTC`.
pub(crate) fn date(seconds: u64) -> String {
    let mut text = utc(seconds);
    // The seconds, of which nobody asks.
    if let Some(colon) = text.rfind(':') {
        text.replace_range(colon..colon + 3, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_dates_are_read_at_a_glance() {
        assert_eq!((count(9_999), count(12_345), count(1_234_567)), ("9999".into(), "12.3 k".into(), "1.23 M".into()));
        assert_eq!(
            (duration(4.21), duration(200.0), duration(7_500.0)),
            ("4.2 s".into(), "3 min 20 s".into(), "2 h 5 min".into())
        );
        assert_eq!(date(1_767_225_600 + 3_660), "2026-01-01 01:01 UTC");
        assert_eq!((percent(Some(0.98765)), percent(None)), ("98.77 %".into(), "–".into()));
    }
}
