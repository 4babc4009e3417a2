//! `metaqnn top`.

use anyhow::Result;
use clap::Args;
use metaqnn_store::StudyReader;
use serde_json::json;

use crate::setup::StudyArguments;
use crate::show::{self, ranking};

#[derive(Args)]
pub(crate) struct TopArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// How many.
    #[arg(short, default_value_t = 10)]
    pub(crate) n: usize,
}

/// The best models.
pub(crate) fn top(arguments: &TopArguments) -> Result<i32> {
    let reader = StudyReader::open(&arguments.study.study)?;
    let trials = ranking::best(&reader, arguments.n)?;
    if arguments.study.json {
        println!("{}", json!(trials.iter().map(show::ranked_json).collect::<Vec<_>>()));
    } else {
        print!("{}", show::table(&trials));
        if let Some(ensemble) = reader.ensemble()? {
            println!("{}", show::ensemble_line(&ensemble));
        }
    }
    Ok(0)
}
