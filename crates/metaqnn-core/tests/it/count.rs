//! The size of the paper's space, against the figures derived from the authors' published Q-table.

use std::time::{Duration, Instant};

use metaqnn_core::agent::DecisionProcess;
use metaqnn_core::space::{BuildAction, Convolution, MaxPool};

use crate::fixture::{COLOUR_32, paper_space};

#[test]
fn the_papers_space_has_its_published_size() {
    let size = paper_space(12, COLOUR_32).count();
    assert_eq!((size.states, size.actions), (349, 4058));
    assert_eq!(size.architectures.to_string(), "57869407275938");
}

#[test]
fn states_have_as_many_actions_as_published() {
    let space = paper_space(12, COLOUR_32);
    let convolution = BuildAction::Add(Convolution { out_channels: 64, kernel_size: 3, stride: 1 }.into());
    let pool = BuildAction::Add(MaxPool { kernel_size: 5, stride: 3 }.into());
    let start = space.start();
    assert_eq!(space.legal_actions(&start).len(), 14);
    let at_8 = space.next_state(&start, &convolution).unwrap();
    assert_eq!(space.observe(&at_8).to_string(), "1:C(64,3,1)@8");
    assert_eq!(space.legal_actions(&at_8).len(), 17);
    // 32 → ceil(28 / 3) = 10 → ceil(6 / 3) = 2; with (2,2) instead of the second 5.
    let after_pool = space.next_state(&at_8, &pool).unwrap();
    assert_eq!(space.observe(&after_pool).to_string(), "2:P(5,3)@8");
    let again = space.next_state(&after_pool, &convolution).unwrap();
    let halved = BuildAction::Add(MaxPool { kernel_size: 2, stride: 2 }.into());
    let at_5 = space.next_state(&again, &halved).unwrap();
    let at_4 = space.next_state(&at_5, &convolution).unwrap();
    assert_eq!(space.observe(&at_4).to_string(), "5:C(64,3,1)@4");
    assert_eq!(space.legal_actions(&at_4).len(), 15);
    let at_2 = space.next_state(&again, &pool).unwrap();
    assert_eq!(space.observe(&at_2).to_string(), "4:P(5,3)@1");
    assert!(space.legal_actions(&at_2).iter().all(|action| action.to_string() != "C(64,1,1)"));
}

#[test]
fn counting_does_not_enumerate() {
    let begin = Instant::now();
    let twelve = paper_space(12, COLOUR_32).count();
    let eighteen = paper_space(18, COLOUR_32).count();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(eighteen.architectures > twelve.architectures);
}

#[test]
fn a_single_layer_is_counted_by_hand() {
    // SM alone; 12 convolutions and GAP, each with SM after it. The states: start and these 13.
    let size = paper_space(1, COLOUR_32).count();
    assert_eq!((size.states, size.actions), (14, 14 + 13));
    assert_eq!(size.architectures.to_string(), "14");
}
