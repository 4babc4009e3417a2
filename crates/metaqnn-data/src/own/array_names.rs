//! What an array is, by its name.
//!
//! `x`, `images`, `image`, `data` or `arr_0` hold images, `y`, `labels`, `label`, `targets`, `target` or `arr_1` the labels of them,
//! `class_names`, `label_names` or `classes` a name for each label. With `train`, `valid` (as [`Split::of_name`] has it) or `test`
//! before or after, as in `x_train`, `test_labels` or `trainX`, they are those of a split.

use super::examples::Split;

/// What an array is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Images,
    Labels,
    ClassNames,
}

/// What an array of this name is, and of which split.
pub(super) fn role_of(name: &str) -> Option<(Role, Option<Split>)> {
    let name = words(name);
    let words: Vec<&str> = name.split(['_', '-', '.', ' ']).filter(|word| !word.is_empty()).collect();
    let split = words.iter().find_map(|word| Split::of_name(word));
    let rest: Vec<&str> = words.into_iter().filter(|word| Split::of_name(word).is_none()).collect();
    let role = match rest.join("_").as_str() {
        "x" | "images" | "image" | "imgs" | "img" | "data" | "dataset" | "features" | "pixels" | "arr_0" => {
            Role::Images
        }
        "y" | "labels" | "label" | "targets" | "target" | "arr_1" => Role::Labels,
        "class_names" | "label_names" | "classes" => Role::ClassNames,
        _ => return None,
    };
    Some((role, split))
}

/// In lower case, with a `_` before a capital that follows a small letter: `trainX` is `train_x`.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut after_small = false;
    for letter in name.chars() {
        if letter.is_uppercase() && after_small {
            words.push('_');
        }
        after_small = letter.is_lowercase();
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_an_array_is() {
        let (train, valid, test) = (Some(Split::Train), Some(Split::Valid), Some(Split::Test));
        for (name, role) in [
            ("x_train", Some((Role::Images, train))),
            ("y_test", Some((Role::Labels, test))),
            ("train_images", Some((Role::Images, train))),
            ("val_labels", Some((Role::Labels, valid))),
            ("trainX", Some((Role::Images, train))),
            ("testY", Some((Role::Labels, test))),
            ("X_train", Some((Role::Images, train))),
            ("images", Some((Role::Images, None))),
            ("features", Some((Role::Images, None))),
            ("Label", Some((Role::Labels, None))),
            ("LABELS", Some((Role::Labels, None))),
            ("arr_0", Some((Role::Images, None))),
            ("arr_1", Some((Role::Labels, None))),
            ("class_names", Some((Role::ClassNames, None))),
            ("weights", None),
            ("train", None),
        ] {
            assert_eq!(role_of(name), role, "{name}");
        }
    }
}
