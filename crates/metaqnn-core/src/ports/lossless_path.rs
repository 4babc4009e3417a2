//! Paths as values of JSON and the like, also those that are no Unicode: serde's own refuses them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path as text where it is text, else as the bytes of which it consists.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelled {
    Text(String),
    Bytes(Vec<u8>),
}

impl Spelled {
    fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Spelled::Text(text.into()),
            None => Spelled::Bytes(path.as_os_str().as_encoded_bytes().into()),
        }
    }

    #[cfg(unix)]
    fn path(self) -> Result<PathBuf, &'static str> {
        use std::os::unix::ffi::OsStringExt;
        Ok(match self {
            Spelled::Text(text) => text.into(),
            Spelled::Bytes(bytes) => std::ffi::OsString::from_vec(bytes).into(),
        })
    }

    #[cfg(not(unix))]
    fn path(self) -> Result<PathBuf, &'static str> {
        match self {
            Spelled::Text(text) => Ok(text.into()),
            Spelled::Bytes(_) => Err("the path is no Unicode"),
        }
    }
}

/// Writes a path.
///
/// # Errors
///
/// Those of `serializer`.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    Spelled::of(path).serialize(serializer)
}

/// Reads a path.
///
/// # Errors
///
/// Those of `deserializer`, and where the path is none on this system.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Spelled::deserialize(deserializer)?.path().map_err(serde::de::Error::custom)
}

/// The same of paths that may be missing.
pub mod optional {
    use super::{Deserialize, Deserializer, PathBuf, Serialize, Serializer, Spelled};

    /// Writes a path or none.
    ///
    /// # Errors
    ///
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(Spelled::of).serialize(serializer)
    }

    /// Reads a path or none.
    ///
    /// # Errors
    ///
    /// Those of `deserializer`, and where the path is none on this system.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        let spelled = Option::<Spelled>::deserialize(deserializer)?;
        spelled.map(|spelled| spelled.path().map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder(#[serde(with = "super")] PathBuf, #[serde(with = "super::optional")] Option<PathBuf>);

    fn and_back(holder: &Holder) -> (String, Holder) {
        let text = serde_json::to_string(holder).unwrap();
        let again = serde_json::from_str(&text).unwrap();
        (text, again)
    }

    #[test]
    fn paths_come_back_as_they_were() {
        let [none, some] = [None, Some("b".into())].map(|optional| Holder("a/é".into(), optional));
        for (holder, expected) in [(none, r#"["a/é",null]"#), (some, r#"["a/é","b"]"#)] {
            assert_eq!(and_back(&holder), (expected.into(), holder));
        }
    }

    #[cfg(unix)]
    #[test]
    fn so_do_those_that_are_no_unicode() {
        use std::os::unix::ffi::OsStrExt;
        let path = || std::ffi::OsStr::from_bytes(b"a\xff").into();
        let holder = Holder(path(), Some(path()));
        assert_eq!(and_back(&holder), ("[[97,255],[97,255]]".into(), holder));
    }
}
