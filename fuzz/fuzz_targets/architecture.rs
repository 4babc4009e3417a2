//! The notation of architectures: read or refused; what is read is written and read again as the same, and its graph is built.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metaqnn_core::graph::{Graph, MapShape, NetworkOptions};
use metaqnn_core::space::Architecture;
use metaqnn_fuzz::demand_words;

fuzz_target!(|text: &str| {
    let architecture = match text.parse::<Architecture>() {
        Ok(architecture) => architecture,
        Err(error) => return demand_words(&error),
    };
    assert_eq!(architecture.to_string().parse().as_ref(), Ok(&architecture));
    for input in [MapShape::new(1, 8, 8), MapShape::new(3, 32, 48), MapShape::new(65_536, 65_536, 65_536)] {
        for batch_norm in [false, true] {
            match Graph::new(&architecture, input, NetworkOptions { batch_norm, max_dropout: 0.5 }) {
                Ok(graph) => {
                    assert!(graph.params() >= u64::from(graph.classes()));
                    let _ = (graph.flops(), graph.training_memory(128));
                }
                Err(error) => demand_words(&error),
            }
        }
    }
});
