//! What a study looks like: its figures, and the report in which they stand. It only reads.
//!
//! In reading order:
//!
//! - `study_view`: what the figures need of a study, [`StudyView`], read in short pieces.
//! - `q_table_view`: the Q-table that the log gives.
//! - [`figures`]: what is drawn, as numbers: pure functions over trials.
//! - `chart`: axes and marks as SVG; `drawing`: an architecture as SVG.
//! - `figure`: a figure with its caption, its SVG and its table, [`Figure`]; `curves`: learning curves.
//! - `report`: [`Report`], one HTML file that stands alone; `sections`: what it shares with the live view.
//! - [`live`]: [`LiveView`](live::LiveView), the same in a browser while the study runs.

mod chart;
mod curves;
mod drawing;
mod error;
mod figure;
pub mod figures;
mod format;
pub mod live;
mod q_table_view;
mod report;
mod sections;
mod study_view;

pub use error::ReportError;
pub use figure::Figure;
pub use q_table_view::{QEntry, q_table};
pub use report::Report;
pub use study_view::{Ranked, StudyView};
