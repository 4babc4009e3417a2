//! `metaqnn serve`: studies in a browser while they run.

use anyhow::Result;
use metaqnn_report::live::{LiveOptions, LiveView};
use serde_json::json;

use crate::arguments::ServeArguments;
use crate::display;

/// Serves the live view until Ctrl-C, which is the way to end it and no failure.
pub(crate) fn serve(arguments: &ServeArguments) -> Result<i32> {
    let options = LiveOptions { host: arguments.host, port: arguments.port, token: arguments.token.clone() };
    let view = LiveView::open(&arguments.studies, &options)?;
    // It only reads, so there is nothing to bring in order.
    ctrlc::set_handler(|| std::process::exit(0))?;
    if arguments.json {
        let address = view.address();
        let studies: Vec<String> = arguments.studies.iter().map(|path| display::lossy(path)).collect();
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
