//! Where a study lies that was given no name, and where it is seen from here.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use metaqnn_core::study::{DataReading, StudyHeader};
use metaqnn_store::{StoreError, StudyFile};

/// Seconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Begins the study `studies/<data>-<date>-<n>.study`, of the first n that is free: also of several searches that are started at once each
/// gets one.
pub(crate) fn create_default(data: &str, header: &StudyHeader, reading: &DataReading) -> Result<StudyFile> {
    let folder = Path::new("studies");
    std::fs::create_dir_all(folder).context("the folder studies cannot be made; name another with --study")?;
    let (year, month, day) = date(now() / 86_400);
    let mut n = 1;
    loop {
        let path: PathBuf = folder.join(format!("{data}-{year:04}-{month:02}-{day:02}-{n}.study"));
        match StudyFile::create_of_data(&path, header, Some(reading)) {
            // Locked: another search is about to create it.
            Err(StoreError::Exists { .. } | StoreError::Locked { .. }) => n += 1,
            created => return Ok(created?),
        }
    }
}

/// `models/<data>-<date>-<n>`, the first n that is free.
pub(crate) fn default_model(data: &str) -> Result<PathBuf> {
    let folder = Path::new("models");
    std::fs::create_dir_all(folder).context("the folder models cannot be made; name another with --out")?;
    let (year, month, day) = date(now() / 86_400);
    let mut n = 1;
    loop {
        let path = folder.join(format!("{data}-{year:04}-{month:02}-{day:02}-{n}"));
        if path.symlink_metadata().is_err() {
            return Ok(path);
        }
        n += 1;
    }
}

/// A canonical path as one writes it here.
pub(crate) fn seen_from_here(path: &Path) -> &Path {
    let here = std::env::current_dir().and_then(|folder| folder.canonicalize());
    here.ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

/// Year, month and day (UTC) of a number of days since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_454), (2026, 1, 1));
    }
}
