//! Architectures and their notation, `[C(64,3,1), P(2,2), FC(256), SM(10)]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::layer::{Gives, LARGEST_NUMBER, Layer, LayerKind, Takes};

/// A legal sequence of layers that ends in a softmax over the classes.
///
/// Legal here means what holds in every space: one softmax, at the end; after `GAP` nothing else; after `FC` only
/// `FC` and softmax; odd receptive fields. Whether the shapes work out for an input is the business of
/// [`Graph`](crate::graph::Graph), whether a space contains it that of [`SearchSpace`](super::SearchSpace).
///
/// The canonical text ([`Display`](fmt::Display)) is the identity of an architecture: no dropout layers, a comma and a
/// space between layers.
///
/// ```
/// use metaqnn_core::space::Architecture;
/// let architecture: Architecture = "[C(64,3,1),P(2,2),D(1,1),SM(10)]".parse()?;
/// assert_eq!(architecture.to_string(), "[C(64,3,1), P(2,2), SM(10)]");
/// assert!("[P(2,2), GAP(10), FC(128), SM(10)]".parse::<Architecture>().is_err());
/// # Ok::<(), metaqnn_core::space::ArchitectureError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Architecture {
    // A study keeps one for each trial: no room for growth.
    layers: Box<[Layer]>,
    classes: u32,
}

/// Why a text is not an architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// The text is not in the notation.
    #[error("{text:?} is not in the notation, for example [C(64,3,1), P(2,2), FC(256), SM(10)]: {reason}")]
    Syntax {
        /// The offending part of the text.
        text: String,
        /// What was expected there.
        reason: String,
    },
    /// A layer breaks a rule.
    #[error("layer {position}, {layer}: {rule}")]
    Rule {
        /// Position of the layer, 1 for the first, dropout layers not counted.
        position: usize,
        /// The layer as written.
        layer: String,
        /// The rule that it breaks.
        rule: String,
    },
}

impl Architecture {
    /// An architecture of `layers`, softmax left out, over `classes` classes.
    ///
    /// # Errors
    ///
    /// [`ArchitectureError::Rule`] names the first layer that breaks a rule, and the rule.
    pub fn new(layers: Vec<Layer>, classes: u32) -> Result<Self, ArchitectureError> {
        let architecture = Architecture { layers: layers.into_boxed_slice(), classes };
        architecture.check()?;
        Ok(architecture)
    }

    /// The layers from the input on, softmax left out.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Number of classes of the softmax.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    fn check(&self) -> Result<(), ArchitectureError> {
        let mut previous = LayerKind::Start;
        for (index, layer) in self.layers.iter().enumerate() {
            let broken = |rule: String| {
                let mut text = String::new();
                // Writing to a string cannot fail.
                let _ = layer.write(&mut text, self.classes);
                Err(ArchitectureError::Rule { position: index + 1, layer: text, rule })
            };
            if let Err(rule) = layer.check() {
                return broken(rule);
            }
            match (previous.gives(), layer.kind().takes()) {
                (Gives::Logits, _) => return broken(format!("after {previous} only SM may follow")),
                (Gives::Vector, Takes::Maps) => {
                    let vectors = LayerKind::of_vectors();
                    let rule =
                        format!("after {previous} only {vectors} or SM may follow, since the feature map is flattened");
                    return broken(rule);
                }
                (Gives::Vector, Takes::Anything) | (Gives::Maps, _) => {}
            }
            previous = layer.kind();
        }
        if self.classes < 2 || self.classes > LARGEST_NUMBER {
            return Err(ArchitectureError::Rule {
                position: self.layers.len() + 1,
                layer: format!("SM({})", self.classes),
                rule: "a softmax needs at least two classes".into(),
            });
        }
        Ok(())
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for layer in &self.layers {
            layer.write(f, self.classes)?;
            f.write_str(", ")?;
        }
        write!(f, "SM({})]", self.classes)
    }
}

impl FromStr for Architecture {
    type Err = ArchitectureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = |part: &str, reason: &str| ArchitectureError::Syntax { text: part.into(), reason: reason.into() };
        let trimmed = text.trim();
        let inner = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .ok_or_else(|| syntax(trimmed, "it must stand in square brackets"))?;
        let mut layers = Vec::new();
        let mut written_classes = None;
        let mut classes = None;
        let mut rest = inner.trim();
        while !rest.is_empty() {
            let close = rest.find(')').ok_or_else(|| syntax(rest, "a layer ends with a closing parenthesis"))?;
            let (token, after) = rest.split_at(close + 1);
            let position = layers.len() + 1;
            if classes.is_some() {
                return Err(ArchitectureError::Rule {
                    position: position + 1,
                    layer: token.trim().into(),
                    rule: "nothing may follow SM".into(),
                });
            }
            let (name, numbers) = parse_token(token)?;
            match (name, numbers.as_slice()) {
                // Dropout is derived from the other layers, so what is written is not looked at.
                ("D", &[_, _]) => {}
                ("D", _) => return Err(syntax(token, "D takes two numbers: i and n")),
                ("SM", &[count]) => classes = Some(count),
                ("SM", _) => return Err(syntax(token, "it takes one number")),
                _ => match Layer::read(name, &numbers) {
                    Some(Ok((layer, count))) => {
                        layers.push(layer);
                        written_classes = count.map(|count| (position, layer, count)).or(written_classes);
                    }
                    Some(Err(expected)) => return Err(syntax(token, expected)),
                    None => {
                        let kinds: Vec<&str> = LayerKind::LAYERS.iter().map(|kind| kind.notation()).collect();
                        return Err(syntax(token, &format!("the layers are {}, D and SM", kinds.join(", "))));
                    }
                },
            }
            rest = after.trim_start();
            if let Some(next) = rest.strip_prefix(',') {
                rest = next.trim_start();
                if rest.is_empty() {
                    return Err(syntax(inner, "a layer must follow the last comma"));
                }
            } else if !rest.is_empty() {
                return Err(syntax(rest, "a comma must stand between layers"));
            }
        }
        let classes = classes.ok_or_else(|| syntax(trimmed, "it must end with SM(classes)"))?;
        if let Some((position, layer, count)) = written_classes
            && count != classes
        {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = layer.write(&mut text, count);
            let rule = format!("it must have as many maps as SM has classes, {classes}");
            return Err(ArchitectureError::Rule { position, layer: text, rule });
        }
        Architecture::new(layers, classes)
    }
}

fn parse_token(token: &str) -> Result<(&str, Vec<u32>), ArchitectureError> {
    let syntax = |reason: &str| ArchitectureError::Syntax { text: token.trim().into(), reason: reason.into() };
    let open = token.find('(').ok_or_else(|| syntax("a layer is a name with numbers in parentheses"))?;
    let name = token[..open].trim();
    let arguments = token[open + 1..].trim_end_matches(')');
    let numbers = arguments
        .split(',')
        .map(|n| n.trim().parse::<u32>().map_err(|_| syntax("its numbers must be whole and positive")))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((name, numbers))
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Architecture>().unwrap_err().to_string()
    }

    #[test]
    fn reads_the_notation_with_dropout_and_spaces() {
        let text = "[C(64,3,1), P(2,2), D(1,3), C(128,3,1), P(3,2), D(2,3), FC(256), D(3,3), SM(10)]";
        let architecture: Architecture = text.parse().unwrap();
        assert_eq!(architecture.to_string(), "[C(64,3,1), P(2,2), C(128,3,1), P(3,2), FC(256), SM(10)]");
        assert_eq!("[ GAP( 7 ) ,SM(7) ]".parse::<Architecture>().unwrap().to_string(), "[GAP(7), SM(7)]");
        assert_eq!("[SM(10)]".parse::<Architecture>().unwrap().layers().len(), 0);
    }

    #[test]
    fn names_layer_and_rule_of_illegal_text() {
        assert_eq!(
            error("[FC(128), C(64,3,1), SM(10)]"),
            "layer 2, C(64,3,1): after FC only FC or SM may follow, since the feature map is flattened"
        );
        assert_eq!(error("[GAP(10), FC(128), SM(10)]"), "layer 2, FC(128): after GAP only SM may follow");
        assert!(error("[C(64,2,1), SM(10)]").contains("must be odd"));
        assert!(error("[C(0,3,1), SM(10)]").contains("layer 1, C(0,3,1)"));
        assert!(error("[GAP(9), SM(10)]").contains("as many maps"));
        assert!(error("[SM(10), SM(10)]").contains("nothing may follow SM"));
        assert!(error("[SM(1)]").contains("at least two classes"));
        for text in ["", "[]", "C(1,1,1)", "[C(64,3), SM(10)]", "[X(1), SM(10)]", "[C(a,3,1), SM(10)]", "[SM(10),]"] {
            assert!(error(text).contains("notation"), "{text}");
        }
        for text in ["[SM(10) SM(10)]", "[SM(-1)]", "[SM(99999999999)]", "[SM(10", "[)SM(10)]", "[C(64,3,1)]"] {
            assert!(text.parse::<Architecture>().is_err(), "{text}");
        }
    }
}
