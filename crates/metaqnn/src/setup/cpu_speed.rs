//! How fast this machine trains, beside the common CPU for which the time of a training is estimated.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::settings::TrainingSettings;
use metaqnn_core::space::Architecture;
use metaqnn_train::{ComputeDevice, Learner};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A network of the usual kind, and what it is trained on.
const NETWORK: &str = "[C(32,3,1), P(2,2), C(64,3,1), P(2,2), C(128,3,1), P(2,2), FC(128), SM(10)]";
const INPUT: MapShape = MapShape::new(3, 32, 32);

/// How long it is trained.
const MOMENT: f64 = 0.8;

/// But no more than this share of a budget.
const SHARE: f64 = 0.03;

/// Measured over estimated time ([`Graph::training_microseconds`]) of training on an image with one thread of this CPU and the batches of
/// `settings`: above 1, the machine is slower than estimated. Takes about a second, less where the budget is short.
pub(crate) fn slowness(settings: &TrainingSettings, budget_seconds: f64) -> Result<f64> {
    let architecture: Architecture = NETWORK.parse()?;
    let graph = Graph::new(&architecture, INPUT, settings.network_options())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().context("a thread cannot be started")?;
    let moment = Duration::from_secs_f64(MOMENT.min(SHARE * budget_seconds));
    let step = pool.install(|| fastest_step(&graph, settings, moment));
    let microseconds = step.as_secs_f64() * 1e6 / f64::from(settings.batch_size);
    Ok(microseconds / graph.training_microseconds() as f64)
}

/// The time of the fastest step, which is the one that other programs on the machine touched least.
fn fastest_step(graph: &Graph, settings: &TrainingSettings, moment: Duration) -> Duration {
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let (images, labels) = made_up_batch(graph, settings.batch_size, &mut generator);
    let mut learner = Learner::new(graph, settings, &ComputeDevice::Cpu, &mut generator, 0);
    let begin = Instant::now();
    let mut fastest = Duration::MAX;
    while fastest == Duration::MAX || begin.elapsed() < moment {
        let step = Instant::now();
        learner.step(&images, &labels, settings.learning_rate);
        fastest = fastest.min(step.elapsed());
    }
    fastest
}

/// Images NCHW with mean 0 and variance 1, as normalized images have them, and labels.
pub(crate) fn made_up_batch<R: Rng>(graph: &Graph, batch: u32, generator: &mut R) -> (Vec<f32>, Vec<i32>) {
    let bound = 3.0_f32.sqrt();
    let values = batch as usize * graph.input().values() as usize;
    let images = (0..values).map(|_| generator.random_range(-bound..bound)).collect();
    let labels = (0..batch).map(|_| generator.random_range(0..graph.classes()) as i32).collect();
    (images, labels)
}
