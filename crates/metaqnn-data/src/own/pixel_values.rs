//! From numbers as tables and arrays store them to bytes.
//!
//! The rule, for all images of a data set together: numbers in [0, 1] are multiplied by 255, others up to 255 are taken as they
//! are, whole numbers up to 65,535 are divided by 257; the result is rounded. Nothing else is read.

/// What is done to stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// They are 0 to 255.
    Bytes,
    /// They are 0 to 1.
    Fractions,
    /// They are 0 to 65,535.
    Words,
}

impl Scale {
    pub(super) fn byte(self, value: f64) -> u8 {
        let scaled = match self {
            Self::Bytes => value,
            Self::Fractions => value * 255.0,
            Self::Words => value / 257.0,
        };
        // A conversion from float to integer saturates.
        scaled.round() as u8
    }
}

/// The numbers seen so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ValueRange {
    least: f64,
    greatest: f64,
    whole: bool,
}

impl ValueRange {
    pub(super) fn new() -> Self {
        Self { least: f64::INFINITY, greatest: f64::NEG_INFINITY, whole: true }
    }

    /// Notes a number; false if it is none, or infinite.
    pub(super) fn see(&mut self, value: f64) -> bool {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.whole &= value.fract() == 0.0;
        value.is_finite()
    }

    /// What all the numbers together mean.
    pub(super) fn scale(&self) -> Result<Scale, String> {
        match self.greatest {
            _ if self.least < 0.0 => Err(self.refusal()),
            greatest if greatest <= 1.0 => Ok(Scale::Fractions),
            greatest if greatest <= 255.0 => Ok(Scale::Bytes),
            greatest if greatest <= 65_535.0 && self.whole => Ok(Scale::Words),
            _ => Err(self.refusal()),
        }
    }

    fn refusal(&self) -> String {
        let kind = if self.whole { "whole numbers" } else { "numbers" };
        format!(
            "expected pixels from 0 to 1, from 0 to 255, or whole numbers from 0 to 65535, found {kind} from {} to {}",
            self.least, self.greatest
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64]) -> Result<Scale, String> {
        let mut range = ValueRange::new();
        assert!(values.iter().all(|&value| range.see(value)));
        range.scale()
    }

    #[test]
    fn the_range_says_what_numbers_mean() {
        assert_eq!(scale(&[0.0, 0.5, 1.0]), Ok(Scale::Fractions));
        assert_eq!(scale(&[0.0, 1.0]), Ok(Scale::Fractions));
        assert_eq!(scale(&[0.0, 16.5]), Ok(Scale::Bytes));
        assert_eq!(scale(&[3.0, 255.0]), Ok(Scale::Bytes));
        assert_eq!(scale(&[3.0, 256.0]), Ok(Scale::Words));
        assert!(scale(&[0.5, 256.0]).unwrap_err().contains("from 0.5 to 256"));
        assert!(scale(&[-1.0, 1.0]).unwrap_err().contains("from -1 to 1"));
        assert!(scale(&[0.0, 65_536.0]).is_err());
        assert!(!ValueRange::new().see(f64::NAN));
    }

    #[test]
    fn bytes_are_rounded() {
        assert_eq!([0.0, 0.5, 1.0].map(|value| Scale::Fractions.byte(value)), [0, 128, 255]);
        assert_eq!([0.0, 128.0, 129.0, 65_535.0].map(|value| Scale::Words.byte(value)), [0, 0, 1, 255]);
        assert_eq!(Scale::Bytes.byte(16.4), 16);
    }
}
