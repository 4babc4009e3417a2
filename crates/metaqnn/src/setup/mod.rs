//! From arguments to what a verb works with: settings, data, studies, workers, places to write to.

mod arguments;
mod cpu_speed;
mod data;
mod interrupt;
pub(crate) mod output_path;
mod search_plan;
mod settings;
mod study_data;
mod study_path;
mod time;
mod workers;

pub(crate) use arguments::{
    DataArguments, ReadingArguments, SettingsArguments, SizeArguments, StudyArguments, StudyDataArguments,
};
pub(crate) use cpu_speed::made_up_batch;
pub(crate) use data::{data_folder, data_set, lasting, reading, split_settings, tell, warn};
pub(crate) use interrupt::{INTERRUPTED, Interrupt};
pub(crate) use search_plan::{lay_for_few_images, settle};
pub(crate) use settings::{checked, document, document_of_study, space};
pub(crate) use study_data::{StudyData, data_of_study, reading_of_study, rebuilt, replay};
pub(crate) use study_path::{create_default, default_model, now, seen_from_here};
pub(crate) use time::parse_seconds;
pub(crate) use workers::{BesideStudy, Workers, all_threads, check_threads, workers};
