//! Integration tests of metaqnn-core, against the figures and the data that the authors published.

mod benchmark;
mod count;
mod early_stopping;
mod fixture;
mod published;
mod sampling;
mod settings;
mod stopping;
mod study;
mod trajectories;
