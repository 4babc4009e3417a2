//! From stored bytes to the numbers a network sees.
//!
//! A [`Normalizer`] is fitted on the training images once and applied to each image of a batch, so it lies in the
//! inner loop of training: the two kinds with statistics of the training set are one multiplication and addition a
//! pixel. It travels with the trained model, whose weights mean nothing without it.

use serde::{Deserialize, Serialize};

use crate::data_set::{ImageShape, LabelledImages};
use crate::source::DataSource;

/// The kinds of preprocessing, all on pixels scaled to [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preprocessing {
    /// Each channel minus its mean over the training set, divided by its standard deviation there (by 1 where that
    /// is 0).
    Standardize,
    /// Minus the mean image of the training set.
    MeanImage,
    /// Each image minus its own mean, divided by the greater of its own standard deviation and 0.001.
    GlobalContrast,
    /// Each channel of an image minus its local mean (Gaussian window of 7×7, σ = 1), divided by the greater of the
    /// local standard deviation and the mean of that over the image.
    ///
    /// The local standard deviation is the root of the Gaussian mean of the squares of what is left after the local
    /// means are subtracted (Jarrett et al., "What is the Best Multi-Stage Architecture for Object Recognition?",
    /// ICCV 2009, section 3). At the border the window is cut to the image and its weights again sum to 1.
    LocalContrast,
}

impl Preprocessing {
    /// What Baker et al. (2017) used for a data set; for those they did not use, [`Preprocessing::Standardize`].
    #[must_use]
    pub fn of_paper(source: &DataSource) -> Self {
        match source {
            DataSource::Mnist => Self::MeanImage,
            DataSource::Cifar10 => Self::GlobalContrast,
            DataSource::Svhn => Self::LocalContrast,
            _ => Self::Standardize,
        }
    }
}

/// The least standard deviation that global contrast normalization divides by.
const LEAST_GLOBAL_DEVIATION: f32 = 1e-3;

/// Turns the bytes of images into numbers, the same way for training, validation and test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Normalizer {
    shape: ImageShape,
    max_value: u8,
    method: Method,
}

/// What there is to know to apply a kind of preprocessing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum Method {
    /// Of pixels in [0, 1], one of each for a channel.
    Standardize {
        mean: Vec<f32>,
        deviation: Vec<f32>,
    },
    /// Of pixels in [0, 1], CHW.
    MeanImage {
        mean: Vec<f32>,
    },
    GlobalContrast,
    LocalContrast,
}

/// A normalizer as it is stored; reading it back checks that its parts fit together.
#[derive(Serialize, Deserialize)]
struct Stored {
    shape: ImageShape,
    max_value: u8,
    #[serde(flatten)]
    method: Method,
}

impl From<Normalizer> for Stored {
    fn from(Normalizer { shape, max_value, method }: Normalizer) -> Self {
        Self { shape, max_value, method }
    }
}

impl TryFrom<Stored> for Normalizer {
    type Error = String;

    fn try_from(Stored { shape, max_value, method }: Stored) -> Result<Self, String> {
        let pixels = shape
            .channels
            .checked_mul(shape.height)
            .and_then(|product| product.checked_mul(shape.width))
            .filter(|&pixels| pixels > 0)
            .ok_or_else(|| {
                format!("normalizer: {} x {} x {} is no shape", shape.channels, shape.height, shape.width)
            })?;
        if max_value == 0 {
            return Err("normalizer: max_value must be at least 1".to_owned());
        }
        let demand = |what: &str, values: &[f32], wanted: usize| {
            if values.len() != wanted {
                return Err(format!("normalizer: expected {wanted} values of {what}, found {}", values.len()));
            }
            match values.iter().find(|value| !value.is_finite()) {
                Some(value) => Err(format!("normalizer: {what} holds {value}")),
                None => Ok(()),
            }
        };
        match &method {
            Method::Standardize { mean, deviation } => {
                demand("mean", mean, shape.channels)?;
                demand("deviation", deviation, shape.channels)?;
                if let Some(value) = deviation.iter().find(|&&value| value <= 0.0) {
                    return Err(format!("normalizer: a deviation must be above 0, found {value}"));
                }
            }
            Method::MeanImage { mean } => demand("mean", mean, pixels)?,
            Method::GlobalContrast | Method::LocalContrast => {}
        }
        Ok(Self { shape, max_value, method })
    }
}

impl Normalizer {
    /// Takes from the training images what `kind` needs to know of them; `max_value` is what a white pixel is
    /// stored as (0 counts as 1).
    #[must_use]
    pub fn fit(kind: Preprocessing, train: &LabelledImages, max_value: u8) -> Self {
        let max_value = max_value.max(1);
        let method = match kind {
            Preprocessing::Standardize => fit_channels(train, max_value),
            Preprocessing::MeanImage => fit_mean_image(train, max_value),
            Preprocessing::GlobalContrast => Method::GlobalContrast,
            Preprocessing::LocalContrast => Method::LocalContrast,
        };
        Self { shape: train.shape, max_value, method }
    }

    /// The kind of preprocessing.
    #[must_use]
    pub fn kind(&self) -> Preprocessing {
        match self.method {
            Method::Standardize { .. } => Preprocessing::Standardize,
            Method::MeanImage { .. } => Preprocessing::MeanImage,
            Method::GlobalContrast => Preprocessing::GlobalContrast,
            Method::LocalContrast => Preprocessing::LocalContrast,
        }
    }

    /// The shape of the images it is for.
    #[must_use]
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// What a white pixel is stored as.
    #[must_use]
    pub fn max_value(&self) -> u8 {
        self.max_value
    }

    /// A normalizer of known constants, as [`Normalizer::mean`] and [`Normalizer::deviation`] have them.
    ///
    /// # Errors
    /// Says in words which constants do not fit the kind and shape.
    pub fn with_constants(
        kind: Preprocessing,
        shape: ImageShape,
        max_value: u8,
        mean: &[f32],
        deviation: &[f32],
    ) -> Result<Self, String> {
        let method = match kind {
            Preprocessing::Standardize => Method::Standardize { mean: mean.to_vec(), deviation: deviation.to_vec() },
            Preprocessing::MeanImage => Method::MeanImage { mean: mean.to_vec() },
            Preprocessing::GlobalContrast => Method::GlobalContrast,
            Preprocessing::LocalContrast => Method::LocalContrast,
        };
        Stored { shape, max_value, method }.try_into()
    }

    /// What is subtracted from pixels in [0, 1]: a value a channel of [`Preprocessing::Standardize`], the mean image (CHW)
    /// of [`Preprocessing::MeanImage`], else nothing.
    #[must_use]
    pub fn mean(&self) -> &[f32] {
        match &self.method {
            Method::Standardize { mean, .. } | Method::MeanImage { mean } => mean,
            Method::GlobalContrast | Method::LocalContrast => &[],
        }
    }

    /// What [`Preprocessing::Standardize`] divides by, a value a channel; else nothing.
    #[must_use]
    pub fn deviation(&self) -> &[f32] {
        match &self.method {
            Method::Standardize { deviation, .. } => deviation,
            _ => &[],
        }
    }

    /// Normalizes one image.
    ///
    /// # Shapes
    /// `image` and `out` have dimensions CHW, those of [`Normalizer::shape`].
    ///
    /// # Panics
    /// If `image` or `out` has another length.
    pub fn apply(&self, image: &[u8], out: &mut [f32]) {
        let pixels = self.shape.pixels();
        assert!(
            image.len() == pixels && out.len() == pixels,
            "an image of {} needs {pixels} values (CHW), found {} bytes in and {} numbers out",
            self.shape,
            image.len(),
            out.len()
        );
        let plane = self.shape.height * self.shape.width;
        let max_value = f32::from(self.max_value);
        match &self.method {
            Method::Standardize { mean, deviation } => {
                let planes = image.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
                for ((image, out), (mean, deviation)) in planes.zip(mean.iter().zip(deviation)) {
                    scale_and_shift(image, 1.0 / (max_value * deviation), -mean / deviation, out);
                }
            }
            Method::MeanImage { mean } => {
                let scale = 1.0 / max_value;
                for ((out, &byte), mean) in out.iter_mut().zip(image).zip(mean) {
                    *out = f32::from(byte) * scale - mean;
                }
            }
            Method::GlobalContrast => {
                let (mean, deviation) = mean_and_deviation(&Sums::of(image), max_value);
                let deviation = deviation.max(LEAST_GLOBAL_DEVIATION);
                scale_and_shift(image, 1.0 / (max_value * deviation), -mean / deviation, out);
            }
            Method::LocalContrast => {
                let mut scratch = vec![0.0; 2 * plane];
                for (image, out) in image.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
                    local_contrast(image, self.shape, max_value, out, &mut scratch);
                }
            }
        }
    }
}

/// out = image · scale + shift.
fn scale_and_shift(image: &[u8], scale: f32, shift: f32, out: &mut [f32]) {
    for (out, &byte) in out.iter_mut().zip(image) {
        *out = f32::from(byte) * scale + shift;
    }
}

/// Exact sums over bytes, from which mean and deviation follow without cancellation.
#[derive(Default)]
struct Sums {
    count: u64,
    sum: u64,
    squares: u64,
}

impl Sums {
    fn of(bytes: &[u8]) -> Self {
        let mut sums = Self::default();
        sums.add(bytes);
        sums
    }

    fn add(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        // Short pieces have 32-bit sums, which the compiler turns into vector instructions.
        for piece in bytes.chunks(1 << 15) {
            self.sum += u64::from(piece.iter().map(|&byte| u32::from(byte)).sum::<u32>());
            self.squares += u64::from(piece.iter().map(|&byte| u32::from(byte) * u32::from(byte)).sum::<u32>());
        }
    }
}

/// Mean and (population) standard deviation of bytes divided by `max_value`; both 0 of no bytes.
fn mean_and_deviation(sums: &Sums, max_value: f32) -> (f32, f32) {
    if sums.count == 0 {
        return (0.0, 0.0);
    }
    let (count, max_value) = (sums.count as f64, f64::from(max_value));
    let spread = u128::from(sums.count) * u128::from(sums.squares) - u128::from(sums.sum) * u128::from(sums.sum);
    let mean = sums.sum as f64 / count / max_value;
    let deviation = (spread as f64).sqrt() / count / max_value;
    (mean as f32, deviation as f32)
}

fn fit_channels(train: &LabelledImages, max_value: u8) -> Method {
    let plane = train.shape.height * train.shape.width;
    let mut sums: Vec<Sums> = (0..train.shape.channels).map(|_| Sums::default()).collect();
    for i in 0..train.len() {
        for (sums, image) in sums.iter_mut().zip(train.image(i).chunks_exact(plane)) {
            sums.add(image);
        }
    }
    let (mean, deviation) = sums
        .iter()
        .map(|sums| {
            let (mean, deviation) = mean_and_deviation(sums, f32::from(max_value));
            (mean, if deviation > 0.0 { deviation } else { 1.0 })
        })
        .unzip();
    Method::Standardize { mean, deviation }
}

fn fit_mean_image(train: &LabelledImages, max_value: u8) -> Method {
    let mut sums = vec![0_u64; train.shape.pixels()];
    for i in 0..train.len() {
        for (sum, &byte) in sums.iter_mut().zip(train.image(i)) {
            *sum += u64::from(byte);
        }
    }
    let scale = f64::from(max_value) * train.len().max(1) as f64;
    Method::MeanImage { mean: sums.iter().map(|&sum| (sum as f64 / scale) as f32).collect() }
}

/// Half the side of the window of local contrast normalization, without its middle.
const WINDOW_RADIUS: usize = 3;

/// exp(−d²/2) for the distances 0…3 from the middle of the window: a Gaussian of σ = 1, not yet summing to 1.
const WINDOW: [f32; WINDOW_RADIUS + 1] = [1.0, 0.606_530_66, 0.135_335_28, 0.011_108_997];

/// Local contrast normalization of one channel (H, W); `scratch` has room for two channels.
fn local_contrast(image: &[u8], shape: ImageShape, max_value: f32, out: &mut [f32], scratch: &mut [f32]) {
    // A channel without contrast is all zeros; rounding errors must not be blown up into a pattern.
    if image.iter().all(|byte| *byte == image[0]) {
        out.fill(0.0);
        return;
    }
    let (smooth, rows) = scratch.split_at_mut(image.len());
    scale_and_shift(image, 1.0 / max_value, 0.0, out);
    gaussian_mean(out, shape, rows, smooth);
    for (out, mean) in out.iter_mut().zip(smooth.iter()) {
        *out -= mean;
    }
    let squares: Vec<f32> = out.iter().map(|value| value * value).collect();
    gaussian_mean(&squares, shape, rows, smooth);
    for value in smooth.iter_mut() {
        *value = value.sqrt();
    }
    let mean_deviation = smooth.iter().sum::<f32>() / smooth.len() as f32;
    for (out, deviation) in out.iter_mut().zip(smooth.iter()) {
        *out /= deviation.max(mean_deviation);
    }
}

/// The Gaussian mean around each pixel of one channel (H, W). The window is a product of one along rows and one
/// along columns, and so is what is left of it at a border; `rows` holds what has been done along rows.
fn gaussian_mean(input: &[f32], ImageShape { height, width, .. }: ImageShape, rows: &mut [f32], out: &mut [f32]) {
    // Along rows: zeros stand for what is beyond the border, and its weights are taken off the divisor.
    let weights: Vec<f32> = (0..width).map(|x| window_weight(x, width)).collect();
    let mut padded = vec![0.0; width + 2 * WINDOW_RADIUS];
    for (input, rows) in input.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
        padded[WINDOW_RADIUS..WINDOW_RADIUS + width].copy_from_slice(input);
        rows.fill(0.0);
        for shift in 0..=2 * WINDOW_RADIUS {
            let weight = WINDOW[shift.abs_diff(WINDOW_RADIUS)];
            for (sum, value) in rows.iter_mut().zip(&padded[shift..shift + width]) {
                *sum += weight * value;
            }
        }
        for (sum, weight) in rows.iter_mut().zip(&weights) {
            *sum /= weight;
        }
    }
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let weights = window_weight(y, height);
        out.fill(0.0);
        for i in window_at(y, height) {
            let weight = WINDOW[i.abs_diff(y)] / weights;
            for (out, value) in out.iter_mut().zip(&rows[i * width..(i + 1) * width]) {
                *out += weight * value;
            }
        }
    }
}

/// The places among `0..size` that the window around `place` reaches along one axis.
fn window_at(place: usize, size: usize) -> std::ops::Range<usize> {
    place.saturating_sub(WINDOW_RADIUS)..(place + WINDOW_RADIUS + 1).min(size)
}

/// The sum of the weights of those places.
fn window_weight(place: usize, size: usize) -> f32 {
    window_at(place, size).map(|i| WINDOW[i.abs_diff(place)]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_make_the_same_normalizer() {
        let images = images(ImageShape { channels: 3, height: 5, width: 4 }, 7);
        for kind in KINDS {
            let fitted = Normalizer::fit(kind, &images, 255);
            let made = Normalizer::with_constants(kind, images.shape, 255, fitted.mean(), fitted.deviation());
            assert_eq!(made, Ok(fitted));
        }
        assert!(Normalizer::with_constants(Preprocessing::MeanImage, images.shape, 255, &[0.5], &[]).is_err());
    }

    const KINDS: [Preprocessing; 4] = [
        Preprocessing::Standardize,
        Preprocessing::MeanImage,
        Preprocessing::GlobalContrast,
        Preprocessing::LocalContrast,
    ];

    /// Images of bytes that are neither regular nor the same in each channel.
    fn images(shape: ImageShape, n: usize) -> LabelledImages {
        let mut state = 1_u32;
        let pixels = (0..n * shape.pixels())
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let channel = i / (shape.height * shape.width) % shape.channels;
                (state >> 24) as u8 / (channel as u8 + 1)
            })
            .collect();
        LabelledImages { shape, pixels, labels: vec![0; n] }
    }

    fn scaled(image: &[u8], max_value: u8) -> Vec<f64> {
        image.iter().map(|&byte| f64::from(byte) / f64::from(max_value)).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn deviation(values: &[f64]) -> f64 {
        let mean = mean(values);
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    /// The definitions, written out plainly in double precision.
    fn reference(kind: Preprocessing, train: &LabelledImages, max_value: u8, image: &[u8]) -> Vec<f64> {
        let ImageShape { channels, height, width } = train.shape;
        let plane = height * width;
        let image = scaled(image, max_value);
        let all: Vec<Vec<f64>> = (0..train.len()).map(|i| scaled(train.image(i), max_value)).collect();
        match kind {
            Preprocessing::Standardize => (0..channels)
                .flat_map(|c| {
                    let of_channel: Vec<f64> =
                        all.iter().flat_map(|image| image[c * plane..(c + 1) * plane].to_vec()).collect();
                    let (mean, deviation) = (mean(&of_channel), deviation(&of_channel));
                    image[c * plane..(c + 1) * plane].iter().map(move |x| (x - mean) / deviation).collect::<Vec<_>>()
                })
                .collect(),
            Preprocessing::MeanImage => (0..image.len())
                .map(|i| image[i] - mean(&all.iter().map(|image| image[i]).collect::<Vec<_>>()))
                .collect(),
            Preprocessing::GlobalContrast => {
                image.iter().map(|x| (x - mean(&image)) / deviation(&image).max(1e-3)).collect()
            }
            Preprocessing::LocalContrast => image
                .chunks(plane)
                .flat_map(|image| {
                    let local_mean = |values: &[f64]| -> Vec<f64> {
                        (0..plane)
                            .map(|at| {
                                let (mut sum, mut weights) = (0.0, 0.0);
                                for (i, value) in values.iter().enumerate() {
                                    let dy = (i / width).abs_diff(at / width);
                                    let dx = (i % width).abs_diff(at % width);
                                    if dy <= 3 && dx <= 3 {
                                        let weight = (-((dy * dy + dx * dx) as f64) / 2.0).exp();
                                        sum += weight * value;
                                        weights += weight;
                                    }
                                }
                                sum / weights
                            })
                            .collect()
                    };
                    let centred: Vec<f64> = image.iter().zip(local_mean(image)).map(|(x, mean)| x - mean).collect();
                    let squares: Vec<f64> = centred.iter().map(|x| x * x).collect();
                    let deviations: Vec<f64> = local_mean(&squares).iter().map(|x| x.sqrt()).collect();
                    let least = mean(&deviations);
                    centred.iter().zip(deviations).map(|(x, deviation)| x / deviation.max(least)).collect::<Vec<_>>()
                })
                .collect(),
        }
    }

    #[test]
    fn every_kind_agrees_with_its_definition() {
        for kind in KINDS {
            for (shape, max_value) in [
                (ImageShape { channels: 1, height: 8, width: 8 }, 16),
                (ImageShape { channels: 3, height: 9, width: 12 }, 255),
                (ImageShape { channels: 2, height: 2, width: 1 }, 255),
            ] {
                let train = images(shape, 7);
                let normalizer = Normalizer::fit(kind, &train, max_value);
                let mut out = vec![f32::NAN; shape.pixels()];
                for i in 0..train.len() {
                    normalizer.apply(train.image(i), &mut out);
                    for (found, expected) in out.iter().zip(reference(kind, &train, max_value, train.image(i))) {
                        let error = (f64::from(*found) - expected).abs();
                        assert!(error < 1e-4 * expected.abs().max(1.0), "{kind:?}, {shape}: {found}, not {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn images_without_contrast_become_zeros() {
        let shape = ImageShape { channels: 3, height: 9, width: 9 };
        for value in [0, 77, 255] {
            let train = LabelledImages { shape, pixels: vec![value; 2 * shape.pixels()], labels: vec![0; 2] };
            for kind in KINDS {
                let mut out = vec![f32::NAN; shape.pixels()];
                Normalizer::fit(kind, &train, 255).apply(train.image(1), &mut out);
                assert!(out.iter().all(|value| value.abs() < 1e-3), "{kind:?}: {:?}", &out[..4]);
            }
        }
    }

    #[test]
    fn no_training_images_is_no_crash() {
        let shape = ImageShape { channels: 1, height: 2, width: 2 };
        for kind in KINDS {
            let mut out = vec![f32::NAN; 4];
            Normalizer::fit(kind, &LabelledImages::empty(shape), 255).apply(&[0, 1, 2, 3], &mut out);
            assert!(out.iter().all(|value| value.is_finite()), "{kind:?}");
        }
    }

    #[test]
    fn normalizers_are_stored_exactly() {
        let train = images(ImageShape { channels: 3, height: 4, width: 5 }, 5);
        for kind in KINDS {
            let normalizer = Normalizer::fit(kind, &train, 255);
            let text = serde_json::to_string(&normalizer).unwrap();
            assert_eq!(serde_json::from_str::<Normalizer>(&text).unwrap(), normalizer, "{text}");
            assert!(text.contains(&serde_json::to_string(&kind).unwrap()), "{text}");
        }
        assert_eq!(serde_json::to_string(&Preprocessing::LocalContrast).unwrap(), "\"local-contrast\"");
    }

    #[test]
    fn a_stored_normalizer_that_does_not_fit_its_shape_is_refused() {
        let shape = r#""shape": {"channels": 2, "height": 1, "width": 1}, "max_value": 255"#;
        for (method, part) in [
            (r#""kind": "standardize", "mean": [0.5], "deviation": [1, 1]"#, "2 values of mean"),
            (r#""kind": "standardize", "mean": [0.5, 0.5], "deviation": [1, 0]"#, "above 0"),
            (r#""kind": "mean-image", "mean": [0.5]"#, "2 values of mean"),
        ] {
            let error = serde_json::from_str::<Normalizer>(&format!("{{{shape}, {method}}}")).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_paper_chose_by_data_set() {
        assert_eq!(Preprocessing::of_paper(&DataSource::Mnist), Preprocessing::MeanImage);
        assert_eq!(Preprocessing::of_paper(&DataSource::Cifar10), Preprocessing::GlobalContrast);
        assert_eq!(Preprocessing::of_paper(&DataSource::Svhn), Preprocessing::LocalContrast);
        assert_eq!(Preprocessing::of_paper(&DataSource::Digits), Preprocessing::Standardize);
    }
}
