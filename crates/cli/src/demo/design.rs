//! What the demo trains, what it is compared with, and the files it leaves.

use lutweave::nn::WiringRule;
use lutweave::prelude::*;

use crate::error::{Error, Result};
use crate::report::{count, grouped, percent};

/// Name of the netlist, of the Verilog module and of the files.
pub(super) const NAME: &str = "digits";
/// Digits to tell apart.
pub(super) const CLASSES: usize = 10;
/// Images of one update.
pub(super) const BATCH: usize = 128;
/// Learning rate of Adam at the start.
pub(super) const LEARNING_RATE: f32 = 0.02;
/// Thresholds of each pixel.
const LEVELS: usize = 3;

pub(super) const MODEL: &str = "digits.lutweave";
pub(super) const NETLIST: &str = "digits.netlist";
pub(super) const MODULE: &str = "digits.v";
pub(super) const BENCH: &str = "digits_tb.v";
pub(super) const INPUTS: &str = "digits_inputs.mem";
pub(super) const EXPECTED: &str = "digits_expected.mem";
pub(super) const REPORT: &str = "report.html";

/// The files that are written, and what each is for.
pub(super) const FILES: [(&str, &str); 7] = [
    (MODEL, "the trained network, to load and train on"),
    (NETLIST, "the netlist as text: every table, wire and register"),
    (MODULE, "the whole system in Verilog-2001"),
    (BENCH, "a test bench that checks itself"),
    (INPUTS, "the test images, for the bench"),
    (EXPECTED, "the network's answer to each, for the bench"),
    (REPORT, "all of this as a page to look at"),
];

/// The network, not trained yet.
pub(super) fn network(train: &Dataset, seed: u64) -> Result<Network> {
    Ok(Sequential::new(train.shape())
        .then(Thermometer::uniform(train, LEVELS)?)
        .then(LutLayer::new(600).fan_in(6).wiring(WiringRule::Balanced))
        .then(LutLayer::new(300).fan_in(6).wiring(WiringRule::Balanced))
        .then(GroupSum::new(CLASSES).temperature(5.0))
        .build(seed)?)
}

/// The network in a few words.
pub(super) fn in_words(net: &Network) -> String {
    let table = net.describe();
    let luts = table.layers.iter().map(|layer| layer.cost.luts as usize);
    let luts: Vec<String> = luts.filter(|&luts| luts > 0).map(grouped).collect();
    format!(
        "{} of six inputs in layers of {}, {} trained numbers",
        count(net.luts(), "LUT"),
        luts.join(" and "),
        grouped(table.parameters())
    )
}

/// The netlist of the network, with registers after each layer.
pub(super) fn hardware(net: &Network) -> Result<Netlist> {
    let netlist = net.to_netlist(NAME)?;
    let stages: Vec<usize> = (0..netlist.groups().len()).collect();
    Ok(netlist.pipeline(&stages)?)
}

/// What the network and the netlist say to every test image.
#[derive(Debug)]
pub(super) struct Answers {
    truth: Vec<u32>,
    network: Vec<u32>,
    netlist: Vec<u64>,
    /// The images as the netlist's input words.
    pub(super) inputs: Vec<u64>,
}

impl Answers {
    /// Asks both; the netlist is evaluated table by table, bit by bit.
    pub(super) fn of(net: &Network, netlist: &Netlist, test: &Dataset) -> Result<Self> {
        let Some((_, labels)) = test.classes() else {
            return Err(Error::Unexpected("the digits have no classes"));
        };
        let inputs = net.port_words(test)?;
        let answers = Evaluator::new(netlist)?.frames(&inputs)?;
        if answers.len() != labels.len() {
            return Err(Error::Unexpected("the netlist does not give one answer an image"));
        }
        Ok(Self { truth: labels.to_vec(), network: net.predict(test)?, netlist: answers, inputs })
    }

    /// Number of test images.
    pub(super) fn len(&self) -> usize {
        self.truth.len()
    }

    /// The network's answers, as the netlist's output words.
    pub(super) fn expected(&self) -> Vec<u64> {
        self.network.iter().map(|&class| class.into()).collect()
    }

    /// An error unless the netlist says on every image what the network says.
    pub(super) fn check(&self) -> Result<()> {
        let (equal, total) = (self.equal(), self.len());
        if equal == total { Ok(()) } else { Err(Error::Unequal { equal, total }) }
    }

    /// Images on which the netlist says what the network says.
    pub(super) fn equal(&self) -> usize {
        self.network.iter().zip(&self.netlist).filter(|(a, b)| u64::from(**a) == **b).count()
    }

    /// The true class of each image, and the netlist's answer.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.truth
            .iter()
            .zip(&self.netlist)
            .map(|(&truth, &answer)| (truth as usize, answer as usize))
    }

    /// Images by true class, then by the netlist's answer.
    pub(super) fn confusion(&self, classes: usize) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; classes]; classes];
        for (truth, answer) in self.pairs() {
            if let Some(cell) = counts.get_mut(truth).and_then(|row| row.get_mut(answer)) {
                *cell += 1;
            }
        }
        counts
    }

    /// How well the netlist does, in a line.
    pub(super) fn in_words(&self) -> String {
        let right = self.pairs().filter(|(truth, answer)| truth == answer).count();
        format!(
            "{} on {} test images, equal to the network on {}/{}",
            percent(right as f64 / self.len().max(1) as f64),
            grouped(self.len()),
            self.equal(),
            self.len()
        )
    }
}

/// What to do next in the folder of the files: what it does, and the command.
pub(super) fn next_in_folder() -> Vec<(String, String)> {
    [
        (
            "Run the test bench again, in Icarus Verilog",
            format!("iverilog -g2001 -o {NAME}.vvp {MODULE} {BENCH} && vvp -n {NAME}.vvp"),
        ),
        (
            "The same in Verilator, with a sample in every cycle",
            format!(
                "verilator --binary --timing --top-module {NAME}_tb {MODULE} {BENCH} \
                 && obj_dir/V{NAME}_tb +gaps=0"
            ),
        ),
        (
            "Synthesise for a Xilinx FPGA with Yosys, which takes about a minute",
            format!("yosys -p \"read_verilog {MODULE}; synth_xilinx -top {NAME}; stat\""),
        ),
    ]
    .map(|(what, command)| (what.to_owned(), command))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers {
            truth: vec![0, 1, 2, 2],
            network: vec![0, 1, 1, 2],
            netlist: vec![0, 1, 1, 9],
            inputs: Vec::new(),
        }
    }

    #[test]
    fn says_how_well_the_netlist_does() {
        assert_eq!(answers().in_words(), "50 % on 4 test images, equal to the network on 3/4");
    }

    #[test]
    fn confusion_leaves_out_what_is_no_class() {
        assert_eq!(answers().confusion(3), [[1, 0, 0], [0, 1, 0], [0, 1, 0]]);
    }

    #[test]
    fn the_network_fits_the_default_limit() {
        let (train, _) = data::digits().unwrap();
        assert_eq!(network(&train, 1).unwrap().luts(), 900);
    }
}
