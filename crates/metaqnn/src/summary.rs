//! What a run says at its end.

use anyhow::Result;
use metaqnn_store::StoredTrial;
use serde_json::json;

use crate::run::Run;
use crate::{display, setup};

impl Run {
    /// Prints the best ten, what was found in words, and the next commands; or the JSON line.
    pub(crate) fn summarize(&self, trained_finally: Option<StoredTrial>, interrupted: bool) -> Result<()> {
        let reader = self.file.reader();
        let top = reader.top(10)?;
        let test_accuracy = trained_finally.as_ref().and_then(|chosen| chosen.test_accuracy);
        let best = trained_finally.as_ref().or(top.first());
        let study = self.file.path().display().to_string();
        if self.json {
            let mut line = json!({
                "study": study,
                "data": self.data,
                "seed": self.settings.search.seed,
                "models": self.study.models(),
                "failed": self.study.failed(),
                "best": best.map(display::trial_json),
                "wall_seconds": self.seconds(),
                "costs": display::costs_json(&reader.costs()?),
            });
            if self.settings.final_phase.enabled {
                line["test_accuracy"] = json!(test_accuracy);
            }
            println!("{line}");
        } else {
            if !top.is_empty() {
                println!("{}", display::table(&top));
            }
            println!("{}", self.in_words(best));
            for line in display::costs_in_words(&reader.costs()?) {
                println!("{line}");
            }
        }
        let study = self.short_path();
        if interrupted {
            eprintln!("stopped; nothing but the trials in training is lost. To go on:\n  metaqnn resume {study}");
        } else if !self.json {
            let trial = best.map_or(1, |best| best.record.trial.0);
            println!("next:");
            println!("  metaqnn show {study} {trial}");
            println!("  metaqnn log {study}");
            if test_accuracy.is_some() {
                println!("  metaqnn export {study} --out my-model");
            }
            println!("  metaqnn resume {study} {}", self.more());
        }
        Ok(())
    }

    /// Where the study is, seen from here.
    fn short_path(&self) -> String {
        setup::seen_from_here(self.file.path()).display().to_string()
    }

    /// The flag that lets the study go on, twice as long.
    fn more(&self) -> String {
        let search = &self.settings.search;
        if search.models > 0 {
            format!("--models {}", search.models.saturating_mul(2))
        } else {
            format!("--budget {:.0}s", 2.0 * search.budget_seconds)
        }
    }

    fn in_words(&self, best: Option<&StoredTrial>) -> String {
        let (models, failed) = (self.study.models(), self.study.failed());
        let networks = display::count(models, "network");
        let mut text = format!("{networks} trained in {}, {failed} of them failed.", display::duration(self.seconds()));
        match best {
            Some(best) => {
                let (trial, params) = (best.record.trial, best.record.params);
                text += &match best.test_accuracy {
                    Some(_) => format!("\nTrial {trial} was chosen; it has {params} parameters."),
                    None => format!("\nThe best, trial {trial}, has {params} parameters."),
                };
            }
            None => text += "\nNone has learned yet: it needs more time.",
        }
        if let Some(best) = best
            && let (Some(accuracy), Some((low, high))) = (best.test_accuracy, best.test_interval())
        {
            text += &format!(
                "\nTrained on all data it gets {:.2} % of the test images right (error {:.2} %, 95 % interval {:.2} to {:.2} %){}.",
                100.0 * accuracy,
                100.0 * (1.0 - accuracy),
                100.0 * (1.0 - high),
                100.0 * (1.0 - low),
                display::balanced(best.test_balanced_accuracy)
            );
        }
        text
    }
}
