//! `cargo xtask cuda-check`: does NVIDIA's compiler take every kernel, and what does each need?
//!
//! Needs no GPU and no toolkit: NVRTC and ptxas come as Python packages, into an environment of their
//! own below the target folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// The packages of the compiler and the assembler.
const PACKAGES: [&str; 2] = ["nvidia-cuda-nvrtc-cu12==12.9.86", "nvidia-cuda-nvcc-cu12==12.9.86"];

/// Generations of devices that kernels are compiled for: Turing, Ampere, Hopper.
const GENERATIONS: [u32; 3] = [75, 80, 90];

/// Kernels that may not keep anything in memory for want of registers, by the start of their names.
const NO_SPILLS: [&str; 9] = [
    "pattern_",
    "chosen_",
    "table_",
    "value_",
    "real_",
    "micro_",
    "candidate_",
    "affine_",
    "scatter_",
];

const COMPILE: &str = include_str!("cuda_check.py");

/// What ptxas says about a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Needs {
    registers: u32,
    spills: u32,
    shared: u32,
    threads: u32,
}

/// Blocks, threads and registers of one multiprocessor.
#[derive(Debug, Clone, Copy)]
struct Multiprocessor {
    threads: u32,
    blocks: u32,
    registers: u32,
    shared: u32,
}

/// Limits of a generation, of the CUDA C++ Programming Guide's table of compute capabilities.
fn multiprocessor(generation: u32) -> Multiprocessor {
    let kib = 1024;
    match generation {
        75 => Multiprocessor { threads: 1024, blocks: 16, registers: 65_536, shared: 64 * kib },
        80 => Multiprocessor { threads: 2048, blocks: 32, registers: 65_536, shared: 164 * kib },
        _ => Multiprocessor { threads: 2048, blocks: 32, registers: 65_536, shared: 228 * kib },
    }
}

impl Needs {
    /// Percent of a multiprocessor's threads that can be there at a time.
    fn occupancy(self, generation: u32) -> u32 {
        let limits = multiprocessor(generation);
        // Registers are given to warps by 256, shared memory to blocks by 1 KiB more than asked for.
        let warp = (self.registers * 32).next_multiple_of(256).max(256);
        let warps = self.threads.div_ceil(32);
        let by_registers = limits.registers / warp / warps;
        let by_shared = if self.shared == 0 {
            u32::MAX
        } else {
            limits.shared / (self.shared.next_multiple_of(128) + 1024)
        };
        let blocks = limits.blocks.min(by_registers).min(by_shared);
        (blocks * warps * 32).min(limits.threads) * 100 / limits.threads
    }
}

/// Compiles all kernels and prints what each needs; fails where one does not compile or spills.
pub(crate) fn run(markdown: bool) -> Result<()> {
    let folder = workspace::target()?.join("cuda-check");
    let python = environment(&folder.join("venv"))?;
    let packages = packages(&python)?;
    let programs = folder.join("programs");
    write_programs(&programs)?;
    let generations: Vec<String> = GENERATIONS.iter().map(ToString::to_string).collect();
    fs::write(folder.join("compile.py"), COMPILE)?;
    let library = find(&packages.join("cuda_nvrtc/lib"), "libnvrtc.so")?;
    let compiled = workspace::command(&python.to_string_lossy())
        .arg(folder.join("compile.py"))
        .args([&library, &programs])
        .args(&generations)
        .status()?;
    ensure!(compiled.success(), "kernels do not compile");
    let assembler = packages.join("cuda_nvcc/bin/ptxas");
    let mut found = BTreeMap::new();
    for generation in GENERATIONS {
        for source in lutweave_kernels::ALL {
            let ptx = programs.join(format!("{}.{generation}.ptx", source.name));
            for (kernel, needs) in assemble(&assembler, &ptx, generation)? {
                found.insert((kernel, generation), needs);
            }
        }
    }
    print!("{}", if markdown { table(&found) } else { lines(&found) });
    let spilling: Vec<String> = found
        .iter()
        .filter(|((kernel, _), needs)| {
            needs.spills > 0 && NO_SPILLS.iter().any(|start| kernel.starts_with(start))
        })
        .map(|((kernel, generation), _)| format!("{kernel} (sm_{generation})"))
        .collect();
    ensure!(spilling.is_empty(), "registers are spilled to memory by {}", spilling.join(", "));
    println!("{} kernels compiled for {} generations, no table kernel spills", found.len() / 3, 3);
    Ok(())
}

/// The Python of an environment that has the packages, made where it is missing.
fn environment(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin/python");
    let stamp = folder.join("packages");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    println!("installing {} into {}", PACKAGES.join(", "), folder.display());
    let made = workspace::command("python3").args(["-m", "venv", "--clear"]).arg(folder).status();
    let made = made.context("python3 is needed, with its module venv")?;
    ensure!(made.success(), "python3 -m venv failed; on Debian it comes with python3-venv");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let installed =
        workspace::command(&python.to_string_lossy()).args(install).args(PACKAGES).status()?;
    ensure!(installed.success(), "pip could not install {}", PACKAGES.join(" "));
    fs::write(stamp, wanted)?;
    Ok(python)
}

/// Where the packages' files are.
fn packages(python: &Path) -> Result<PathBuf> {
    let lib = python.parent().and_then(Path::parent).context("no environment")?.join("lib");
    for entry in fs::read_dir(&lib)? {
        let packages = entry?.path().join("site-packages/nvidia");
        if packages.is_dir() {
            return Ok(packages);
        }
    }
    bail!("{} has no packages", lib.display())
}

/// The file whose name starts so.
fn find(folder: &Path, start: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(start) {
            return Ok(entry.path());
        }
    }
    bail!("{} has no {start}", folder.display())
}

/// Writes programs as NVRTC takes them.
fn write_programs(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for source in lutweave_kernels::ALL {
        fs::write(folder.join(format!("{}.cu", source.name)), source.program())?;
    }
    Ok(())
}

/// Assembles PTX; gives what each of its kernels needs.
fn assemble(assembler: &Path, ptx: &Path, generation: u32) -> Result<Vec<(String, Needs)>> {
    let output = workspace::command(&assembler.to_string_lossy())
        .args(["-v", &format!("-arch=sm_{generation}"), "-o"])
        .arg(ptx.with_extension("cubin"))
        .arg(ptx)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", ptx.display());
    let threads = bounds(&fs::read_to_string(ptx)?);
    let mut kernels = needs(&said);
    for (kernel, needs) in &mut kernels {
        needs.threads = threads.get(kernel).copied().unwrap_or(1024);
    }
    Ok(kernels)
}

/// The most threads of a block of each kernel of a PTX program.
fn bounds(ptx: &str) -> BTreeMap<String, u32> {
    let mut bounds = BTreeMap::new();
    let mut kernel = "";
    for line in ptx.lines() {
        if let Some((_, rest)) = line.split_once(".entry ") {
            kernel = rest.split('(').next().unwrap_or_default();
        } else if let Some(rest) = line.strip_prefix(".maxntid ") {
            let sizes = rest.split(',').filter_map(|size| size.trim().parse::<u32>().ok());
            bounds.insert(kernel.to_owned(), sizes.product());
        }
    }
    bounds
}

/// What ptxas says of its kernels, one after the other.
fn needs(said: &str) -> Vec<(String, Needs)> {
    let mut all: Vec<(String, Needs)> = Vec::new();
    let before = |line: &str, word: &str| -> u32 {
        let number = line.split(word).next().unwrap_or_default().split_whitespace().last();
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let name = rest.split('\'').next().unwrap_or_default();
            all.push((name.to_owned(), Needs::default()));
        }
        let Some((_, kernel)) = all.last_mut() else { continue };
        if line.contains(" bytes spill stores") {
            kernel.spills =
                before(line, " bytes spill stores") + before(line, " bytes spill loads");
        }
        if line.contains(" registers") {
            kernel.registers = before(line, " registers");
            if line.contains(" bytes smem") {
                kernel.shared = before(line, " bytes smem");
            }
        }
    }
    all
}

/// A line for each kernel and generation.
fn lines(found: &BTreeMap<(String, u32), Needs>) -> String {
    let mut text = format!(
        "{:<32} {:>5} {:>7} {:>9} {:>6} {:>11} {:>9}\n",
        "kernel", "for", "threads", "registers", "spills", "shared", "occupancy"
    );
    for ((kernel, generation), needs) in found {
        let Needs { registers, spills, shared, threads } = *needs;
        let occupancy = needs.occupancy(*generation);
        let _ = writeln!(
            text,
            "{kernel:<32} sm_{generation} {threads:>7} {registers:>9} {spills:>6} {shared:>9} B {occupancy:>7} %"
        );
    }
    text
}

/// A Markdown table, a line for each kernel.
fn table(found: &BTreeMap<(String, u32), Needs>) -> String {
    let mut text = String::from("| kernel | threads | shared |");
    for generation in GENERATIONS {
        let _ = write!(text, " sm_{generation}: registers, spills, occupancy |");
    }
    text += "\n|---|---|---|---|---|---|\n";
    let mut last = "";
    for ((kernel, _), needs) in found {
        if kernel == last {
            continue;
        }
        last = kernel;
        let _ = write!(text, "| `{kernel}` | {} | {} B |", needs.threads, needs.shared);
        for generation in GENERATIONS {
            if let Some(needs) = found.get(&(kernel.clone(), generation)) {
                let occupancy = needs.occupancy(generation);
                let _ = write!(text, " {}, {}, {occupancy} % |", needs.registers, needs.spills);
            }
        }
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_assembler_says_is_read() {
        let said = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'first' for 'sm_90'
ptxas info    : Function properties for first
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 4608 bytes smem, 8 bytes cmem[4]
ptxas info    : Compiling entry function 'second' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 96 registers, used 0 barriers
";
        let first = Needs { registers: 40, spills: 16, shared: 4608, threads: 0 };
        let second = Needs { registers: 96, ..Needs::default() };
        assert_eq!(needs(said), [("first".to_owned(), first), ("second".to_owned(), second)]);
        let ptx = ".visible .entry first(\n)\n.maxntid 128\n{\n.visible .entry second(\n.maxntid 16, 16, 1\n";
        assert_eq!(bounds(ptx), BTreeMap::from([("first".into(), 128), ("second".into(), 256)]));
    }

    #[test]
    fn occupancy_is_that_of_the_scarcest() {
        let needs = Needs { registers: 32, threads: 256, ..Needs::default() };
        assert_eq!(needs.occupancy(90), 100);
        // 65,536 registers hold 5 blocks of 128 threads at 96 each.
        let many = Needs { registers: 96, threads: 128, ..Needs::default() };
        assert_eq!(many.occupancy(90), 5 * 128 * 100 / 2048);
        // Shared memory holds one block.
        let wide = Needs { shared: 40 << 10, threads: 128, registers: 16, ..Needs::default() };
        assert_eq!(wide.occupancy(75), 128 * 100 / 1024);
    }
}
