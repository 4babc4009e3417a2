//! Which data sets there are and how they are named.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use etcetera::BaseStrategy;

use crate::data_set::ImageShape;
use crate::error::DataError;

/// A data set, as the DATA argument of the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataSource {
    /// UCI handwritten digits, 8×8, 1,797 images, embedded in the program.
    Digits,
    /// MNIST handwritten digits, 28×28.
    Mnist,
    /// Fashion-MNIST articles of clothing, 28×28.
    FashionMnist,
    /// CIFAR-10 photographs, 3×32×32.
    Cifar10,
    /// CIFAR-100 photographs, 3×32×32, with the 100 fine labels.
    Cifar100,
    /// Street View House Numbers, cropped digits, 3×32×32.
    Svhn,
}

impl DataSource {
    /// All known data sets.
    pub const ALL: [Self; 6] =
        [Self::Digits, Self::Mnist, Self::FashionMnist, Self::Cifar10, Self::Cifar100, Self::Svhn];

    /// The name on the command line, which is also the name of its folder in the data folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Svhn => "svhn",
        }
    }

    /// All names, separated by commas.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The shape of its images.
    #[must_use]
    pub fn shape(self) -> ImageShape {
        let (channels, side) = match self {
            Self::Digits => (1, 8),
            Self::Mnist | Self::FashionMnist => (1, 28),
            Self::Cifar10 | Self::Cifar100 | Self::Svhn => (3, 32),
        };
        ImageShape { channels, height: side, width: side }
    }

    /// The largest value a stored pixel can have; pixels are scaled to [0, 1] by it.
    #[must_use]
    pub fn max_value(self) -> u8 {
        match self {
            Self::Digits => 16,
            _ => 255,
        }
    }

    /// Whether an image seen in a mirror is still an image of its class. A digit is not.
    #[must_use]
    pub fn mirror_is_safe(self) -> bool {
        match self {
            Self::FashionMnist | Self::Cifar10 | Self::Cifar100 => true,
            Self::Digits | Self::Mnist | Self::Svhn => false,
        }
    }

    /// The names of its classes; a label is an index into them.
    #[must_use]
    pub fn class_names(self) -> &'static [&'static str] {
        match self {
            Self::Digits | Self::Mnist | Self::Svhn => &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => &[
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
            Self::Cifar10 => &crate::cifar::CIFAR10_CLASSES,
            Self::Cifar100 => &crate::cifar::CIFAR100_CLASSES,
        }
    }

    /// How many images were published: (training part, before validation images are split off; test part).
    #[must_use]
    pub fn published_images(self) -> (usize, usize) {
        match self {
            Self::Digits => (1_497, 300),
            Self::Mnist | Self::FashionMnist => (60_000, 10_000),
            Self::Cifar10 | Self::Cifar100 => (50_000, 10_000),
            Self::Svhn => (73_257, 26_032),
        }
    }

    /// The known data set that `given` most likely means, if any is near.
    fn nearest(given: &str) -> Option<Self> {
        let letters = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
        };
        let given = letters(given);
        match given.as_str() {
            "fmnist" | "fashion" => return Some(Self::FashionMnist),
            "cifar" => return Some(Self::Cifar10),
            "streetview" | "housenumbers" => return Some(Self::Svhn),
            _ => {}
        }
        Self::ALL
            .into_iter()
            .map(|source| (edit_distance(&given, &letters(source.name())), source))
            .filter(|&(distance, _)| distance <= 2 && 2 * distance <= given.len())
            .min_by_key(|&(distance, _)| distance)
            .map(|(_, source)| source)
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DataSource {
    type Err = DataError;

    /// # Errors
    /// [`DataError::UnknownDataSet`], with the known name nearest to `given`.
    fn from_str(given: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|source| source.name() == given)
            .ok_or_else(|| DataError::UnknownDataSet { given: given.to_owned(), suggestion: Self::nearest(given) })
    }
}

/// What the DATA argument of the command line stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataArgument {
    /// A known data set.
    Known(DataSource),
    /// The path of own data.
    Own(PathBuf),
}

impl FromStr for DataArgument {
    type Err = DataError;

    /// A known name is a name; a folder that bears one is given with a separator, as `./mnist`.
    ///
    /// # Errors
    /// [`DataError::UnknownDataSet`], with the known name nearest to `given`, where there is no such file or folder either.
    fn from_str(given: &str) -> Result<Self, DataError> {
        match given.parse() {
            Ok(source) => Ok(Self::Known(source)),
            Err(error) => {
                let path = PathBuf::from(given);
                // What can only be a path is one, so that what is wrong with it can be said.
                let is_path = path.components().count() > 1 || path.extension().is_some() || path.exists();
                if is_path { Ok(Self::Own(path)) } else { Err(error) }
            }
        }
    }
}

/// Insertions, deletions and substitutions that turn `a` into `b` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The folder that holds the data sets: `explicit` (`--data-dir`) if given, else `$METAQNN_DATA` if set and not
/// empty, else `metaqnn` in the platform's folder for the data of programs (on Linux `~/.local/share`).
///
/// # Errors
/// [`DataError::NoDataFolder`] where the platform has none.
pub fn data_dir(explicit: Option<&Path>) -> Result<PathBuf, DataError> {
    if let Some(folder) = explicit {
        return Ok(folder.to_owned());
    }
    if let Some(folder) = std::env::var_os("METAQNN_DATA").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let platform = etcetera::choose_base_strategy().map_err(|_| DataError::NoDataFolder)?;
    Ok(platform.data_dir().join("metaqnn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for source in DataSource::ALL {
            assert_eq!(source.to_string().parse::<DataSource>().unwrap(), source);
        }
    }

    #[test]
    fn near_misses_are_recognized() {
        for (given, meant) in [
            ("cifar-10", DataSource::Cifar10),
            ("CIFAR10", DataSource::Cifar10),
            ("cifar_100", DataSource::Cifar100),
            ("fmnist", DataSource::FashionMnist),
            ("fashion_mnist", DataSource::FashionMnist),
            ("minst", DataSource::Mnist),
            ("digit", DataSource::Digits),
            ("svnh", DataSource::Svhn),
        ] {
            let error = given.parse::<DataSource>().unwrap_err();
            let DataError::UnknownDataSet { suggestion, .. } = &error else { panic!("{error}") };
            assert_eq!(*suggestion, Some(meant), "{given}");
            assert!(error.to_string().contains(&format!("did you mean \"{meant}\"?")), "{error}");
        }
    }

    #[test]
    fn what_is_no_known_name_is_a_path_where_it_can_be_one() {
        assert_eq!("mnist".parse::<DataArgument>().unwrap(), DataArgument::Known(DataSource::Mnist));
        for path in ["./mnist", "my/photos", "photos.csv", "src"] {
            assert_eq!(path.parse::<DataArgument>().unwrap(), DataArgument::Own(path.into()));
        }
        let message = "photos".parse::<DataArgument>().unwrap_err().to_string();
        assert!(message.contains("there is no file or folder of this name"), "{message}");
        assert!(message.contains("digits, mnist, fashion-mnist, cifar10, cifar100, svhn"), "{message}");
        assert!(!message.contains("did you mean"), "{message}");
    }

    #[test]
    fn an_explicit_folder_wins() {
        assert_eq!(data_dir(Some(Path::new("here"))).unwrap(), Path::new("here"));
    }

    #[test]
    fn every_source_is_described() {
        for source in DataSource::ALL {
            assert!(source.class_names().len() >= 10);
            assert!(source.shape().pixels() >= 64);
        }
        assert_eq!(DataSource::Cifar100.class_names().len(), 100);
    }
}
