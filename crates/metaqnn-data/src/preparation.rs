//! What was done to the images that a model was trained on, which is part of the model.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data_set::{DataSet, ImageShape};
use crate::error::{DataError, Problem};
use crate::image_file::{DecodedImage, with_channels};
use crate::normalize::Normalizer;
use crate::resize::ImageSize;

/// The rules by which an image file becomes bytes; a number, so that a model says under which it was trained.
const RULES: u32 = 1;

/// From an image file to the numbers that a network sees, and from its answer to the name of a class.
///
/// It is written beside a model's weights and says all that using the model takes: [`Preparation::prepare`] makes the bytes of an
/// image, [`Normalizer::apply`] the numbers, and the network's highest output is the place of the answer in the class names.
///
/// ```
/// use metaqnn_data::{DataSource, Normalizer, Preparation, Preprocessing, SplitSettings, load};
///
/// let digits = load(&DataSource::Digits, "unused".as_ref(), &SplitSettings::default())?;
/// let normalizer = Normalizer::fit(Preprocessing::Standardize, &digits.train, digits.max_value);
/// let preparation = Preparation::new(&digits, normalizer);
/// assert_eq!(preparation.class_names()[7], "7");
/// assert!(preparation.instructions().contains("8 rows and 8 columns"));
/// # Ok::<(), metaqnn_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Preparation {
    normalizer: Normalizer,
    class_names: Vec<String>,
}

/// A preparation as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    rules: u32,
    class_names: Vec<String>,
    normalizer: Normalizer,
}

impl From<Preparation> for Stored {
    fn from(Preparation { normalizer, class_names }: Preparation) -> Self {
        Self { rules: RULES, class_names, normalizer }
    }
}

impl TryFrom<Stored> for Preparation {
    type Error = String;

    fn try_from(Stored { rules, class_names, normalizer }: Stored) -> Result<Self, String> {
        if rules != RULES {
            return Err(format!("preparation: expected images prepared by the rules {RULES}, found {rules}"));
        }
        if class_names.len() < 2 {
            return Err(format!("preparation: expected 2 classes or more, found {}", class_names.len()));
        }
        if !matches!(normalizer.shape().channels, 1 | 3) {
            return Err(format!("preparation: expected 1 or 3 channels, found {}", normalizer.shape().channels));
        }
        Ok(Self { normalizer, class_names })
    }
}

impl Preparation {
    /// What was done to the images of `data`, normalized by `normalizer`.
    ///
    /// # Panics
    /// If the normalizer is for images of another shape.
    #[must_use]
    pub fn new(data: &DataSet, normalizer: Normalizer) -> Self {
        assert_eq!(data.shape(), normalizer.shape(), "the normalizer is for images of another shape");
        Self { normalizer, class_names: data.class_names.clone() }
    }

    /// The shape of the images that the network sees.
    #[must_use]
    pub fn shape(&self) -> ImageShape {
        self.normalizer.shape()
    }

    /// From bytes to the numbers that the network sees.
    #[must_use]
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// The names of the classes, in the order of the network's outputs.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The image in a file as the bytes that the normalizer takes.
    ///
    /// # Shapes
    /// The result has dimensions CHW, those of [`Preparation::shape`].
    ///
    /// # Errors
    /// [`DataError::Unusable`] with what is wrong with the file.
    pub fn prepare(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        read_image(path, self.shape(), self.normalizer.max_value())
    }

    /// The same in words, for whoever uses the model without this program.
    #[must_use]
    pub fn instructions(&self) -> String {
        let ImageShape { channels, height, width } = self.shape();
        let colours = if channels == 1 {
            "1 channel, grey (of colour 0.299 red + 0.587 green + 0.114 blue)"
        } else {
            "3 channels, red, green and blue (of a grey image all three the same)"
        };
        format!(
            "Turn the image as its EXIF orientation says; divide 16-bit values by 257; lay what is transparent over white; resize to \
             {height} rows and {width} columns without regard to proportions (bilinear; where it shrinks, with a triangle as wide as \
             the reduction, as Pillow's BILINEAR); {colours}; values from 0 to {}, in the order channel, row, column.",
            self.normalizer.max_value()
        )
    }
}

/// The image in a file as bytes of the dimensions CHW of `shape`, white as `max_value`, by the rules that hold for every image: turned
/// as its EXIF orientation says, laid over white where it is transparent, resized, grey or colour as the shape has it.
///
/// # Errors
/// [`DataError::Unusable`] with what is wrong with the file.
pub fn read_image(path: &Path, shape: ImageShape, max_value: u8) -> Result<Vec<u8>, DataError> {
    let ImageShape { channels, height, width } = shape;
    let size = ImageSize::new(height, width)?;
    let image = DecodedImage::read(path).and_then(|image| Ok((image.channels(), image.resized(size)?)));
    let (own_channels, image) = image.map_err(|reason| DataError::Unusable {
        path: path.to_owned(),
        problems: vec![Problem { path: path.to_owned(), reason }],
    })?;
    let mut image = with_channels(image, own_channels, channels);
    for value in &mut image {
        *value = ((u32::from(*value) * u32::from(max_value) + 127) / 255) as u8;
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_set::LabelledImages;
    use crate::normalize::Preprocessing;

    fn preparation(channels: usize, max_value: u8) -> Preparation {
        let shape = ImageShape { channels, height: 8, width: 9 };
        let images = LabelledImages { shape, pixels: vec![3; shape.pixels()], labels: vec![0] };
        let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, max_value);
        Preparation { normalizer, class_names: vec!["cat".into(), "dog".into()] }
    }

    #[test]
    fn it_is_stored_and_read_back() {
        let preparation = preparation(3, 255);
        let text = serde_json::to_string(&preparation).unwrap();
        assert_eq!(serde_json::from_str::<Preparation>(&text).unwrap(), preparation);
        let newer = text.replace("\"rules\":1", "\"rules\":2");
        let error = serde_json::from_str::<Preparation>(&newer).unwrap_err().to_string();
        assert!(error.contains("rules 1, found 2"), "{error}");
    }

    #[test]
    fn any_image_gets_the_shape_and_the_range_of_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("red.png");
        image::RgbImage::from_pixel(30, 20, image::Rgb([255, 0, 0])).save(&path).unwrap();
        let colour = preparation(3, 255).prepare(&path).unwrap();
        assert_eq!(colour, [vec![255; 72], vec![0; 144]].concat());
        assert_eq!(preparation(1, 255).prepare(&path).unwrap(), [76; 72]);
        assert_eq!(preparation(1, 16).prepare(&path).unwrap(), [5; 72]);
        let error = preparation(1, 16).prepare(&folder.path().join("none.png")).unwrap_err().to_string();
        assert!(error.ends_with("none.png: there is no such file"), "{error}");
    }
}
