//! metaqnn designs convolutional neural networks by reinforcement learning.
//!
//! - `command`: the command line, a verb a file.
//! - `models`: trained networks, to be exported, measured and asked.
//! - `setup`: from arguments to settings, data, studies and workers.
//! - `show`: what is printed.

#[macro_use]
mod show;

mod command;
mod models;
mod setup;

use clap::Parser;

use command::Arguments;
use show::{in_words, output};

/// Training allocates and frees large tensors all the time; the C library's allocator gives each back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let status = Arguments::parse().run().unwrap_or_else(|error| {
        eprintln!("error: {}", in_words(&error));
        1
    });
    std::process::exit(output::status(status));
}
