//! Devices by name: `cpu`, and `flex`, `cuda:0`, `vulkan:0`, `metal:0`, `rocm:0` and so on where compiled in and present.

use crate::burn_engine::{self, BurnDevice};

/// Where networks are trained.
#[derive(Clone, Debug, PartialEq)]
pub enum ComputeDevice {
    /// The CPU, with this project's own kernels.
    Cpu,
    /// A device of Burn's: a GPU, or `flex`, Burn's own backend for the CPU. There is none without the feature `burn`.
    Burn(BurnDevice),
}

/// Why a name is not that of a device here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device is ever called so.
    #[error("{name:?} is not a device: expected cpu, flex, or cuda, vulkan, metal or rocm with a number, for example cuda:0; here there are: {}", available.join(", "))]
    Unknown {
        /// The name given.
        name: String,
        /// Names of the devices here.
        available: Vec<String>,
    },
    /// The program was built without the devices of this kind.
    #[error("this program was built without {kind}: build it with `cargo install --path crates/metaqnn --features {feature}`; here there are: {}", available.join(", "))]
    NotCompiledIn {
        /// The kind.
        kind: &'static str,
        /// The cargo feature that brings it.
        feature: &'static str,
        /// Names of the devices here.
        available: Vec<String>,
    },
    /// The kind is compiled in, but there is no such device on this machine.
    #[error("there is no device {name} on this machine; there are: {}", available.join(", "))]
    Absent {
        /// The name given.
        name: String,
        /// Names of the devices here.
        available: Vec<String>,
    },
}

/// The kinds of device beside the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    /// Burn's own backend for the CPU, of which there is one.
    Flex,
    Cuda,
    Vulkan,
    Metal,
    Rocm,
}

impl DeviceKind {
    const ALL: [Self; 5] = [Self::Flex, Self::Cuda, Self::Vulkan, Self::Metal, Self::Rocm];

    fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Rocm => "rocm",
        }
    }

    /// The cargo feature that compiles it in.
    fn feature(self) -> &'static str {
        match self {
            Self::Flex => "burn",
            kind => kind.name(),
        }
    }

    fn compiled_in(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "burn"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }

    /// The devices of this kind on this machine; none where the kind is not compiled in.
    fn devices(self) -> Vec<BurnDevice> {
        // Where a driver is not installed some backends panic instead of listing nothing.
        std::panic::catch_unwind(|| burn_engine::devices(self)).unwrap_or_default()
    }
}

/// Names of the devices that are compiled in and present, `cpu` first.
pub fn available_devices() -> Vec<String> {
    let mut names = vec!["cpu".to_owned()];
    for kind in DeviceKind::ALL.into_iter().filter(|kind| kind.compiled_in()) {
        match kind {
            DeviceKind::Flex => names.push(kind.name().to_owned()),
            _ => names.extend((0..kind.devices().len()).map(|index| format!("{}:{index}", kind.name()))),
        }
    }
    names
}

/// The device called `name`; a kind without a number is its first.
///
/// # Errors
///
/// [`DeviceError`] lists the devices that are here and, where the kind is not compiled in, says with which cargo feature to build.
pub fn parse_device(name: &str) -> Result<ComputeDevice, DeviceError> {
    if name == "cpu" {
        return Ok(ComputeDevice::Cpu);
    }
    let unknown = || DeviceError::Unknown { name: name.to_owned(), available: available_devices() };
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, index.parse::<usize>().map_err(|_| unknown())?),
        None => (name, 0),
    };
    let kind = DeviceKind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(unknown)?;
    if kind == DeviceKind::Flex && name != "flex" {
        return Err(unknown());
    }
    if !kind.compiled_in() {
        let (kind, feature) = (kind.name(), kind.feature());
        return Err(DeviceError::NotCompiledIn { kind, feature, available: available_devices() });
    }
    kind.devices()
        .into_iter()
        .nth(index)
        .map(ComputeDevice::Burn)
        .ok_or_else(|| DeviceError::Absent { name: name.to_owned(), available: available_devices() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!(available_devices()[0], "cpu");
        assert!(parse_device("cpu").is_ok());
    }

    #[test]
    fn what_is_not_a_device_is_refused_with_the_list() {
        for name in ["", "gpu", "cuda:", "cuda:x", "cpu:0", "flex:0", "CPU"] {
            let error = parse_device(name).unwrap_err();
            assert!(matches!(error, DeviceError::Unknown { .. }), "{name}");
            assert!(error.to_string().contains("here there are: cpu"), "{error}");
        }
    }

    #[test]
    fn an_absent_device_is_refused() {
        for kind in DeviceKind::ALL {
            let name = if kind == DeviceKind::Flex { "flex".to_owned() } else { format!("{}:4000", kind.name()) };
            match parse_device(&name) {
                Ok(device) => assert!(kind == DeviceKind::Flex && kind.compiled_in(), "{device:?}"),
                Err(DeviceError::Absent { .. }) => assert!(kind.compiled_in()),
                Err(error) => {
                    assert!(!kind.compiled_in());
                    assert!(error.to_string().contains(&format!("--features {}", kind.feature())), "{error}");
                }
            }
        }
    }
}
