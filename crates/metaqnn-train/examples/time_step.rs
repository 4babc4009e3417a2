//! Times the steps of a training on made-up images:
//! `RAYON_NUM_THREADS=1 cargo run --release -p metaqnn-train --example time_step -- "[C(64,3,1), P(2,2), SM(10)]" 1x28x28 128 plain`
//!
//! The last argument is `plain`, `norm` (batch normalization), `dropout` or `norm+dropout`.

use std::error::Error;
use std::time::Instant;

use metaqnn_core::graph::{Graph, MapShape, NetworkOptions};
use metaqnn_core::settings::{
    AugmentationChoice, Optimizer, PreprocessingChoice, RestartSettings, Schedule, TrainingSettings,
};
use metaqnn_train::{Learner, parse_device};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEPS: u32 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [architecture, input, batch, extras] = arguments.as_slice() else {
        return Err("usage: time_step ARCHITECTURE CHANNELSxHEIGHTxWIDTH BATCH plain|norm|dropout|norm+dropout".into());
    };
    let input: MapShape = input.parse()?;
    let batch: usize = batch.parse()?;
    let settings = settings(extras.contains("norm"), extras.contains("dropout"));
    let options = NetworkOptions { batch_norm: settings.batch_norm, max_dropout: settings.max_dropout };
    let graph = Graph::new(&architecture.parse()?, input, options)?;
    let mut weights = ChaCha8Rng::seed_from_u64(1);
    let mut learner = Learner::new(&graph, &settings, &parse_device("cpu")?, &mut weights, 1);
    let pixels: Vec<f32> = (0..batch * input.values() as usize).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    let labels: Vec<i32> = (0..batch).map(|i| (i % graph.classes() as usize) as i32).collect();
    // The first step fills the caches and makes the state of the optimizer.
    learner.step(&pixels, &labels, 0.001).into_scalar::<f32>();
    let begin = Instant::now();
    for _ in 0..STEPS {
        learner.step(&pixels, &labels, 0.001).into_scalar::<f32>();
    }
    let seconds = begin.elapsed().as_secs_f64() / f64::from(STEPS);
    // Forward, and twice as much backward.
    let gflops = 3.0 * graph.flops() as f64 * batch as f64 / seconds / 1e9;
    println!("{seconds:.4} s a step, {:.0} images/s, {gflops:.1} GFLOP/s", batch as f64 / seconds);
    Ok(())
}

fn settings(batch_norm: bool, dropout: bool) -> TrainingSettings {
    TrainingSettings {
        epochs: 1,
        batch_size: 128,
        train_images: 0,
        valid_images: 0,
        optimizer: Optimizer::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 },
        learning_rate: 0.001,
        schedule: Schedule::OneCycle { warmup: 0.3 },
        weight_decay: 0.0,
        batch_norm,
        max_dropout: if dropout { 0.5 } else { 0.0 },
        preprocessing: PreprocessingChoice::Standardize,
        augmentation: AugmentationChoice::None,
        label_smoothing: 0.0,
        restart: RestartSettings { tries: 1, factor: 0.4, margin: 0.05, scale_margin: false, min_steps: 0 },
    }
}
