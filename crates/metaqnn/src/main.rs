//! metaqnn designs convolutional neural networks by reinforcement learning.

mod arguments;
mod bench_command;
mod coordinator;
mod data_command;
mod display;
mod inspect;
mod progress;
mod setup;
mod space_command;
mod train_command;
mod worker;

use clap::Parser;

use arguments::{Arguments, Verb};

/// Training allocates and frees large tensors all the time; the C library's allocator gives each back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::parse();
    let done = match arguments.verb {
        Verb::Search(search) => coordinator::search(&search),
        Verb::Resume(resume) => coordinator::resume(&resume),
        Verb::Top(top) => inspect::top(&top),
        Verb::Show(show) => inspect::show(&show),
        Verb::Log(log) => inspect::log(&log),
        Verb::Qvalues(study) => inspect::qvalues(&study),
        Verb::Config(config) => inspect::config(&config),
        Verb::Train(train) => train_command::train_one(&train),
        Verb::Space(space) => space_command::run(&space),
        Verb::Data(data) => data_command::run(&data),
        Verb::Bench(bench) => bench_command::run(&bench),
        Verb::Worker => worker::work(),
    };
    match done {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            // A reader that closed the pipe, as `head` does, is no failure worth words.
            eprintln!("error: {error:#}");
            std::process::exit(1);
        }
    }
}
