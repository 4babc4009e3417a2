//! Which images are for training, validation and testing, where the data do not say: drawn by what each image holds.
//!
//! A hash of an image gives it a place in [0, 1). Below 0.15 lie the test images, from there to 0.3 those for validation. So what one image is
//! for does not depend on the others, and one that is added moves no other. Three things are guaranteed, for which a few images
//! are taken from their place: every class is in every split, equal images are in one split, and the largest group of equal
//! images of a class is in training. Only in a class so small that it needs this can an added image move another, back to its place.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::count;
use super::examples::{Content, Examples, Split};
use super::findings::Findings;

/// Where in [0, 1) the drawn splits lie.
const TEST: std::ops::Range<f64> = 0.0..0.15;
const VALID: std::ops::Range<f64> = 0.15..0.30;

/// Equal images, which are drawn together.
#[derive(Debug)]
struct Group {
    /// In [0, 1).
    place: f64,
    /// Images of each class in it, by class.
    classes: Vec<(usize, usize)>,
    split: Split,
    /// Whether it must stay where it is.
    is_settled: bool,
}

/// What is drawn, of what, by what.
pub(super) struct Drawing<'a> {
    pub(super) examples: &'a Examples,
    /// For each image the first one that equals it.
    pub(super) firsts: &'a [usize],
    /// The images that may be training images.
    pub(super) pool: &'a [usize],
    /// The splits that are drawn from them.
    pub(super) drawn: &'a [Split],
    /// What was drawn when a study began, which holds.
    pub(super) stored: Option<&'a HashMap<Content, Split>>,
    pub(super) seed: u64,
}

impl Drawing<'_> {
    /// The images of the pool, each with its split. A class that has too few is a problem with the data at `path`.
    pub(super) fn draw(&self, path: &Path, findings: &mut Findings) -> Vec<(usize, Split)> {
        let (mut groups, group_of) = self.groups();
        for group in groups.iter_mut().filter(|group| !group.is_settled) {
            let natural = if TEST.contains(&group.place) {
                Split::Test
            } else if VALID.contains(&group.place) {
                Split::Valid
            } else {
                Split::Train
            };
            group.split = if self.drawn.contains(&natural) { natural } else { Split::Train };
        }
        if self.stored.is_none() {
            for (class, name) in self.examples.class_names.iter().enumerate() {
                if let Err(reason) = guarantee(&mut groups, class, self.drawn) {
                    findings.problem(path, format!("class {name}: {reason}"));
                }
            }
        }
        self.pool.iter().zip(group_of).map(|(&i, group)| (i, groups[group].split)).collect()
    }

    /// The groups of equal images, and for each image of the pool the number of its group.
    fn groups(&self) -> (Vec<Group>, Vec<usize>) {
        let mut groups: Vec<Group> = Vec::new();
        let mut of_first: HashMap<usize, usize> = HashMap::new();
        let mut group_of = Vec::with_capacity(self.pool.len());
        for &i in self.pool {
            let example = &self.examples.examples[i];
            let place = place_of(&example.content, self.seed);
            let number = *of_first.entry(self.firsts[i]).or_insert(groups.len());
            if number == groups.len() {
                groups.push(Group { place, classes: Vec::new(), split: Split::Train, is_settled: false });
            }
            let group = &mut groups[number];
            group.place = group.place.min(place);
            match group.classes.iter_mut().find(|(class, _)| *class == example.class) {
                Some((_, images)) => *images += 1,
                None => group.classes.push((example.class, 1)),
            }
            if let Some(&known) = self.stored.and_then(|stored| stored.get(&example.content)) {
                (group.split, group.is_settled) = (known, true);
            }
            group_of.push(number);
        }
        (groups, group_of)
    }
}

/// The place in [0, 1) of an image.
fn place_of(content: &Content, seed: u64) -> f64 {
    let hash = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(content.0).finalize();
    let (word, _) = hash.split_at(8);
    let word = word.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    // 53 bits, which a float holds exactly, so that 1 is not reached.
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

/// Has a class in every split, and its largest group of equal images in training.
///
/// # Errors
/// The reason, where it has too few different images.
fn guarantee(groups: &mut [Group], class: usize, drawn: &[Split]) -> Result<(), String> {
    let images = |group: &Group| group.classes.iter().find(|(of, _)| *of == class).map_or(0, |(_, images)| *images);
    let of_class: Vec<usize> = (0..groups.len()).filter(|&i| images(&groups[i]) > 0).collect();
    let all: usize = of_class.iter().map(|&i| images(&groups[i])).sum();
    if all > 0 && of_class.len() <= drawn.len() {
        let found = match of_class.len() {
            distinct if distinct == all => count(all, "image"),
            1 => format!("{all} images, all equal"),
            distinct => format!("{all} images, of which only {distinct} are different"),
        };
        let splits = if drawn.len() == 1 { "split is" } else { "splits are" };
        return Err(format!(
            "{found}; at least {} different ones are needed, since {} {splits} drawn from them",
            drawn.len() + 1,
            drawn.len()
        ));
    }
    // Of equally large groups one that is in training anyway.
    let largest = of_class.iter().copied().max_by(|&a, &b| {
        let rank = |i: usize| (images(&groups[i]), groups[i].split == Split::Train);
        rank(a).cmp(&rank(b)).then(groups[b].place.total_cmp(&groups[a].place))
    });
    if let Some(largest) = largest.filter(|&i| images(&groups[i]) > 1) {
        (groups[largest].split, groups[largest].is_settled) = (Split::Train, true);
    }
    for &split in [Split::Train].iter().chain(drawn) {
        let in_split = |groups: &[Group], split| of_class.iter().filter(|&&i| groups[i].split == split).count();
        if in_split(groups, split) > 0 {
            continue;
        }
        let middle = match split {
            Split::Test => (TEST.start + TEST.end) / 2.0,
            Split::Valid => (VALID.start + VALID.end) / 2.0,
            Split::Train => 1.0,
        };
        let distance = |i: &usize| (groups[*i].place - middle).abs();
        let nearest = of_class
            .iter()
            .copied()
            .filter(|&i| !groups[i].is_settled && in_split(groups, groups[i].split) > 1)
            // One that other classes share only where there is no other.
            .min_by(|a, b| {
                let shared = |i: &usize| groups[*i].classes.len() > 1;
                shared(a).cmp(&shared(b)).then(distance(a).total_cmp(&distance(b)))
            });
        if let Some(nearest) = nearest {
            (groups[nearest].split, groups[nearest].is_settled) = (split, true);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::data_set::ImageShape;
    use crate::own::examples::{Example, Origin};

    const BOTH: [Split; 2] = [Split::Valid, Split::Test];

    /// Images of a number and a class each.
    fn examples(images: &[(u32, usize)]) -> Examples {
        let classes = images.iter().map(|image| image.1 + 1).max().unwrap_or(0);
        let example = |&(number, class): &(u32, usize)| Example {
            origin: Origin::File(PathBuf::new()),
            class,
            split: None,
            content: Content::of([1, 1, 4], &number.to_le_bytes()),
        };
        Examples {
            shape: ImageShape { channels: 1, height: 1, width: 4 },
            pixels: images.iter().flat_map(|image| image.0.to_le_bytes()).collect(),
            examples: images.iter().map(example).collect(),
            class_names: (0..classes).map(|class| format!("class{class}")).collect(),
        }
    }

    /// The split of each image, by its number, and what is said.
    fn drawn(images: &[(u32, usize)], stored: Option<&HashMap<Content, Split>>) -> (HashMap<u32, Split>, Findings) {
        let examples = examples(images);
        let first = |number: u32| images.iter().position(|image| image.0 == number);
        let firsts: Vec<usize> = images.iter().filter_map(|image| first(image.0)).collect();
        let pool: Vec<usize> = (0..images.len()).collect();
        let drawing = Drawing { examples: &examples, firsts: &firsts, pool: &pool, drawn: &BOTH, stored, seed: 7 };
        let mut findings = Findings::default();
        let splits = drawing.draw(Path::new("mine"), &mut findings);
        let mut of_number = HashMap::new();
        for (i, split) in splits {
            let before = of_number.insert(images[i].0, split);
            assert!(before.is_none_or(|before| before == split), "equal images in two splits");
        }
        (of_number, findings)
    }

    #[test]
    fn the_largest_group_of_equal_images_is_trained_on() {
        let mut images: Vec<(u32, usize)> = (0..42).map(|number| (number, 0)).collect();
        images.extend([(1_000, 1); 40]);
        images.extend([(1_001, 1), (1_002, 1)]);
        let (splits, findings) = drawn(&images, None);
        assert!(findings.is_sound());
        assert_eq!(splits[&1_000], Split::Train);
        assert_ne!(splits[&1_001], splits[&1_002]);
        assert!(![splits[&1_001], splits[&1_002]].contains(&Split::Train));
    }

    #[test]
    fn classes_with_too_few_different_images_are_told() {
        let images = [vec![(1, 0), (2, 0)], vec![(3, 1); 20], [vec![(4, 2); 20], vec![(5, 2)]].concat()].concat();
        let said: Vec<String> = drawn(&images, None).1.problems.iter().map(ToString::to_string).collect();
        let needed = "; at least 3 different ones are needed, since 2 splits are drawn from them";
        assert_eq!(
            said,
            [
                format!("mine: class class0: 2 images{needed}"),
                format!("mine: class class1: 20 images, all equal{needed}"),
                format!("mine: class class2: 21 images, of which only 2 are different{needed}"),
            ]
        );
    }

    #[test]
    fn what_was_stored_holds() {
        let images: Vec<(u32, usize)> = (0..60).map(|number| (number, (number % 2) as usize)).collect();
        let content = |number: u32| Content::of([1, 1, 4], &number.to_le_bytes());
        let stored: HashMap<Content, Split> =
            (0..60).map(|number| (content(number), BOTH[number as usize / 2 % 2])).collect();
        let (splits, _) = drawn(&images, Some(&stored));
        assert!((0..60).all(|number| splits[&number] == stored[&content(number)]));
    }

    #[test]
    fn the_draw_never_changes() {
        let images: Vec<(u32, usize)> = (0..20).map(|number| (number, 0)).collect();
        let (splits, _) = drawn(&images, None);
        let of = |split| (0..20).filter(|number| splits[number] == split).collect::<Vec<u32>>();
        assert_eq!((of(Split::Valid), of(Split::Test)), (FROZEN_VALID.to_vec(), FROZEN_TEST.to_vec()));
    }
    const FROZEN_VALID: [u32; 2] = [5, 12];
    const FROZEN_TEST: [u32; 2] = [16, 19];

    proptest! {
        #[test]
        fn every_class_is_in_every_split_and_an_added_image_moves_no_other(
            sizes in prop::collection::vec(3_u32..150, 1..4), added in 10_000_u32..20_000, class: prop::sample::Index,
        ) {
            let mut images: Vec<(u32, usize)> = Vec::new();
            for (class, &size) in sizes.iter().enumerate() {
                images.extend((0..size).map(|number| (1_000 * class as u32 + number, class)));
            }
            let (before, findings) = drawn(&images, None);
            prop_assert!(findings.is_sound());
            for class in 0..sizes.len() {
                for split in Split::ALL {
                    prop_assert!(images.iter().any(|&(number, of)| of == class && before[&number] == split));
                }
            }
            images.push((added, class.index(sizes.len())));
            let (after, _) = drawn(&images, None);
            let moved: Vec<u32> = before.keys().filter(|number| before[number] != after[number]).copied().collect();
            // Only in a class of which one had been taken from its place, as small ones are.
            let natural = |number: u32| {
                let place = place_of(&Content::of([1, 1, 4], &number.to_le_bytes()), 7);
                BOTH.into_iter()
                    .find(|split| if *split == Split::Test { &TEST } else { &VALID }.contains(&place))
                    .unwrap_or(Split::Train)
            };
            let class = class.index(sizes.len());
            let is_in_place = |&&(number, of): &&(u32, usize)| of != class || number == added || before[&number] == natural(number);
            let needed = images.iter().any(|image| !is_in_place(&image));
            prop_assert!(moved.is_empty() || needed && moved.len() <= 2 && sizes[class] < 60, "{moved:?} of {sizes:?}");
        }
    }
}
