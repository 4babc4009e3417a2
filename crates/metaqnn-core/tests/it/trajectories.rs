//! What holds of every trajectory.

use metaqnn_core::agent::{DecisionProcess, random_trajectory, sample_trajectory};
use metaqnn_core::graph::{Graph, MapShape, NetworkOptions, Shape};
use metaqnn_core::settings::Preset;
use metaqnn_core::space::{Architecture, BuildAction, SearchSpace};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::fixture::{broken_rule, paper_space, preset};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sampled_trajectories_are_legal_and_end(
        seed: u64,
        max_layers in 1u32..=18,
        channels in 1u32..=3,
        height in 1u32..=64,
        width in 1u32..=64,
    ) {
        let input = MapShape::new(channels, height, width);
        let space = paper_space(max_layers, input);
        let actions = random_trajectory(&space, &mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert!(actions.len() <= max_layers as usize + 1);
        prop_assert_eq!(actions.last(), Some(&BuildAction::Softmax));
        let architecture = space.architecture(&actions).expect("legal");
        prop_assert_eq!(broken_rule(&architecture, input, max_layers as usize), None);
        prop_assert_eq!(&space.actions(&architecture).expect("in the space"), &actions);
        let options = NetworkOptions { batch_norm: false, max_dropout: 0.5 };
        let graph = Graph::new(&architecture, input, options).expect("it fits its input");
        prop_assert_eq!(graph.nodes().last().map(|node| node.output), Some(Shape::Vector(10)));
    }

    #[test]
    fn architectures_survive_their_text(choices in prop::collection::vec(any::<prop::sample::Index>(), 19), side in 1u32..=64) {
        let space = paper_space(18, MapShape::new(3, side, side));
        let mut choices = choices.iter();
        let actions = sample_trajectory(&space, |_, legal| choices.next().expect("at most 19 actions").index(legal.len()));
        let architecture = space.architecture(&actions).expect("legal");
        let text = architecture.to_string();
        let read: Architecture = text.parse().expect("its own text");
        prop_assert_eq!(&read, &architecture);
        prop_assert_eq!(read.to_string(), text.clone());
        let loose = text.replace(", ", " ,D(7,3),  ");
        prop_assert_eq!(loose.parse::<Architecture>().expect("dropout and blanks are no matter"), architecture);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\[?((C|P|FC|GAP|SM|D|X)?[(]?[0-9,]{0,6}[)]?,? ?){0,6}\\]?") {
        if let Ok(architecture) = text.parse::<Architecture>() {
            prop_assert_eq!(architecture.to_string().parse::<Architecture>().expect("its own text"), architecture);
        }
    }

    #[test]
    fn the_agent_sees_all_that_decides_what_is_legal(seed: u64, other: u64, side in 1u32..=64) {
        let settings = preset(Preset::Quick, "digits").space;
        let space = SearchSpace::new(settings, MapShape::new(1, side.max(4), side.max(4)), 10).expect("sound");
        let walk = |seed| {
            let mut state = Some(space.start());
            let mut seen = Vec::new();
            for action in random_trajectory(&space, &mut ChaCha8Rng::seed_from_u64(seed)) {
                let current = state.expect("not ended");
                seen.push((space.observe(&current), space.legal_actions(&current)));
                state = space.next_state(&current, &action);
            }
            seen
        };
        for (observation, legal) in walk(seed) {
            for (same, also_legal) in walk(other) {
                if same == observation {
                    prop_assert_eq!(&legal, &also_legal);
                }
            }
        }
    }
}
