//! What a run says at its end.

use anyhow::Result;
use metaqnn_store::StoredTrial;
use serde_json::json;

use crate::display;
use crate::run::Run;

impl Run {
    /// Prints the best ten, what was found in words, and the next commands; or the JSON line.
    pub(crate) fn summarize(&self, test_accuracy: Option<f64>, interrupted: bool) -> Result<()> {
        let reader = self.file.reader();
        let best = reader.top(10)?;
        let study = self.file.path().display().to_string();
        if self.json {
            let mut line = json!({
                "study": study,
                "data": self.data,
                "seed": self.settings.search.seed,
                "models": self.study.models(),
                "failed": self.study.failed(),
                "best": best.first().map(display::trial_json),
                "wall_seconds": self.seconds(),
            });
            if self.settings.final_phase.enabled {
                line["test_accuracy"] = json!(test_accuracy);
            }
            println!("{line}");
        } else {
            println!("{}", display::table(&best));
            println!("{}", self.in_words(best.first(), test_accuracy));
        }
        if interrupted {
            eprintln!("stopped. To go on: metaqnn resume {study}");
        } else if !self.json {
            println!(
                "next: metaqnn top {study}; metaqnn show {study} TRIAL; metaqnn resume {study} --budget or --models to go on"
            );
        }
        Ok(())
    }

    fn in_words(&self, best: Option<&StoredTrial>, test_accuracy: Option<f64>) -> String {
        let (models, failed) = (self.study.models(), self.study.failed());
        let mut text =
            format!("{models} networks trained in {}, {failed} of them failed.", display::duration(self.seconds()));
        if let Some(best) = best {
            text += &format!(" The best, trial {}, has {} parameters.", best.record.trial, best.record.params);
        }
        if let Some(accuracy) = test_accuracy {
            text += &format!(
                " Trained on all training data it classifies {:.2} % of the test images right (error {:.2} %).",
                100.0 * accuracy,
                100.0 * (1.0 - accuracy)
            );
        }
        text
    }
}
