//! `metaqnn config`.

use anyhow::Result;
use clap::Args;

use crate::setup::{self, SettingsArguments};

#[derive(Args)]
pub(crate) struct ConfigArguments {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// The data set, since some settings of the paper depend on it.
    #[arg(long, default_value = "digits")]
    pub(crate) data: String,
}

/// All settings with comments.
pub(crate) fn config(arguments: &ConfigArguments) -> Result<i32> {
    let document = setup::document(&arguments.settings, &arguments.data, None)?;
    setup::checked(&document)?;
    print!("{document}");
    Ok(0)
}
