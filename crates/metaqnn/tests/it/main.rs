//! The program from outside: verbs, JSON, resume after a kill, and the direction of imports.

#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod bad_inputs;
#[cfg(unix)]
mod deadlines;
#[cfg(unix)]
mod disk_full;
mod early_stop;
mod ensembles;
mod exports;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod finals;
mod imports;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod outputs;
mod own_data;
mod program;
mod report;
mod trained_models;
