//! What a run says at its end.

use anyhow::Result;
use metaqnn_core::graph::Graph;
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{Failure, Outcome, smallest_network};
use metaqnn_run::Finished;
use metaqnn_store::{Detail, StoredTrial, StudyFile};
use serde_json::json;

use crate::setup;
use crate::show::{self, Measured, ranking, verdict};

/// A run that has come to its end.
pub(crate) struct Summary<'a> {
    pub(crate) finished: &'a Finished<StudyFile>,
    pub(crate) settings: &'a Settings,
    /// The DATA argument.
    pub(crate) data: &'a str,
    /// The share of the test images that one has right who always answers the most frequent class.
    pub(crate) guessing: f64,
    pub(crate) json: bool,
}

impl Summary<'_> {
    /// Prints the best ten, what was found in words, and the next commands; or the JSON line.
    pub(crate) fn print(&self) -> Result<()> {
        let reader = self.file().reader();
        let top = ranking::best(reader, 10)?;
        let test_accuracy = self.finished.trained_finally.as_ref().and_then(|chosen| chosen.test_accuracy);
        let best = match &self.finished.trained_finally {
            Some(trial) => Some(ranking::of_trial(reader, trial.clone())?),
            None => top.first().cloned(),
        };
        let study = self.file().path().display().to_string();
        if self.json {
            let mut line = json!({
                "study": study,
                "data": self.data,
                "seed": self.settings.search.seed,
                "models": self.finished.models,
                "failed": self.finished.failed,
                "best": best.as_ref().map(show::ranked_json),
                "wall_seconds": self.finished.seconds,
                "costs": show::costs_json(&reader.costs()?),
            });
            if self.settings.final_phase.enabled {
                line["test_accuracy"] = json!(test_accuracy);
                line["guessing"] = json!(self.guessing);
                line["verdict"] = json!(best.as_ref().and_then(|ranked| self.verdict(&ranked.trial)));
            }
            println!("{line}");
        } else {
            if !top.is_empty() {
                println!("{}", show::table(&top));
            }
            println!("{}", self.in_words(best.as_ref().map(|ranked| &ranked.trial))?);
            for line in show::costs_in_words(&reader.costs()?) {
                println!("{line}");
            }
        }
        let study = self.short_path();
        if self.finished.interrupted {
            eprintln!(
                "stopped; nothing but the trials in training is lost. To go on:\n  metaqnn resume {study}{}",
                self.moved_data()?
            );
        } else if !self.json {
            println!("next:");
            if let Some(best) = &best {
                println!("  metaqnn show {study} {}", best.trial.record.trial);
            }
            println!("  metaqnn log {study}");
            if test_accuracy.is_some() {
                println!("  metaqnn export {study} --out my-model");
            }
            // More of what has given nothing is no advice.
            if best.is_some() {
                println!("  metaqnn resume {study}{} {}", self.moved_data()?, self.more());
            }
        }
        Ok(())
    }

    fn file(&self) -> &StudyFile {
        &self.finished.storage
    }

    /// The flag that says where the data are, where they are not where the study began with them.
    fn moved_data(&self) -> Result<String> {
        let is_moved = self.file().header()?.data != self.data;
        Ok(if is_moved { format!(" --data {}", self.data) } else { String::new() })
    }

    /// Where the study is, seen from here.
    fn short_path(&self) -> String {
        setup::seen_from_here(self.file().path()).display().to_string()
    }

    /// The flag that lets the study go on: with twice the models or, since the final training begins anew, three times the time.
    fn more(&self) -> String {
        let search = &self.settings.search;
        if search.models > 0 {
            format!("--models {}", search.models.saturating_mul(2))
        } else {
            format!("--budget {}", show::budget(3.0 * search.budget_seconds))
        }
    }

    fn in_words(&self, best: Option<&StoredTrial>) -> Result<String> {
        let (models, failed) = (self.finished.models, self.finished.failed);
        let networks = show::count(models, "network");
        let mut text =
            format!("{networks} trained in {}, {failed} of them failed.", show::duration(self.finished.seconds));
        match best {
            Some(best) => {
                let (trial, params) = (best.record.trial, best.record.params);
                text += &match best.test_accuracy {
                    Some(_) => format!("\nTrial {trial} was chosen; it has {params} parameters."),
                    None => format!("\nThe best, trial {trial}, has {params} parameters."),
                };
            }
            None => {
                text.push('\n');
                text += &self.why_none_learned()?;
            }
        }
        if let Some(best) = best
            && let (Some(accuracy), Some((low, high))) = (best.test_accuracy, best.test_interval())
        {
            text += &format!(
                "\nTrained on all data it gets {:.2} % of the test images right (95 % interval {:.2} to {:.2} %){}.",
                100.0 * accuracy,
                100.0 * low,
                100.0 * high,
                show::balanced(best.test_balanced_accuracy)
            );
            text.push('\n');
            text += &self.verdict(best).unwrap_or_default();
        }
        Ok(text)
    }

    /// What the accuracy of `best` is worth; `None` where it was not measured on test data.
    fn verdict(&self, best: &StoredTrial) -> Option<String> {
        let (accuracy, images) = (best.test_accuracy?, best.test_images?);
        let (guessing, networks) = (self.guessing, self.finished.models);
        Some(verdict(Measured { accuracy, images, guessing, networks }))
    }

    /// Why there is no network that learned, and what helps.
    fn why_none_learned(&self) -> Result<String> {
        let (mut over, mut last_failure) = (None, None);
        self.file().reader().visit_trials(Detail::Summary, &mut |trial| {
            match trial.record.evaluation.outcome {
                Outcome::Failed { failure: failure @ Failure::OverLimit { .. } } => over = Some(failure),
                Outcome::Failed { failure } => last_failure = Some(failure),
                Outcome::Complete { .. } | Outcome::Pruned { .. } => {}
            }
            true
        })?;
        if let Some(failure) = last_failure {
            return Ok(format!("None has learned; of the last one that failed is known: {failure}."));
        }
        let Some(Failure::OverLimit { what, limit, .. }) = over else {
            return Ok("None was trained to its end: it needs more time.".into());
        };
        let header = self.file().header()?;
        let space = setup::space(self.settings, header.input, header.class_names.len() as u32)?;
        let training = &self.settings.training;
        let Some(limited) = Limited::of(&what) else { return Ok(format!("All are over the limit of {limit} {what}.")) };
        let size = |graph: &Graph| limited.of_graph(graph, training.batch_size);
        let smallest = smallest_network(&space, training.network_options(), size);
        let smallest = smallest.map(|(architecture, size)| {
            let (key, value) = limited.setting(size);
            format!(
                " The smallest network found, {architecture}, has {size} {what}: begin a search with --set {key}={value} or more, or \
                 with 0 for no limit."
            )
        });
        Ok(format!(
            "No network that the agent proposed is within the limit of {limit} {what}.{}",
            smallest.unwrap_or_default()
        ))
    }
}

/// What a limit of the settings limits.
enum Limited {
    Params,
    Flops,
    TrainMicroseconds,
    Memory,
}

impl Limited {
    /// The one that a failure calls `what`.
    fn of(what: &str) -> Option<Self> {
        match what {
            "parameters" => Some(Limited::Params),
            "FLOPs an image" => Some(Limited::Flops),
            "microseconds of training an image" => Some(Limited::TrainMicroseconds),
            "bytes of memory" => Some(Limited::Memory),
            _ => None,
        }
    }

    fn of_graph(&self, graph: &Graph, batch_size: u32) -> u64 {
        match self {
            Limited::Params => graph.params(),
            Limited::Flops => graph.flops(),
            Limited::TrainMicroseconds => graph.training_microseconds(),
            Limited::Memory => graph.training_memory(batch_size),
        }
    }

    /// The setting, and its least value with which `size` is within it.
    fn setting(&self, size: u64) -> (&'static str, u64) {
        match self {
            Limited::Params => ("limits.params", size),
            Limited::Flops => ("limits.mflops", size.div_ceil(1_000_000)),
            Limited::TrainMicroseconds => ("limits.train_microseconds", size),
            Limited::Memory => ("limits.memory_mib", size.div_ceil(1 << 20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limited;

    #[test]
    fn the_setting_that_is_named_is_enough() {
        for (what, size, expected) in [
            ("parameters", 650, ("limits.params", 650)),
            ("FLOPs an image", 1_000_001, ("limits.mflops", 2)),
            ("microseconds of training an image", 7, ("limits.train_microseconds", 7)),
            ("bytes of memory", 1 << 20, ("limits.memory_mib", 1)),
        ] {
            assert_eq!(Limited::of(what).unwrap().setting(size), expected);
        }
        assert!(Limited::of("money").is_none());
    }
}
