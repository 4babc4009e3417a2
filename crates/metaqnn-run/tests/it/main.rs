//! Runs of studies from end to end, with an executor that takes no time and a clock that is set by hand.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod budgets;
mod endings;
mod final_trainings;
mod kills;
mod search_plan;
mod world;
