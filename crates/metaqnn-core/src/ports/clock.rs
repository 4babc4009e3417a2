//! What time it is.

use std::time::Duration;

/// A clock that never goes back.
///
/// Contract: [`now`](Clock::now) tells the time that has passed since a moment that stays the same for as long as the clock is there,
/// in no way related to the calendar.
pub trait Clock {
    /// The time since then.
    fn now(&self) -> Duration;
}
