//! What was written, read and run again, beside plain loops.

#![allow(clippy::unwrap_used)]

#[path = "../../../metaqnn-core/tests/shared/branching.rs"]
mod branching;
mod damage;
mod formats;
mod plain_loops;
mod samples;
