//! How versions before drew splits: by the order of the images. The studies that they began go on with it.
//!
//! 15 % of each class, at least one image of each, for validation and as many for testing, less where that would be more than 5,000 and
//! 10,000 in all.

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::count;
use super::examples::{Examples, Split};
use super::findings::Findings;
use crate::split::shuffle;

/// Share of each class that is drawn for a split.
pub(super) const SHARE: f64 = 0.15;

/// Most images drawn for validation, and for testing.
const MOST_VALID: usize = 5_000;
const MOST_TEST: usize = 10_000;

/// The split of each image, where `divided` has what the data say, and training where they say nothing. `drawn` says which splits are drawn
/// from the training images; a class that has too few for that is a problem.
pub(super) fn draw(
    examples: &Examples,
    firsts: &[usize],
    mut divided: Vec<Split>,
    drawn: &[Split],
    path: &Path,
    seed: u64,
    findings: &mut Findings,
) -> Vec<Split> {
    let all = &examples.examples;
    // Of equal images only the first is drawn for; it takes the others with it. Those that are given as no training images stay.
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); examples.class_names.len()];
    let mut leads = vec![None; all.len()];
    for (i, &first) in firsts.iter().enumerate() {
        if divided[i] == Split::Train {
            let lead = *leads[first].get_or_insert(i);
            if lead == i {
                members[all[i].class].push(i);
            }
        }
    }
    let pool: usize = members.iter().map(Vec::len).sum();
    let share = |most: usize| SHARE.min(most as f64 / pool.max(1) as f64);
    for (class, mut members) in members.into_iter().enumerate() {
        if members.is_empty() {
            continue;
        }
        let found = members.len();
        if found <= drawn.len() {
            let name = &examples.class_names[class];
            findings.problem(
                path,
                format!(
                    "class {name}: {} that no other equals; at least {} are needed, since {} split{} drawn from them",
                    count(found, "image"),
                    drawn.len() + 1,
                    drawn.len(),
                    if drawn.len() == 1 { " is" } else { "s are" },
                ),
            );
            continue;
        }
        // A stream of its own, so that what one class holds changes nothing in another.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(class as u64);
        shuffle(&mut members, &mut rng);
        let mut rest = members.as_slice();
        for &split in drawn {
            let most = if split == Split::Valid { MOST_VALID } else { MOST_TEST };
            let wanted = ((found as f64 * share(most)).round() as usize).max(1);
            let (taken, others) = rest.split_at(wanted.min(rest.len() - 1));
            for &i in taken {
                divided[i] = split;
            }
            rest = others;
        }
    }
    for (i, &first) in firsts.iter().enumerate() {
        if let Some(lead) = leads[first]
            && divided[i] == Split::Train
        {
            divided[i] = divided[lead];
        }
    }
    divided
}
