//! metaqnn designs convolutional neural networks by reinforcement learning.

#[macro_use]
mod output;

mod arguments;
mod bench_agent;
mod bench_command;
mod bench_early_stop;
mod check_command;
mod coordinator;
mod copy_command;
mod cpu_speed;
mod data_command;
mod display;
mod ensemble;
mod evaluate_command;
mod export_command;
mod final_command;
mod final_table;
mod inspect;
mod interrupt;
mod output_path;
mod predict_command;
mod progress;
mod ranking;
mod report_command;
mod run_display;
mod search_plan;
mod serve_command;
mod setup;
mod shown;
mod space_command;
mod study_models;
mod study_path;
mod summary;
mod train_command;
mod trained_model;
mod verdict;
mod worker;
mod workers;

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
        Verb::Copy(copy) => copy_command::copy(&copy),
        Verb::Report(report) => report_command::report(&report),
        Verb::Serve(serve) => serve_command::serve(&serve),
        Verb::Config(config) => inspect::config(&config),
        Verb::Train(train) => train_command::train_one(&train),
        Verb::Final(arguments) => final_command::train_finally(&arguments),
        Verb::Export(export) => export_command::export(&export),
        Verb::Check(check) => check_command::check(&check),
        Verb::Evaluate(evaluate) => evaluate_command::evaluate(&evaluate),
        Verb::Predict(predict) => predict_command::predict(&predict),
        Verb::Space(space) => space_command::run(&space),
        Verb::Data(data) => data_command::run(&data),
        Verb::Bench(bench) => bench_command::run(&bench),
        Verb::Worker => worker::work(),
    };
    let status = done.unwrap_or_else(|error| {
        eprintln!("error: {}", in_words(&error));
        1
    });
    std::process::exit(output::status(status));
}

/// An error and its causes, without those that are part of what was said before.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        earlier if earlier.contains(&cause) => said,
        earlier => format!("{earlier}: {cause}"),
    })
}
