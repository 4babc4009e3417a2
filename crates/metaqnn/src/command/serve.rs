//! `metaqnn serve`: studies in a browser while they run.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use metaqnn_report::live::{LiveOptions, LiveView};
use serde_json::json;

use crate::show;

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

/// Serves the live view until Ctrl-C, which is the way to end it and no failure.
pub(crate) fn serve(arguments: &ServeArguments) -> Result<i32> {
    let options = LiveOptions { host: arguments.host, port: arguments.port, token: arguments.token.clone() };
    let view = LiveView::open(&arguments.studies, &options)?;
    // It only reads, so there is nothing to bring in order.
    ctrlc::set_handler(|| std::process::exit(0))?;
    if arguments.json {
        let address = view.address();
        let studies: Vec<String> = arguments.studies.iter().map(|path| show::lossy(path)).collect();
        println!(
            "{}",
            json!({ "url": view.url(), "host": address.ip().to_string(), "port": address.port(), "studies": studies })
        );
    } else {
        println!("{}", view.url());
        eprintln!("open this address in a browser; Ctrl-C ends it, and leaves the search alone");
        if !options.host.is_loopback() {
            eprintln!(
                "what is sent is not encrypted: in a network that others use, serve on 127.0.0.1 and come through `ssh -L`"
            );
        }
    }
    view.serve()?;
    Ok(0)
}
