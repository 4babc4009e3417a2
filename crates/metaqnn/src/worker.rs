//! The worker process.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use metaqnn_core::ports::Evaluator;
use metaqnn_core::settings::Settings;
use metaqnn_data::{LoadedData, Reading};
use metaqnn_exec::protocol::WorkerSetup;
use metaqnn_exec::{read_setup, serve, show_life};
use metaqnn_train::NetworkEvaluator;

use crate::setup;

/// Works on the coordinator's jobs until it is gone.
pub(crate) fn work() -> Result<i32> {
    let start = read_setup().context("`metaqnn worker` is started by search, not by people")?;
    show_life();
    let mut evaluator = evaluator(&start).map_err(|error| format!("{error:#}"));
    serve(evaluator.as_mut().map(|evaluator| evaluator as &mut dyn Evaluator).map_err(|reason| reason.clone()))?;
    Ok(0)
}

fn evaluator(start: &WorkerSetup) -> Result<NetworkEvaluator> {
    let settings = Settings::from_toml(&start.settings)?;
    let size = start.image_size.parse()?;
    let folder = Path::new(&start.data_dir);
    let reading: Reading = serde_json::from_str(&start.reading)?;
    let (LoadedData { data, .. }, _) = setup::data_set(&start.data, Some(folder), Some(size), &reading)?;
    ensure!(
        data.fingerprint == start.data_fingerprint,
        "{}: the data are not as they were when this run began; put them back as they were, then go on with `metaqnn resume`",
        start.data
    );
    let final_training = settings.final_phase.training;
    Ok(NetworkEvaluator::new(&settings.search.device, Arc::new(data), settings.training, final_training)?)
}
