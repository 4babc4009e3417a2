//! What was written, read and run again, beside plain loops.

#![allow(clippy::unwrap_used)]

mod damage;
mod formats;
mod plain_loops;
mod samples;
