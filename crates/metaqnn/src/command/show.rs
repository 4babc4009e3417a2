//! `metaqnn show`.

use anyhow::{Context, Result};
use clap::Args;
use metaqnn_core::study::TrialNumber;
use metaqnn_store::StudyReader;
use serde_json::json;

use crate::setup::{self, StudyArguments};
use crate::show::{self, ranking};

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

/// The study, or one trial.
pub(crate) fn show(arguments: &ShowArguments) -> Result<i32> {
    let reader = StudyReader::open(&arguments.study.study)?;
    if let Some(number) = arguments.trial {
        let trial = reader
            .trial(TrialNumber(number))?
            .with_context(|| format!("{} has no trial {number}", arguments.study.study.display()))?;
        let ranked = ranking::of_trial(&reader, trial)?;
        let mut value = show::ranked_json(&ranked);
        let trial = &ranked.trial;
        value["curve"] = json!(trial.record.evaluation.curve);
        if arguments.study.json {
            println!("{value}");
        } else {
            println!("{}", show::table(std::slice::from_ref(&ranked)));
            for point in &trial.record.evaluation.curve {
                println!(
                    "epoch {:>3}: training loss {:.4}, validation accuracy {:.4}",
                    point.epoch, point.train_loss, point.valid_accuracy
                );
            }
            for step in &trial.record.transitions {
                println!("{} -> {} (reward {})", step.state, step.action, step.reward);
            }
            if let Some(reason) = show::failure(&trial.record) {
                println!("{reason}");
            }
        }
        return Ok(0);
    }
    let header = reader.header()?;
    let counts = reader.counts()?;
    let verified = match arguments.verify {
        true => Some((reader.verify()?, setup::rebuilt(&reader)?.events())),
        false => None,
    };
    if arguments.study.json {
        println!(
            "{}",
            json!({
                "study": show::lossy(&arguments.study.study), "version": header.version, "data": header.data, "seed": header.seed,
                "input": header.input.to_string(), "classes": header.class_names.len(), "events": counts.events,
                "trials": counts.trials(), "models": counts.models(), "repeats": counts.repeats,
                "run_seconds": reader.run_seconds()?, "verified_events": verified.map(|(_, replayed)| replayed),
                "verified_rows": verified.map(|(stored, _)| stored.rows), "verified_blobs": verified.map(|(stored, _)| stored.blobs),
                "costs": show::costs_json(&reader.costs()?),
                "ensemble": reader.ensemble()?.as_ref().map(show::ensemble_json),
            })
        );
    } else {
        println!(
            "data {}, images of {}, {} classes, seed {}",
            show::name(&header.data),
            header.input,
            header.class_names.len(),
            header.seed
        );
        println!("written by metaqnn {}, {} of running time", header.version, show::duration(reader.run_seconds()?));
        let [models, trials, repeats] =
            [(counts.models(), "model"), (counts.trials(), "trial"), (counts.repeats, "repeat")]
                .map(|(number, thing)| show::count(number, thing));
        println!("{models}, {trials}, {repeats}");
        for line in show::costs_in_words(&reader.costs()?) {
            println!("{line}");
        }
        if let Some((stored, events)) = verified {
            println!("verified:");
            println!("  SQLite's structure of the file, references between rows, tables and triggers of the schema");
            println!(
                "  SHA-256 of {events} events with their trials, curves and transitions, chained in the log's order"
            );
            println!("  SHA-256 of {} other rows: header, limits, final phase", stored.rows);
            println!("  SHA-256 of {} blobs: weights, probabilities", stored.blobs);
            println!("  replaying the log gives the stored Q-table hash at each of {events} events");
            println!("this finds damage, not forgery: who can change a row can change its SHA-256");
        }
        print!("{}", show::table(&ranking::best(&reader, 10)?));
        if let Some(ensemble) = reader.ensemble()? {
            println!("{}", show::ensemble_line(&ensemble));
        }
    }
    Ok(0)
}
