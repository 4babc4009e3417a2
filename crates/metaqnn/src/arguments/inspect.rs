//! The command line of what looks at studies: `top`, `show`, `log`, `qvalues`, `report`, `serve`, `copy`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub(crate) struct StudyArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct LogArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// Also the events in which the agent drew an architecture again and learned from its stored result.
    #[arg(long)]
    pub(crate) events: bool,
}

#[derive(Args)]
pub(crate) struct TopArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// How many.
    #[arg(short, default_value_t = 10)]
    pub(crate) n: usize,
}

#[derive(Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// Number of a trial.
    pub(crate) trial: Option<u64>,
    /// Replay the log and compare the Q-table's hash at every event.
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Args)]
pub(crate) struct CopyArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    /// The copy, a new file.
    pub(crate) to: PathBuf,
    /// What was copied, as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ReportArguments {
    /// The studies' files; several are also compared, those of one data set and agent as runs of different seeds.
    #[arg(required = true)]
    pub(crate) studies: Vec<PathBuf>,
    /// The HTML file to write; what is there is replaced.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) out: PathBuf,
    /// A folder for each figure as SVG and what it shows as CSV.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) figures: Option<PathBuf>,
    /// What was written, as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ServeArguments {
    /// The studies' files; several are shown side by side.
    #[arg(required = true)]
    pub(crate) studies: Vec<PathBuf>,
    /// The port; 0 for any that is free.
    #[arg(long, value_name = "N", default_value_t = metaqnn_report::live::DEFAULT_PORT)]
    pub(crate) port: u16,
    /// The address of this machine to listen on; 0.0.0.0 for all of them. On another than this machine's own, 127.0.0.1 or ::1, a browser needs a
    /// token.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", value_parser = parse_host)]
    pub(crate) host: IpAddr,
    /// What a browser must know, 16 characters or more of A-Z, a-z, 0-9, - and _ [default: one made up where --host needs one].
    #[arg(long, value_name = "TEXT")]
    pub(crate) token: Option<String>,
    /// The address as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_host(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        _ => text.parse().map_err(|_| "an IP address of this machine, for example 127.0.0.1, 0.0.0.0 or ::1".into()),
    }
}
