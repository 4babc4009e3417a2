//! How a search divides its time, and how large its networks may be in it.

use super::known_networks::known_network;
use crate::graph::Graph;
use crate::settings::Settings;
use crate::space::{Architecture, SearchSpace};

/// Of so many images and more, the final training must be able to make the passes that the settings name; of fewer images it makes more
/// passes, see [`images_seen`].
const MANY_IMAGES: f64 = 50_000.0;

/// The final phase never takes more of the budget than this: a trial must show that something can be trained at all.
const MOST_FINAL_SHARE: f64 = 0.9;

/// Of fewer images that networks are validated on the accuracies of two hardly say which is better, so that time spent on training a good one
/// is spent better than on comparing.
const ENOUGH_TO_COMPARE: usize = 200;

/// From this share on there is no time left to compare candidates.
const SHARE_WITHOUT_CANDIDATES: f64 = 0.8;

/// What a machine and its data allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    /// Images to train on in the end.
    pub images: usize,
    /// Images that networks are validated on.
    pub validated: usize,
    /// Seconds of the budget that are left for training.
    pub seconds: f64,
    /// Threads that train.
    pub threads: u32,
    /// Measured over estimated time of a training.
    pub slowness: f64,
}

/// How the time is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetPlan {
    /// Most estimated microseconds that training on one image may take on one thread; the limit of the settings where that is lower, but no
    /// less than the fastest network that is known to be good takes.
    pub train_microseconds: u64,
    /// Share of the budget for choosing a network and for its final training.
    pub final_share: f64,
    /// Networks to choose among.
    pub candidates: u32,
    /// Estimated microseconds of the fastest of the networks that are known to be good.
    pub reference_microseconds: u64,
    /// How often the final training of that network sees each image.
    pub reference_passes: f64,
}

/// Images that a network must see in its final training: `passes` over all of 50,000 or more; of fewer images the fewer the less is to
/// be learned, but each must be seen more often: as the square root of their number.
pub fn images_seen(images: usize, passes: u32) -> f64 {
    let images = images.max(1) as f64;
    f64::from(passes) * if images >= MANY_IMAGES { images } else { (images * MANY_IMAGES).sqrt() }
}

impl BudgetPlan {
    /// The plan for a search of `space`, none of whose networks trains on an image in less than `least` microseconds in sensible number.
    ///
    /// The fastest of the networks that are known to be good is the measure: the final training must have time for that one, so the shorter the budget, the
    /// smaller the part of it that goes into searching.
    pub fn new(settings: &Settings, space: &SearchSpace, least: u64, means: Means) -> Self {
        let final_phase = &settings.final_phase;
        let needed = images_seen(means.images, settings.limits.final_epochs);
        let thread_microseconds = (means.seconds * f64::from(means.threads.max(1)) * 1e6).max(0.0);
        let reference = fastest_known(settings, space).map(|(_, microseconds)| microseconds);
        let needed_share = reference
            .map_or(0.0, |reference| needed * reference as f64 * means.slowness / thread_microseconds.max(1.0));
        let of_final = |share_of_candidates: f64| needed_share / (1.0 - share_of_candidates);
        let candidates_share = final_phase.share_of_candidates();
        let with_candidates = of_final(candidates_share).max(final_phase.budget_share);
        let has_use = with_candidates < SHARE_WITHOUT_CANDIDATES && means.validated >= ENOUGH_TO_COMPARE;
        let (final_share, candidates) = if has_use {
            (with_candidates, final_phase.candidates)
        } else {
            (of_final(0.0).clamp(final_phase.budget_share.max(SHARE_WITHOUT_CANDIDATES), MOST_FINAL_SHARE), 1)
        };
        let chosen = if candidates > 1 { candidates_share } else { 0.0 };
        let final_microseconds = thread_microseconds * final_share * (1.0 - chosen) / means.slowness;
        let fitting = (final_microseconds / needed) as u64;
        let fitting = fitting.max(reference.unwrap_or(least)).max(1);
        let limit = settings.limits.train_microseconds;
        // Of large images the limit of the preset would leave no network that is deep enough.
        let limit = if limit == 0 { u64::MAX } else { limit.max(reference.unwrap_or(0)) };
        let reference = reference.unwrap_or(least).max(1);
        BudgetPlan {
            train_microseconds: fitting.min(limit),
            final_share,
            candidates,
            reference_microseconds: reference,
            reference_passes: final_microseconds / reference as f64 / means.images.max(1) as f64,
        }
    }
}

/// The fastest network of `search.first_networks` that is in the space, and the estimated microseconds in which it trains on an image.
pub fn fastest_known(settings: &Settings, space: &SearchSpace) -> Option<(Architecture, u64)> {
    let options = settings.training.network_options();
    let known = settings.search.first_networks.iter().filter_map(|text| known_network(text, space.classes()).ok());
    known
        .filter(|network| space.actions(network).is_ok())
        .filter_map(|network| {
            let graph = Graph::new(&network, space.input(), options).ok()?;
            Some((network, graph.training_microseconds()))
        })
        .min_by_key(|(_, microseconds)| *microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::MapShape;
    use crate::settings::Preset;

    fn plan(images: usize, side: u32, seconds: f64, threads: u32) -> BudgetPlan {
        let settings = Settings::from_toml(&Preset::Quick.document("./images").unwrap().to_string()).unwrap();
        let space = SearchSpace::new(settings.space.clone(), MapShape::new(3, side, side), 3).unwrap();
        BudgetPlan::new(&settings, &space, 30, Means { images, validated: images / 5, seconds, threads, slowness: 1.5 })
    }

    #[test]
    fn the_shorter_the_time_the_larger_the_part_that_trains() {
        let short = plan(600, 64, 30.0, 1);
        assert_eq!((short.final_share, short.candidates), (MOST_FINAL_SHARE, 1));
        let long = plan(1_000, 64, 3600.0, 2);
        assert_eq!((long.final_share, long.candidates), (0.65, 4));
        assert!(long.train_microseconds > short.train_microseconds);
        let few = plan(600, 64, 3600.0, 2);
        assert_eq!((few.final_share, few.candidates), (0.8, 1), "120 images say little of two networks");
        let shares: Vec<f64> =
            [60.0, 120.0, 300.0, 600.0, 1200.0].map(|seconds| plan(6000, 64, seconds, 1).final_share).into();
        assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    }

    #[test]
    fn a_network_that_is_known_to_be_good_is_always_within_the_limit() {
        for (images, side, seconds) in [(60, 8, 60.0), (600, 64, 10.0), (60_000, 32, 60.0), (6_000, 224, 60.0)] {
            let plan = plan(images, side, seconds, 1);
            assert!(plan.train_microseconds >= plan.reference_microseconds, "{plan:?}");
        }
    }

    #[test]
    fn few_images_are_seen_more_often_but_fewer_in_all() {
        assert_eq!(images_seen(50_000, 30), 1.5e6);
        assert_eq!(images_seen(500, 30), 1.5e5);
        assert_eq!(images_seen(100_000, 30), 3e6);
    }
}
