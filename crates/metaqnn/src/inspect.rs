//! `metaqnn top`, `show`, `log`, `qvalues`, `config`: they only read.

use anyhow::{Context, Result};
use metaqnn_core::study::{Study, TrialNumber};
use metaqnn_store::{Detail, LoggedEvent, StudyReader};
use serde_json::json;

use crate::arguments::{ConfigArguments, LogArguments, ShowArguments, StudyArguments, TopArguments};
use crate::{display, ranking, setup};

/// The best models.
pub(crate) fn top(arguments: &TopArguments) -> Result<i32> {
    let reader = StudyReader::open(&arguments.study.study)?;
    let trials = ranking::best(&reader, arguments.n)?;
    if arguments.study.json {
        println!("{}", json!(trials.iter().map(display::ranked_json).collect::<Vec<_>>()));
    } else {
        print!("{}", display::table(&trials));
        if let Some(ensemble) = reader.ensemble()? {
            println!("{}", display::ensemble_line(&ensemble));
        }
    }
    Ok(0)
}

/// The study, or one trial.
pub(crate) fn show(arguments: &ShowArguments) -> Result<i32> {
    let reader = StudyReader::open(&arguments.study.study)?;
    if let Some(number) = arguments.trial {
        let trial = reader
            .trial(TrialNumber(number))?
            .with_context(|| format!("{} has no trial {number}", arguments.study.study.display()))?;
        let ranked = ranking::of_trial(&reader, trial)?;
        let mut value = display::ranked_json(&ranked);
        let trial = &ranked.trial;
        value["curve"] = json!(trial.record.evaluation.curve);
        if arguments.study.json {
            println!("{value}");
        } else {
            println!("{}", display::table(std::slice::from_ref(&ranked)));
            for point in &trial.record.evaluation.curve {
                println!(
                    "epoch {:>3}: training loss {:.4}, validation accuracy {:.4}",
                    point.epoch, point.train_loss, point.valid_accuracy
                );
            }
            for step in &trial.record.transitions {
                println!("{} -> {} (reward {})", step.state, step.action, step.reward);
            }
            if let Some(reason) = display::failure(&trial.record) {
                println!("{reason}");
            }
        }
        return Ok(0);
    }
    let header = reader.header()?;
    let counts = reader.counts()?;
    let verified = match arguments.verify {
        true => Some((reader.verify()?, rebuilt(&reader)?.events())),
        false => None,
    };
    if arguments.study.json {
        println!(
            "{}",
            json!({
                "study": display::lossy(&arguments.study.study), "version": header.version, "data": header.data, "seed": header.seed,
                "input": header.input.to_string(), "classes": header.class_names.len(), "events": counts.events,
                "trials": counts.trials(), "models": counts.models(), "repeats": counts.repeats,
                "run_seconds": reader.run_seconds()?, "verified_events": verified.map(|(_, replayed)| replayed),
                "verified_rows": verified.map(|(stored, _)| stored.rows), "verified_blobs": verified.map(|(stored, _)| stored.blobs),
                "costs": display::costs_json(&reader.costs()?),
                "ensemble": reader.ensemble()?.as_ref().map(display::ensemble_json),
            })
        );
    } else {
        println!(
            "data {}, images of {}, {} classes, seed {}",
            display::name(&header.data),
            header.input,
            header.class_names.len(),
            header.seed
        );
        println!("written by metaqnn {}, {} of running time", header.version, display::duration(reader.run_seconds()?));
        let [models, trials, repeats] =
            [(counts.models(), "model"), (counts.trials(), "trial"), (counts.repeats, "repeat")]
                .map(|(number, thing)| display::count(number, thing));
        println!("{models}, {trials}, {repeats}");
        for line in display::costs_in_words(&reader.costs()?) {
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
        print!("{}", display::table(&ranking::best(&reader, 10)?));
        if let Some(ensemble) = reader.ensemble()? {
            println!("{}", display::ensemble_line(&ensemble));
        }
    }
    Ok(0)
}

/// Every trial in the order in which the agent learned of it; where asked for, the repeats between them.
pub(crate) fn log(arguments: &LogArguments) -> Result<i32> {
    let reader = StudyReader::open(&arguments.study.study)?;
    let (json, events) = (arguments.study.json, arguments.events);
    reader.visit_log(Detail::Summary, &mut |entry| {
        match &entry {
            LoggedEvent::Repeat(_) if !events => {}
            _ if json => println!("{}", display::event_json(&entry, events)),
            _ => println!("{}", display::event_line(&entry)),
        }
        true
    })?;
    Ok(0)
}

/// The Q-table.
pub(crate) fn qvalues(arguments: &StudyArguments) -> Result<i32> {
    let study = rebuilt(&StudyReader::open(&arguments.study)?)?;
    for entry in study.q_table().entries() {
        let (state, action) = (entry.observation.to_string(), entry.action.to_string());
        if arguments.json {
            println!(
                "{}",
                json!({ "state": state, "action": action, "q_value": entry.q_value, "updates": entry.updates })
            );
        } else {
            println!("{state:<22} {action:<12} {:.6} {:>7}", entry.q_value, entry.updates);
        }
    }
    Ok(0)
}

/// All settings with comments.
pub(crate) fn config(arguments: &ConfigArguments) -> Result<i32> {
    let document = setup::document(&arguments.settings, &arguments.data, None)?;
    setup::checked(&document)?;
    print!("{document}");
    Ok(0)
}

/// The study in memory, replayed from its log.
fn rebuilt(reader: &StudyReader) -> Result<Study> {
    let header = reader.header()?;
    let settings = setup::checked(&setup::document_of_study(reader.path(), &header)?)?;
    let space = setup::space(&settings, header.input, header.class_names.len() as u32)?;
    let mut study = Study::new(settings, space, header.seed);
    setup::replay(reader, &mut study)?;
    Ok(study)
}
