//! The worker process.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use metaqnn_core::ports::Evaluator;
use metaqnn_core::settings::Settings;
use metaqnn_data::{LoadedData, Reading};
use metaqnn_exec::Worker;
use metaqnn_exec::protocol::WorkerSetup;
use metaqnn_train::NetworkEvaluator;

use crate::setup;

/// Works on the coordinator's jobs until it is gone.
pub(crate) fn work() -> Result<i32> {
    let worker = Worker::connect().context("`metaqnn worker` is started by search, not by people")?;
    let mut evaluator = evaluator(worker.setup()).map_err(|error| format!("{error:#}"));
    worker
        .serve(evaluator.as_mut().map(|evaluator| evaluator as &mut dyn Evaluator).map_err(|reason| reason.clone()))?;
    Ok(0)
}

fn evaluator(start: &WorkerSetup) -> Result<NetworkEvaluator> {
    let settings = Settings::from_toml(&start.settings)?;
    let size = start.image_size.parse()?;
    let reading: Reading = serde_json::from_str(&start.reading)?;
    let (LoadedData { data, .. }, _) = setup::data_set(&start.data, Some(&start.data_dir), Some(size), &reading)?;
    ensure!(
        data.fingerprint == start.data_fingerprint,
        "{}: the data are not as they were when this run began; put them back as they were, then go on with `metaqnn resume`",
        start.data
    );
    let final_training = settings.final_phase.training;
    Ok(NetworkEvaluator::new(&settings.search.device, Arc::new(data), settings.training, final_training)?)
}
