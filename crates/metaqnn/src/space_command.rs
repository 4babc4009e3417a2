//! `metaqnn space`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use metaqnn_core::agent::random_trajectory;
use metaqnn_core::graph::Graph;
use metaqnn_core::settings::Settings;
use metaqnn_core::space::{Architecture, SearchSpace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;

use crate::arguments::{SpaceArguments, SpaceVerb};
use crate::setup;

/// Runs one of the verbs.
pub(crate) fn run(verb: &SpaceVerb) -> Result<i32> {
    match verb {
        SpaceVerb::Count(arguments) => count(arguments),
        SpaceVerb::Sample { n, space } => sample(*n, space),
        SpaceVerb::Check { file, space } => check(file, space),
    }
}

fn space(arguments: &SpaceArguments) -> Result<(Settings, SearchSpace)> {
    let settings = setup::checked(&setup::document(&arguments.settings, "", None)?)?;
    let space = setup::space(&settings, arguments.input, arguments.classes)?;
    Ok((settings, space))
}

fn count(arguments: &SpaceArguments) -> Result<i32> {
    let size = space(arguments)?.1.count();
    let architectures = size.architectures.to_string();
    if arguments.json {
        println!("{}", json!({ "states": size.states, "actions": size.actions, "architectures": architectures }));
    } else {
        println!("{} states, {} state-action pairs, {architectures} architectures", size.states, size.actions);
    }
    Ok(0)
}

fn sample(n: usize, arguments: &SpaceArguments) -> Result<i32> {
    let space = space(arguments)?.1;
    let mut generator = ChaCha8Rng::seed_from_u64(arguments.seed);
    for _ in 0..n {
        let architecture = space.architecture(&random_trajectory(&space, &mut generator))?;
        if arguments.json {
            println!("{}", json!({ "architecture": architecture }));
        } else {
            println!("{architecture}");
        }
    }
    Ok(0)
}

fn check(file: &Path, arguments: &SpaceArguments) -> Result<i32> {
    let (settings, space) = space(arguments)?;
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let mut all_legal = true;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let judged = line.parse::<Architecture>().map_err(|error| (line.to_string(), error.to_string())).and_then(
            |architecture| match space.actions(&architecture) {
                Ok(_) => Graph::new(&architecture, space.input(), settings.training.network_options())
                    .map(|graph| (architecture.to_string(), graph))
                    .map_err(|error| (architecture.to_string(), error.to_string())),
                Err(error) => Err((architecture.to_string(), error.to_string())),
            },
        );
        all_legal &= judged.is_ok();
        match (judged, arguments.json) {
            (Ok((architecture, graph)), true) => {
                let (params, flops) = (graph.params(), graph.flops());
                println!(
                    "{}",
                    json!({ "architecture": architecture, "legal": true, "reason": null, "params": params, "flops": flops })
                );
            }
            (Ok((architecture, graph)), false) => {
                println!("legal: {architecture}, {} parameters, {} FLOPs", graph.params(), graph.flops());
            }
            (Err((architecture, reason)), true) => {
                println!(
                    "{}",
                    json!({ "architecture": architecture, "legal": false, "reason": reason, "params": null, "flops": null })
                );
            }
            (Err((architecture, reason)), false) => println!("not legal: {architecture}: {reason}"),
        }
    }
    Ok(i32::from(!all_legal))
}
