//! The formats by name.

use std::str::FromStr;

/// What a model can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `model.onnx`.
    Onnx,
    /// `model.safetensors` with its description `model.json`: part of every model folder.
    Safetensors,
    /// `model.py`, which loads `model.safetensors`.
    Pytorch,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Onnx, Format::Safetensors, Format::Pytorch];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Onnx => "onnx",
            Format::Safetensors => "safetensors",
            Format::Pytorch => "pytorch",
        }
    }

    /// Its file in a model folder.
    pub fn file(self) -> &'static str {
        match self {
            Format::Onnx => "model.onnx",
            Format::Safetensors => "model.safetensors",
            Format::Pytorch => "model.py",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Format::ALL
            .into_iter()
            .find(|format| format.name() == text.trim())
            .ok_or_else(|| format!("{text:?} is not a format: onnx, safetensors, pytorch"))
    }
}
