//! Devices by name: `cpu`, `flex`, and `cuda:0`, `vulkan:0`, `metal:0`, `rocm:0` and so on where compiled in and present.

use burn::tensor::Device;

/// Where networks are trained.
#[derive(Clone, Debug, PartialEq)]
pub enum ComputeDevice {
    /// The CPU, with this project's own kernels.
    Cpu,
    /// A device of Burn's: a GPU, or `flex`, Burn's own backend for the CPU.
    Burn(Device),
}

impl ComputeDevice {
    /// The device on which Burn's tensors are made; for [`ComputeDevice::Cpu`] that of `flex`.
    pub fn burn(&self) -> Device {
        match self {
            ComputeDevice::Cpu => Device::flex(),
            ComputeDevice::Burn(device) => device.clone(),
        }
    }

    /// Whether the CPU does the work, so that reading a tensor waits for nothing.
    pub(crate) fn is_on_the_cpu(&self) -> bool {
        match self {
            ComputeDevice::Cpu => true,
            ComputeDevice::Burn(device) => is_cpu(device),
        }
    }
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
    #[error("this program was built without {kind}: build it with `cargo build --release --features {kind}`; here there are: {}", available.join(", "))]
    NotCompiledIn {
        /// The kind, which is also the cargo feature.
        kind: String,
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

/// The kinds of device beside the CPU, each named as its cargo feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accelerator {
    Cuda,
    Vulkan,
    Metal,
    Rocm,
}

impl Accelerator {
    const ALL: [Self; 4] = [Self::Cuda, Self::Vulkan, Self::Metal, Self::Rocm];

    fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Rocm => "rocm",
        }
    }

    fn compiled_in(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }

    /// The devices of this kind on this machine; none where the kind is not compiled in.
    fn devices(self) -> Vec<Device> {
        // Where a driver is not installed some backends panic instead of listing nothing.
        std::panic::catch_unwind(|| match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Device::enumerate(burn::tensor::DeviceType::Vulkan).into_vec(),
            #[cfg(feature = "metal")]
            Self::Metal => Device::enumerate(burn::tensor::DeviceType::Metal).into_vec(),
            #[cfg(feature = "rocm")]
            Self::Rocm => Device::enumerate(burn::tensor::DeviceType::Rocm).into_vec(),
            #[allow(unreachable_patterns)]
            _ => Vec::new(),
        })
        .unwrap_or_default()
    }
}

/// Names of the devices that are compiled in and present, `cpu` and `flex`, Burn's backend for the CPU, first.
pub fn available_devices() -> Vec<String> {
    let mut names = vec!["cpu".to_owned(), "flex".to_owned()];
    for kind in Accelerator::ALL.into_iter().filter(|kind| kind.compiled_in()) {
        names.extend((0..kind.devices().len()).map(|index| format!("{}:{index}", kind.name())));
    }
    names
}

/// The device called `name`; a kind without a number is its first.
///
/// # Errors
///
/// [`DeviceError`] lists the devices that are here and, where the kind is not compiled in, says with which cargo feature to build.
pub fn parse_device(name: &str) -> Result<ComputeDevice, DeviceError> {
    match name {
        "cpu" => return Ok(ComputeDevice::Cpu),
        "flex" => return Ok(ComputeDevice::Burn(Device::flex())),
        _ => {}
    }
    let unknown = || DeviceError::Unknown { name: name.to_owned(), available: available_devices() };
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, index.parse::<usize>().map_err(|_| unknown())?),
        None => (name, 0),
    };
    let kind = Accelerator::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(unknown)?;
    if !kind.compiled_in() {
        return Err(DeviceError::NotCompiledIn { kind: kind.name().to_owned(), available: available_devices() });
    }
    kind.devices()
        .into_iter()
        .nth(index)
        .map(ComputeDevice::Burn)
        .ok_or_else(|| DeviceError::Absent { name: name.to_owned(), available: available_devices() })
}

/// Whether `device` is the CPU, so that reading a tensor waits for nothing.
pub(crate) fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
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
        for name in ["", "gpu", "cuda:", "cuda:x", "cpu:0", "CPU"] {
            let error = parse_device(name).unwrap_err();
            assert!(matches!(error, DeviceError::Unknown { .. }), "{name}");
            assert!(error.to_string().contains("here there are: cpu, flex"), "{error}");
        }
    }

    #[test]
    fn an_absent_device_is_refused() {
        for kind in Accelerator::ALL {
            let error = parse_device(&format!("{}:4000", kind.name())).unwrap_err();
            if kind.compiled_in() {
                assert!(matches!(error, DeviceError::Absent { .. }));
            } else {
                assert!(error.to_string().contains(&format!("--features {}", kind.name())), "{error}");
            }
        }
    }
}
