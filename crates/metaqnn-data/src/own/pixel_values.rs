//! From numbers as tables and arrays store them to bytes.
//!
//! The rule, for all images of a data set together: numbers in [0, 1] are multiplied by 255, others up to 255 are taken as they
//! are, whole numbers above are those of a camera of 10, 12, 14 or 16 bits and are scaled so that its white is 255; the result
//! is rounded. Numbers that fit no such camera, and splits of different scales, are refused.

use std::collections::HashSet;

use serde::Serialize;

/// Of numbers that are not zero, those beyond a range must be at least one in so many, or they are taken for mistakes.
const FEWEST_BEYOND: u64 = 100;

/// Below it numbers with fractions that go beyond 1 are neither fractions nor bytes.
const LEAST_WHITE_BYTE: f64 = 16.0;

/// Different numbers with fractions that are told apart.
const MOST_FRACTIONS: usize = 4_096;

/// What is done to stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// They are 0 to 255.
    Bytes,
    /// They are 0 to 1.
    Fractions,
    /// They are whole numbers of so many bits: 10, 12, 14 or 16.
    Bits(u32),
}

impl Scale {
    pub(super) fn byte(self, value: f64) -> u8 {
        let scaled = match self {
            Self::Bytes => value,
            Self::Fractions => value * 255.0,
            Self::Bits(bits) => value * 255.0 / f64::from((1_u32 << bits) - 1),
        };
        // A conversion from float to integer saturates.
        scaled.round() as u8
    }

    /// What is done, in words.
    fn in_words(self) -> String {
        match self {
            Self::Bytes => "taken as they are".to_owned(),
            Self::Fractions => "multiplied by 255".to_owned(),
            Self::Bits(bits) => {
                format!("taken for {bits} bits: multiplied by 255 / {}", (1_u32 << bits) - 1)
            }
        }
    }

    /// Whether two splits of these scales can belong to one data set: cameras of nearly as many bits can.
    fn fits(self, other: Self) -> bool {
        match (self, other) {
            (Self::Bits(a), Self::Bits(b)) => a.abs_diff(b) <= 2,
            _ => self == other,
        }
    }
}

/// The numbers in which pixels are stored, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PixelSummary {
    /// The least stored number.
    pub least: f64,
    /// The greatest stored number.
    pub greatest: f64,
    /// How many different numbers there are; `None` where there are too many to count.
    pub stored_levels: Option<usize>,
    /// How many different bytes they become.
    pub levels: Option<usize>,
    /// What was decided, in words.
    pub decision: String,
}

impl std::fmt::Display for PixelSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.least, self.greatest)?;
        match (self.stored_levels, self.levels) {
            (Some(stored), Some(left)) if stored != left => {
                write!(f, ", {stored} levels of which {left} are left")?;
            }
            (Some(stored), _) => write!(f, ", {stored} level{}", if stored == 1 { "" } else { "s" })?,
            _ => {}
        }
        write!(f, "; {}", self.decision)
    }
}

/// The numbers seen so far.
#[derive(Debug, Clone)]
pub(super) struct ValueRange {
    least: f64,
    greatest: f64,
    whole: bool,
    /// Numbers above 0.
    positive: u64,
    above_one: u64,
    above_byte: u64,
    /// Which whole numbers up to 65,535 there are.
    words: Vec<bool>,
    /// The first few others.
    fractions: HashSet<u64>,
}

impl ValueRange {
    pub(super) fn new() -> Self {
        Self {
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            whole: true,
            positive: 0,
            above_one: 0,
            above_byte: 0,
            words: vec![false; 1 << 16],
            fractions: HashSet::new(),
        }
    }

    /// Notes a number; false if it is none, or infinite.
    pub(super) fn see(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.positive += u64::from(value > 0.0);
        self.above_one += u64::from(value > 1.0);
        self.above_byte += u64::from(value > 255.0);
        if value.fract() == 0.0 {
            // What is negative or too large is refused anyway.
            if let Some(seen) = self.words.get_mut(value as usize) {
                *seen = true;
            }
        } else {
            self.whole = false;
            if self.fractions.len() < MOST_FRACTIONS {
                self.fractions.insert(value.to_bits());
            }
        }
        true
    }

    /// Whether any number was seen.
    fn is_empty(&self) -> bool {
        self.greatest < self.least
    }

    /// The numbers of both.
    fn merged(mut self, other: &Self) -> Self {
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        self.whole &= other.whole;
        self.positive += other.positive;
        self.above_one += other.above_one;
        self.above_byte += other.above_byte;
        self.words.iter_mut().zip(&other.words).for_each(|(seen, other)| *seen |= other);
        self.fractions.extend(&other.fractions);
        self
    }

    /// What all the numbers together mean.
    fn scale(&self) -> Result<Scale, String> {
        let Self { greatest, positive, .. } = *self;
        let are_mistakes = |beyond: u64| beyond * FEWEST_BEYOND < positive;
        if self.least < 0.0 {
            return Err(self.refusal());
        }
        if greatest <= 1.0 {
            return Ok(Scale::Fractions);
        }
        if greatest > 65_535.0 || greatest > 255.0 && !self.whole {
            return Err(self.refusal());
        }
        if greatest > 255.0 {
            if are_mistakes(self.above_byte) {
                return Err(format!(
                    "{} of {positive} numbers above 0 {} above 255 (up to {greatest}), too few for images of more than 8 bits: correct \
                     or clip them",
                    self.above_byte,
                    if self.above_byte == 1 { "is" } else { "are" },
                ));
            }
            return Ok(Scale::Bits(
                [10, 12, 14].into_iter().find(|bits| greatest < f64::from(1 << bits)).unwrap_or(16),
            ));
        }
        if !self.whole && are_mistakes(self.above_one) {
            return Err(format!(
                "{} of {positive} numbers above 0 {} above 1 (up to {greatest}), all others have fractions up to 1: correct or clip them",
                self.above_one,
                if self.above_one == 1 { "is" } else { "are" },
            ));
        }
        if !self.whole && greatest < LEAST_WHITE_BYTE {
            return Err(format!(
                "numbers with fractions from {} to {greatest} are neither pixels from 0 to 1 nor from 0 to 255: divide them by \
                 what white is",
                self.least
            ));
        }
        Ok(Scale::Bytes)
    }

    /// What versions before took the numbers for: studies that they began read their data so.
    fn first_scale(&self) -> Result<Scale, String> {
        match self.greatest {
            _ if self.least < 0.0 => Err(self.refusal()),
            greatest if greatest <= 1.0 => Ok(Scale::Fractions),
            greatest if greatest <= 255.0 => Ok(Scale::Bytes),
            greatest if greatest <= 65_535.0 && self.whole => Ok(Scale::Bits(16)),
            _ => Err(self.refusal()),
        }
    }

    fn refusal(&self) -> String {
        let hint = if self.least < 0.0 { "; give the images as they were before they were normalized" } else { "" };
        format!(
            "expected pixels from 0 to 1, from 0 to 255, or whole numbers from 0 to 65535, found {}{hint}",
            self.in_words()
        )
    }

    fn in_words(&self) -> String {
        let kind = if self.whole { "whole numbers" } else { "numbers" };
        format!("{kind} from {} to {}", self.least, self.greatest)
    }

    fn summary(&self, scale: Scale) -> PixelSummary {
        let few = self.fractions.len() < MOST_FRACTIONS;
        let words = self.words.iter().enumerate().filter(|(_, seen)| **seen).map(|(word, _)| word as f64);
        let stored: Option<Vec<f64>> =
            few.then(|| words.chain(self.fractions.iter().map(|bits| f64::from_bits(*bits))).collect());
        let levels = |stored: &Vec<f64>| stored.iter().map(|&value| scale.byte(value)).collect::<HashSet<u8>>().len();
        PixelSummary {
            least: self.least,
            greatest: self.greatest,
            stored_levels: stored.as_ref().map(Vec::len),
            levels: stored.as_ref().map(levels),
            decision: scale.in_words(),
        }
    }
}

/// What the numbers of all parts of a data set mean, each part with its name.
///
/// # Errors
/// The reason for which they mean nothing, or no one thing.
pub(super) fn decide(parts: &[(String, ValueRange)], first_rules: bool) -> Result<(Scale, PixelSummary), String> {
    let all = parts.iter().fold(ValueRange::new(), |all, (_, part)| all.merged(part));
    if first_rules {
        let scale = all.first_scale()?;
        return Ok((scale, all.summary(scale)));
    }
    // Of a part that is all black nothing can be said.
    let parts: Vec<&(String, ValueRange)> =
        parts.iter().filter(|(_, part)| !part.is_empty() && part.greatest != 0.0).collect();
    let mut scales = Vec::new();
    for (name, part) in &parts {
        let named = |reason: String| if parts.len() > 1 { format!("{name}: {reason}") } else { reason };
        scales.push((name, part, part.scale().map_err(named)?));
    }
    for (name, part, scale) in scales.iter().skip(1) {
        let (first_name, first, first_scale) = &scales[0];
        if !scale.fits(*first_scale) {
            return Err(format!(
                "{first_name} holds {}, {name} {}: expected all splits in one scale",
                first.in_words(),
                part.in_words()
            ));
        }
    }
    let scale = all.scale()?;
    Ok((scale, all.summary(scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(values: &[f64]) -> ValueRange {
        let mut range = ValueRange::new();
        assert!(values.iter().all(|&value| range.see(value)));
        range
    }

    fn scale(values: &[f64]) -> Result<Scale, String> {
        decide(&[("x".to_owned(), range(values))], false).map(|(scale, _)| scale)
    }

    #[test]
    fn the_range_says_what_numbers_mean() {
        assert_eq!(scale(&[0.0, 0.5, 1.0]), Ok(Scale::Fractions));
        assert_eq!(scale(&[0.0, 1.0]), Ok(Scale::Fractions));
        assert_eq!(scale(&[0.0, 16.5]), Ok(Scale::Bytes));
        assert_eq!(scale(&[3.0, 255.0]), Ok(Scale::Bytes));
        for (greatest, bits) in
            [(256.0, 10), (1023.0, 10), (1024.0, 12), (4080.0, 12), (16_383.0, 14), (16_384.0, 16), (65_535.0, 16)]
        {
            assert_eq!(scale(&[3.0, greatest]), Ok(Scale::Bits(bits)), "{greatest}");
        }
        assert!(scale(&[0.5, 256.0]).unwrap_err().contains("from 0.5 to 256"));
        assert!(scale(&[-1.0, 1.0]).unwrap_err().contains("from -1 to 1"));
        assert!(scale(&[0.0, 65_536.0]).is_err());
        assert!(scale(&[0.0, 0.5, 1.02]).unwrap_err().contains("neither pixels from 0 to 1"));
        assert!(!ValueRange::new().see(f64::NAN));
    }

    #[test]
    fn a_few_numbers_beyond_the_others_are_mistakes() {
        let mut values: Vec<f64> = (0..200).map(f64::from).collect();
        values.push(300.0);
        assert_eq!(
            scale(&values).unwrap_err(),
            "1 of 200 numbers above 0 is above 255 (up to 300), too few for images of more than 8 bits: correct or clip them"
        );
        let mut values: Vec<f64> = (0..200).map(|i| f64::from(i) / 200.0).collect();
        values.push(255.0);
        assert!(scale(&values).unwrap_err().starts_with("1 of 200 numbers above 0 is above 1 (up to 255)"));
        // Strokes on black are few, but nothing else is there.
        let mut strokes = vec![0.0; 10_000];
        strokes.extend([65_535.0; 3]);
        assert_eq!(scale(&strokes), Ok(Scale::Bits(16)));
    }

    #[test]
    fn splits_must_have_one_scale() {
        let parts = |train: &[f64], test: &[f64]| {
            decide(&[("x_train".to_owned(), range(train)), ("x_test".to_owned(), range(test))], false)
        };
        assert_eq!(
            parts(&[0.0, 0.5, 1.0], &[0.0, 255.0]).unwrap_err(),
            "x_train holds numbers from 0 to 1, x_test whole numbers from 0 to 255: expected all splits in one scale"
        );
        assert!(parts(&[0.0, 200.0], &[0.0, 0.7]).is_err());
        assert!(parts(&[0.0, 255.0], &[0.0, 65_535.0]).is_err());
        assert!(parts(&[0.0, 1.0], &[0.0, 0.7]).is_ok());
        assert!(parts(&[0.0, 4_000.0], &[0.0, 1_000.0]).is_ok());
        assert!(parts(&[0.0, 255.0], &[0.0]).is_ok(), "what is all black fits every scale");
        assert!(parts(&[0.0, 255.0], &[-1.0, 1.0]).unwrap_err().starts_with("x_test: expected pixels"));
    }

    #[test]
    fn studies_of_older_versions_read_as_they_did() {
        let first = |values| decide(&[("x".to_owned(), range(values))], true).map(|(scale, _)| scale);
        assert_eq!(first(&[0.0, 1_023.0]), Ok(Scale::Bits(16)));
        assert_eq!(first(&[0.5, 1.02]), Ok(Scale::Bytes));
    }

    #[test]
    fn bytes_are_rounded() {
        assert_eq!([0.0, 0.5, 1.0].map(|value| Scale::Fractions.byte(value)), [0, 128, 255]);
        assert_eq!([0.0, 128.0, 129.0, 65_535.0].map(|value| Scale::Bits(16).byte(value)), [0, 0, 1, 255]);
        assert!((0..=255_u8).all(|byte| Scale::Bits(16).byte(f64::from(byte) * 257.0) == byte));
        assert_eq!([0.0, 2.0, 4_095.0].map(|value| Scale::Bits(12).byte(value)), [0, 0, 255]);
        assert_eq!(Scale::Bytes.byte(16.4), 16);
    }

    #[test]
    fn the_summary_tells_range_levels_and_decision() {
        let (_, summary) = decide(&[("x".to_owned(), range(&[0.0, 1.0, 16.0, 4_095.0]))], false).unwrap();
        assert_eq!(
            summary.to_string(),
            "0 to 4095, 4 levels of which 3 are left; taken for 12 bits: multiplied by 255 / 4095"
        );
    }
}
