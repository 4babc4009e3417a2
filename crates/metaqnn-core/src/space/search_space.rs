//! The space as a decision process: which actions are legal in a state, and where they lead.

use std::collections::HashSet;

use super::architecture::Architecture;
use super::features::features;
use super::settings::SpaceSettings;
use super::state::{BuildAction, BuildState, LayerState};
use crate::agent::{DecisionProcess, Feature};
use crate::layer::{Expansion, Gives, LayerKind, Place};
use crate::shape::{MapShape, Shape};
use crate::violation::Violation;

/// A checked search space for images of one shape and a number of classes.
#[derive(Clone, Debug)]
pub struct SearchSpace {
    settings: SpaceSettings,
    input: MapShape,
    classes: u32,
}

/// Why an architecture is not in a space.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {position}, {layer}, is not legal after {state}: legal are {}", legal.join(", "))]
pub struct NotInSpace {
    /// Position of the layer, 1 for the first.
    pub position: usize,
    /// The layer in the notation.
    pub layer: String,
    /// The state before it, as the agent sees it.
    pub state: String,
    /// The legal actions there.
    pub legal: Vec<String>,
}

impl SearchSpace {
    /// Checks `settings` for images of shape `input` (CHW) and `classes` classes.
    ///
    /// # Errors
    ///
    /// Every violation: settings out of range, and states that can be reached from which nothing is legal.
    pub fn new(settings: SpaceSettings, input: MapShape, classes: u32) -> Result<Self, Vec<Violation>> {
        let mut violations = settings.violations();
        if classes < 2 {
            violations.push(Violation::new("classes", classes, "at least 2"));
        }
        let space = SearchSpace { settings, input, classes };
        if violations.is_empty() {
            violations.extend(space.dead_ends());
        }
        if violations.is_empty() { Ok(space) } else { Err(violations) }
    }

    /// The settings.
    pub fn settings(&self) -> &SpaceSettings {
        &self.settings
    }

    /// Shape of the images, CHW.
    pub fn input(&self) -> MapShape {
        self.input
    }

    /// Number of classes.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    /// The bucket of a representation size: the largest of the settings' sizes that is not above it.
    pub fn bucket(&self, representation_size: u32) -> u32 {
        let sizes = &self.settings.representation_sizes;
        sizes.iter().rev().copied().find(|&least| least <= representation_size).unwrap_or(1)
    }

    /// The architecture that `actions` spell, where they end with softmax and nothing follows it.
    ///
    /// # Errors
    ///
    /// [`NotInSpace`] at the first action that is not legal.
    pub fn architecture(&self, actions: &[BuildAction]) -> Result<Architecture, NotInSpace> {
        let mut layers = Vec::with_capacity(actions.len());
        let mut state = Some(self.start());
        for (index, action) in actions.iter().enumerate() {
            let legal = state.map(|state| self.legal_actions(&state)).unwrap_or_default();
            if !legal.contains(action) {
                return Err(self.not_in_space(index, action, state.as_ref()));
            }
            if let BuildAction::Add(layer) = action {
                layers.push(*layer);
            }
            state = state.and_then(|state| self.next_state(&state, action));
        }
        // Legal actions spell a legal architecture: the rules of `Architecture` are those that every space obeys.
        Architecture::new(layers, self.classes).map_err(|_| self.not_in_space(0, &BuildAction::Softmax, None))
    }

    /// The actions that spell `architecture`.
    ///
    /// # Errors
    ///
    /// [`NotInSpace`] names the first layer that is not legal, the state before it and what is legal there.
    pub fn actions(&self, architecture: &Architecture) -> Result<Vec<BuildAction>, NotInSpace> {
        let mut actions: Vec<BuildAction> =
            architecture.layers().iter().map(|&layer| BuildAction::Add(layer)).collect();
        actions.push(BuildAction::Softmax);
        let mut state = self.start();
        for (index, action) in actions.iter().enumerate() {
            if !self.legal_actions(&state).contains(action) || architecture.classes() != self.classes {
                return Err(self.not_in_space(index, action, Some(&state)));
            }
            match self.next_state(&state, action) {
                Some(next) => state = next,
                None => break,
            }
        }
        Ok(actions)
    }

    fn not_in_space(&self, index: usize, action: &BuildAction, state: Option<&BuildState>) -> NotInSpace {
        NotInSpace {
            position: index + 1,
            layer: action.to_string(),
            state: state.map_or("the end".into(), |state| self.observe(state).to_string()),
            legal: state
                .map(|state| self.legal_actions(state).iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
        }
    }

    /// The states that can be reached from which nothing is legal, one violation for each kind of last layer and bucket.
    fn dead_ends(&self) -> Vec<Violation> {
        let mut seen = HashSet::from([self.start()]);
        let mut open = vec![self.start()];
        let mut named = HashSet::new();
        let mut violations = Vec::new();
        while let Some(state) = open.pop() {
            let actions = self.legal_actions(&state);
            let bucket = self.observe(&state).bucket;
            if actions.is_empty() && named.insert((state.kind(), bucket)) {
                let path = format!("space.follows.{}", state.kind());
                let allowed = "such that something is legal in every state; put SM into the list";
                violations.push(Violation::new(path, format!("nothing legal at {}", self.observe(&state)), allowed));
            }
            for action in actions {
                if let Some(next) = self.next_state(&state, &action)
                    && seen.insert(next)
                {
                    open.push(next);
                }
            }
        }
        violations
    }
}

impl DecisionProcess for SearchSpace {
    type State = BuildState;
    type Observation = LayerState;
    type Action = BuildAction;

    fn start(&self) -> BuildState {
        BuildState {
            last: None,
            layer_depth: 0,
            representation_size: self.input.representation_size(),
            fully_connected: 0,
        }
    }

    fn observe(&self, state: &BuildState) -> LayerState {
        let spatial = state.kind().gives() == Gives::Maps;
        LayerState {
            layer_depth: state.layer_depth,
            last: state.last,
            bucket: spatial.then(|| self.bucket(state.representation_size)),
            fully_connected: state.fully_connected,
        }
    }

    fn legal_actions(&self, state: &BuildState) -> Vec<BuildAction> {
        let at_limit = state.layer_depth >= self.settings.max_layers;
        let follows = self.settings.follows.after(state.kind());
        let place = Place {
            last: state.last,
            bucket: self.bucket(state.representation_size),
            fully_connected: state.fully_connected,
        };
        let mut layers = Vec::new();
        for &kind in follows.iter().filter(|_| !at_limit) {
            self.settings.add_choices(kind, &place, &mut layers);
        }
        let mut actions: Vec<BuildAction> = layers.into_iter().map(BuildAction::Add).collect();
        if at_limit || follows.contains(&LayerKind::Softmax) {
            actions.push(BuildAction::Softmax);
        }
        actions
    }

    fn next_state(&self, state: &BuildState, action: &BuildAction) -> Option<BuildState> {
        let BuildAction::Add(layer) = *action else { return None };
        let n = state.representation_size;
        // Neither channels nor the longer side matter. What is legal fits.
        let output = Expansion::output(&layer, Shape::Map(MapShape::new(1, n, n)), self.classes);
        Some(BuildState {
            last: Some(layer),
            layer_depth: state.layer_depth + 1,
            representation_size: output.map_or(1, |output| output.map().representation_size()),
            fully_connected: state.fully_connected + u32::from(layer.kind() == LayerKind::FullyConnected),
        })
    }

    fn features(&self, actions: &[BuildAction]) -> Vec<Feature> {
        self.architecture(actions).map(|architecture| features(&architecture, self.input)).unwrap_or_default()
    }
}
