//! What people and programs see: results and messages, tables, JSON, the progress of a run.

#[macro_use]
pub(crate) mod output;

mod escape;
mod final_table;
mod progress;
pub(crate) mod ranking;
mod run_display;
mod trial;
mod trial_table;
mod verdict;
mod words;

pub(crate) use final_table::FinalTable;
pub(crate) use run_display::RunDisplay;
pub(crate) use trial::{
    balanced, costs_in_words, costs_json, ensemble_json, ensemble_line, event_json, event_line, failure, ranked_json,
};
pub(crate) use trial_table::table;
pub(crate) use verdict::{Measured, verdict};
pub(crate) use words::{budget, count, duration, first_few, in_words, lossy, name, path};
