//! How much memory decoders take together.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that images being decoded may take together; one that needs more is decoded alone.
const MOST_BYTES: u64 = 1 << 30;

/// Lets so many through as have room together.
pub(crate) struct MemoryGate {
    most: u64,
    taken: Mutex<u64>,
    given_back: Condvar,
}

/// For all decoders of the process.
pub(crate) static DECODERS: MemoryGate = MemoryGate::new(MOST_BYTES);

impl MemoryGate {
    pub(crate) const fn new(most: u64) -> Self {
        Self { most, taken: Mutex::new(0), given_back: Condvar::new() }
    }

    /// Waits until there is room for `bytes`, and keeps it until the answer is dropped.
    pub(crate) fn enter(&self, bytes: u64) -> Room<'_> {
        let bytes = bytes.min(self.most);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self
            .given_back
            .wait_while(taken, |taken| *taken + bytes > self.most)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += bytes;
        Room { gate: self, bytes }
    }
}

/// Room that is kept.
pub(crate) struct Room<'a> {
    gate: &'a MemoryGate,
    bytes: u64,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        *self.gate.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.gate.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let gate = MemoryGate::new(100);
        let (taken, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for i in 0..16_u64 {
                let (gate, taken, most) = (&gate, &taken, &most);
                scope.spawn(move || {
                    // One of them wants more than there is.
                    let bytes = if i == 7 { 1_000 } else { 40 };
                    let room = gate.enter(bytes);
                    let now = taken.fetch_add(room.bytes, Ordering::SeqCst) + room.bytes;
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(2));
                    taken.fetch_sub(room.bytes, Ordering::SeqCst);
                });
            }
        });
        assert_eq!((taken.load(Ordering::SeqCst), *gate.taken.lock().unwrap()), (0, 0));
        assert!(most.load(Ordering::SeqCst) <= 100, "{most:?}");
    }
}
