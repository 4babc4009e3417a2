//! The coordinator: what a run of a study does, from the first trial to the networks that are trained fully.
//!
//! It works over ports alone, prints nothing and starts nothing: who trains, where the study is kept, what time it is and what is shown are
//! handed to it. So a search of hours is tried out in milliseconds, killed at any moment, with an executor and a clock that are no more than
//! numbers. In reading order:
//!
//! - [`Surroundings`] (`surroundings`): the ports of a run.
//! - [`Observer`], [`Notice`] (`observer`): what there is to show.
//! - `run_clock`: the time of a study over all its runs, and [`SystemClock`].
//! - [`SearchPlanning`] (`search_plan`): what a search settles before it begins.
//! - [`Run`] (`run`): a search and its final phase. `search`: asks, hands out, stores, tells. `time_of_search`: when a search is over.
//!   `final_phase`: chooses a network and trains it finally. `resumed`: what a run goes on from.
//! - [`FinalTrainings`] (`final_trainings`): the best networks trained fully, as planned. `final_budget`: what a budget leaves time for.
//! - `final_jobs`: jobs of the final phase at work.

mod error;
mod final_budget;
mod final_jobs;
mod final_phase;
mod final_trainings;
mod observer;
mod resumed;
mod run;
mod run_clock;
mod search;
mod search_plan;
mod surroundings;
mod time_of_search;

pub use error::RunError;
pub use final_trainings::{FinalPlan, FinalTrainings};
pub use observer::{Notice, Observer, Phase, Reached, SearchStatus};
pub use resumed::{Resumed, limits_before, replay};
pub use run::{Finished, Fruitless, Run, RunPlan};
pub use run_clock::SystemClock;
pub use search_plan::{Assignment, Images, SearchPlanning, TryOut, search_space, suit_few_images};
pub use surroundings::{Checkpoints, NoCheckpoints, Stage, StartExecutor, Surroundings};
