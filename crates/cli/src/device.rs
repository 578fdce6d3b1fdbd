//! Where kernels run: `--device`, and `lutweave devices`.

pub(crate) mod several;

use std::fmt;
use std::str::FromStr;

use clap::Args;
use lutweave::backend::{Backend, Cpu, Cuda, Isa, Nccl};

pub(crate) use self::several::{Devices, Driver, Exchange, Gpus, Opened};
use crate::error::Result;

/// The hardware to work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// The GPU of this number.
    Cuda(usize),
    /// The first GPU where there is one, else the CPU.
    Auto,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Self::Auto => write!(f, "auto"),
        }
    }
}

impl FromStr for Device {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda(0)),
            _ if text == several::ALL || text.contains(',') => Err(
                "this command works on one device, such as cuda:0; several train together, with \
                 `train`, `zoo train` and `bench train`",
            ),
            _ => text
                .strip_prefix("cuda:")
                .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or("expected cpu, cuda:N or auto; `lutweave devices` lists what is there"),
        }
    }
}

impl Device {
    /// The GPU that is meant, if one is.
    pub(crate) fn cuda(self) -> Result<Option<Cuda>> {
        match self {
            Self::Cpu => Ok(None),
            Self::Cuda(ordinal) => Ok(Some(Cuda::new(ordinal)?)),
            Self::Auto => Ok(Cuda::new(0).ok()),
        }
    }

    /// What runs the kernels.
    pub(crate) fn backend(self) -> Result<Box<dyn Backend>> {
        Ok(match self.cuda()? {
            Some(cuda) => Box::new(cuda),
            None => Box::new(Cpu::new()),
        })
    }
}

/// The option of every command that runs kernels.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DeviceArguments {
    /// Where to run: cpu, cuda:N for a GPU, or auto for the first GPU there is.
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(crate) device: Device,
}

/// The options of every command that trains.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainDeviceArguments {
    /// Where to train: cpu, cuda:N for a GPU, auto for the first GPU there is, several GPUs such as
    /// cuda:0,cuda:1, which share every batch, or cuda:all.
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(crate) device: Devices,

    /// How several GPUs exchange gradients [default: auto].
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) exchange: Option<Exchange>,
}

impl TrainDeviceArguments {
    /// Makes the devices ready for batches of so many samples.
    pub(crate) fn open(&self, gpus: &dyn Gpus, batch: usize) -> Result<Opened> {
        self.device.open(self.exchange, gpus, batch)
    }
}

/// Options of `lutweave devices`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave devices
  lutweave devices --json
  lutweave train examples/configs/digits.toml --device auto")]
pub(crate) struct DevicesArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A GPU that is listed, which need not do.
#[derive(Debug)]
struct Listed {
    name: String,
    /// Why nothing runs on it.
    missing: Option<String>,
    /// Why products of dense layers are not cuBLAS's there.
    cublas: Option<String>,
}

impl Listed {
    fn of(ordinal: usize, name: String) -> Self {
        match Cuda::new(ordinal) {
            Ok(cuda) => {
                let cublas = cuda.cublas().err().map(|error| error.to_string());
                Self { name, missing: None, cublas }
            }
            Err(error) => Self { name, missing: Some(error.to_string()), cublas: None },
        }
    }
}

/// Lists devices.
pub(crate) fn run(arguments: &DevicesArguments) {
    let sets: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
    let threads = rayon::current_num_threads();
    let (names, missing) = match Cuda::devices() {
        Ok(names) => (names, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let numbered = names.into_iter().enumerate();
    let gpus: Vec<Listed> = numbered.map(|(ordinal, name)| Listed::of(ordinal, name)).collect();
    let nccl = Nccl::available().err().map(|error| error.to_string());
    if arguments.json {
        let each = |what: fn(&Listed) -> &Option<String>| -> Vec<Option<String>> {
            gpus.iter().map(|gpu| what(gpu).clone()).collect()
        };
        let object = serde_json::json!({
            "cpu": { "isa": Isa::best().name(), "isas": sets, "threads": threads },
            "cuda": gpus.iter().map(|gpu| &gpu.name).collect::<Vec<_>>(),
            "cuda_missing": missing,
            "device_missing": each(|gpu| &gpu.missing),
            "cublas_missing": each(|gpu| &gpu.cublas),
            "nccl_missing": nccl,
        });
        say!("{object:#}");
        return;
    }
    say!("{:<8} {} of {}, threads: {threads}", "cpu", Isa::best(), sets.join(", "));
    if let Some(missing) = missing {
        say!("{:<8} {missing}", "cuda");
        return;
    }
    if gpus.is_empty() {
        say!("{:<8} the driver is there, but no device", "cuda");
    }
    for (ordinal, Listed { name, missing, cublas }) in gpus.iter().enumerate() {
        let device = Device::Cuda(ordinal).to_string();
        match (missing, cublas) {
            (Some(missing), _) => say!("{device:<8} {name}: {missing}"),
            (None, Some(missing)) => say!("{device:<8} {name}; own products: {missing}"),
            (None, None) => say!("{device:<8} {name}; products of dense layers by cuBLAS"),
        }
    }
    match nccl {
        Some(missing) => say!("{:<8} several GPUs exchange by way of the host: {missing}", "nccl"),
        None => say!("{:<8} found: several GPUs exchange by it", "nccl"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_they_are_shown() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(12), Device::Auto] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "CPU"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
        for several in ["cuda:0,cuda:1", "cuda:all"] {
            assert!(several.parse::<Device>().unwrap_err().contains("`bench train`"), "{several}");
        }
    }
}
