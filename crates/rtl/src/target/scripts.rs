//! Build scripts and constraints of a target's tools, to start from.

use super::Target;

/// A file for the tools of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// File name, without a folder.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Clock period to aim at, in nanoseconds.
const PERIOD: u32 = 10;

impl Target {
    /// Scripts and constraints for a module in `<module>.v`, with a clock if it has one: a Yosys
    /// script for every family but the generic target, place and route with nextpnr for iCE40,
    /// ECP5 and Gowin, Vivado's Tcl and XDC for Xilinx. Device, package and pins are examples to be
    /// replaced. The Yosys scripts are run by the tests, and so is place and route for iCE40 and ECP5
    /// where its tools are installed; the rest is not.
    pub fn scripts(self, module: &str, clocked: bool) -> Vec<Script> {
        if self == Self::Generic {
            return Vec::new();
        }
        let script =
            |suffix: &str, text: String| Script { name: format!("{module}{suffix}"), text };
        let mut scripts = vec![script("_synth.ys", self.yosys(module))];
        match self {
            Self::Xilinx7 | Self::UltraScale => {
                scripts.push(script("_vivado.tcl", self.vivado(module)));
                scripts.push(script(".xdc", xdc(clocked)));
            }
            Self::Ice40 | Self::Ecp5 | Self::Gowin => {
                scripts.push(script("_route.sh", self.route(module)));
                let suffix = self.constraints();
                scripts.push(script(suffix, self.pins(clocked)));
            }
            Self::Generic => {}
        }
        scripts
    }

    /// The suffix of its file of constraints.
    fn constraints(self) -> &'static str {
        match self {
            Self::Ice40 => ".pcf",
            Self::Ecp5 => ".lpf",
            Self::Gowin => ".cst",
            Self::Generic | Self::Xilinx7 | Self::UltraScale => ".xdc",
        }
    }

    fn yosys(self, module: &str) -> String {
        let synth = match self {
            Self::Xilinx7 => "synth_xilinx -family xc7 -flatten -noiopad",
            Self::UltraScale => "synth_xilinx -family xcu -flatten -noiopad",
            Self::Ice40 => "synth_ice40",
            Self::Ecp5 => "synth_ecp5",
            Self::Gowin => "synth_gowin",
            Self::Generic => "synth",
        };
        format!(
            "# Synthesis of {module} for {self}: yosys -s {module}_synth.ys\n\
             read_verilog {module}.v\n\
             {synth} -top {module}\n\
             stat\n\
             write_json {module}.json\n"
        )
    }

    fn route(self, module: &str) -> String {
        let file = self.constraints();
        let (what, commands) = match self {
            Self::Ice40 => (
                "iCE40 HX8K",
                format!(
                    "nextpnr-ice40 --hx8k --package ct256 --freq 100 --json {module}.json \\\n  \
                     --pcf {module}{file} --pcf-allow-unconstrained --asc {module}.asc\n\
                     icepack {module}.asc {module}.bin\n"
                ),
            ),
            Self::Ecp5 => (
                "ECP5 25k",
                format!(
                    "# Without pins, for a timing report alone: add --out-of-context\n\
                     nextpnr-ecp5 --25k --package CABGA256 --speed 6 --freq 100 \\\n  \
                     --json {module}.json --lpf {module}{file} --lpf-allow-unconstrained \\\n  \
                     --textcfg {module}.config\n\
                     ecppack {module}.config {module}.bit\n"
                ),
            ),
            _ => (
                "GW2A-18",
                format!(
                    "nextpnr-himbaechel --device GW2A-LV18PG256C8/I7 --vopt family=GW2A-18 \\\n  \
                     --vopt cst={module}{file} --json {module}.json --write {module}_routed.json\n\
                     gowin_pack -d GW2A-18 -o {module}.fs {module}_routed.json\n"
                ),
            ),
        };
        format!(
            "#!/bin/sh -e\n# Place and route of {module} on {what}: an example, change device and \
             package.\n# Ports without a line in {module}{file} are placed anywhere. A module with \
             more ports than the package\n# has pins needs a wrapper.\nyosys -s {module}_synth.ys\n{commands}"
        )
    }

    fn pins(self, clocked: bool) -> String {
        let (comment, clock) = match self {
            Self::Ice40 => ("#", "set_io clk J3\nset_frequency clk 100"),
            Self::Ecp5 => (
                "#",
                "LOCATE COMP \"clk\" SITE \"P3\";\nIOBUF PORT \"clk\" IO_TYPE=LVCMOS33;\n\
                 FREQUENCY PORT \"clk\" 100 MHZ;",
            ),
            _ => ("//", "IO_LOC \"clk\" H11;\nIO_PORT \"clk\" IO_TYPE=LVCMOS33;"),
        };
        let clock = if clocked { clock } else { "" };
        let text = format!(
            "{comment} Pins of the module: an example. For a board, every port needs a line.\n{clock}\n"
        );
        text.trim_end().to_owned() + "\n"
    }

    fn vivado(self, module: &str) -> String {
        let part = if self == Self::Xilinx7 { "xc7a35tcpg236-1" } else { "xcku035-fbva676-1-c" };
        format!(
            "# Synthesis and implementation of {module} in Vivado, without pins: not tested.\n\
             # vivado -mode batch -source {module}_vivado.tcl\n\
             set part {part}\n\
             read_verilog {module}.v\n\
             read_xdc {module}.xdc\n\
             synth_design -top {module} -part $part -mode out_of_context\n\
             opt_design\n\
             place_design\n\
             route_design\n\
             report_utilization -file {module}_utilization.rpt\n\
             report_timing_summary -file {module}_timing.rpt\n\
             write_checkpoint -force {module}_routed.dcp\n"
        )
    }
}

fn xdc(clocked: bool) -> String {
    let head = "# Constraints, not tested.\n";
    if !clocked {
        return format!("{head}set_max_delay {PERIOD} -from [all_inputs] -to [all_outputs]\n");
    }
    format!(
        "{head}create_clock -name clk -period {PERIOD} [get_ports clk]\n\
         # Registers that follow the inputs and precede the outputs are outside of the module.\n\
         set_input_delay 0 -clock clk [remove_from_collection [all_inputs] [get_ports clk]]\n\
         set_output_delay 0 -clock clk [all_outputs]\n"
    )
}
