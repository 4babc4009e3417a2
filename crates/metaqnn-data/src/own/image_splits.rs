//! What each image of a study is for, as the study keeps it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::examples::{Content, Examples, Split};
use crate::data_set::hexadecimal;

/// Bytes of an image's split as a study keeps it.
const ENTRY: usize = 21;

/// A content as a message has it.
fn content_of(text: &str) -> Option<Content> {
    let mut content = [0; 16];
    for (i, byte) in content.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(Content(content))
}

/// What each image of a data set is for, by what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSplits {
    /// In the order of their contents, no two equal.
    pub images: Vec<ImageSplit>,
}

/// Images of one content in one split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageSplit {
    /// A hash of the image before it is resized, in hexadecimal.
    pub content: String,
    /// `train`, `valid` or `test`.
    pub split: String,
    /// How many images there are.
    pub count: u64,
}

impl ImageSplits {
    pub(super) fn of(examples: &Examples, divided: &[Split]) -> Self {
        let mut counts: HashMap<(Content, Split), u64> = HashMap::new();
        for (example, &split) in examples.examples.iter().zip(divided) {
            *counts.entry((example.content, split)).or_default() += 1;
        }
        let image = |((content, split), count): ((Content, Split), u64)| ImageSplit {
            content: hexadecimal(&content.0),
            split: split.name().to_owned(),
            count,
        };
        let mut images: Vec<ImageSplit> = counts.into_iter().map(image).collect();
        images.sort();
        Self { images }
    }

    /// As a study keeps them: of each 16 bytes of content, 0, 1 or 2 for the split, and how many there are, 32 bits, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.images.len() * ENTRY);
        for image in &self.images {
            let content = content_of(&image.content).unwrap_or_default();
            let split = Split::of_name(&image.split).map_or(0, |split| split as u8);
            bytes.extend(content.0);
            bytes.push(split);
            bytes.extend(u32::try_from(image.count).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes
    }

    /// From what [`Self::to_bytes`] gave; `None` of other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.as_chunks::<ENTRY>() else { return None };
        let image = |entry: &[u8; ENTRY]| {
            let (content, rest) = entry.split_first_chunk::<16>()?;
            let (&split, count) = rest.split_first()?;
            Some(ImageSplit {
                content: hexadecimal(content),
                split: Split::ALL.get(usize::from(split))?.name().to_owned(),
                count: u32::from_le_bytes(count.try_into().ok()?).into(),
            })
        };
        Some(Self { images: entries.iter().map(image).collect::<Option<_>>()? })
    }

    /// How many images there are of which `other` has none, or fewer.
    #[must_use]
    pub fn missing_in(&self, other: &Self) -> u64 {
        let count = |splits: &Self| {
            let mut counts: HashMap<String, u64> = HashMap::new();
            for image in &splits.images {
                *counts.entry(image.content.clone()).or_default() += image.count;
            }
            counts
        };
        let others = count(other);
        count(self).into_iter().map(|(content, n)| n.saturating_sub(others.get(&content).copied().unwrap_or(0))).sum()
    }

    /// By content, those of the splits that were drawn, or may have been drawn from.
    pub(super) fn by_content(&self, given: &[Split]) -> HashMap<Content, Split> {
        self.images
            .iter()
            .filter_map(|image| Some((content_of(&image.content)?, Split::of_name(&image.split)?)))
            .filter(|(_, split)| *split == Split::Train || !given.contains(split))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(number: u8, split: &str, count: u64) -> ImageSplit {
        ImageSplit { content: hexadecimal(&[number; 16]), split: split.to_owned(), count }
    }

    #[test]
    fn bytes_round_trip() {
        let splits = ImageSplits { images: vec![image(1, "train", 3), image(2, "valid", 1), image(9, "test", 70_000)] };
        let bytes = splits.to_bytes();
        assert_eq!((bytes.len(), &bytes[16..21]), (63, [0, 3, 0, 0, 0].as_slice()));
        assert_eq!(ImageSplits::from_bytes(&bytes), Some(splits));
        assert_eq!(ImageSplits::from_bytes(&bytes[1..]), None);
        assert_eq!(ImageSplits::from_bytes(&[7; 21]), None, "there is no split 7");
    }

    #[test]
    fn images_that_others_lack_are_counted() {
        let before = ImageSplits { images: vec![image(1, "train", 3), image(2, "valid", 1)] };
        let after = ImageSplits { images: vec![image(1, "test", 1), image(3, "train", 4)] };
        assert_eq!((before.missing_in(&after), after.missing_in(&before), before.missing_in(&before)), (3, 4, 0));
    }
}
