//! Arrays of NumPy: `.npz` archives, `.npy` files. What an array is, its name says (`array_names`).

use std::fs;
use std::path::Path;

use super::array_file::{ArrayFile, Named, dimensions};
use super::array_names::{Role, role_of};
use super::csv_columns::shape_of_count;
use super::examples::{Classes, Content, Example, Examples, Origin, Split};
use super::findings::Findings;
use super::pixel_values::{Scale, ValueRange, decide};
use super::reading::Reading;
use super::{first_few, reason_of};
use crate::data_set::ImageShape;
use crate::image_file::planes;
use crate::resize::ImageSize;

/// Most images of an array: a few kilobytes of an archive can unpack to many more, of a pixel each.
const MOST_IMAGES: u64 = 5_000_000;

/// Reads an `.npz` archive.
pub(super) fn read_archive(
    path: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    match ArrayFile::open_all(path) {
        Ok(arrays) => read_named(path, arrays, size, reading, findings),
        Err(reason) => {
            findings.problem(path, reason);
            None
        }
    }
}

/// Reads all `.npy` files of a folder.
pub(super) fn read_folder(
    folder: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    let arrays = arrays_in(folder, findings, &|_| true);
    read_named(folder, arrays, size, reading, findings)
}

/// Reads an `.npy` file of images, with its labels and, where its name is of a split, the other splits beside it.
pub(super) fn read_file(
    path: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut arrays = match role_of(&stem) {
        Some((Role::Labels | Role::ClassNames, _)) => {
            findings.problem(path, "an array of labels: name the array of images");
            return None;
        }
        Some((Role::Images, Some(_))) => {
            let of_a_split =
                |name: &str| role_of(name).is_some_and(|(role, split)| split.is_some() || role == Role::ClassNames);
            arrays_in(folder, findings, &of_a_split)
        }
        Some((Role::Images, None)) | None => {
            let mut arrays = vec![Named::file("images".to_owned(), path)];
            let own = ["_labels", "-labels", "_y"].map(|suffix| format!("{stem}{suffix}"));
            let mut beside = arrays_in(folder, findings, &|name| {
                own.iter().any(|own| own == name)
                    || matches!(role_of(name), Some((Role::Labels | Role::ClassNames, None)))
            });
            // Labels that bear this array's name come before others.
            if let Some(at) = beside.iter().position(|array| own.contains(&array.name)) {
                let labels = beside.swap_remove(at);
                beside.retain(|array| !matches!(role_of(&array.name), Some((Role::Labels, _))));
                arrays.push(Named { name: "labels".to_owned(), ..labels });
            }
            arrays.extend(beside);
            arrays
        }
    };
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    read_named(path, arrays, size, reading, findings)
}

/// The arrays in `folder` whose names, without `.npy`, are `wanted`, sorted by name.
fn arrays_in(folder: &Path, findings: &mut Findings, wanted: &dyn Fn(&str) -> bool) -> Vec<Named> {
    // Of a file in the working folder the folder's name is empty.
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error) => {
            findings.problem(folder, reason_of(&error));
            return Vec::new();
        }
    };
    let mut arrays: Vec<Named> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let stem = name.strip_suffix(".npy").filter(|stem| wanted(stem))?;
            Some(Named::file(stem.to_owned(), &folder.join(&name)))
        })
        .collect();
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    arrays
}

/// Images and labels of one split.
struct Part {
    split: Option<Split>,
    images: Images,
    labels: Vec<String>,
}

/// Reads arrays by their names; `root` is what messages about all of them name.
fn read_named(
    root: &Path,
    arrays: Vec<Named>,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    // An array with something wrong is known all the same, so that nothing is said to be missing.
    let mut known: Vec<(Role, Option<Split>, Option<ArrayFile>)> = Vec::new();
    let mut others = Vec::new();
    for Named { name, place, array } in arrays {
        match role_of(&name) {
            Some((role, split)) => {
                known.push((role, split, array.map_err(|reason| findings.problem(&place, reason)).ok()));
            }
            None => others.push(name),
        }
    }
    let mut take = |wanted, split| {
        let at = known.iter().position(|(role, of, _)| *role == wanted && *of == split)?;
        Some(known.remove(at).2)
    };
    let mut parts = Vec::new();
    let mut found = false;
    // Arrays without a split count only where there are none with one.
    for split in Split::ALL.map(Some).into_iter().chain([None]) {
        if split.is_none() && found {
            break;
        }
        match (take(Role::Images, split), take(Role::Labels, split)) {
            (Some(images), Some(labels)) => {
                parts.extend(
                    images.zip(labels).and_then(|(images, labels)| read_part(split, images, &labels, findings)),
                );
                found = true;
            }
            (Some(images), None) => {
                let name = images.map_or_else(|| "the images".into(), |images| images.name);
                findings
                    .problem(root, format!("there are no labels for {name}: expected an array y or labels beside it"));
                found = true;
            }
            (None, Some(labels)) => {
                let name = labels.map_or_else(|| "the labels".into(), |labels| labels.name);
                findings.problem(root, format!("there are no images for {name}"));
                found = true;
            }
            (None, None) => {}
        }
    }
    let class_names = take(Role::ClassNames, None).flatten();
    others.extend(known.into_iter().filter_map(|(_, _, array)| Some(array?.name.to_string())));
    if !found {
        let found = if others.is_empty() { "none".to_owned() } else { first_few(&others) };
        findings.problem(
            root,
            format!("expected arrays x and y, images and labels, or x_train, y_train, …, found {found}"),
        );
    }
    if parts.is_empty() {
        return None;
    }
    if !others.is_empty() {
        findings.warning(format!("arrays left out, their names being unknown: {}", first_few(&others)));
    }
    let names = class_names.and_then(|array| {
        let names = array.texts();
        names.map_err(|reason| findings.problem(&array.place, reason)).ok()
    });
    put_together(root, parts, names, size, reading, findings)
}

fn read_part(split: Option<Split>, images: ArrayFile, labels: &ArrayFile, findings: &mut Findings) -> Option<Part> {
    let place = images.place.clone();
    let images = Images::of(images).map_err(|reason| findings.problem(&place, reason)).ok();
    let n = match labels.shape.as_slice() {
        [n] | [n, 1] | [1, n] => *n,
        shape => {
            let hint = match shape {
                [_, classes] if *classes > 1 => "; one-hot labels become numbers by y.argmax(axis=1)",
                _ => "",
            };
            let found = dimensions(shape);
            findings.problem(&labels.place, format!("expected one label an image (N or Nx1), found {found}{hint}"));
            return None;
        }
    };
    let images = images?;
    if n != images.count() {
        let images_last = images.array.shape.len() == 3 && images.array.shape[2] == n;
        let images = images.count();
        let hint = images_last.then_some("; if the images stand last, x.transpose(2, 0, 1) puts them first");
        findings.problem(
            &labels.place,
            format!("expected a label for each of {images} images, found {n} labels{}", hint.unwrap_or_default()),
        );
        return None;
    }
    let labels = labels.texts().map_err(|reason| findings.problem(&labels.place, reason)).ok()?;
    Some(Part { split, images, labels })
}

/// Fewest values of an image that has no rows and columns.
const FEWEST_FLAT: u64 = 16;

/// The side of a grey square of so many values.
fn square(values: u64) -> Option<u64> {
    let shape = shape_of_count(usize::try_from(values).ok()?)?;
    (shape.channels == 1).then_some(shape.height as u64)
}

/// What to do about dimensions that are not those of images.
fn shape_hint(shape: &[u64]) -> &'static str {
    match shape {
        [_, values] if usize::try_from(*values).is_ok_and(|values| shape_of_count(values).is_some()) => {
            "; give flat colour images their shape by x.reshape(N, H, W, 3), or x.reshape(N, 3, H, W) where each colour is a plane"
        }
        [_, _, _, 4] => "; leave out transparency by x[..., :3]",
        [_, 4, _, _] => "; leave out transparency by x[:, :3]",
        [_, 1, _, _, _] => "; leave out the second dimension by x[:, 0]",
        [_, _] | [_] => "; give flat images their shape by x.reshape(N, H, W)",
        _ => "",
    }
}

/// An array of images.
struct Images {
    array: ArrayFile,
    shape: ImageShape,
    channels_last: bool,
}

impl Images {
    fn of(array: ArrayFile) -> Result<Self, String> {
        let (channels, height, width, channels_last) = match *array.shape.as_slice() {
            [_, height, width] => (1, height, width, true),
            [_, height, width, channels @ (1 | 3)] => (channels, height, width, true),
            [_, channels @ (1 | 3), height, width] => (channels, height, width, false),
            [_, values] if values >= FEWEST_FLAT && square(values).is_some() => {
                let side = square(values).unwrap_or_default();
                (1, side, side, true)
            }
            _ => {
                return Err(format!(
                    "expected NxHxW, NxHxWxC or NxCxHxW with 1 or 3 channels, found {}{}",
                    dimensions(&array.shape),
                    shape_hint(&array.shape)
                ));
            }
        };
        let [channels, height, width] =
            [channels, height, width].map(|side| usize::try_from(side).unwrap_or(usize::MAX));
        if array.is_text() {
            return Err("expected numbers, found texts".to_owned());
        }
        if array.shape.contains(&0) {
            return Err(format!("expected images, found none ({})", dimensions(&array.shape)));
        }
        if array.shape[0] > MOST_IMAGES {
            return Err(format!("expected at most {MOST_IMAGES} images, found {}", dimensions(&array.shape)));
        }
        Ok(Self { array, shape: ImageShape { channels, height, width }, channels_last })
    }

    fn count(&self) -> u64 {
        self.array.shape[0]
    }

    /// Looks at every number.
    fn see(&self, range: &mut ValueRange) -> Result<(), String> {
        let size = self.shape.pixels() as u64;
        let mut at = 0;
        self.array.for_each_number(|number| {
            if !range.see(number) {
                let place = if self.array.is_fortran { at % self.count() } else { at / size };
                return Err(format!("image {place}: expected finite numbers, found {number}"));
            }
            at += 1;
            Ok(())
        })
    }

    /// All pixels, NCHW, are added to `to`.
    fn read(&self, scale: Scale, to: &mut Vec<u8>) -> Result<(), String> {
        let mut bytes = Vec::new();
        let size = self.shape.pixels();
        if self.array.is_fortran {
            self.array.for_each_number(|number| {
                bytes.push(scale.byte(number));
                Ok(())
            })?;
            for image in first_dimension_slowest(&bytes, &self.array.shape).chunks_exact(size) {
                self.add(image, to);
            }
            return Ok(());
        }
        self.array.for_each_number(|number| {
            bytes.push(scale.byte(number));
            if bytes.len() == size {
                self.add(&bytes, to);
                bytes.clear();
            }
            Ok(())
        })
    }

    fn add(&self, image: &[u8], to: &mut Vec<u8>) {
        if self.channels_last && self.shape.channels > 1 {
            to.extend(planes(image, self.shape.channels));
        } else {
            to.extend_from_slice(image);
        }
    }
}

/// An array in which the first dimension runs fastest, so that it runs slowest.
fn first_dimension_slowest(bytes: &[u8], shape: &[u64]) -> Vec<u8> {
    let shape: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
    // Steps in the result from one element to the next along each dimension.
    let steps: Vec<usize> = (0..shape.len()).map(|dimension| shape[dimension + 1..].iter().product()).collect();
    let mut result = vec![0; bytes.len()];
    let mut place = vec![0; shape.len()];
    let mut at = 0;
    for &byte in bytes {
        result[at] = byte;
        for dimension in 0..shape.len() {
            place[dimension] += 1;
            at += steps[dimension];
            if place[dimension] < shape[dimension] {
                break;
            }
            at -= steps[dimension] * shape[dimension];
            place[dimension] = 0;
        }
    }
    result
}

fn put_together(
    root: &Path,
    parts: Vec<Part>,
    names: Option<Vec<String>>,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    let mut ranges = Vec::new();
    let shape = parts[0].images.shape;
    for part in &parts {
        let mut range = ValueRange::new();
        let path = part.images.array.place.clone();
        if part.images.shape != shape {
            let first = &parts[0].images.array.name;
            findings.problem(&path, format!("expected images of {shape} as in {first}, found {}", part.images.shape));
        }
        if let Err(reason) = part.images.see(&mut range) {
            findings.problem(&path, reason);
        }
        ranges.push((part.images.array.name.to_string(), range));
    }
    let mut classes = Classes::default();
    let mut examples = Vec::new();
    for Part { split, images, labels } in &parts {
        for (i, label) in labels.iter().enumerate() {
            let class = classes.number(label);
            let origin = Origin::Element(images.array.name.clone(), i as u64);
            examples.push(Example { origin, class, split: *split, content: Content::default() });
        }
    }
    let mut class_names = classes.into_sorted_names(&mut examples, !reading.rules.are_first(), findings);
    if let Some(names) = names {
        name_classes(root, &mut class_names, &names, findings);
    }
    if !findings.is_sound() {
        return None;
    }
    let decided = decide(&ranges, reading.rules.are_first());
    let (scale, summary) = decided.map_err(|reason| findings.problem(root, reason)).ok()?;
    findings.pixels = Some(summary);
    let mut pixels = Vec::new();
    for part in &parts {
        if let Err(reason) = part.images.read(scale, &mut pixels) {
            findings.problem(&part.images.array.place, reason);
            return None;
        }
    }
    Examples { shape, pixels, examples, class_names }.with_chosen_shape(root, size, findings)
}

/// Replaces labels that are numbers from 0 by the names given for them.
fn name_classes(root: &Path, class_names: &mut [String], names: &[String], findings: &mut Findings) {
    for label in class_names {
        match label.parse::<usize>().ok().and_then(|number| names.get(number)) {
            Some(name) => label.clone_from(name),
            None => {
                findings.problem(root, format!("label {label} has no name among the {} class names", names.len()));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_first_becomes_rows_first() {
        // numpy.arange(6).reshape(1, 2, 3).flatten(order="F") = 0 3 1 4 2 5
        assert_eq!(first_dimension_slowest(&[0, 3, 1, 4, 2, 5], &[1, 2, 3]), [0, 1, 2, 3, 4, 5]);
        // numpy.arange(8).reshape(2, 2, 2).flatten(order="F")
        assert_eq!(first_dimension_slowest(&[0, 4, 2, 6, 1, 5, 3, 7], &[2, 2, 2]), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
