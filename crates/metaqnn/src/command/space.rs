//! `metaqnn space`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use metaqnn_core::agent::random_trajectory;
use metaqnn_core::graph::Graph;
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::Settings;
use metaqnn_core::space::{Architecture, SearchSpace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;

use crate::setup::{self, SettingsArguments};

#[derive(Subcommand)]
pub(crate) enum SpaceVerb {
    /// Numbers of states, state–action pairs and architectures, exact.
    #[command(after_help = "Example: metaqnn space count --preset paper --input 3x32x32 --classes 10 --max-layers 12")]
    Count(SpaceArguments),
    /// Random members, one a line.
    #[command(after_help = "Example: metaqnn space sample 5 --seed 1")]
    Sample {
        /// How many.
        n: usize,
        #[command(flatten)]
        space: SpaceArguments,
    },
    /// Whether each line of a file is legal.
    #[command(after_help = "Example: echo '[C(64,3,1), SM(10)]' | metaqnn space check -")]
    Check {
        /// The file, - for standard input.
        file: PathBuf,
        #[command(flatten)]
        space: SpaceArguments,
    },
}

#[derive(Args)]
pub(crate) struct SpaceArguments {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Shape of the images, CHANNELSxHEIGHTxWIDTH.
    #[arg(long, default_value = "3x32x32")]
    pub(crate) input: MapShape,
    /// Number of classes.
    #[arg(long, default_value_t = 10)]
    pub(crate) classes: u32,
    /// Seed of the sample.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// JSON, a value a line.
    #[arg(long)]
    pub(crate) json: bool,
}

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
