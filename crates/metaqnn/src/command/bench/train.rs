//! `metaqnn bench train`: the time of a training step.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use cpu_time::ProcessTime;
use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::settings::{Preset, Settings, TrainingSettings};
use metaqnn_core::space::Architecture;
use metaqnn_train::{Learner, parse_device};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;

use crate::setup::made_up_batch;

#[derive(Args)]
pub(crate) struct BenchTrainArguments {
    #[command(flatten)]
    pub(crate) networks: Networks,
    /// Shape of the images for --arch, CHANNELSxHEIGHTxWIDTH.
    #[arg(long, default_value = "3x32x32")]
    pub(crate) input: MapShape,
    /// Whether the networks of --arch have batch normalization [default: as the preset has it].
    #[arg(long, value_name = "on|off")]
    pub(crate) norm: Option<Switch>,
    /// Images a step [default: as the preset has it].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: Option<u32>,
    /// Steps measured.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) steps: u32,
    /// Steps before the measured ones; the first makes the optimizer's state, and a GPU tunes its kernels in them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) warm_up: u32,
    /// Threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
    /// Where the optimizer, the learning rate and the batch come from.
    #[arg(long, value_name = "quick|paper", default_value = "paper")]
    pub(crate) preset: Preset,
    /// Device.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Seed of weights, images and labels.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// One JSON object a network.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[group(id = "networks", required = true, multiple = true)]
pub(crate) struct Networks {
    /// An architecture in the notation; may be given several times.
    #[arg(long, value_name = "ARCHITECTURE")]
    pub(crate) arch: Vec<String>,
    /// A list of networks, a line each: INPUT, tab, norm or plain (with or without batch normalization), tab, ARCHITECTURE; - for
    /// standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// A choice between yes and no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// A network to be measured.
#[derive(Debug, PartialEq)]
struct Subject {
    architecture: Architecture,
    /// Shape of the images, CHW.
    input: MapShape,
    batch_norm: bool,
}

/// What the steps of one network took.
struct Measurement {
    /// Mean CPU time of the process, all threads together.
    cpu_seconds_per_step: f64,
    /// Mean wall time.
    wall_seconds_per_step: f64,
    /// The last step's loss, mean cross-entropy in nats before that step.
    loss: f32,
    /// How far the training raised the peak of the resident memory.
    peak_memory_bytes: Option<u64>,
}

/// How a measurement is made.
struct Plan<'a> {
    settings: &'a TrainingSettings,
    device: &'a str,
    warm_up: u32,
    steps: u32,
    seed: u64,
}

/// Measures each network, a line each.
pub(super) fn train(arguments: &BenchTrainArguments) -> Result<i32> {
    // Before anything else uses the pool: it is made once.
    rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads as usize)
        .build_global()
        .context("the number of threads cannot be set")?;
    let mut settings = Settings::from_toml(&arguments.preset.document("")?.to_string())?.training;
    settings.batch_size = arguments.batch.unwrap_or(settings.batch_size);
    settings.max_dropout = 0.0;
    let subjects = subjects(arguments, settings.batch_norm)?;
    let (warm_up, steps, seed) = (arguments.warm_up, arguments.steps, arguments.seed);
    for (index, subject) in subjects.iter().enumerate() {
        settings.batch_norm = subject.batch_norm;
        let options = settings.network_options();
        let graph = Graph::new(&subject.architecture, subject.input, options)
            .with_context(|| subject.architecture.to_string())?;
        let plan = Plan { settings: &settings, device: &arguments.device, warm_up, steps, seed };
        let mut measurement = measure(&graph, &plan)?;
        if index > 0 {
            // The allocator keeps what the networks before took, so the peak tells nothing of this one.
            measurement.peak_memory_bytes = None;
        }
        let line = if arguments.json {
            json_line(arguments, subject, &graph, settings.batch_size, &measurement)
        } else {
            text_line(subject, &graph, settings.batch_size, &measurement)
        };
        // Line by line, so that a list that is stopped leaves what it measured.
        println!("{line}");
    }
    Ok(0)
}

fn subjects(arguments: &BenchTrainArguments, preset_norm: bool) -> Result<Vec<Subject>> {
    let batch_norm = arguments.norm.map_or(preset_norm, |norm| norm == Switch::On);
    let mut subjects = Vec::new();
    for text in &arguments.networks.arch {
        subjects.push(Subject { architecture: text.parse()?, input: arguments.input, batch_norm });
    }
    if let Some(file) = &arguments.networks.file {
        let name = file.display();
        let reader: Box<dyn BufRead> = if file == Path::new("-") {
            Box::new(std::io::stdin().lock())
        } else {
            let opened = std::fs::File::open(file).with_context(|| format!("{name} cannot be read"))?;
            Box::new(std::io::BufReader::new(opened))
        };
        for (index, line) in reader.lines().enumerate() {
            let line = line.with_context(|| format!("{name} cannot be read"))?;
            if !line.trim().is_empty() {
                subjects.push(parse_line(&line).with_context(|| format!("{name}, line {}", index + 1))?);
            }
        }
    }
    Ok(subjects)
}

/// A line of a list: `INPUT<TAB>norm|plain<TAB>ARCHITECTURE`.
fn parse_line(line: &str) -> Result<Subject> {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    let &[input, norm, architecture] = fields.as_slice() else {
        anyhow::bail!("{line:?}: expected INPUT, norm or plain, and ARCHITECTURE with a tab between each two");
    };
    let batch_norm = match norm {
        "norm" => true,
        "plain" => false,
        _ => anyhow::bail!("{norm:?} is neither norm nor plain"),
    };
    Ok(Subject { architecture: architecture.parse()?, input: input.parse().map_err(anyhow::Error::msg)?, batch_norm })
}

/// Trains a fresh network for the steps of `plan`, all on the same batch.
fn measure(graph: &Graph, plan: &Plan<'_>) -> Result<Measurement> {
    let device = parse_device(plan.device)?;
    let mut generator = ChaCha8Rng::seed_from_u64(plan.seed);
    let (images, labels) = made_up_batch(graph, plan.settings.batch_size, &mut generator);
    let idle = peak_resident_bytes();
    let mut learner = Learner::new(graph, plan.settings, &device, &mut generator, plan.seed);
    let rate = plan.settings.learning_rate;
    let mut run = |steps: u32| {
        let mut last = None;
        for _ in 0..steps {
            last = Some(learner.step(&images, &labels, rate));
        }
        // Reading the loss waits for the device.
        last.map_or(f32::NAN, |loss| loss.value())
    };
    run(plan.warm_up);
    let begin = Instant::now();
    let cpu_begin = ProcessTime::try_now().context("the CPU time of the process cannot be read")?;
    let loss = run(plan.steps);
    let cpu_seconds = cpu_begin.try_elapsed().context("the CPU time of the process cannot be read")?.as_secs_f64();
    let wall_seconds = begin.elapsed().as_secs_f64();
    let peak = peak_resident_bytes();
    Ok(Measurement {
        cpu_seconds_per_step: cpu_seconds / f64::from(plan.steps),
        wall_seconds_per_step: wall_seconds / f64::from(plan.steps),
        loss,
        peak_memory_bytes: peak.zip(idle).map(|(peak, idle)| peak.saturating_sub(idle)),
    })
}

/// The peak of the process's resident memory until now, where the system tells it (Linux).
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Nominal floating-point operations of a step: forward, and twice as many backward.
fn nominal_flops(graph: &Graph, batch: u32) -> f64 {
    3.0 * graph.flops() as f64 * f64::from(batch)
}

fn json_line(
    arguments: &BenchTrainArguments,
    subject: &Subject,
    graph: &Graph,
    batch: u32,
    measurement: &Measurement,
) -> String {
    let wall = measurement.wall_seconds_per_step;
    json!({
        "architecture": subject.architecture,
        "input": subject.input.to_string(),
        "norm": subject.batch_norm,
        "batch": batch,
        "threads": arguments.threads,
        "device": arguments.device,
        "steps": arguments.steps,
        "cpu_seconds_per_step": measurement.cpu_seconds_per_step,
        "wall_seconds_per_step": wall,
        "images_per_second": f64::from(batch) / wall,
        "gflops": nominal_flops(graph, batch) / wall / 1e9,
        "params": graph.params(),
        "flops": graph.flops(),
        "loss": measurement.loss,
        "peak_memory_bytes": measurement.peak_memory_bytes,
    })
    .to_string()
}

fn text_line(subject: &Subject, graph: &Graph, batch: u32, measurement: &Measurement) -> String {
    let wall = measurement.wall_seconds_per_step;
    format!(
        "{:.4} s CPU and {wall:.4} s wall a step, {:.0} images/s, {:.1} GFLOP/s: {} on {}, {} batch normalization",
        measurement.cpu_seconds_per_step,
        f64::from(batch) / wall,
        nominal_flops(graph, batch) / wall / 1e9,
        subject.architecture,
        subject.input,
        if subject.batch_norm { "with" } else { "without" },
    )
}

#[cfg(test)]
mod tests {
    use metaqnn_core::graph::NetworkOptions;

    use super::*;

    #[test]
    fn a_line_of_a_list_has_input_norm_and_architecture() {
        let subject = parse_line("1x28x28\tnorm\t[C(16,3,1), SM(10)]").unwrap();
        assert_eq!(subject.input, MapShape::new(1, 28, 28));
        assert!(subject.batch_norm);
        assert_eq!(subject.architecture.to_string(), "[C(16,3,1), SM(10)]");
        for (line, reason) in [
            ("1x28x28 norm [SM(10)]", "with a tab between"),
            ("1x28x28\tyes\t[SM(10)]", "neither norm nor plain"),
            ("28x28\tplain\t[SM(10)]", "is not a shape"),
            ("1x28x28\tplain\t[C(16,3,1)", "C(16,3,1)"),
        ] {
            let error = format!("{:#}", parse_line(line).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn made_up_images_are_normalized_and_the_labels_are_classes() {
        let options = NetworkOptions { batch_norm: false, max_dropout: 0.0 };
        let graph = Graph::new(&"[SM(7)]".parse().unwrap(), MapShape::new(3, 16, 16), options).unwrap();
        let (images, labels) = made_up_batch(&graph, 64, &mut ChaCha8Rng::seed_from_u64(1));
        let mean = images.iter().sum::<f32>() / images.len() as f32;
        let variance = images.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / images.len() as f32;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        assert!((0..7).all(|class| labels.contains(&class)) && labels.iter().all(|label| (0..7).contains(label)));
    }

    #[test]
    fn a_step_counts_three_forward_passes() {
        let options = NetworkOptions { batch_norm: false, max_dropout: 0.0 };
        let graph = Graph::new(&"[C(16,3,1), SM(10)]".parse().unwrap(), MapShape::new(1, 4, 4), options).unwrap();
        let forward = 2.0 * (9.0 * 16.0 * 16.0 + 256.0 * 10.0);
        assert_eq!(nominal_flops(&graph, 8), 3.0 * 8.0 * forward);
    }
}
