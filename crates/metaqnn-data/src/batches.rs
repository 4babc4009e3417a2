//! Batches of normalized images, made as they are needed from the bytes in memory.

use rand::Rng;

use crate::augment::{Augmentation, Showing};
use crate::data_set::LabelledImages;
use crate::normalize::Normalizer;
use crate::split::shuffle;

/// Fills `out` and `labels` with the images `indices`, normalized and, if so wished, augmented as in the pass of that number. Both vectors
/// are resized to fit, so that passing them again reuses their memory. Without augmentation nothing is drawn from `rng`.
///
/// # Shapes
/// `out` has dimensions NCHW with N = `indices.len()`, `labels` has N.
///
/// # Panics
/// If an index is out of range, or the normalizer is for images of another shape.
pub fn fill_batch<R: Rng + ?Sized>(
    images: &LabelledImages,
    normalizer: &Normalizer,
    augmentation: Option<(&Augmentation, u32)>,
    indices: &[usize],
    rng: &mut R,
    out: &mut Vec<f32>,
    labels: &mut Vec<i32>,
) {
    let size = images.shape.pixels();
    out.resize(indices.len() * size, 0.0);
    labels.clear();
    labels.extend(indices.iter().map(|&i| i32::from(images.labels[i])));
    let batch = indices.iter().zip(out.chunks_exact_mut(size.max(1)));
    match augmentation.filter(|(augmentation, _)| !augmentation.is_none()) {
        None => batch.for_each(|(&i, out)| normalizer.apply(images.image(i), out)),
        Some((augmentation, pass)) => {
            let mut normalized = vec![0.0; size];
            for (&i, out) in batch {
                normalizer.apply(images.image(i), &mut normalized);
                augmentation.apply(images.shape, &normalized, out, Showing { image: i, pass }, rng);
            }
        }
    }
}

/// One batch, borrowed from the buffers of [`Batches`].
#[derive(Debug)]
pub struct Batch<'a> {
    /// Normalized images, NCHW.
    pub images: &'a [f32],
    /// The class of each.
    pub labels: &'a [i32],
}

/// One pass after another over images, batch by batch, through buffers that are made once.
///
/// The last batch of a pass is smaller where the batch size does not divide the number of images.
///
/// ```
/// use metaqnn_data::{Batches, DataSource, Normalizer, Preprocessing, SplitSettings, load};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
///
/// let digits = load(&DataSource::Digits, "unused".as_ref(), &SplitSettings::default())?;
/// let normalizer = Normalizer::fit(Preprocessing::Standardize, &digits.train, digits.max_value);
/// let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let mut batches = Batches::new(&digits.train, &normalizer, None, 128);
/// batches.start_shuffled(0, &mut rng);
/// let mut images = 0;
/// while let Some(batch) = batches.next_batch(&mut rng) {
///     images += batch.labels.len();
/// }
/// assert_eq!(images, digits.train.len());
/// # Ok::<(), metaqnn_data::DataError>(())
/// ```
#[derive(Debug)]
pub struct Batches<'a> {
    images: &'a LabelledImages,
    normalizer: &'a Normalizer,
    augmentation: Option<Augmentation>,
    batch_size: usize,
    order: Vec<usize>,
    next: usize,
    pass: u32,
    out: Vec<f32>,
    labels: Vec<i32>,
}

impl<'a> Batches<'a> {
    /// Batches of `batch_size` (0 counts as 1) of `images`, ready for a pass in their order.
    #[must_use]
    pub fn new(
        images: &'a LabelledImages,
        normalizer: &'a Normalizer,
        augmentation: Option<Augmentation>,
        batch_size: usize,
    ) -> Self {
        Self {
            images,
            normalizer,
            augmentation,
            batch_size: batch_size.max(1),
            order: (0..images.len()).collect(),
            next: 0,
            pass: 0,
            out: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// How many batches one pass has.
    #[must_use]
    pub fn in_a_pass(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// Starts a pass in the order of the images.
    pub fn start_in_order(&mut self) {
        self.order.sort_unstable();
        self.next = 0;
    }

    /// Starts a pass of this number, from 0, in an order drawn from `rng` alone, whatever passes came before.
    pub fn start_shuffled<R: Rng + ?Sized>(&mut self, pass: u32, rng: &mut R) {
        self.pass = pass;
        self.order.sort_unstable();
        shuffle(&mut self.order, rng);
        self.next = 0;
    }

    /// The next batch of this pass; `None` at its end.
    pub fn next_batch<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Option<Batch<'_>> {
        let indices = &self.order[self.next..(self.next + self.batch_size).min(self.order.len())];
        if indices.is_empty() {
            return None;
        }
        self.next += indices.len();
        let augmentation = self.augmentation.as_ref().map(|augmentation| (augmentation, self.pass));
        fill_batch(self.images, self.normalizer, augmentation, indices, rng, &mut self.out, &mut self.labels);
        Some(Batch { images: &self.out, labels: &self.labels })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::data_set::ImageShape;
    use crate::normalize::Preprocessing;

    fn ten_images() -> LabelledImages {
        LabelledImages {
            shape: ImageShape { channels: 1, height: 1, width: 2 },
            pixels: (0..20).collect(),
            labels: (0..10).collect(),
        }
    }

    #[test]
    fn a_batch_is_the_normalized_images_in_the_order_asked_for() {
        let images = ten_images();
        let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut out, mut labels) = (vec![9.0; 50], vec![9; 50]);
        fill_batch(&images, &normalizer, None, &[7, 0, 7], &mut rng, &mut out, &mut labels);
        assert_eq!(labels, [7, 0, 7]);
        let mut expected = vec![0.0; 6];
        for (i, expected) in [7, 0, 7].into_iter().zip(expected.chunks_mut(2)) {
            normalizer.apply(images.image(i), expected);
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn augmentation_changes_images_but_not_labels() {
        let images = ten_images();
        let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mirror = Augmentation { mirror: true, ..Augmentation::default() };
        let (mut plain, mut out, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let indices: Vec<usize> = (0..10).collect();
        fill_batch(&images, &normalizer, None, &indices, &mut rng, &mut plain, &mut labels);
        fill_batch(&images, &normalizer, Some((&mirror, 0)), &indices, &mut rng, &mut out, &mut labels);
        assert_eq!(labels, (0..10).collect::<Vec<i32>>());
        let mut mirrored = 0;
        for (plain, out) in plain.chunks(2).zip(out.chunks(2)) {
            assert!(out == plain || out == [plain[1], plain[0]]);
            mirrored += usize::from(out != plain);
        }
        assert!((1..10).contains(&mirrored), "{mirrored} of 10 were mirrored");
    }

    #[test]
    fn a_pass_shows_every_image_once() {
        let images = ten_images();
        let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
        let mut batches = Batches::new(&images, &normalizer, None, 4);
        assert_eq!(batches.in_a_pass(), 3);
        let pass = |batches: &mut Batches<'_>, rng: &mut ChaCha8Rng| {
            let mut seen = Vec::new();
            while let Some(batch) = batches.next_batch(rng) {
                assert_eq!(batch.images.len(), 2 * batch.labels.len());
                seen.push(batch.labels.to_vec());
            }
            seen
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(pass(&mut batches, &mut rng), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
        batches.start_shuffled(0, &mut rng);
        let shuffled = pass(&mut batches, &mut rng).concat();
        assert_ne!(shuffled, (0..10).collect::<Vec<i32>>());
        batches.start_shuffled(0, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(pass(&mut batches, &mut rng).concat(), shuffled, "the order depends on the generator alone");
        batches.start_in_order();
        assert_eq!(pass(&mut batches, &mut rng).concat(), (0..10).collect::<Vec<i32>>());
    }
}
