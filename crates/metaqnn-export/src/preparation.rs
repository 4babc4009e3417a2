//! What is done to an image before the first layer.

use metaqnn_core::graph::MapShape;

use crate::error::ExportError;
use crate::weights::Weights;

/// The least standard deviation that global contrast normalization divides by.
pub(crate) const LEAST_GLOBAL_DEVIATION: f32 = 1e-3;

/// exp(−d²/2) for the distances 0…3 from the middle of the window of local contrast normalization.
pub(crate) const LOCAL_WINDOW: [f32; 4] = [1.0, 0.606_530_66, 0.135_335_28, 0.011_108_997];

/// How stored pixels become what the first layer sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    /// Shape of an image, CHW.
    pub input: MapShape,
    /// What a white pixel is stored as; black is 0.
    pub max_value: u8,
    /// What is done to pixels divided by `max_value`.
    pub normalization: Normalization,
}

/// Normalization of pixels in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub enum Normalization {
    /// (x − mean) / deviation, one of each for a channel.
    Standardize {
        /// Of shape C.
        mean: Vec<f32>,
        /// Of shape C, above 0.
        deviation: Vec<f32>,
    },
    /// x − mean, the mean image of the training data (the paper, for MNIST).
    MeanImage {
        /// Of shape CHW.
        mean: Vec<f32>,
    },
    /// (x − its mean) / max(its standard deviation, 0.001), each over C, H and W of an image (the paper, for CIFAR-10).
    GlobalContrast,
    /// Each channel of an image minus its local mean, divided by the greater of its local standard deviation and the mean
    /// of that over H and W (the paper, for SVHN). Means are those of a Gaussian window of 7×7 with σ = 1, at the border cut
    /// to the image. A channel without contrast becomes 0.
    LocalContrast,
}

impl Normalization {
    /// The one of that name with its constants, which bear their names there.
    pub(crate) fn of(kind: &str, constants: &Weights) -> Result<Self, String> {
        let constant = |name: &str| {
            let tensor = constants.get(name).ok_or_else(|| format!("there is no tensor preparation.{name}"));
            tensor.map(|tensor| tensor.values.clone())
        };
        match kind {
            "standardize" => {
                Ok(Normalization::Standardize { mean: constant("mean")?, deviation: constant("deviation")? })
            }
            "mean-image" => Ok(Normalization::MeanImage { mean: constant("mean")? }),
            "global-contrast" => Ok(Normalization::GlobalContrast),
            "local-contrast" => Ok(Normalization::LocalContrast),
            other => Err(format!("normalization {other:?} is not known")),
        }
    }

    /// Its name in a model's description.
    pub fn kind(&self) -> &'static str {
        match self {
            Normalization::Standardize { .. } => "standardize",
            Normalization::MeanImage { .. } => "mean-image",
            Normalization::GlobalContrast => "global-contrast",
            Normalization::LocalContrast => "local-contrast",
        }
    }

    /// What it does, in words.
    pub(crate) fn in_words(&self) -> &'static str {
        match self {
            Normalization::Standardize { .. } => {
                "each channel minus its mean, divided by its standard deviation, both of the training images"
            }
            Normalization::MeanImage { .. } => "minus the mean of the training images",
            Normalization::GlobalContrast => {
                "each image minus its own mean, divided by its own standard deviation (at least 0.001)"
            }
            Normalization::LocalContrast => {
                "each channel minus its local mean, divided by its local standard deviation (Gaussian window of 7x7)"
            }
        }
    }

    /// Its constants: names, shapes and values.
    pub(crate) fn constants(&self, input: MapShape) -> Vec<(&'static str, Vec<usize>, &[f32])> {
        let channels = vec![input.channels as usize];
        match self {
            Normalization::Standardize { mean, deviation } => {
                vec![("mean", channels.clone(), mean), ("deviation", channels, deviation)]
            }
            Normalization::MeanImage { mean } => {
                vec![("mean", [input.channels, input.height, input.width].map(|n| n as usize).to_vec(), mean)]
            }
            Normalization::GlobalContrast | Normalization::LocalContrast => Vec::new(),
        }
    }
}

impl Preparation {
    /// Number of values of an image.
    pub fn pixels(&self) -> usize {
        usize::try_from(self.input.values()).unwrap_or(usize::MAX)
    }

    /// How to make a tensor of an image, in words: every step that changes a pixel, so that another program can do the same.
    pub fn in_words(&self) -> String {
        let MapShape { channels, height, width } = self.input;
        let colour = match channels {
            1 => "Make colour grey, after resizing: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), rounded.",
            3 => "The channels are red, green, blue, in this order; a grey image has three equal ones.",
            _ => "The channels are those of the training data, in their order.",
        };
        let white = self.max_value;
        let range = match white {
            255 => String::new(),
            _ => format!(
                " Multiply by {white}, divide by 255 and round, unless the values are from 0 to {white} already."
            ),
        };
        format!(
            "Turn the image as its EXIF orientation says; of an animation take the first frame. Divide values of 16 bits by 257 and round. \
             Lay what is transparent over white. Resize to {height} rows of {width} pixels without regard to the proportions: bilinear, with \
             a triangle as wide as the reduction (antialiased, as Pillow's BILINEAR). {colour}{range} Values are then from 0 (black) to \
             {white} (white): a tensor of 32-bit floats, batch x {channels} x {height} x {width} (NCHW). Do not divide or normalize: that \
             is part of the model."
        )
    }

    /// The same in Python, a function `prepare` that gives a batch of one image.
    pub(crate) fn in_python(&self) -> String {
        let MapShape { channels, height, width } = self.input;
        let grey = if channels == 1 { "    image = image.convert(\"L\")\n" } else { "" };
        let range = match self.max_value {
            255 => String::new(),
            white => format!("    values = (values * {white} + 127) // 255\n"),
        };
        let batch = if channels == 1 { "values[None, None]" } else { "values.transpose(2, 0, 1)[None]" };
        format!(
            "def prepare(path):\n    \
                 image = ImageOps.exif_transpose(Image.open(path))\n    \
                 if image.mode.startswith(\"I\"):  # 16 bits\n        \
                     image = Image.fromarray((numpy.asarray(image) / 257 + 0.5).astype(numpy.uint8))\n    \
                 if image.has_transparency_data:\n        \
                     image = image.convert(\"RGBA\")\n        \
                     image = Image.alpha_composite(Image.new(\"RGBA\", image.size, \"white\"), image)\n    \
                 image = image.convert(\"RGB\").resize(({width}, {height}), Image.Resampling.BILINEAR)\n\
             {grey}    \
                 values = numpy.asarray(image, numpy.float32)\n\
             {range}    \
                 return {batch}\n"
        )
    }

    pub(crate) fn check(&self) -> Result<(), ExportError> {
        let MapShape { channels, height, width } = self.input;
        if [channels, height, width].iter().any(|&n| n == 0 || n > 65_536) {
            return Err(ExportError::model(format!("images of {} (CxHxW)", self.input)));
        }
        if self.max_value == 0 {
            return Err(ExportError::model("the value of a white pixel must be at least 1"));
        }
        for (name, shape, values) in self.normalization.constants(self.input) {
            let expected: usize = shape.iter().product();
            if values.len() != expected {
                let found = values.len();
                return Err(ExportError::model(format!(
                    "preparation.{name}: expected {expected} values, found {found}"
                )));
            }
            let above_zero = name == "deviation";
            if let Some(value) = values.iter().find(|&&value| !value.is_finite() || (above_zero && value <= 0.0)) {
                return Err(ExportError::model(format!("preparation.{name} holds {value}")));
            }
        }
        Ok(())
    }
}
