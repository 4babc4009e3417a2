//! When nothing is left to train.

use std::collections::HashSet;

use crate::settings::AgentName;
use crate::space::{Architecture, SearchSpace};

/// Fruitless draws in a row after which the space counts as exhausted (spec 2: repeats).
const FRUITLESS_DRAWS: u64 = 10_000;

/// The largest space of which every architecture is looked at.
const SMALL_SPACE: usize = 5_000;

/// Draws behind a repeat of the agent whose model ranks only what is new: it repeats where so many draws gave nothing new.
const DRAWS_OF_A_REPEAT: u64 = 20;

/// Counts draws that gave nothing to train, and knows a small space by heart.
///
/// It is a function of the log, so a study that is resumed ends where one that was not interrupted does.
#[derive(Default)]
pub(super) struct Exhaustion {
    /// Draws that gave nothing to train, since the last network that was trained.
    fruitless: u64,
    /// The architectures within the limits; the inner `None`: too many to look at.
    fitting: Option<Option<HashSet<Architecture>>>,
}

impl Exhaustion {
    /// A network was trained.
    pub(super) fn reset(&mut self) {
        self.fruitless = 0;
    }

    /// The agent proposed a finished architecture again.
    pub(super) fn note_repeat(&mut self, agent: AgentName) {
        self.fruitless += match agent {
            AgentName::Default | AgentName::ModelBased => DRAWS_OF_A_REPEAT,
            AgentName::Paper | AgentName::Random | AgentName::Evolution | AgentName::LocalSearch => 1,
        };
    }

    /// A network over a limit was taken as it came, or after so many draws of others.
    pub(super) fn note_over_limit(&mut self, draws: u64) {
        self.fruitless += draws;
    }

    /// Whether the agent has drawn in vain for so long that it will not find anything.
    pub(super) fn is_reached(&self) -> bool {
        self.fruitless >= FRUITLESS_DRAWS
    }

    /// Whether each architecture of a small space `is_done`, those that do not `fit` left out. Asked only after a draw in vain, since
    /// it looks at all of them.
    pub(super) fn is_used_up(
        &mut self,
        space: &SearchSpace,
        fits: impl Fn(&Architecture) -> bool,
        is_done: impl Fn(&Architecture) -> bool,
    ) -> bool {
        if self.fruitless == 0 {
            return false;
        }
        let fitting = self.fitting.get_or_insert_with(|| {
            let all = space.architectures(SMALL_SPACE)?;
            Some(all.into_iter().filter(fits).collect())
        });
        fitting.as_ref().is_some_and(|fitting| fitting.iter().all(is_done))
    }
}
