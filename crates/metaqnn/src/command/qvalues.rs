//! `metaqnn qvalues`.

use anyhow::Result;
use metaqnn_store::StudyReader;
use serde_json::json;

use crate::setup::{self, StudyArguments};

/// The Q-table.
pub(crate) fn qvalues(arguments: &StudyArguments) -> Result<i32> {
    let study = setup::rebuilt(&StudyReader::open(&arguments.study)?)?;
    for entry in study.q_table().entries() {
        let (state, action) = (entry.observation.to_string(), entry.action.to_string());
        if arguments.json {
            println!(
                "{}",
                json!({ "state": state, "action": action, "q_value": entry.q_value, "updates": entry.updates })
            );
        } else {
            println!("{state:<22} {action:<12} {:.6} {:>7}", entry.q_value, entry.updates);
        }
    }
    Ok(0)
}
