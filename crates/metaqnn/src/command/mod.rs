//! The command line: a verb a file, with its arguments and what it does.

mod bench;
mod check;
mod config;
mod copy;
mod data;
mod evaluate;
mod export;
mod final_trainings;
mod log;
mod predict;
mod qvalues;
mod report;
mod resume;
mod run;
mod search;
mod serve;
mod show;
mod space;
mod summary;
mod top;
mod train;
mod worker;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::bench::BenchVerb;
use self::check::CheckArguments;
use self::config::ConfigArguments;
use self::copy::CopyArguments;
use self::data::DataVerb;
use self::evaluate::EvaluateArguments;
use self::export::ExportArguments;
use self::final_trainings::FinalArguments;
use self::log::LogArguments;
use self::predict::PredictArguments;
use self::report::ReportArguments;
use self::resume::ResumeArguments;
use self::search::SearchArguments;
use self::serve::ServeArguments;
use self::show::ShowArguments;
use self::space::SpaceVerb;
use self::top::TopArguments;
use self::train::TrainArguments;
use crate::setup::StudyArguments;

/// Designs convolutional neural networks by reinforcement learning (MetaQNN, Baker et al., ICLR 2017).
#[derive(Parser)]
#[command(version, after_help = "Example: metaqnn search --budget 2m")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Design networks for a data set.
    #[command(
        after_help = "Examples:\n  metaqnn search\n  metaqnn search mnist --budget 10m\n  metaqnn search ./my-images --size 32x32 --budget 10m\n  metaqnn search mnist --models 20 --set training.epochs=1 --json"
    )]
    Search(SearchArguments),
    /// Go on with a study where it stopped.
    #[command(
        after_help = "Examples:\n  metaqnn resume studies/digits-2026-01-31-1.study --budget 5m\n  metaqnn resume studies/my-images-2026-01-31-1.study --data ./moved/my-images"
    )]
    Resume(ResumeArguments),
    /// The best models of a study.
    #[command(after_help = "Example: metaqnn top studies/digits-2026-01-31-1.study -n 5")]
    Top(TopArguments),
    /// A study, or one trial of it with its learning curve.
    #[command(after_help = "Example: metaqnn show studies/digits-2026-01-31-1.study 17")]
    Show(ShowArguments),
    /// Every trial in the order in which the agent learned of it.
    #[command(
        after_help = "Examples:\n  metaqnn log studies/digits-2026-01-31-1.study --json\n  metaqnn log studies/digits-2026-01-31-1.study --events"
    )]
    Log(LogArguments),
    /// The Q-table: state, action, value, updates.
    #[command(after_help = "Example: metaqnn qvalues studies/digits-2026-01-31-1.study --json")]
    Qvalues(StudyArguments),
    /// Copy a study, also one that runs; a plain copy of its file lacks what is still in the log beside it.
    ///
    /// The copy is of one moment. What is in training is not part of it: resumed, it trains those networks from the beginning.
    #[command(after_help = "Example: metaqnn copy studies/digits-2026-01-31-1.study /backup/digits.study")]
    Copy(CopyArguments),
    /// Studies as one HTML file that stands alone, and their figures as SVG and CSV.
    #[command(
        after_help = "Examples:\n  metaqnn report studies/digits-2026-01-31-1.study --out report.html\n  metaqnn report paper-*.study random-*.study --out agents.html --figures figures"
    )]
    Report(ReportArguments),
    /// Studies live in a browser, also while they search in another process.
    ///
    /// Progress, what each worker trains with its curve, every trial, the figures of the report, the Q-table. It only reads, and needs no
    /// network: by default it is to be had on this machine alone, at http://127.0.0.1:8642. Ctrl-C ends it.
    #[command(
        after_help = "Examples:\n  metaqnn serve studies/digits-2026-01-31-1.study\n  metaqnn serve paper-*.study random-*.study --port 9000\n  metaqnn serve studies/digits-2026-01-31-1.study --host 0.0.0.0"
    )]
    Serve(ServeArguments),
    /// All settings with comments.
    #[command(after_help = "Example: metaqnn config --preset paper --data cifar10 > paper.toml")]
    Config(ConfigArguments),
    /// Train one architecture.
    ///
    /// As a search trains its trials, or with --final as it trains the network that it chooses. With --final, --test and the --budget of a search a
    /// fixed network has all of the time: what the search is to be judged beside.
    #[command(
        after_help = "Examples:\n  metaqnn train '[C(32,3,1), P(2,2), C(64,3,1), GAP(10), SM(10)]' --data digits\n  metaqnn train '[C(32,3,1), P(2,2), C(64,3,1), P(2,2), FC(128), SM(10)]' --data mnist --final --test --budget 10m"
    )]
    Train(TrainArguments),
    /// Train the best networks of a study fully, measure each once on the test data, and the best of them together.
    ///
    /// First for a part of the epochs on the training images alone, to be validated, then on training and validation images. What
    /// was trained and measured already, for as many epochs, is not trained again. After an interruption or a kill the same command goes on after the
    /// last finished epoch, with the plan that the first one made. At the end the best k networks are made an ensemble where the
    /// mean of their probabilities does better on the validation data than the best network.
    #[command(
        after_help = "Examples:\n  metaqnn final studies/digits-2026-01-31-1.study --budget 30m\n  metaqnn final studies/digits-2026-01-31-1.study --models 3 --json"
    )]
    Final(FinalArguments),
    /// Write a trained model as ONNX, safetensors and PyTorch code, each checked against the model that was scored.
    #[command(after_help = "Example: metaqnn export studies/digits-2026-01-31-1.study --out my-model")]
    Export(ExportArguments),
    /// Check a model folder: its files, and what each format in it answers for its reference batch.
    #[command(after_help = "Example: metaqnn check my-model")]
    Check(CheckArguments),
    /// Accuracy, figures of each class and confusion matrix of a trained model on labelled images.
    ///
    /// Of a folder, a table or arrays without splits every image is measured; where there are splits, the test images; of the data that the
    /// model was trained on, those that were kept from the training. It says which. The images may show some of the model's classes only.
    #[command(
        after_help = "Examples:\n  metaqnn evaluate my-model digits --json\n  metaqnn evaluate my-model ./new-images"
    )]
    Evaluate(EvaluateArguments),
    /// Classes and probabilities of image files.
    ///
    /// A file that cannot be read is named on standard error, and the others are answered; the exit status is then 1.
    #[command(after_help = "Example: metaqnn predict my-model photo.png more-photos/")]
    Predict(PredictArguments),
    /// The search space.
    #[command(subcommand)]
    Space(SpaceVerb),
    /// Data sets.
    #[command(subcommand)]
    Data(DataVerb),
    /// The measurements behind the claims of speed.
    #[command(subcommand)]
    Bench(BenchVerb),
    /// Started by search, not by people.
    #[command(hide = true)]
    Worker,
}

impl Arguments {
    /// Does what is asked for; gives the exit status.
    ///
    /// # Errors
    ///
    /// Whatever went wrong, for people to read.
    pub(crate) fn run(&self) -> Result<i32> {
        match &self.verb {
            Verb::Search(arguments) => search::search(arguments),
            Verb::Resume(arguments) => resume::resume(arguments),
            Verb::Top(arguments) => top::top(arguments),
            Verb::Show(arguments) => show::show(arguments),
            Verb::Log(arguments) => log::log(arguments),
            Verb::Qvalues(arguments) => qvalues::qvalues(arguments),
            Verb::Copy(arguments) => copy::copy(arguments),
            Verb::Report(arguments) => report::report(arguments),
            Verb::Serve(arguments) => serve::serve(arguments),
            Verb::Config(arguments) => config::config(arguments),
            Verb::Train(arguments) => train::train_one(arguments),
            Verb::Final(arguments) => final_trainings::train_finally(arguments),
            Verb::Export(arguments) => export::export(arguments),
            Verb::Check(arguments) => check::check(arguments),
            Verb::Evaluate(arguments) => evaluate::evaluate(arguments),
            Verb::Predict(arguments) => predict::predict(arguments),
            Verb::Space(verb) => space::run(verb),
            Verb::Data(verb) => data::run(verb),
            Verb::Bench(verb) => bench::run(verb),
            Verb::Worker => worker::work(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
