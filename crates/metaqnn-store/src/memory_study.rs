//! A study in memory, for tests of who writes one.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use metaqnn_core::ports::Storage;
use metaqnn_core::study::{
    CandidateRecord, Detail, EnsembleRecord, EventKind, EventRecord, FinalRecord, PlannedTraining, RaisedLimits,
    StoredTrial, StudyHeader, TrialNumber, TrialRecord,
};

/// Why something is not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the study in memory refuses {0}")]
pub struct MemoryError(String);

/// A study that is gone with the last of its clones, which all are the same study. It keeps the contract of
/// [`Storage`] but for what would survive the process.
#[derive(Clone, Debug)]
pub struct MemoryStudy(Rc<RefCell<Kept>>);

#[derive(Debug)]
struct Kept {
    header: StudyHeader,
    events: Vec<EventRecord>,
    candidates: BTreeMap<TrialNumber, CandidateRecord>,
    finals: BTreeMap<TrialNumber, FinalRecord>,
    ensemble: Option<EnsembleRecord>,
    plan: Vec<PlannedTraining>,
    raised: Vec<RaisedLimits>,
    run_seconds: f64,
}

impl MemoryStudy {
    /// A study in which nothing has happened.
    pub fn new(header: StudyHeader) -> Self {
        MemoryStudy(Rc::new(RefCell::new(Kept {
            header,
            events: Vec::new(),
            candidates: BTreeMap::new(),
            finals: BTreeMap::new(),
            ensemble: None,
            plan: Vec::new(),
            raised: Vec::new(),
            run_seconds: 0.0,
        })))
    }

    fn kept(&self) -> Ref<'_, Kept> {
        self.0.borrow()
    }

    fn refuse<T>(&self, what: &str) -> Result<T, MemoryError> {
        Err(MemoryError(what.into()))
    }

    fn require(&self, trial: TrialNumber) -> Result<(), MemoryError> {
        let is_there = self.kept().trials().any(|(_, record)| record.trial == trial);
        if is_there { Ok(()) } else { self.refuse("what belongs to no trial") }
    }
}

impl Kept {
    fn trials(&self) -> impl Iterator<Item = (&EventRecord, &TrialRecord)> {
        self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Trial(record) => Some((event, record.as_ref())),
            EventKind::Repeat { .. } => None,
        })
    }

    fn stored(&self, event: &EventRecord, record: &TrialRecord, detail: Detail) -> StoredTrial {
        let mut record = record.clone();
        if detail == Detail::Summary {
            record.evaluation.curve.clear();
            record.transitions.clear();
        }
        let measured = self.finals.get(&record.trial);
        StoredTrial {
            event: event.number,
            epsilon: event.epsilon,
            q_table_hash: event.q_table_hash.clone(),
            run_seconds: event.run_seconds,
            test_accuracy: measured.map(|measured| measured.test_accuracy),
            test_balanced_accuracy: measured.and_then(|measured| measured.test_balanced_accuracy),
            test_images: measured.map(|measured| measured.test_images),
            record,
        }
    }
}

impl Storage for MemoryStudy {
    type Error = MemoryError;

    fn header(&self) -> Result<StudyHeader, MemoryError> {
        Ok(self.kept().header.clone())
    }

    fn append(&mut self, event: &EventRecord) -> Result<(), MemoryError> {
        if event.number != self.kept().events.len() as u64 {
            return self.refuse("an event out of order");
        }
        match &event.kind {
            EventKind::Trial(new) => {
                let is_there = |known: &TrialRecord| known.trial == new.trial || known.architecture == new.architecture;
                if self.kept().trials().any(|(_, known)| is_there(known)) {
                    return self.refuse("a trial or architecture that is there");
                }
            }
            EventKind::Repeat { trial } => self.require(*trial)?,
        }
        let mut kept = self.0.borrow_mut();
        kept.run_seconds = kept.run_seconds.max(event.run_seconds);
        kept.events.push(event.clone());
        Ok(())
    }

    fn visit_events(&self, visit: &mut dyn FnMut(EventRecord) -> bool) -> Result<(), MemoryError> {
        self.kept().events.iter().cloned().all(visit);
        Ok(())
    }

    fn visit_trials(&self, detail: Detail, visit: &mut dyn FnMut(StoredTrial) -> bool) -> Result<(), MemoryError> {
        let kept = self.kept();
        kept.trials().map(|(event, record)| kept.stored(event, record, detail)).all(visit);
        Ok(())
    }

    fn trial(&self, trial: TrialNumber) -> Result<Option<StoredTrial>, MemoryError> {
        let kept = self.kept();
        let found = kept.trials().find(|(_, record)| record.trial == trial);
        Ok(found.map(|(event, record)| kept.stored(event, record, Detail::Full)))
    }

    fn top(&self, n: usize) -> Result<Vec<StoredTrial>, MemoryError> {
        let kept = self.kept();
        let accuracy = |record: &TrialRecord| record.evaluation.outcome.valid_accuracy().map(|a| a.value());
        let mut learned: Vec<_> =
            kept.trials().filter_map(|(event, record)| Some((accuracy(record)?, event, record))).collect();
        learned.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.trial.cmp(&b.2.trial)));
        Ok(learned.into_iter().take(n).map(|(_, event, record)| kept.stored(event, record, Detail::Summary)).collect())
    }

    fn check_in_place(&self) -> Result<(), MemoryError> {
        Ok(())
    }

    fn store_candidate(&mut self, record: &CandidateRecord) -> Result<(), MemoryError> {
        self.require(record.trial)?;
        self.0.borrow_mut().candidates.insert(record.trial, record.clone());
        Ok(())
    }

    fn candidates(&self) -> Result<Vec<CandidateRecord>, MemoryError> {
        let without = |record: &CandidateRecord| CandidateRecord { probabilities: Vec::new(), ..record.clone() };
        let mut candidates: Vec<CandidateRecord> = self.kept().candidates.values().map(without).collect();
        // Stable: at equal accuracy the earlier trial comes first.
        let accuracy = |record: &CandidateRecord| record.valid_accuracy.unwrap_or(f64::NEG_INFINITY);
        candidates.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)));
        Ok(candidates)
    }

    fn validation_probabilities(&self, trial: TrialNumber) -> Result<Option<Vec<f32>>, MemoryError> {
        let probabilities = self.kept().candidates.get(&trial).map(|record| record.probabilities.clone());
        Ok(probabilities.filter(|probabilities| !probabilities.is_empty()))
    }

    fn store_final(&mut self, record: &FinalRecord) -> Result<(), MemoryError> {
        self.require(record.trial)?;
        let mut kept = self.0.borrow_mut();
        let is_member = |ensemble: &EnsembleRecord| ensemble.members.contains(&record.trial);
        kept.ensemble = kept.ensemble.take().filter(|ensemble| !is_member(ensemble));
        kept.finals.insert(record.trial, record.clone());
        Ok(())
    }

    fn finals(&self) -> Result<Vec<FinalRecord>, MemoryError> {
        let without = |record: &FinalRecord| FinalRecord { weights: Vec::new(), ..record.clone() };
        let mut finals: Vec<FinalRecord> = self.kept().finals.values().map(without).collect();
        finals.sort_by(|a, b| b.test_accuracy.total_cmp(&a.test_accuracy));
        Ok(finals)
    }

    fn store_ensemble(&mut self, ensemble: Option<&EnsembleRecord>) -> Result<(), MemoryError> {
        let members = ensemble.map(|ensemble| ensemble.members.as_slice()).unwrap_or_default();
        let is_twice = |(place, member)| members[..place].contains(member);
        let is_trained = |member| self.kept().finals.contains_key(member);
        if !members.iter().all(is_trained) || members.iter().enumerate().any(is_twice) {
            return self.refuse("a member that was not trained finally, or that is one twice");
        }
        self.0.borrow_mut().ensemble = ensemble.cloned();
        Ok(())
    }

    fn ensemble(&self) -> Result<Option<EnsembleRecord>, MemoryError> {
        Ok(self.kept().ensemble.clone())
    }

    fn extend_final_plan(&mut self, plan: &[PlannedTraining]) -> Result<(), MemoryError> {
        for (place, planned) in plan.iter().enumerate() {
            self.require(planned.trial)?;
            if self.kept().plan.iter().chain(&plan[..place]).any(|known| known.trial == planned.trial) {
                return self.refuse("a training that is planned already");
            }
        }
        self.0.borrow_mut().plan.extend(plan);
        Ok(())
    }

    fn final_plan(&self) -> Result<Vec<PlannedTraining>, MemoryError> {
        Ok(self.kept().plan.clone())
    }

    fn raise_limits(&mut self, limits: RaisedLimits) -> Result<(), MemoryError> {
        // What a file could not hold.
        if i64::try_from(limits.models).is_err() || limits.budget_seconds.is_nan() {
            return self.refuse("limits that are out of range");
        }
        self.0.borrow_mut().raised.push(limits);
        Ok(())
    }

    fn raised_limits(&self) -> Result<Option<RaisedLimits>, MemoryError> {
        Ok(self.kept().raised.last().copied())
    }

    fn raised_limits_before(&self) -> Result<Option<RaisedLimits>, MemoryError> {
        Ok(self.kept().raised.iter().rev().nth(1).copied())
    }

    fn note_run_seconds(&mut self, seconds: f64) -> Result<(), MemoryError> {
        let mut kept = self.0.borrow_mut();
        kept.run_seconds = kept.run_seconds.max(seconds);
        Ok(())
    }

    fn run_seconds(&self) -> Result<f64, MemoryError> {
        Ok(self.kept().run_seconds)
    }
}
