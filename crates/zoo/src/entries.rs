//! The entries: names, settings, trained netlists.

use lutweave_lut::Netlist;

use crate::{Error, Result};

/// A ready network.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What was aimed at.
    pub target: &'static str,
    /// The data set, by the name that `data::open` knows.
    pub data: &'static str,
    /// The settings of `lutweave train`, as TOML.
    pub settings: &'static str,
    /// The trained network as the text of its netlist, where it is small enough to be here.
    netlist: Option<&'static str>,
}

impl Entry {
    /// The text of the trained netlist, if it is here.
    pub fn netlist_text(&self) -> Option<&'static str> {
        self.netlist
    }

    /// The trained netlist, if it is here: numbers of a sample in, its class out.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`] when the text that was compiled in cannot be read.
    pub fn netlist(&self) -> Result<Option<Netlist>> {
        let read = |text| {
            Netlist::from_text(text).map_err(|source| Error::Netlist { name: self.name, source })
        };
        self.netlist.map(read).transpose()
    }
}

/// All entries, small ones first.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "digits-tiny",
        about: "the embedded 8 × 8 digits, in as few LUTs as will do",
        target: "97 % with 300 LUTs in total",
        data: "digits",
        settings: include_str!("../entries/digits-tiny.toml"),
        netlist: Some(include_str!("../models/digits-tiny.netlist")),
    },
    Entry {
        name: "mnist-tiny",
        about: "MNIST in one layer",
        target: "98.0 % with 690 LUTs of the core",
        data: "mnist",
        settings: include_str!("../entries/mnist-tiny.toml"),
        netlist: Some(include_str!("../models/mnist-tiny.netlist")),
    },
    Entry {
        name: "mnist-small",
        about: "MNIST in one layer of twice as many LUTs",
        target: "98.5 % with 1,400 LUTs of the core",
        data: "mnist",
        settings: include_str!("../entries/mnist-small.toml"),
        netlist: Some(include_str!("../models/mnist-small.netlist")),
    },
    Entry {
        name: "mnist-mid",
        about: "MNIST, encoder and head counted",
        target: "98.6 % with 3,400 LUTs in total",
        data: "mnist",
        settings: include_str!("../entries/mnist-mid.toml"),
        netlist: Some(include_str!("../models/mnist-mid.netlist")),
    },
    Entry {
        name: "mnist-large",
        about: "MNIST in one wide layer on edges",
        target: "99.0 % with 4,000 LUTs of the core",
        data: "mnist",
        settings: include_str!("../entries/mnist-large.toml"),
        netlist: None,
    },
    Entry {
        name: "mnist-lean",
        about: "the same on edges of three bits that nodes share",
        target: "an encoder of a tenth of that of mnist-large",
        data: "mnist",
        settings: include_str!("../entries/mnist-lean.toml"),
        netlist: None,
    },
    Entry {
        name: "mnist-conv",
        about: "MNIST, one layer on edges of three bits that slides over the image in steps of a pixel",
        target: "99.3 % with 30,000 LUT nodes for an image",
        data: "mnist",
        settings: include_str!("../entries/mnist-conv.toml"),
        netlist: None,
    },
    Entry {
        name: "mnist-simple",
        about: "BinaryBrain's MnistDifferentiableLutSimple, 15 frames an image",
        target: "91.3 % with 3,182 LUTs",
        data: "mnist",
        settings: include_str!("../entries/mnist-simple.toml"),
        netlist: None,
    },
    Entry {
        name: "mnist-simple-x1",
        about: "the same layers with one frame an image",
        target: "88.0 % with 3,182 LUTs",
        data: "mnist",
        settings: include_str!("../entries/mnist-simple-x1.toml"),
        netlist: None,
    },
    Entry {
        name: "cifar10-dense",
        about: "CIFAR-10, one layer on edges and colours",
        target: "62 % with 16,500 LUTs of the core",
        data: "cifar10",
        settings: include_str!("../entries/cifar10-dense.toml"),
        netlist: None,
    },
    Entry {
        name: "cifar10-lean",
        about: "the same on edges and colours of four bits that nodes share",
        target: "an encoder of half of that of cifar10-dense",
        data: "cifar10",
        settings: include_str!("../entries/cifar10-lean.toml"),
        netlist: None,
    },
    Entry {
        name: "cifar10-conv",
        about: "CIFAR-10, one layer on edges and colours that slides over the image in steps of two pixels",
        target: "70 % with 100,000 LUT nodes for an image",
        data: "cifar10",
        settings: include_str!("../entries/cifar10-conv.toml"),
        netlist: None,
    },
];

/// The entry of this name.
///
/// # Errors
///
/// [`Error::Unknown`] when there is none.
pub fn find(name: &str) -> Result<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
        Error::Unknown { name: name.to_owned(), known: names.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_read() {
        for entry in ENTRIES {
            assert!(find(entry.name).is_ok_and(|found| found.settings == entry.settings));
            let recorded = crate::recorded(entry.name).unwrap();
            if let Some(netlist) = entry.netlist().unwrap() {
                let luts = netlist.lut_count(lutweave_lut::Role::Core);
                // Tables that no other reads are not in it.
                let fits = |record: crate::Record| {
                    luts > 0 && luts <= record.unrolled.unwrap_or(record.nodes)
                };
                assert!(recorded.is_some_and(fits), "{}", entry.name);
            }
        }
        let error = find("mnist-tinny").unwrap_err().to_string();
        assert!(error.contains("mnist-tinny") && error.contains("mnist-tiny"), "{error}");
    }
}
