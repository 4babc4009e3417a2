//! Which networks are trained fully, and for how long.

use serde::{Deserialize, Serialize};

use super::record::FinalRecord;
use super::trial::TrialNumber;

/// A network that is to be trained fully. The plan is stored before anything is trained, so that a later run keeps to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTraining {
    /// The trial whose architecture it is.
    pub trial: TrialNumber,
    /// Epochs on the training images alone, after which it is validated; 0 where the trial's validation is enough.
    pub candidate_epochs: u32,
    /// Epochs on training and validation images, after which it is measured on the test data.
    pub final_epochs: u32,
}

impl PlannedTraining {
    /// Whether one of `finals` is what is planned, or longer. The final training of a search, whose time is short, may be less.
    pub fn is_done(&self, finals: &[FinalRecord]) -> bool {
        finals.iter().any(|done| done.trial == self.trial && done.epochs >= self.final_epochs)
    }
}

/// A network that could be trained fully.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finalist {
    /// The trial whose architecture it is.
    pub trial: TrialNumber,
    /// Predicted seconds of an epoch on all images.
    pub seconds_an_epoch: f64,
}

/// Plans the training of `finalists`, best first, each for the same number of epochs: `epochs`, or as many as the longest of `finals` has, so
/// that they can be compared and go together into an ensemble, or what `budget_seconds` allow.
///
/// `share` is what the validated training takes of the epochs of the final one. Under a budget as many networks are trained as can
/// have half of `epochs`, at least one; the time is divided among them, so it can be more than `epochs` as well. Those that `finals` has
/// for as many epochs are left out, and their time is for the others.
pub fn plan_final_trainings(
    finalists: &[Finalist],
    finals: &[FinalRecord],
    epochs: u32,
    share: f64,
    budget_seconds: Option<f64>,
) -> Vec<PlannedTraining> {
    let longest = finals.iter().map(|done| done.epochs).max().unwrap_or(0);
    let epochs = if budget_seconds.is_none() { epochs.max(longest) } else { epochs };
    let planned = divide(finalists, epochs, share, budget_seconds);
    let is_open = |finalist: &&Finalist| {
        planned.iter().all(|planned| planned.trial != finalist.trial || !planned.is_done(finals))
    };
    let open: Vec<Finalist> = finalists.iter().filter(is_open).copied().collect();
    divide(&open, epochs, share, budget_seconds)
}

/// The plan for all `finalists`.
fn divide(finalists: &[Finalist], epochs: u32, share: f64, budget_seconds: Option<f64>) -> Vec<PlannedTraining> {
    let (count, epochs) = match budget_seconds {
        None => (finalists.len(), epochs),
        Some(budget) => {
            let affordable = |count: usize| {
                let seconds: f64 = finalists[..count].iter().map(|finalist| finalist.seconds_an_epoch).sum();
                (budget / (seconds * (1.0 + share)).max(1e-9)) as u32
            };
            let counts = (1..=finalists.len()).rev();
            let fitting = counts.map(|count| (count, affordable(count))).find(|(_, n)| *n >= epochs.div_ceil(2));
            fitting.unwrap_or_else(|| (finalists.len().min(1), affordable(finalists.len().min(1))))
        }
    };
    let final_epochs = epochs.max(1);
    let candidate_epochs = if share > 0.0 { (f64::from(final_epochs) * share).ceil() as u32 } else { 0 };
    let planned = |finalist: &Finalist| PlannedTraining { trial: finalist.trial, candidate_epochs, final_epochs };
    finalists[..count].iter().map(planned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finalists() -> Vec<Finalist> {
        [(4, 1.0), (2, 3.0), (9, 2.0)]
            .map(|(trial, seconds_an_epoch)| Finalist { trial: TrialNumber(trial), seconds_an_epoch })
            .to_vec()
    }

    fn planned(share: f64, budget: Option<f64>) -> Vec<(u64, u32, u32)> {
        let plan = plan_final_trainings(&finalists(), &[], 20, share, budget);
        plan.iter().map(|p| (p.trial.0, p.candidate_epochs, p.final_epochs)).collect()
    }

    #[test]
    fn without_a_budget_all_have_the_epochs_of_the_settings() {
        assert_eq!(planned(0.2, None), [(4, 4, 20), (2, 4, 20), (9, 4, 20)]);
        assert_eq!(planned(0.0, None), [(4, 0, 20), (2, 0, 20), (9, 0, 20)]);
    }

    #[test]
    fn a_budget_is_for_as_many_as_it_allows_and_divided_among_them() {
        assert_eq!(planned(0.0, Some(120.0)), [(4, 0, 20), (2, 0, 20), (9, 0, 20)]);
        assert_eq!(planned(0.0, Some(240.0)), [(4, 0, 40), (2, 0, 40), (9, 0, 40)]);
        assert_eq!(planned(0.0, Some(60.0)), [(4, 0, 10), (2, 0, 10), (9, 0, 10)]);
        assert_eq!(planned(0.0, Some(59.0)), [(4, 0, 14), (2, 0, 14)]);
        assert_eq!(planned(0.5, Some(60.0)), [(4, 5, 10), (2, 5, 10)]);
        // The best one, however short.
        assert_eq!(planned(0.0, Some(3.0)), [(4, 0, 3)]);
        assert_eq!(planned(0.2, Some(0.1)), [(4, 1, 1)]);
        assert!(plan_final_trainings(&[], &[], 20, 0.2, Some(9.0)).is_empty());
    }

    #[test]
    fn what_was_trained_for_as_long_is_left_out_and_what_was_trained_for_less_is_not() {
        let trained = |trial, epochs| FinalRecord {
            trial: TrialNumber(trial),
            test_accuracy: 0.9,
            test_balanced_accuracy: None,
            test_images: 10,
            epochs,
            train_seconds: 1.0,
            train_losses: Vec::new(),
            weights: Vec::new(),
        };
        let planned = |finals: &[FinalRecord], budget| {
            let plan = plan_final_trainings(&finalists(), finals, 20, 0.0, budget);
            plan.iter().map(|planned| (planned.trial.0, planned.final_epochs)).collect::<Vec<_>>()
        };
        assert_eq!(planned(&[trained(2, 20)], None), [(4, 20), (9, 20)]);
        assert_eq!(planned(&[trained(2, 19)], None), [(4, 20), (2, 20), (9, 20)]);
        // The search's own network had more: the others get as many.
        assert_eq!(planned(&[trained(2, 76)], None), [(4, 76), (9, 76)]);
        assert_eq!(planned(&[trained(2, 20)], Some(120.0)), [(4, 40), (9, 40)]);
        assert_eq!(planned(&[trained(2, 20)], Some(240.0)), [(4, 40), (2, 40), (9, 40)]);
    }
}
