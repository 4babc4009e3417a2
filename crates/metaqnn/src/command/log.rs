//! `metaqnn log`.

use anyhow::Result;
use clap::Args;
use metaqnn_store::{Detail, LoggedEvent, StudyReader};

use crate::setup::StudyArguments;
use crate::show;

#[derive(Args)]
pub(crate) struct LogArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// Also the events in which the agent drew an architecture again and learned from its stored result.
    #[arg(long)]
    pub(crate) events: bool,
}

/// Every trial in the order in which the agent learned of it; where asked for, the repeats between them.
pub(crate) fn log(arguments: &LogArguments) -> Result<i32> {
    let reader = StudyReader::open(&arguments.study.study)?;
    let (json, events) = (arguments.study.json, arguments.events);
    reader.visit_log(Detail::Summary, &mut |entry| {
        match &entry {
            LoggedEvent::Repeat(_) if !events => {}
            _ if json => println!("{}", show::event_json(&entry, events)),
            _ => println!("{}", show::event_line(&entry)),
        }
        true
    })?;
    Ok(0)
}
