//! Many image files at once, made one size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::examples::{Classes, Content, Example, Examples, Origin, Split, warn_of_resizing};
use super::findings::Findings;
use super::image_folder::within;
use super::pixel_values::PixelSummary;
use super::reading::Reading;
use crate::data_set::ImageShape;
use crate::image_file::{DecodedImage, with_channels};
use crate::resize::ImageSize;

/// Images of 16 bits of which no more levels are left are refused …
const FEWEST_LEVELS: usize = 16;
/// … and those with no more than these warned of.
const FEW_LEVELS: usize = 64;

/// A file to decode.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    pub(super) path: PathBuf,
    /// The table that names it, and in which line.
    pub(super) named_in: Option<(Arc<str>, u64)>,
    pub(super) class: usize,
    pub(super) split: Option<Split>,
}

/// Decodes `files`, in their order. Those that cannot be are problems. Messages name files below `root`.
pub(super) fn decode(
    root: &Path,
    files: Vec<ListedFile>,
    classes: Classes,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    let are_values = files.iter().any(|file| file.named_in.is_some()) && !reading.rules.are_first();
    let size = match size {
        Some(size) => size,
        None => choose_size(&files, findings)?,
    };
    let decoded: Vec<Result<Decoded, String>> = in_parallel(&files, |file| Decoded::read(&file.path, size));
    let channels = decoded.iter().flatten().map(|image| image.channels).max();
    if let Some(words) = decoded.iter().flatten().filter_map(|image| image.greatest_word).max() {
        judge_words(root, words, reading, findings);
    }
    findings.pixels = summary(decoded.iter().flatten());
    // Without a single image only what is wrong is left to be told.
    let channels = channels.unwrap_or(1);
    let shape = ImageShape { channels, height: size.height(), width: size.width() };
    let mut pixels = Vec::with_capacity(files.len() * shape.pixels());
    let mut examples = Vec::with_capacity(files.len());
    for (file, image) in files.into_iter().zip(decoded) {
        match image {
            Ok(image) => {
                pixels.extend_from_slice(&with_channels(image.pixels, image.channels, channels));
                let origin = match file.named_in {
                    Some((table, line)) => Origin::Row(table, line),
                    None => Origin::File(within(root, &file.path).to_owned()),
                };
                examples.push(Example { origin, class: file.class, split: file.split, content: image.content });
            }
            Err(reason) => {
                let named = file.named_in.map(|(table, line)| format!(" (named in line {line} of {table})"));
                let named = named.unwrap_or_default();
                findings.bad(&file.path, format!("{reason}{named}"));
            }
        }
    }
    let class_names = classes.into_sorted_names(&mut examples, are_values, findings);
    Some(Examples { shape, pixels, examples, class_names })
}

/// An image at the size of the data set.
struct Decoded {
    channels: usize,
    /// CHW.
    pixels: Vec<u8>,
    content: Content,
    /// Of an image of 16 bits the greatest value.
    greatest_word: Option<u16>,
    /// Which bytes it held before it was resized.
    levels: [bool; 256],
}

impl Decoded {
    fn read(path: &Path, size: ImageSize) -> Result<Self, String> {
        let image = DecodedImage::read(path)?;
        let (dimensions, values) = image.values();
        let mut levels = [false; 256];
        values.iter().for_each(|&value| levels[usize::from(value)] = true);
        Ok(Self {
            channels: image.channels(),
            pixels: image.resized(size)?,
            content: Content::of(dimensions, values),
            greatest_word: image.greatest_word(),
            levels,
        })
    }
}

/// In what numbers the images are stored.
fn summary<'a>(images: impl Iterator<Item = &'a Decoded>) -> Option<PixelSummary> {
    let (mut levels, mut words) = ([false; 256], false);
    for image in images {
        levels.iter_mut().zip(image.levels).for_each(|(seen, of_image)| *seen |= of_image);
        words |= image.greatest_word.is_some();
    }
    let count = levels.iter().filter(|&&seen| seen).count();
    Some(PixelSummary {
        least: levels.iter().position(|&seen| seen)? as f64,
        greatest: levels.iter().rposition(|&seen| seen)? as f64,
        stored_levels: Some(count),
        levels: Some(count),
        decision: if words { "images of 16 bits divided by 257" } else { "taken as they are" }.to_owned(),
    })
}

/// Judges images of 16 bits whose greatest value is `greatest`: each is divided by 257, there as when a model is asked about one, so
/// those of a camera of fewer bits would be nearly black.
fn judge_words(root: &Path, greatest: u16, reading: &Reading, findings: &mut Findings) {
    let levels = usize::from(greatest / 257) + 1;
    if reading.rules.are_first() || levels > FEW_LEVELS {
        return;
    }
    let text = format!(
        "the images of 16 bits hold values up to {greatest} only, and keep {} divided by 257: multiply them by {} (for \
         example with ImageMagick's `mogrify -evaluate multiply`), or save them with 8 bits",
        super::count(levels, "level"),
        u16::MAX / greatest.max(1)
    );
    if levels > FEWEST_LEVELS {
        findings.warning(text);
    } else {
        findings.problem(root, text);
    }
}

/// The size for `files`. One whose size cannot be told is left to be a problem when it is decoded; if that is so of all, this is
/// where it is told.
fn choose_size(files: &[ListedFile], findings: &mut Findings) -> Option<ImageSize> {
    let sizes = in_parallel(files, |file| DecodedImage::read_size(&file.path));
    let known: Vec<(usize, usize)> = sizes.iter().flatten().copied().collect();
    let Some(size) = ImageSize::chosen_for(&known) else {
        for (file, size) in files.iter().zip(sizes) {
            if let Err(reason) = size {
                findings.bad(&file.path, reason);
            }
        }
        return None;
    };
    warn_of_resizing(&known, size, findings);
    Some(size)
}

/// `work` on each of `items`, in their order, on as many threads as the process has for its work.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    items.par_iter().map(work).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order() {
        let items: Vec<usize> = (0..1_000).collect();
        assert_eq!(in_parallel(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(in_parallel(&[] as &[usize], |item| *item).is_empty());
    }
}
