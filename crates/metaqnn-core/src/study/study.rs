//! Ask and tell.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::exhaustion::Exhaustion;
use super::generators::{of_ask, of_tell, trial_seed};
use super::known_networks::known_network;
use super::record::{EventKind, EventRecord, Transition, TrialRecord};
use super::trial::{Evaluation, Failure, Outcome, TrialNumber};
use crate::agent::{Agent, DecisionProcess, Novelty, QTable, Reward, Situation, new_agent};
use crate::graph::{Graph, NetworkOptions};
use crate::settings::{AgentName, Settings};
use crate::space::{Architecture, BuildAction, LayerState, SearchSpace};

/// Draws after which everything the agent wants counts as in training elsewhere or over a limit.
const DRAWS: u32 = 1_000;

/// A study in memory: the agent, what it knows, and what is in training.
///
/// It is derived: [`replay`](Study::replay) of the stored events rebuilds it bit for bit. It holds no curves and no texts of
/// finished trials, so that it stays under 1 KiB a trial.
pub struct Study {
    settings: Settings,
    space: SearchSpace,
    agent: Box<dyn Agent<SearchSpace> + Send>,
    /// What is tried before the agent is asked.
    first_networks: Vec<Architecture>,
    seed: u64,
    /// Trial and reward of every architecture that was finished; the reward is `None` where the agent was not told.
    known: HashMap<Arc<Architecture>, (TrialNumber, Option<Reward>)>,
    by_trial: HashMap<TrialNumber, Arc<Architecture>>,
    pending: BTreeMap<TrialNumber, AskedTrial>,
    /// What the agent was not told of though it ended: its worker died.
    lost: Vec<Vec<BuildAction>>,
    in_training: HashSet<Architecture>,
    events: u64,
    models: u64,
    failed: u64,
    exhaustion: Exhaustion,
    lowest_epsilon: f64,
}

/// A trial that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedTrial {
    /// Its number.
    pub trial: TrialNumber,
    /// What to train.
    pub architecture: Architecture,
    /// Seed of its training.
    pub seed: u64,
    /// ε at which it was sampled.
    pub epsilon: f64,
}

/// The answer to an ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Train this, then tell.
    Trial(AskedTrial),
    /// Nothing to train: a repeat, or a network over a limit where no other was proposed. The agent has learned of it; store it and ask again.
    Event(Box<EventRecord>),
    /// Everything the agent proposes is in training; ask again after the next tell.
    Busy,
    /// The agent proposes nothing that was not trained.
    Exhausted,
}

/// Why a stored log does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The Q-table is not the one that the log says.
    #[error(
        "event {event}: the log gives Q-table {expected}, replaying it gives {found}; was it written by another version?"
    )]
    Hash {
        /// The event.
        event: u64,
        /// What is stored.
        expected: String,
        /// What replaying gives.
        found: String,
    },
    /// An event that cannot follow those before it.
    #[error("event {event}: {reason}")]
    Event {
        /// The event.
        event: u64,
        /// Why.
        reason: String,
    },
}

impl Study {
    /// A study in which nothing has happened.
    pub fn new(settings: Settings, space: SearchSpace, seed: u64) -> Self {
        let agent = new_agent(settings.search.agent, &settings.agent);
        let texts = match settings.search.agent {
            AgentName::Paper | AgentName::Random => &[],
            _ => settings.search.first_networks.as_slice(),
        };
        let first_networks = texts.iter().filter_map(|text| known_network(text, space.classes()).ok()).collect();
        Study {
            first_networks,
            settings,
            space,
            agent,
            seed,
            known: HashMap::new(),
            by_trial: HashMap::new(),
            pending: BTreeMap::new(),
            lost: Vec::new(),
            in_training: HashSet::new(),
            events: 0,
            models: 0,
            failed: 0,
            exhaustion: Exhaustion::default(),
            lowest_epsilon: 1.0,
        }
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Unique models finished; networks over a limit are not counted.
    pub fn models(&self) -> u64 {
        self.models
    }

    /// Trials that failed, those over a limit not counted.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The networks that are tried before the agent is asked, in the order of the settings, whether they are in the space or not.
    pub fn first_networks(&self) -> &[Architecture] {
        &self.first_networks
    }

    /// Trials in training.
    pub fn pending(&self) -> impl Iterator<Item = &AskedTrial> {
        self.pending.values()
    }

    /// The agent's Q-table.
    pub fn q_table(&self) -> &QTable<LayerState, BuildAction> {
        self.agent.q_table()
    }

    /// The Q-table's hash as stored, 16 hexadecimal digits.
    pub fn q_table_hash(&self) -> String {
        format!("{:016x}", self.agent.q_table().hash())
    }

    /// ε of the next ask, `progress` in [0, 1] of the search being over. It never rises.
    pub fn epsilon(&self, progress: f64) -> f64 {
        if self.settings.search.agent == AgentName::Random {
            return 1.0;
        }
        let begun = self.models + self.pending.len() as u64;
        self.settings.agent.epsilon_schedule.epsilon(begun, progress).min(self.lowest_epsilon)
    }

    /// Asks for the next trial, `progress` in [0, 1] of the search being over and `run_seconds` after its beginning.
    pub fn ask(&mut self, progress: f64, run_seconds: f64) -> Ask {
        self.ask_while(progress, run_seconds, &|| true)
    }

    /// [`ask`](Study::ask) that gives up with [`Ask::Busy`], nothing changed, as soon as `goes_on` does not hold: where hardly any
    /// network fits, an answer takes many draws.
    pub fn ask_while(&mut self, progress: f64, run_seconds: f64, goes_on: &dyn Fn() -> bool) -> Ask {
        if self.exhaustion.is_reached() {
            return Ask::Exhausted;
        }
        if self.is_used_up() {
            return if self.pending.is_empty() { Ask::Exhausted } else { Ask::Busy };
        }
        let epsilon = self.epsilon(progress);
        // Events told and trials in training, so that every ask has a number of its own.
        let mut generator = of_ask(self.seed, self.events + self.pending.len() as u64);
        let Some((actions, architecture)) = self.draw(epsilon, &mut generator, goes_on) else {
            return if self.pending.is_empty() && goes_on() { Ask::Exhausted } else { Ask::Busy };
        };
        self.lowest_epsilon = epsilon;
        if let Some(&(trial, reward)) = self.known.get(&architecture) {
            self.learn(&actions, reward, Novelty::Repeated);
            self.exhaustion.note_repeat(self.settings.search.agent);
            return Ask::Event(Box::new(self.event(epsilon, EventKind::Repeat { trial }, run_seconds)));
        }
        let trial = self.next_trial();
        let seed = trial_seed(self.seed, trial);
        let asked = AskedTrial { trial, architecture: architecture.clone(), seed, epsilon };
        self.in_training.insert(architecture.clone());
        self.pending.insert(trial, asked.clone());
        match self.over_limit(&architecture) {
            Some(failure) => self
                .tell(trial, Evaluation::failed(failure), run_seconds)
                .map_or(Ask::Busy, |event| Ask::Event(Box::new(event))),
            None => Ask::Trial(asked),
        }
    }

    /// Has the agent propose until it is no network in training, none on which a worker died and, where others are found, none over a
    /// limit. `None` where it proposes nothing else.
    ///
    /// The agent of the paper learns from networks over a limit, at their first proposal. The others would have little but such
    /// networks to learn from where limits are tight.
    fn draw(
        &self,
        epsilon: f64,
        generator: &mut ChaCha8Rng,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<(Vec<BuildAction>, Architecture)> {
        if let Some(first) = self.first_network() {
            return Some(first);
        }
        let training = self.pending.values().filter_map(|asked| self.space.actions(&asked.architecture).ok());
        let pending: Vec<Vec<BuildAction>> = training.chain(self.lost.iter().cloned()).collect();
        let is_within = |architecture: &Architecture| self.over_limit(architecture).is_none();
        let within_limits = |actions: &[BuildAction]| self.space.architecture(actions).is_ok_and(|it| is_within(&it));
        let situation = Situation { epsilon, pending: &pending, within_limits: &within_limits };
        let takes_any = self.takes_any();
        let mut over_limit = None;
        for _ in 0..DRAWS {
            if !goes_on() {
                return None;
            }
            let actions = self.agent.propose(&self.space, &situation, generator);
            let Ok(architecture) = self.space.architecture(&actions) else { continue };
            let is_lost = self.known.get(&architecture).is_some_and(|(_, reward)| reward.is_none());
            if is_lost || self.in_training.contains(&architecture) {
                continue;
            }
            if takes_any || self.known.contains_key(&architecture) || is_within(&architecture) {
                return Some((actions, architecture));
            }
            over_limit = Some((actions, architecture));
        }
        over_limit
    }

    /// The next of the networks that are tried before the agent is asked.
    fn first_network(&self) -> Option<(Vec<BuildAction>, Architecture)> {
        let untried = |network: &&Architecture| {
            !self.known.contains_key(*network)
                && !self.in_training.contains(*network)
                && self.over_limit(network).is_none()
        };
        let mut untried = self.first_networks.iter().filter(untried);
        untried.find_map(|network| Some((self.space.actions(network).ok()?, network.clone())))
    }

    /// Tells what came of a trial in training; the agent learns, and the event is to be stored. `None` for a trial that is
    /// not in training.
    pub fn tell(&mut self, trial: TrialNumber, evaluation: Evaluation, run_seconds: f64) -> Option<EventRecord> {
        let asked = self.pending.remove(&trial)?;
        self.in_training.remove(&asked.architecture);
        let actions = self.space.actions(&asked.architecture).ok()?;
        let reward = self.reward(&evaluation.outcome);
        let graph = self.graph(&asked.architecture);
        let record = TrialRecord {
            trial,
            seed: asked.seed,
            params: graph.as_ref().map_or(0, Graph::params),
            flops: graph.as_ref().map_or(0, Graph::flops),
            transitions: self.transitions(&actions, reward.map_or(0.0, Reward::value)),
            architecture: asked.architecture,
            evaluation,
        };
        self.count(&record, &actions);
        self.learn(&actions, reward, Novelty::New);
        Some(self.event(asked.epsilon, EventKind::Trial(Box::new(record)), run_seconds))
    }

    /// Takes up an event from the stored log.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] where it cannot follow, or the Q-table differs from the one that the log says.
    pub fn replay(&mut self, event: &EventRecord) -> Result<(), ReplayError> {
        let broken = |reason: String| ReplayError::Event { event: event.number, reason };
        if event.number != self.events {
            return Err(broken(format!("event {} was expected", self.events)));
        }
        match &event.kind {
            EventKind::Trial(record) => {
                let actions = self.space.actions(&record.architecture).map_err(|error| broken(error.to_string()))?;
                self.count(record, &actions);
                let reward = self.reward(&record.evaluation.outcome);
                self.learn(&actions, reward, Novelty::New);
            }
            EventKind::Repeat { trial } => {
                let architecture = self.by_trial.get(trial).cloned();
                let architecture = architecture.ok_or_else(|| broken(format!("trial {trial} is not there")))?;
                let reward = self.known.get(&architecture).and_then(|(_, reward)| *reward);
                let actions = self.space.actions(&architecture).map_err(|error| broken(error.to_string()))?;
                self.exhaustion.note_repeat(self.settings.search.agent);
                self.learn(&actions, reward, Novelty::Repeated);
            }
        }
        self.events += 1;
        self.lowest_epsilon = self.lowest_epsilon.min(event.epsilon);
        let found = self.q_table_hash();
        if found != event.q_table_hash {
            return Err(ReplayError::Hash { event: event.number, expected: event.q_table_hash.clone(), found });
        }
        Ok(())
    }

    /// Whether the agent takes networks over a limit as they come.
    fn takes_any(&self) -> bool {
        self.settings.search.agent == AgentName::Paper
    }

    /// Whether every architecture of a small space that is within the limits was trained or is in training. The published agent goes on
    /// repeating, as it did.
    fn is_used_up(&mut self) -> bool {
        if self.takes_any() {
            return false;
        }
        let mut exhaustion = std::mem::take(&mut self.exhaustion);
        let is_done = |it: &Architecture| self.known.contains_key(it) || self.in_training.contains(it);
        let used_up = exhaustion.is_used_up(&self.space, |it| self.over_limit(it).is_none(), is_done);
        self.exhaustion = exhaustion;
        used_up
    }

    fn graph(&self, architecture: &Architecture) -> Option<Graph> {
        let training = &self.settings.training;
        let options = NetworkOptions { batch_norm: training.batch_norm, max_dropout: training.max_dropout };
        Graph::new(architecture, self.space.input(), options).ok()
    }

    fn over_limit(&self, architecture: &Architecture) -> Option<Failure> {
        let limits = &self.settings.limits;
        let graph = self.graph(architecture)?;
        let over = |what: &str, predicted: u64, limit: u64| {
            (limit > 0 && predicted > limit).then(|| Failure::OverLimit { what: what.into(), predicted, limit })
        };
        over("parameters", graph.params(), limits.params)
            .or_else(|| over("FLOPs an image", graph.flops(), limits.mflops.saturating_mul(1_000_000)))
            .or_else(|| {
                over("microseconds of training an image", graph.training_microseconds(), limits.train_microseconds)
            })
            .or_else(|| {
                let predicted = graph.training_memory(self.settings.training.batch_size);
                over("bytes of memory", predicted, limits.memory_mib.saturating_mul(1 << 20))
            })
    }

    /// The smallest number that no trial has: after a kill the numbers of lost trials are used again.
    fn next_trial(&self) -> TrialNumber {
        let mut next = self.by_trial.len() as u64 + 1;
        while next > 1 && !self.is_taken(TrialNumber(next - 1)) {
            next -= 1;
        }
        while self.is_taken(TrialNumber(next)) {
            next += 1;
        }
        TrialNumber(next)
    }

    fn is_taken(&self, trial: TrialNumber) -> bool {
        self.by_trial.contains_key(&trial) || self.pending.contains_key(&trial)
    }

    fn reward(&self, outcome: &Outcome) -> Option<Reward> {
        let reward = outcome.reward(self.space.classes(), self.settings.early_stopping.reward)?;
        Some(if outcome.valid_accuracy().is_some() { Reward::Learned(reward) } else { Reward::Failed(reward) })
    }

    fn count(&mut self, record: &TrialRecord, actions: &[BuildAction]) {
        let outcome = &record.evaluation.outcome;
        if matches!(outcome, Outcome::Failed { failure: Failure::OverLimit { .. } }) {
            self.exhaustion.note_over_limit(if self.takes_any() { 1 } else { DRAWS.into() });
        } else {
            self.exhaustion.reset();
        }
        if outcome.counts_as_model() {
            self.models += 1;
            self.failed += u64::from(outcome.valid_accuracy().is_none());
        }
        let reward = self.reward(outcome);
        if reward.is_none() {
            self.lost.push(actions.to_vec());
        }
        let architecture = Arc::new(record.architecture.clone());
        self.known.insert(architecture.clone(), (record.trial, reward));
        self.by_trial.insert(record.trial, architecture);
    }

    fn learn(&mut self, actions: &[BuildAction], reward: Option<Reward>, novelty: Novelty) {
        if let Some(reward) = reward {
            let mut generator = of_tell(self.seed, self.events);
            self.agent.learn(&self.space, actions, reward, novelty, &mut generator);
        }
    }

    fn event(&mut self, epsilon: f64, kind: EventKind, run_seconds: f64) -> EventRecord {
        let number = self.events;
        self.events += 1;
        EventRecord { number, epsilon, kind, q_table_hash: self.q_table_hash(), run_seconds }
    }

    fn transitions(&self, actions: &[BuildAction], reward: f64) -> Vec<Transition> {
        let mut transitions = Vec::with_capacity(actions.len());
        let mut state = self.space.start();
        for action in actions {
            let next = self.space.next_state(&state, action);
            transitions.push(Transition {
                state: self.space.observe(&state).to_string(),
                action: action.to_string(),
                reward: if next.is_some() { 0.0 } else { reward },
                next_state: next.map(|next| self.space.observe(&next).to_string()).unwrap_or_default(),
            });
            match next {
                Some(next) => state = next,
                None => break,
            }
        }
        transitions
    }
}
