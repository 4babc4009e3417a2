//! The presets, as commented TOML, and how other settings are laid over them.

use std::fmt;
use std::str::FromStr;

use toml_edit::{DocumentMut, Item, Table};

use crate::violation::Violation;

/// A named set of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Minutes on a CPU.
    Quick,
    /// The method as published.
    Paper,
}

impl Preset {
    /// The settings with their comments, for a data set.
    ///
    /// # Errors
    ///
    /// Only where the embedded text is broken, which a test rules out.
    pub fn document(self, data: &str) -> Result<DocumentMut, SettingsError> {
        let text = match self {
            Preset::Quick => include_str!("presets/quick.toml"),
            Preset::Paper => include_str!("presets/paper.toml"),
        };
        let mut document = parse(text)?;
        let overlay = match (self, data) {
            (Preset::Paper, "cifar10") => Some(include_str!("presets/paper-cifar10.toml")),
            (Preset::Paper, "svhn") => Some(include_str!("presets/paper-svhn.toml")),
            (Preset::Quick, _) | (Preset::Paper, "mnist") => None,
            (Preset::Paper, _) => Some(include_str!("presets/paper-other.toml")),
        };
        if let Some(overlay) = overlay {
            merge(&mut document, &parse(overlay)?)?;
        }
        Ok(document)
    }

    /// The settings with their comments, for a data set, and the agent of that name in them. The published agent has its own rates
    /// in every preset.
    ///
    /// # Errors
    ///
    /// As [`Preset::document`].
    pub fn document_with_agent(self, data: &str, agent: &str) -> Result<DocumentMut, SettingsError> {
        let mut document = self.document(data)?;
        if self == Preset::Quick && agent == "paper" {
            merge(&mut document, &parse(include_str!("presets/paper-agent.toml"))?)?;
        }
        set(&mut document, &format!("search.agent={agent:?}"))?;
        Ok(document)
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "quick" => Ok(Preset::Quick),
            "paper" => Ok(Preset::Paper),
            _ => Err(format!("{text:?} is not a preset: quick, paper")),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preset::Quick => "quick",
            Preset::Paper => "paper",
        })
    }
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not TOML, or a value of the wrong kind.
    #[error("{0}")]
    Syntax(String),
    /// A key that is not a setting.
    #[error("{key} is not a setting{}; there are: {}", did_you_mean(.suggestion), known.join(", "))]
    Unknown {
        /// The key with its tables.
        key: String,
        /// The setting, with its tables, that was most likely meant, if one is near.
        suggestion: Option<String>,
        /// The keys in its table.
        known: Vec<String>,
    },
    /// Values out of range.
    #[error("{}", lines(.0))]
    Violations(Vec<Violation>),
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|setting| format!("; did you mean {setting}?")).unwrap_or_default()
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads settings, all or some, with their comments.
///
/// # Errors
///
/// [`SettingsError::Syntax`], a line that says where in the text, by line and column from 1, it is not TOML.
pub fn parse(text: &str) -> Result<DocumentMut, SettingsError> {
    text.parse::<DocumentMut>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        SettingsError::Syntax(format!("line {line}, column {column}: {}", in_a_line(error.message())))
    })
}

/// What a reader of TOML says, in a line.
pub(super) fn in_a_line(message: &str) -> String {
    message.trim().replace('\n', " ")
}

/// Lays `overlay` over `base`: values replace values, comments of `base` stay.
///
/// # Errors
///
/// [`SettingsError::Unknown`] for a key that `base` does not have.
pub fn merge(base: &mut DocumentMut, overlay: &DocumentMut) -> Result<(), SettingsError> {
    let settings = paths(base.as_table());
    merge_table(base.as_table_mut(), overlay.as_table(), "", &settings)
}

fn merge_table(base: &mut Table, overlay: &Table, path: &str, settings: &[String]) -> Result<(), SettingsError> {
    for (key, item) in overlay.iter() {
        let full = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let known = base.iter().map(|(name, _)| name.to_string()).collect();
        match (base.get_mut(key), item) {
            (None, _) => {
                let suggestion = nearest(&full, settings);
                return Err(SettingsError::Unknown { key: full, suggestion, known });
            }
            (Some(Item::Table(inner)), Item::Table(new)) => merge_table(inner, new, &full, settings)?,
            (Some(slot), new) => replace(slot, new),
        }
    }
    Ok(())
}

/// Every table and setting, with its tables.
fn paths(table: &Table) -> Vec<String> {
    let mut paths = Vec::new();
    for (key, item) in table.iter() {
        paths.push(key.to_string());
        if let Some(inner) = item.as_table() {
            paths.extend(self::paths(inner).into_iter().map(|path| format!("{key}.{path}")));
        }
    }
    paths
}

/// The setting that `key` most likely means: one that takes a single change, else one of that name in another table, the least
/// deep one first, else the one that takes the fewest changes, no more than a third of the letters.
fn nearest(key: &str, settings: &[String]) -> Option<String> {
    let name = |path: &str| path.rsplit('.').next().unwrap_or(path).to_string();
    let elsewhere = settings.iter().filter(|path| name(path) == name(key)).min_by_key(|path| path.matches('.').count());
    let near = settings
        .iter()
        .map(|path| (strsim::damerau_levenshtein(key, path), path))
        .filter(|(changes, _)| 3 * changes <= key.len())
        .min_by_key(|(changes, _)| *changes);
    let typo = near.filter(|(changes, _)| *changes == 1).map(|(_, path)| path);
    typo.or(elsewhere).or(near.map(|(_, path)| path)).cloned()
}

fn replace(slot: &mut Item, new: &Item) {
    let decor = slot.as_value().map(|value| value.decor().clone());
    *slot = new.clone();
    if let (Some(value), Some(decor)) = (slot.as_value_mut(), decor) {
        *value.decor_mut() = decor;
    }
}

/// Sets one key, `path=value` as in `training.epochs=3`; a value that is not TOML is taken as a string.
///
/// # Errors
///
/// [`SettingsError`] for a key that is not a setting.
pub fn set(base: &mut DocumentMut, assignment: &str) -> Result<(), SettingsError> {
    let (path, value) = assignment.split_once('=').ok_or_else(|| {
        SettingsError::Syntax(format!("{assignment:?}: expected KEY=VALUE, for example training.epochs=3"))
    })?;
    let keys: Vec<&str> = path.trim().split('.').collect();
    let value = value.trim();
    let item = match format!("v = {value}").parse::<DocumentMut>() {
        Ok(document) => document["v"].clone(),
        Err(_) => toml_edit::value(value),
    };
    let settings = paths(base.as_table());
    let mut slot = base.as_item_mut();
    for (depth, key) in keys.iter().enumerate() {
        let known =
            slot.as_table_like().map(|t| t.iter().map(|(name, _)| name.to_string()).collect()).unwrap_or_default();
        slot = slot.as_table_like_mut().and_then(|table| table.get_mut(key)).ok_or_else(|| {
            let suggestion = nearest(path.trim(), &settings);
            SettingsError::Unknown { key: keys[..=depth].join("."), suggestion, known }
        })?;
    }
    replace(slot, &item);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentName;
    use crate::settings::{AugmentationChoice, Schedule, Settings};

    #[test]
    fn presets_are_whole_and_in_range() {
        for preset in [Preset::Quick, Preset::Paper] {
            for data in ["digits", "mnist", "cifar10", "svhn", "./my-images"] {
                Settings::from_toml(&preset.document(data).unwrap().to_string()).unwrap();
            }
        }
    }

    #[test]
    fn the_published_agent_has_its_rates_in_the_quick_preset() {
        let document = Preset::Quick.document_with_agent("digits", "paper").unwrap();
        let quick = Settings::from_toml(&document.to_string()).unwrap();
        let paper = Settings::from_toml(&Preset::Paper.document("digits").unwrap().to_string()).unwrap();
        assert_eq!(quick.search.agent, AgentName::Paper);
        assert_eq!(quick.agent.q_learning_rate, paper.agent.q_learning_rate);
        for models in [0, 1495, 1505, 1595, 1605, 2545, 2555, 2699] {
            let epsilons = [&quick, &paper]
                .map(|settings| settings.agent.epsilon_schedule.epsilon(models, models as f64 / 2700.0));
            assert_eq!(epsilons[0], epsilons[1], "after {models} models");
        }
        let other = Preset::Quick.document_with_agent("digits", "evolution").unwrap();
        assert_eq!(Settings::from_toml(&other.to_string()).unwrap().agent.q_learning_rate, 0.1);
    }

    #[test]
    fn the_papers_final_training_is_for_its_own_data() {
        let of = |data: &str| {
            Settings::from_toml(&Preset::Paper.document(data).unwrap().to_string()).unwrap().final_phase.training
        };
        // Spec 4.
        assert_eq!([of("mnist").epochs, of("cifar10").epochs, of("svhn").epochs], [40, 300, 40]);
        assert_eq!(of("mnist").augmentation, AugmentationChoice::None);
        assert_eq!((of("cifar10").augmentation, of("cifar10").max_shift), (AugmentationChoice::MirrorAndShift, 5));
        for data in ["digits", "fashion-mnist", "cifar100", "./my-images"] {
            let training = of(data);
            assert!(matches!(training.schedule, Schedule::OneCycle { .. }), "{data}: {training:?}");
            assert_eq!(training.augmentation, AugmentationChoice::Auto);
        }
    }

    #[test]
    fn overlays_keep_comments_and_refuse_unknown_keys() {
        let mut document = Preset::Quick.document("digits").unwrap();
        set(&mut document, "training.epochs=7").unwrap();
        set(&mut document, "search.device=cuda:0").unwrap();
        let settings = Settings::from_toml(&document.to_string()).unwrap();
        assert_eq!((settings.training.epochs, settings.search.device.as_str()), (7, "cuda:0"));
        assert!(document.to_string().contains('#'));
        let error = set(&mut document, "training.epoch=7").unwrap_err().to_string();
        assert!(error.contains("training.epoch is not a setting") && error.contains("epochs"), "{error}");
        assert!(error.contains("; did you mean training.epochs?;"), "{error}");
        set(&mut document, "training.epochs=0").unwrap();
        set(&mut document, "space.max_layers=0").unwrap();
        let error = Settings::from_toml(&document.to_string()).unwrap_err().to_string();
        assert!(error.contains("training.epochs = 0") && error.contains("space.max_layers = 0"), "{error}");
    }

    #[test]
    fn the_setting_that_was_meant_is_suggested() {
        let mut document = Preset::Quick.document("digits").unwrap();
        let mut suggested = |key: &str| match set(&mut document, &format!("{key}=1")) {
            Err(SettingsError::Unknown { suggestion, .. }) => suggestion,
            other => panic!("{key}: {other:?}"),
        };
        for (key, meant) in [
            ("trainng.epochs", Some("training.epochs")),
            ("epochs", Some("training.epochs")),
            ("search.epochs", Some("training.epochs")),
            ("space.convolutions.out_chanels", Some("space.convolution.out_channels")),
            ("final.enable", Some("final.enabled")),
            ("serach.modles", Some("search.models")),
            ("nonsense", None),
            ("training.zzzzzzzz", None),
        ] {
            assert_eq!(suggested(key).as_deref(), meant, "{key}");
        }
        let overlay = "[training]\nbatchsize = 3\n".parse().unwrap();
        let error = merge(&mut document, &overlay).unwrap_err().to_string();
        assert!(
            error.starts_with("training.batchsize is not a setting; did you mean training.batch_size?;"),
            "{error}"
        );
    }
}
