//! Which networks of a study are best, and which of them was chosen.

use anyhow::Result;
use metaqnn_core::study::TrialNumber;
use metaqnn_store::{Detail, StoredTrial, StudyReader};

use super::final_table::FinalTable;

/// A trial with its place among those that learned.
#[derive(Clone, Debug)]
pub(crate) struct RankedTrial {
    /// The rank by validation accuracy in the search, from 1; `None` where the network did not learn.
    pub(crate) rank: Option<u64>,
    pub(crate) trial: StoredTrial,
    /// Whether it is the network that was chosen and trained on all data: what the study's name stands for where a model is asked for,
    /// if it has no ensemble.
    pub(crate) chosen: bool,
}

/// The best networks, at most `n`: first the one that was chosen, where there is one, then the others by their rank.
pub(crate) fn best(reader: &StudyReader, n: usize) -> Result<Vec<RankedTrial>> {
    let chosen = chosen(reader)?;
    let is_chosen = |trial: &StoredTrial| Some(trial.record.trial) == chosen;
    let mut best: Vec<RankedTrial> = (1..)
        .zip(reader.top(n)?)
        .map(|(rank, trial)| RankedTrial { rank: Some(rank), chosen: is_chosen(&trial), trial })
        .collect();
    if let Some(number) = chosen
        && n > 0
        && best.iter().all(|ranked| !ranked.chosen)
        && let Some(trial) = reader.trial(number)?
    {
        best.pop();
        best.insert(0, of_trial(reader, trial)?);
    }
    // Stable: the others keep their order.
    best.sort_by_key(|ranked| !ranked.chosen);
    Ok(best)
}

/// A trial with its rank.
pub(crate) fn of_trial(reader: &StudyReader, trial: StoredTrial) -> Result<RankedTrial> {
    let chosen = chosen(reader)? == Some(trial.record.trial);
    let accuracy =
        |trial: &StoredTrial| trial.record.evaluation.outcome.valid_accuracy().map(|accuracy| accuracy.value());
    let rank = match accuracy(&trial) {
        None => None,
        Some(own) => {
            let mut better = 0;
            reader.visit_trials(Detail::Summary, &mut |other| {
                let is_earlier = other.record.trial < trial.record.trial;
                better += u64::from(accuracy(&other).is_some_and(|found| found > own || found == own && is_earlier));
                true
            })?;
            Some(better + 1)
        }
    };
    Ok(RankedTrial { rank, trial, chosen })
}

/// The best of the networks that were trained fully, by validation.
fn chosen(reader: &StudyReader) -> Result<Option<TrialNumber>> {
    Ok(FinalTable::read(reader)?.trials().next())
}
