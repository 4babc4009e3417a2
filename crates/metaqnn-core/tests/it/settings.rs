//! Spaces that are broken: every violation is named.

use metaqnn_core::agent::{DecisionProcess, random_trajectory};
use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::settings::{Preset, SearchSettings, Settings};
use metaqnn_core::space::LayerKind::{
    self, AveragePool, Convolution, FullyConnected, GlobalAveragePool, MaxPool, Softmax, Start,
};
use metaqnn_core::space::{SearchSpace, SpaceSettings};
use metaqnn_core::study::{BudgetPlan, Means, fast_training_microseconds};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::fixture::{COLOUR_32, preset};

/// The violations of the paper's space after a change, as text.
fn violations(change: impl FnOnce(&mut SpaceSettings)) -> Vec<String> {
    let mut settings = preset(Preset::Paper, "svhn").space;
    change(&mut settings);
    match SearchSpace::new(settings, COLOUR_32, 10) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

fn assert_only(found: &[String], path: &str, part: &str) {
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(&format!("{path} = ")) && found[0].contains(part), "{path}, {part}: {found:#?}");
}

#[test]
fn the_budget_decides_how_large_networks_may_be() {
    let mut settings = preset(Preset::Quick, "cifar10");
    settings.search.first_networks.clear();
    settings.final_phase.budget_share = 0.5;
    settings.final_phase.candidates = 1;
    settings.limits.final_epochs = 20;
    let space =
        SearchSpace::new(settings.space.clone(), MapShape::new(3, 32, 32), 10).expect("the preset's space is sound");
    let limit = |settings: &Settings, images, threads, slowness, least| {
        let means = Means { images, validated: 2_000, seconds: 600.0, threads, slowness };
        BudgetPlan::new(settings, &space, least, means).train_microseconds
    };
    // 300 s of 2 threads over 20 passes of 50,000 images.
    assert_eq!(limit(&settings, 50_000, 2, 1.0, 0), 600);
    assert_eq!(limit(&settings, 50_000, 1, 1.0, 0), 300);
    assert_eq!(limit(&settings, 1_000_000_000, 1, 1.0, 0), 1, "no limit is 0, which would be none");
    assert_eq!(limit(&settings, 100_000, 2, 1.0, 0), 300);
    assert_eq!(limit(&settings, 12_500, 2, 1.0, 0), 1200, "few images are seen more often each, but fewer in all");
    assert_eq!(limit(&settings, 50_000, 2, 1.0, 700), 700, "no network would be left");
    assert_eq!(limit(&settings, 50_000, 2, 1.5, 0), 400, "a machine that needs half as long again");
    // A fifth of the time goes to choosing.
    settings.final_phase.candidates = 4;
    settings.final_phase.candidates_share = 0.2;
    assert_eq!(limit(&settings, 50_000, 2, 1.0, 0), 480);
    settings.limits.train_microseconds = 400;
    assert_eq!(limit(&settings, 50_000, 2, 1.0, 0), 400, "a lower limit stays");
    settings.limits.final_epochs = 0;
    assert!(!settings.budget_limits_networks());
    let without_budget = preset(Preset::Quick, "cifar10");
    let without_budget =
        Settings { search: SearchSettings { budget_seconds: 0.0, ..without_budget.search }, ..without_budget };
    assert!(!without_budget.budget_limits_networks());
}

#[test]
fn a_space_has_networks_that_train_in_the_time_of_its_fast_ones() {
    let settings = preset(Preset::Quick, "cifar10");
    let options = settings.training.network_options();
    let mut last = 0;
    for side in [8, 32, 64, 224] {
        let input = MapShape { channels: 3, height: side, width: side };
        let space = SearchSpace::new(settings.space.clone(), input, 10).expect("the preset's space is sound");
        let fast = fast_training_microseconds(&space, options);
        assert!(fast > last, "{side}: {fast} µs, of the smaller images {last}");
        assert_eq!(fast, fast_training_microseconds(&space, options));
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let drawn = 2000;
        let within = (0..drawn)
            .filter_map(|_| space.architecture(&random_trajectory(&space, &mut generator)).ok())
            .filter(|it| Graph::new(it, input, options).is_ok_and(|graph| graph.training_microseconds() <= fast))
            .count();
        assert!((10..100).contains(&within), "{side}: {within} of {drawn} train in {fast} µs");
        last = fast;
    }
}

#[test]
fn the_papers_space_is_sound() {
    assert_eq!(violations(|_| ()), Vec::<String>::new());
}

#[test]
fn empty_lists_are_named() {
    let empty = "[]: must be a list of at least one";
    assert_only(&violations(|s| s.convolution.out_channels.clear()), "space.convolution.out_channels", empty);
    assert_only(&violations(|s| s.convolution.kernel_sizes.clear()), "space.convolution.kernel_sizes", empty);
    assert_only(&violations(|s| s.max_pool.clear()), "space.max_pool", empty);
    assert_only(&violations(|s| s.fully_connected.units.clear()), "space.fully_connected.units", empty);
    assert_only(&violations(|s| s.follows.after_mut(Start).clear()), "space.follows.start", empty);
    assert_only(&violations(|s| s.follows.after_mut(MaxPool).clear()), "space.follows.P", empty);
    // Not what is compared with the sizes: all of it would be out of range.
    let found = violations(|s| s.representation_sizes.clear());
    assert_only(&found, "space.representation_sizes", "[]: must be ascending, the first 1");
}

#[test]
fn broken_representation_sizes_hide_no_other_mistake() {
    let found = violations(|s| {
        s.representation_sizes = vec![8, 4];
        s.convolution.kernel_sizes = vec![2, 99];
        s.max_pool = vec![[0, 1]];
    });
    assert_only(&found[..1], "space.representation_sizes", "[8, 4]: must be ascending, the first 1");
    assert_eq!(found[1], "space.convolution.kernel_sizes = 2: must be odd");
    assert_eq!(found[2], "space.max_pool = [0, 1]: must be a window of at least 1 and a stride of at least 1");
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn lists_with_repetitions_are_named() {
    assert_only(&violations(|s| s.max_pool.push([2, 2])), "space.max_pool", "(2, 2) twice");
    assert_only(&violations(|s| s.follows.after_mut(Start).push(Softmax)), "space.follows.start", "Softmax twice");
}

#[test]
fn windows_are_checked() {
    let kernel_sizes = "space.convolution.kernel_sizes";
    assert_only(&violations(|s| s.convolution.kernel_sizes = vec![1, 4]), kernel_sizes, "4: must be odd");
    assert_only(&violations(|s| s.convolution.kernel_sizes = vec![0, 3]), kernel_sizes, "0: must be odd");
    assert_only(&violations(|s| s.convolution.kernel_sizes = vec![3, 9]), kernel_sizes, "below the largest");
    assert_only(&violations(|s| s.convolution.stride = 0), "space.convolution.stride", "0: must be in 1..=8");
    assert_only(&violations(|s| s.max_pool.push([8, 2])), "space.max_pool", "[8, 2]: must be a window in 1..8");
    assert_only(&violations(|s| s.max_pool.push([4, 0])), "space.max_pool", "[4, 0]");
    assert_only(&violations(|s| s.max_pool.push([1, 1])), "space.max_pool", "[1, 1]");
}

#[test]
fn fully_connected_layers_at_the_largest_bucket_are_refused() {
    let path = "space.fully_connected.max_representation_size";
    let found = violations(|s| s.fully_connected.max_representation_size = 8);
    assert_only(&found, path, "8: must be one of the representation sizes [1, 4]");
    assert_only(&violations(|s| s.fully_connected.max_representation_size = 3), path, "3: must be");
}

#[test]
fn a_space_without_an_ending_is_named() {
    let ends = |kind: &LayerKind| matches!(kind, Softmax | GlobalAveragePool);
    let found = violations(|s| {
        s.follows.after_mut(Start).retain(|kind| !ends(kind));
        s.follows.after_mut(Convolution).retain(|kind| !ends(kind));
        s.follows.after_mut(MaxPool).retain(|kind| !ends(kind));
        s.follows.after_mut(FullyConnected).retain(|kind| !ends(kind));
    });
    assert_only(&found, "space.follows", "no ending");
}

#[test]
fn dead_ends_are_named() {
    // At bucket 1 no convolution fits, and nothing else may follow the pooling.
    let found = violations(|s| *s.follows.after_mut(MaxPool) = vec![Convolution]);
    assert_only(&found, "space.follows.P", "@1");
    // After two in a row FC cannot follow, and nothing else may.
    let found = violations(|s| *s.follows.after_mut(FullyConnected) = vec![FullyConnected]);
    assert_only(&found, "space.follows.FC", "nothing legal at");
    let mut settings = preset(Preset::Paper, "svhn").space;
    *settings.follows.after_mut(Start) = vec![Convolution];
    let found = SearchSpace::new(settings, MapShape::new(1, 3, 3), 10).unwrap_err();
    assert_only(&[found[0].to_string()], "space.follows.start", "start@1");
}

#[test]
fn what_follows_is_checked() {
    let found = violations(|s| s.follows.after_mut(FullyConnected).push(MaxPool));
    assert_only(&found, "space.follows.FC", "flattened");
    let found = violations(|s| s.follows.after_mut(Convolution).push(Start));
    assert_only(&found, "space.follows.C", "without start");
}

#[test]
fn several_violations_are_named_at_once() {
    let mut settings = preset(Preset::Paper, "svhn").space;
    settings.max_layers = 0;
    settings.convolution.out_channels.clear();
    settings.convolution.kernel_sizes = vec![2, 3];
    settings.max_pool = vec![[9, 2]];
    settings.fully_connected.max_representation_size = 8;
    settings.follows.after_mut(Start).clear();
    let found = SearchSpace::new(settings, COLOUR_32, 1).unwrap_err();
    let paths: Vec<&str> = found.iter().map(|violation| violation.path.as_str()).collect();
    let expected = [
        "space.max_layers",
        "space.convolution.out_channels",
        "space.convolution.kernel_sizes",
        "space.max_pool",
        "space.fully_connected.max_representation_size",
        "space.follows.start",
        "classes",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn average_pooling_is_off_until_the_settings_name_it() {
    let text = Preset::Paper.document("svhn").unwrap().to_string();
    let without = |line: &&str| !line.starts_with("average_pool") && !line.starts_with("A = ");
    let older: Vec<&str> = text.lines().filter(without).collect();
    assert!(older.len() == text.lines().count() - 2, "{text}");
    let older = Settings::from_toml(&older.join("\n")).expect("older studies do not have it").space;
    let size = |space: SpaceSettings| SearchSpace::new(space, COLOUR_32, 10).unwrap().count();
    assert_eq!(size(older.clone()), size(preset(Preset::Paper, "svhn").space));
    let found = violations(|s| s.follows.after_mut(Convolution).push(AveragePool));
    let paths: Vec<&str> = found.iter().filter_map(|violation| violation.split(' ').next()).collect();
    assert_eq!(paths, ["space.average_pool", "space.follows.A"]);

    let mut space = older;
    space.average_pool = vec![[2, 2], [9, 3]];
    space.follows.after_mut(Convolution).push(AveragePool);
    *space.follows.after_mut(AveragePool) = vec![Convolution, Softmax];
    let found = SearchSpace::new(space.clone(), COLOUR_32, 10).unwrap_err();
    assert_only(&[found[0].to_string()], "space.average_pool", "[9, 3]: must be a window in 1..8");
    space.average_pool = vec![[2, 2]];
    let space = SearchSpace::new(space, COLOUR_32, 10).unwrap();
    let architecture = "[C(64,3,1), A(2,2), C(64,3,1), SM(10)]".parse().unwrap();
    let actions = space.actions(&architecture).unwrap();
    assert_eq!(space.architecture(&actions).unwrap(), architecture);
    assert!(!space.features(&actions).is_empty());
    assert!(space.actions(&"[A(2,2), SM(10)]".parse().unwrap()).is_err());
}

#[test]
fn every_bad_setting_of_the_agents_is_named() {
    let mut settings = preset(Preset::Quick, "digits");
    settings.agent.model_based.trace_decay = 1.5;
    settings.agent.model_based.mutant_share = f64::NAN;
    settings.agent.model_based.candidates = 0;
    settings.agent.model_based.memory = 100_000;
    settings.agent.evolution.sample_size = 0;
    let found: Vec<String> = settings.violations().iter().map(ToString::to_string).collect();
    for path in [
        "agent.model_based.trace_decay = 1.5",
        "agent.model_based.mutant_share = NaN",
        "agent.model_based.candidates = 0",
        "agent.model_based.memory = 100000: must be in 10..=2000",
        "agent.evolution.sample_size = 0",
    ] {
        assert!(found.iter().any(|violation| violation.starts_with(path)), "{path}: {found:?}");
    }
    assert_eq!(found.len(), 5, "{found:?}");
}
