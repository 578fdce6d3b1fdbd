//! Several GPUs that train together: `--device cuda:0,cuda:1`, and how they exchange gradients.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use lutweave::backend::{self, Backend, Cpu, Cuda, HostReduce, Nccl, Reduce};
use lutweave::prelude::*;

use super::Device;
use crate::error::{Error, Result};
use crate::report::count;

/// What stands for all GPUs.
pub(super) const ALL: &str = "cuda:all";
/// Most GPUs of a training.
const MOST: usize = 64;

/// The hardware to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Devices {
    /// One device.
    One(Device),
    /// These GPUs, two or more, of which the first keeps the network.
    Several(Vec<usize>),
    /// Every GPU there is.
    All,
}

impl Default for Devices {
    fn default() -> Self {
        Self::One(Device::default())
    }
}

/// A list of GPUs as `--device` takes it.
fn list(ordinals: &[usize]) -> String {
    let names: Vec<String> = ordinals.iter().map(|&n| Device::Cuda(n).to_string()).collect();
    names.join(",")
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(device) => device.fmt(f),
            Self::Several(ordinals) => f.write_str(&list(ordinals)),
            Self::All => f.write_str(ALL),
        }
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        if text == ALL {
            return Ok(Self::All);
        }
        if !text.contains(',') {
            let expected = "expected cpu, cuda:N, auto, several GPUs such as cuda:0,cuda:1, or cuda:all; \
                            `lutweave devices` lists what is there";
            return text.parse().map(Self::One).map_err(|_| expected.to_owned());
        }
        let mut ordinals = Vec::new();
        for name in text.split(',') {
            let Ok(Device::Cuda(ordinal)) = name.parse() else {
                let example = "such as cuda:0,cuda:1";
                return Err(format!("expected GPUs between commas, {example}, got `{name}`"));
            };
            if ordinals.contains(&ordinal) {
                return Err(format!(
                    "cuda:{ordinal} is named twice; a GPU takes one part of a batch"
                ));
            }
            if ordinals.len() == MOST {
                return Err(format!("expected at most {MOST} GPUs"));
            }
            ordinals.push(ordinal);
        }
        Ok(Self::Several(ordinals))
    }
}

/// How several GPUs exchange gradients and parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Exchange {
    /// By NCCL where it is installed, else by way of the host.
    Auto,
    /// From GPU to GPU by NVIDIA's library NCCL, and an error without it.
    Nccl,
    /// By way of the host, in fixed order: the same bits each time, on any machine with such GPUs.
    Host,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Nccl => "nccl",
            Self::Host => "host",
        })
    }
}

/// Where GPUs come from.
pub(crate) trait Gpus {
    /// How many there are.
    fn count(&self) -> backend::Result<usize>;

    /// That of a number.
    fn open(&self, ordinal: usize) -> backend::Result<Cuda>;
}

/// The GPUs of this machine.
#[derive(Debug)]
pub(crate) struct Driver;

impl Gpus for Driver {
    fn count(&self) -> backend::Result<usize> {
        Ok(Cuda::devices()?.len())
    }

    fn open(&self, ordinal: usize) -> backend::Result<Cuda> {
        Cuda::new(ordinal)
    }
}

/// How gradients go from device to device.
#[derive(Debug)]
struct Way {
    reduce: Box<dyn Reduce>,
    /// Why it is that one.
    why: String,
}

/// Devices that are ready to train.
#[derive(Debug)]
pub(crate) struct Opened {
    name: String,
    first: Box<dyn Backend>,
    others: Vec<Cuda>,
    /// Where there are several.
    way: Option<Way>,
}

impl Devices {
    /// Makes the devices ready, for batches of so many samples.
    pub(super) fn open(
        &self,
        exchange: Option<Exchange>,
        gpus: &dyn Gpus,
        batch: usize,
    ) -> Result<Opened> {
        let ordinals = match self {
            Self::One(_) if exchange.is_some() => {
                return Err(Error::Options(format!(
                    "--exchange is how several GPUs exchange gradients, and --device is {self}: name \
                     several there, such as cuda:0,cuda:1 or cuda:all, or leave --exchange out"
                )));
            }
            Self::One(Device::Cpu) => return Ok(Opened::one("cpu", Box::new(Cpu::new()))),
            Self::One(Device::Auto) => {
                return Ok(match gpus.open(0) {
                    Ok(cuda) => Opened::one("cuda:0", Box::new(cuda)),
                    Err(_) => Opened::one("cpu", Box::new(Cpu::new())),
                });
            }
            Self::One(Device::Cuda(ordinal)) => vec![*ordinal],
            Self::Several(ordinals) => {
                missing(ordinals, gpus.count()?)?;
                ordinals.clone()
            }
            Self::All => {
                let all: Vec<usize> = (0..gpus.count()?).collect();
                if all.is_empty() {
                    return Err(unavailable("the driver is there, but no device"));
                }
                if all.len() > MOST {
                    let all = all.len();
                    return Err(Error::Options(format!(
                        "there are {all} GPUs, and a training takes at most {MOST}: name them with \
                         --device"
                    )));
                }
                all
            }
        };
        let parts = ordinals.len();
        // A batch of none is refused where batches are.
        if batch > 0 && batch < parts {
            return Err(Error::Options(format!(
                "a batch of {} cannot be shared by {parts} GPUs: name at most {batch} with --device, \
                 or set a larger batch",
                count(batch, "sample")
            )));
        }
        let name = list(&ordinals);
        let mut all =
            ordinals.iter().map(|&n| gpus.open(n)).collect::<backend::Result<Vec<_>>>()?;
        let way = if parts > 1 {
            Some(Way::of(exchange, &all.iter().collect::<Vec<_>>())?)
        } else {
            None
        };
        let first = Box::new(all.remove(0));
        Ok(Opened { name, first, others: all, way })
    }
}

fn unavailable(why: impl Into<String>) -> Error {
    backend::Error::Unavailable { what: "CUDA", why: why.into() }.into()
}

/// Refuses a GPU that is not there, before any is made ready.
fn missing(ordinals: &[usize], there: usize) -> Result<()> {
    let Some(absent) = ordinals.iter().find(|&&ordinal| ordinal >= there) else { return Ok(()) };
    let there = match there {
        0 => "the driver is there, but no device".to_owned(),
        1 => "there is cuda:0 alone".to_owned(),
        _ => format!("there are cuda:0 to cuda:{}", there - 1),
    };
    Err(unavailable(format!("device {absent}: {there}")))
}

impl Way {
    fn of(exchange: Option<Exchange>, devices: &[&Cuda]) -> Result<Self> {
        let host = |why: String| Self { reduce: Box::new(HostReduce), why };
        Ok(match exchange.unwrap_or(Exchange::Auto) {
            Exchange::Host => host(String::new()),
            Exchange::Nccl => Self { reduce: Box::new(Nccl::new(devices)?), why: String::new() },
            Exchange::Auto => {
                let (reduce, missing) = Nccl::or_host(devices);
                Self { reduce, why: missing.map_or(String::new(), |error| format!(": {error}")) }
            }
        })
    }
}

impl Opened {
    fn one(name: &str, first: Box<dyn Backend>) -> Self {
        Self { name: name.to_owned(), first, others: Vec::new(), way: None }
    }

    /// The device that keeps and evaluates the network.
    pub(crate) fn first(&self) -> &dyn Backend {
        &*self.first
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// What they are called, as `--device` takes it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How several of them exchange gradients: the name of the way.
    pub(crate) fn exchange(&self) -> Option<&'static str> {
        self.way.as_ref().map(|way| way.reduce.name())
    }

    /// What they are, in words for the terminal and a report; none for the CPU.
    pub(crate) fn told(&self) -> Option<String> {
        let Some(Way { reduce, why }) = &self.way else {
            return (self.name != "cpu").then(|| format!("on {}", self.name));
        };
        let by = match reduce.name() {
            "host" => "by way of the host, in fixed order",
            _ => "by NCCL",
        };
        Some(format!(
            "on {} side by side, each with its part of every batch; gradients are exchanged {by}{why}",
            self.name.replace(',', ", ")
        ))
    }

    /// Says what they are, unless that is the CPU.
    pub(crate) fn announce(&self) {
        if let Some(told) = self.told() {
            say!("{told}");
        }
    }

    /// Has a trainer use them.
    pub(crate) fn give<'a>(&'a self, trainer: Trainer<'a>) -> Trainer<'a> {
        let trainer = trainer.backend(self.first());
        let Some(way) = &self.way else { return trainer };
        let others: Vec<&dyn Backend> =
            self.others.iter().map(|cuda| cuda as &dyn Backend).collect();
        trainer.across(&others, &*way.reduce)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use lutweave::backend::Schedule as Order;

    use super::*;

    /// So many GPUs, emulated.
    #[derive(Debug)]
    pub(crate) struct Emulated(pub(crate) usize);

    impl Gpus for Emulated {
        fn count(&self) -> backend::Result<usize> {
            Ok(self.0)
        }

        fn open(&self, _ordinal: usize) -> backend::Result<Cuda> {
            Cuda::emulated_lists(Order::Rising, 1)
        }
    }

    #[test]
    fn devices_are_named_as_they_are_shown() {
        let several = Devices::Several(vec![0, 3, 1]);
        for devices in [Devices::default(), Devices::One(Device::Cuda(2)), several, Devices::All] {
            assert_eq!(devices.to_string().parse(), Ok(devices));
        }
        assert_eq!("cuda,cuda:1".parse(), Ok(Devices::Several(vec![0, 1])));
        let many = (0..=MOST).map(|n| format!("cuda:{n}")).collect::<Vec<_>>().join(",");
        for (wrong, says) in [
            ("gpu", "several GPUs such as cuda:0,cuda:1"),
            ("cuda:0,cpu", "got `cpu`"),
            ("cuda:0,", "got ``"),
            ("cuda:0,auto", "got `auto`"),
            ("cuda:all,cuda:0", "got `cuda:all`"),
            ("cuda:1,cuda:0,cuda:1", "cuda:1 is named twice"),
            (&many, "at most 64 GPUs"),
        ] {
            let said = wrong.parse::<Devices>().unwrap_err();
            assert!(said.contains(says), "{wrong}: {said}");
        }
    }

    #[test]
    fn what_cannot_train_together_is_refused_before_anything_is_opened() {
        /// GPUs that nobody may touch.
        #[derive(Debug)]
        struct Untouched(usize);

        impl Gpus for Untouched {
            fn count(&self) -> backend::Result<usize> {
                Ok(self.0)
            }

            fn open(&self, ordinal: usize) -> backend::Result<Cuda> {
                panic!("device {ordinal} was opened")
            }
        }

        let host = Some(Exchange::Host);
        for (devices, exchange, there, batch, says) in [
            ("cuda:0,cuda:2", None, 2, 64, "device 2: there are cuda:0 to cuda:1"),
            ("cuda:0,cuda:1", None, 1, 64, "device 1: there is cuda:0 alone"),
            ("cuda:all", None, 0, 64, "the driver is there, but no device"),
            ("cuda:all", None, 100, 640, "there are 100 GPUs"),
            ("cuda:all", None, 8, 7, "a batch of 7 samples cannot be shared by 8 GPUs"),
            ("cuda:0", host, 2, 64, "--device is cuda:0: name several"),
            ("cpu", host, 2, 64, "--device is cpu: name several"),
        ] {
            let devices: Devices = devices.parse().unwrap();
            let said = devices.open(exchange, &Untouched(there), batch).unwrap_err().text();
            assert!(said.contains(says), "{devices}: {said}");
        }
    }

    #[test]
    fn the_way_of_exchange_is_told_with_why() {
        let open = |devices: &str, exchange, there| {
            devices.parse::<Devices>().unwrap().open(exchange, &Emulated(there), 64)
        };
        let both = open("cuda:1,cuda:0", None, 2).unwrap();
        assert_eq!(
            (both.count(), both.name(), both.exchange()),
            (2, "cuda:1,cuda:0", Some("host"))
        );
        let told = both.told().unwrap();
        assert!(
            told.contains("by way of the host, in fixed order: NCCL is not available"),
            "{told}"
        );
        let both = open("cuda:all", Some(Exchange::Host), 2).unwrap();
        let told = both.told().unwrap();
        assert!(told.ends_with("in fixed order") && told.contains("cuda:0, cuda:1"), "{told}");
        let said = open("cuda:all", Some(Exchange::Nccl), 2).unwrap_err().text();
        assert!(said.contains("NCCL") && said.contains("--exchange host"), "{said}");
        let one = open("cuda:all", Some(Exchange::Host), 1).unwrap();
        assert_eq!(
            (one.count(), one.exchange(), one.told().as_deref()),
            (1, None, Some("on cuda:0"))
        );
        assert_eq!(open("cpu", None, 0).unwrap().told(), None);
    }
}
