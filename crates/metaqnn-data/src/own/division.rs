//! Examples divided into training, validation and test images.
//!
//! Where the data say which image is for what, that holds. Splits that are not given are drawn from the training images (from all,
//! where none is given), see `drawing`. Equal images stay together, so that no drawn split holds an image of another.

use std::collections::HashMap;
use std::path::Path;

use super::drawing::Drawing;
use super::examples::{Examples, MOST_CLASSES, Split};
use super::findings::Findings;
use super::image_splits::ImageSplits;
use super::{count, drawing_by_order, first_few};
use crate::data_set::{DataSet, LabelledImages};

/// A class with fewer training images is worth a warning.
const FEW: usize = 20;

/// Beside a split with brighter values one without any above 1 has another scale.
const WHITE_ENOUGH: u8 = 16;

/// A most frequent class so many times the rarest is worth a warning.
const UNEQUAL: usize = 5;

/// By what splits are drawn.
pub(super) struct Drawn<'a> {
    /// Whether by the order of the images, as the studies of older versions have them.
    pub(super) first_rules: bool,
    /// What was drawn when a study began.
    pub(super) stored: Option<&'a ImageSplits>,
    pub(super) seed: u64,
}

/// Divides `examples`, or tells why that cannot be done. `path` is the DATA argument, which also gives the data set its name. With it come the
/// splits of the images, to be stored.
pub(super) fn divide(
    examples: Examples,
    path: &Path,
    rules: &Drawn<'_>,
    findings: &mut Findings,
) -> Option<(DataSet, ImageSplits)> {
    let classes = examples.class_names.len();
    if !(2..=MOST_CLASSES).contains(&classes) {
        let names = first_few(&examples.class_names);
        let found = if classes == 0 { "none".to_owned() } else { format!("{classes} ({names})") };
        findings.problem(path, format!("expected images of 2 to {MOST_CLASSES} classes, found {found}"));
        return None;
    }
    let given = Split::ALL.map(|split| examples.examples.iter().any(|example| example.split == Some(split)));
    let is_divided = given.contains(&true);
    if is_divided && !given[0] {
        findings.problem(path, "no training images are given, only others");
        return None;
    }
    let firsts = first_equal_images(&examples);
    warn_of_two_classes(&examples, &firsts, findings);
    let drawn: Vec<Split> = [Split::Valid, Split::Test].into_iter().filter(|&split| !given[split as usize]).collect();
    let divided = draw(&examples, &firsts, &drawn, path, rules, findings);
    warn_of_duplicates(&examples, &firsts, &divided, findings);
    let counts = class_counts(&examples, &divided);
    check_classes(&examples.class_names, &counts, path, findings);
    check_scales(&examples, &divided, path, findings);
    if !findings.is_sound() {
        return None;
    }
    warn_of_few(&examples.class_names, &counts, findings);
    let images = Split::ALL.map(|split| select(&examples, &divided, split));
    let [train, valid, test] = images;
    let name = path.file_stem().filter(|_| path.is_file()).or(path.file_name());
    let name = name.map_or_else(|| "images".to_owned(), |name| name.to_string_lossy().into_owned());
    let splits = ImageSplits::of(&examples, &divided);
    Some((DataSet::own(name, examples.class_names, train, valid, test), splits))
}

fn image(examples: &Examples, i: usize) -> &[u8] {
    let size = examples.shape.pixels();
    &examples.pixels[i * size..(i + 1) * size]
}

/// For each image the first one that equals it.
fn first_equal_images(examples: &Examples) -> Vec<usize> {
    let mut seen: HashMap<&[u8], usize> = HashMap::with_capacity(examples.examples.len());
    (0..examples.examples.len()).map(|i| *seen.entry(image(examples, i)).or_insert(i)).collect()
}

/// The split of each image. `drawn` says which splits are drawn from the training images.
fn draw(
    examples: &Examples,
    firsts: &[usize],
    drawn: &[Split],
    path: &Path,
    rules: &Drawn<'_>,
    findings: &mut Findings,
) -> Vec<Split> {
    let all = &examples.examples;
    let mut divided: Vec<Split> = all.iter().map(|example| example.split.unwrap_or(Split::Train)).collect();
    if drawn.is_empty() {
        return divided;
    }
    if rules.first_rules {
        return drawing_by_order::draw(examples, firsts, divided, drawn, path, rules.seed, findings);
    }
    // Those that are given as no training images stay.
    let pool: Vec<usize> = (0..all.len()).filter(|&i| divided[i] == Split::Train).collect();
    let given: Vec<Split> = Split::ALL.into_iter().filter(|split| !drawn.contains(split)).collect();
    let stored = rules.stored.map(|stored| stored.by_content(&given));
    let drawing = Drawing { examples, firsts, pool: &pool, drawn, stored: stored.as_ref(), seed: rules.seed };
    for (i, split) in drawing.draw(path, findings) {
        divided[i] = split;
    }
    divided
}

/// Images of each class in each split.
fn class_counts(examples: &Examples, divided: &[Split]) -> Vec<[usize; 3]> {
    let mut counts = vec![[0; 3]; examples.class_names.len()];
    for (example, &split) in examples.examples.iter().zip(divided) {
        counts[example.class][split as usize] += 1;
    }
    counts
}

/// Classes that are tested or validated but never learned, and classes that only those splits lack.
fn check_classes(names: &[String], counts: &[[usize; 3]], path: &Path, findings: &mut Findings) {
    for (name, &[train, valid, test]) in names.iter().zip(counts) {
        // Where there are problems, they are why.
        if train + valid + test == 0 && findings.is_sound() {
            findings.problem(path, format!("class {name}: there is no image of it that can be read"));
        }
        if train == 0 && valid + test > 0 {
            findings.problem(
                path,
                format!(
                    "class {name}: there are no training images of it, but {} of other splits",
                    count(valid + test, "image")
                ),
            );
        }
    }
    for split in [Split::Valid, Split::Test] {
        let lacking: Vec<String> = names
            .iter()
            .zip(counts)
            .filter(|(_, counts)| counts[0] > 0 && counts[split as usize] == 0)
            .map(|(name, _)| name.clone())
            .collect();
        if !lacking.is_empty() && lacking.len() < names.len() {
            findings.warning(format!("no {} images of {}", split.adjective(), first_few(&lacking)));
        }
    }
}

/// Refuses splits of which one is nearly black beside another: its images were scaled otherwise.
fn check_scales(examples: &Examples, divided: &[Split], path: &Path, findings: &mut Findings) {
    let mut greatest = [0; 3];
    for (i, &split) in divided.iter().enumerate() {
        let of_image = image(examples, i).iter().copied().max().unwrap_or(0);
        greatest[split as usize] = greatest[split as usize].max(of_image);
    }
    let bright = Split::ALL.into_iter().find(|&split| greatest[split as usize] > WHITE_ENOUGH);
    for split in Split::ALL {
        if let (1, Some(bright)) = (greatest[split as usize], bright) {
            findings.problem(
                path,
                format!(
                    "the {} images hold values up to 1, the {} images up to {}: expected all splits in one scale",
                    split.adjective(),
                    bright.adjective(),
                    greatest[bright as usize]
                ),
            );
        }
    }
}

fn warn_of_few(names: &[String], counts: &[[usize; 3]], findings: &mut Findings) {
    let few: Vec<String> = names
        .iter()
        .zip(counts)
        .filter(|(_, counts)| counts[0] < FEW)
        .map(|(name, counts)| format!("{name} ({})", counts[0]))
        .collect();
    if !few.is_empty() {
        findings.warning(format!("fewer than {FEW} training images of {}", first_few(&few)));
    }
    let most = names.iter().zip(counts).max_by_key(|(_, counts)| counts[0]);
    let least = names.iter().zip(counts).min_by_key(|(_, counts)| counts[0]);
    if let (Some((most, most_counts)), Some((least, least_counts))) = (most, least)
        && most_counts[0] > UNEQUAL * least_counts[0]
    {
        findings.warning(format!(
            "the classes are of unequal size, from {} of {least} to {} of {most} to train on: an accuracy says little of the \
             rare ones",
            count(least_counts[0], "image"),
            most_counts[0],
        ));
    }
}

fn warn_of_two_classes(examples: &Examples, firsts: &[usize], findings: &mut Findings) {
    let all = &examples.examples;
    let pairs: Vec<String> = firsts
        .iter()
        .enumerate()
        .filter(|&(i, &first)| all[i].class != all[first].class)
        .map(|(i, &first)| format!("{} = {}", all[i].origin, all[first].origin))
        .collect();
    if !pairs.is_empty() {
        findings.warning(format!("{} given under two classes: {}", are(pairs.len(), "image"), first_few(&pairs)));
    }
}

fn warn_of_duplicates(examples: &Examples, firsts: &[usize], divided: &[Split], findings: &mut Findings) {
    for (split, other) in [(Split::Valid, Split::Train), (Split::Test, Split::Train), (Split::Test, Split::Valid)] {
        let mut in_other = vec![None; firsts.len()];
        for (i, &first) in firsts.iter().enumerate() {
            if divided[i] == other {
                in_other[first].get_or_insert(i);
            }
        }
        let pairs: Vec<String> = firsts
            .iter()
            .enumerate()
            .filter(|&(i, _)| divided[i] == split)
            .filter_map(|(i, &first)| {
                let twin = in_other[first]?;
                Some(format!("{} = {}", examples.examples[i].origin, examples.examples[twin].origin))
            })
            .collect();
        if !pairs.is_empty() {
            findings.warning(format!(
                "{} also {} images: {}",
                are(pairs.len(), &format!("{} image", split.adjective())),
                other.adjective(),
                first_few(&pairs)
            ));
        }
    }
}

/// `1 image is`, `2 images are`.
fn are(n: usize, what: &str) -> String {
    format!("{} {}", count(n, what), if n == 1 { "is" } else { "are" })
}

fn select(examples: &Examples, divided: &[Split], split: Split) -> LabelledImages {
    let mut selected = LabelledImages::empty(examples.shape);
    for (i, example) in examples.examples.iter().enumerate() {
        if divided[i] == split {
            selected.pixels.extend_from_slice(image(examples, i));
            // At most MOST_CLASSES.
            selected.labels.push(example.class as u16);
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::data_set::ImageShape;
    use crate::own::examples::{Content, Example, Origin};

    /// One-pixel images.
    fn examples(images: &[(u8, usize, Option<Split>)]) -> Examples {
        let classes = images.iter().map(|image| image.1 + 1).max().unwrap_or(0);
        Examples {
            shape: ImageShape { channels: 1, height: 1, width: 1 },
            pixels: images.iter().map(|image| image.0).collect(),
            examples: images
                .iter()
                .enumerate()
                .map(|(i, &(_, class, split))| Example {
                    origin: Origin::File(PathBuf::from(format!("{i}.png"))),
                    class,
                    split,
                    content: Content::of([1, 1, 1], &[images[i].0]),
                })
                .collect(),
            class_names: (0..classes).map(|class| format!("class{class}")).collect(),
        }
    }

    fn divided(images: &[(u8, usize, Option<Split>)], seed: u64) -> (Option<DataSet>, Findings) {
        let mut findings = Findings::default();
        let rules = Drawn { first_rules: true, stored: None, seed };
        let data = divide(examples(images), Path::new("mine"), &rules, &mut findings);
        (data.map(|(data, _)| data), findings)
    }

    #[test]
    fn equal_images_stay_together() {
        // Three distinct images of class 0, the first four times; three of class 1.
        let images: Vec<_> = [(1, 0), (1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1)]
            .map(|(value, class)| (value, class, None))
            .to_vec();
        let (data, findings) = divided(&images, 7);
        let data = data.unwrap();
        assert_eq!(data.train.len() + data.valid.len() + data.test.len(), 9);
        let holding: Vec<usize> = [&data.train, &data.valid, &data.test]
            .iter()
            .map(|images| images.pixels.iter().filter(|&&value| value == 1).count())
            .collect();
        assert!(holding.contains(&4), "{holding:?}");
        assert!(!findings.warnings.iter().any(|warning| warning.contains("also")), "{findings:?}");
    }

    #[test]
    fn what_is_given_holds_and_its_duplicates_are_told() {
        let (train, test) = (Some(Split::Train), Some(Split::Test));
        let mut images: Vec<_> = (0..40).map(|i| (i, usize::from(i % 2), train)).collect();
        images.extend([(0, 0, test), (101, 1, test)]);
        let (data, findings) = divided(&images, 7);
        let data = data.unwrap();
        assert_eq!((data.train.len(), data.valid.len(), data.test.len()), (34, 6, 2));
        assert!(
            findings
                .warnings
                .iter()
                .any(|warning| warning.ends_with("40.png = 0.png") && warning.starts_with("1 test image is also")),
            "{findings:?}"
        );
    }

    #[test]
    fn classes_that_cannot_be_divided_are_told_together() {
        let images = [
            (1, 0, None),
            (2, 0, None),
            (3, 1, None),
            (3, 1, None),
            (3, 1, None),
            (4, 2, None),
            (5, 2, None),
            (6, 2, None),
        ];
        let (data, findings) = divided(&images, 7);
        assert!(data.is_none());
        let said: Vec<String> = findings.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "mine: class class0: 2 images that no other equals; at least 3 are needed, since 2 splits are drawn from them",
                "mine: class class1: 1 image that no other equals; at least 3 are needed, since 2 splits are drawn from them",
            ]
        );
    }

    #[test]
    fn an_image_under_two_classes_is_told() {
        let mut images: Vec<_> = (0..40).map(|i| (i, usize::from(i % 2), None)).collect();
        images[7].0 = 2;
        let (data, findings) = divided(&images, 7);
        assert_eq!(data.unwrap().train.len(), 28);
        assert!(
            findings.warnings.contains(&"1 image is given under two classes: 7.png = 2.png".to_owned()),
            "{findings:?}"
        );
    }

    #[test]
    fn a_split_of_another_scale_is_refused() {
        let given = |value, i: usize, split| (value, i % 2, Some(split));
        let mut images: Vec<_> = (0..40).map(|i| given(100 + i as u8, i, Split::Train)).collect();
        images.extend((0..4).map(|i| given(i as u8 / 2, i, Split::Test)));
        let mut findings = Findings::default();
        let rules = Drawn { first_rules: false, stored: None, seed: 7 };
        assert!(divide(examples(&images), Path::new("mine"), &rules, &mut findings).is_none());
        assert_eq!(
            findings.problems[0].to_string(),
            "mine: the test images hold values up to 1, the training images up to 139: expected all splits in one scale"
        );
    }

    proptest! {
        #[test]
        fn drawn_splits_are_stratified_and_repeat(sizes in prop::collection::vec(3_usize..120, 2..5), seed: u64) {
            let mut images = Vec::new();
            for (class, &size) in sizes.iter().enumerate() {
                // Distinct within a class; those of two classes may be equal.
                images.extend((0..size).map(|i| (i as u8, class, None)));
            }
            let mut whole = examples(&images);
            // Two bytes each, so that all are distinct.
            whole.shape.width = 2;
            whole.pixels = images.iter().flat_map(|&(value, class, _)| [value, class as u8]).collect();
            let mut findings = Findings::default();
            let rules = Drawn { first_rules: true, stored: None, seed };
            let (data, _) = divide(whole, Path::new("mine"), &rules, &mut findings).unwrap();
            for (class, &size) in sizes.iter().enumerate() {
                let counts = [&data.train, &data.valid, &data.test].map(|images| images.class_counts(sizes.len())[class]);
                let wanted = ((size as f64 * drawing_by_order::SHARE).round() as usize).max(1);
                prop_assert_eq!(counts, [size - 2 * wanted, wanted, wanted]);
            }
        }
    }
}
