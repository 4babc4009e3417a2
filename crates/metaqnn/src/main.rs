//! metaqnn designs convolutional neural networks by reinforcement learning.

mod arguments;
mod bench_agent;
mod bench_command;
mod bench_early_stop;
mod coordinator;
mod cpu_speed;
mod data_command;
mod display;
mod ensemble;
mod evaluate_command;
mod export_command;
mod final_budget;
mod final_command;
mod final_jobs;
mod final_phase;
mod final_table;
mod inspect;
mod predict_command;
mod progress;
mod report_command;
mod run;
mod serve_command;
mod setup;
mod space_command;
mod study_models;
mod study_path;
mod summary;
mod train_command;
mod trained_model;
mod worker;

use clap::Parser;

use arguments::{Arguments, Verb};

/// Training allocates and frees large tensors all the time; the C library's allocator gives each back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A reader that closed the pipe, as `head` does, is no failure worth words. (The signal for it must stay ignored: it
        // would also end a coordinator that writes to a worker that died.)
        let message = panic.payload().downcast_ref::<String>();
        if message.is_some_and(|text| text.starts_with("failed printing to stdout") && text.contains("Broken pipe")) {
            std::process::exit(0);
        }
        hook(panic);
    }));
    let arguments = Arguments::parse();
    let done = match arguments.verb {
        Verb::Search(search) => coordinator::search(&search),
        Verb::Resume(resume) => coordinator::resume(&resume),
        Verb::Top(top) => inspect::top(&top),
        Verb::Show(show) => inspect::show(&show),
        Verb::Log(log) => inspect::log(&log),
        Verb::Qvalues(study) => inspect::qvalues(&study),
        Verb::Report(report) => report_command::report(&report),
        Verb::Serve(serve) => serve_command::serve(&serve),
        Verb::Config(config) => inspect::config(&config),
        Verb::Train(train) => train_command::train_one(&train),
        Verb::Final(arguments) => final_command::train_finally(&arguments),
        Verb::Export(export) => export_command::export(&export),
        Verb::Evaluate(evaluate) => evaluate_command::evaluate(&evaluate),
        Verb::Predict(predict) => predict_command::predict(&predict),
        Verb::Space(space) => space_command::run(&space),
        Verb::Data(data) => data_command::run(&data),
        Verb::Bench(bench) => bench_command::run(&bench),
        Verb::Worker => worker::work(),
    };
    match done {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            eprintln!("error: {}", in_words(&error));
            std::process::exit(1);
        }
    }
}

/// An error and its causes, without those that are part of what was said before.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        earlier if earlier.contains(&cause) => said,
        earlier => format!("{earlier}: {cause}"),
    })
}
