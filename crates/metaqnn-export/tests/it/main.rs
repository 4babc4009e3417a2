//! What was written, read and run again, beside plain loops.

mod damage;
mod formats;
mod plain_loops;
mod samples;
