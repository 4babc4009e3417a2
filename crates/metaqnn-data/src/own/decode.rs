//! Many image files at once, made one size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::examples::{Classes, Example, Examples, Origin, Split, warn_of_resizing};
use super::findings::Findings;
use super::image_folder::within;
use crate::data_set::ImageShape;
use crate::image_file::{DecodedImage, with_channels};
use crate::resize::ImageSize;

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
    findings: &mut Findings,
) -> Option<Examples> {
    let size = match size {
        Some(size) => size,
        None => choose_size(&files, findings)?,
    };
    let decoded: Vec<Result<(usize, Vec<u8>), String>> = in_parallel(&files, |file| {
        let image = DecodedImage::read(&file.path)?;
        Ok((image.channels(), image.resized(size)?))
    });
    let channels = decoded.iter().flatten().map(|(channels, _)| *channels).max()?;
    let shape = ImageShape { channels, height: size.height(), width: size.width() };
    let mut pixels = Vec::with_capacity(files.len() * shape.pixels());
    let mut examples = Vec::with_capacity(files.len());
    for (file, image) in files.into_iter().zip(decoded) {
        match image {
            Ok((own_channels, image)) => {
                pixels.extend_from_slice(&with_channels(image, own_channels, channels));
                let origin = match file.named_in {
                    Some((table, line)) => Origin::Row(table, line),
                    None => Origin::File(within(root, &file.path).to_owned()),
                };
                examples.push(Example { origin, class: file.class, split: file.split });
            }
            Err(reason) => {
                let named = file.named_in.map(|(table, line)| format!(" (named in line {line} of {table})"));
                let named = named.unwrap_or_default();
                findings.problem(&file.path, format!("{reason}{named}"));
            }
        }
    }
    let class_names = classes.into_sorted_names(&mut examples);
    Some(Examples { shape, pixels, examples, class_names })
}

/// The size for `files`. One whose size cannot be told is left to be a problem when it is decoded; if that is so of all, this is
/// where it is told.
fn choose_size(files: &[ListedFile], findings: &mut Findings) -> Option<ImageSize> {
    let sizes = in_parallel(files, |file| DecodedImage::read_size(&file.path));
    let known: Vec<(usize, usize)> = sizes.iter().flatten().copied().collect();
    let Some(size) = ImageSize::chosen_for(&known) else {
        for (file, size) in files.iter().zip(sizes) {
            if let Err(reason) = size {
                findings.problem(&file.path, reason);
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
