//! Machine code made at run time, for AVX-512 and AVX2.
//!
//! For AVX-512 the gates of at most three operands become one `vpternlogq` each, for AVX2 gates of two
//! operands one `vpand`, `vpandn`, `vpor` or `vpxor`, all straight-line. Registers are given out by the rule of Belady: of the values in registers, the one whose next use is farthest
//! makes room, and is stored first if it will be needed again. A source that is needed once more only
//! is read by the instruction itself.
//!
//! The memory is writable while the code is written, and executable afterwards, never both.

mod pairs;

use iced_x86::{Code, Encoder, Instruction, MemoryOperand, Register};

use crate::graph::{Gate, Graph};
use crate::program::Program;
use crate::rows::{Line, Rows};
use crate::{Error, Isa, Result};

const REGISTERS: usize = 32;
const NEVER: u32 = u32::MAX;
/// Most bytes of code: 0.65 MB ran twice as fast as the program, 19 MB four times slower, because
/// instructions that are run once a block come from memory.
const MAX_BYTES: usize = 4 << 20;

/// The code of one form, and where its rows are.
#[derive(Debug)]
pub(crate) struct Native {
    memory: memmap2::Mmap,
    /// Slots, inputs and outputs; no operations.
    pub(crate) layout: Program,
    isa: Isa,
}

impl Native {
    /// Compiles a graph of gates of at most three operands.
    pub(crate) fn new(isa: Isa, graph: &Graph) -> Result<Self> {
        let (bytes, layout) = match isa {
            Isa::Avx512 => Compiler::new(isa, graph).code(Compiler::gate)?,
            Isa::Avx2 => Compiler::new(isa, &pairs::graph(graph)).code(Compiler::pair)?,
            _ => return Err(unavailable(format!("it is for avx512 and avx2, not for {isa}"))),
        };
        if bytes.len() > MAX_BYTES {
            let size = bytes.len();
            let why = format!("{size} bytes of code would be slower than the program");
            return Err(unavailable(why));
        }
        let failed = |error: std::io::Error| unavailable(error.to_string());
        let mut memory = memmap2::MmapMut::map_anon(bytes.len()).map_err(failed)?;
        memory.copy_from_slice(&bytes);
        let memory = memory.make_exec().map_err(failed)?;
        Ok(Self { memory, layout, isa })
    }

    /// Bytes of code.
    pub(crate) fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// Runs on rows of one line each.
    ///
    /// # Panics
    ///
    /// If the machine does not have the instruction set, or the rows are those of another program.
    pub(crate) fn run(&self, rows: &mut Rows) {
        assert!(self.isa.is_available(), "this machine does not have {}", self.isa);
        assert!(rows.width == 1 && rows.lines.len() == self.layout.slots(), "rows of a program");
        // SAFETY: the memory holds a whole function of this type, written by `Compiler`; it is
        // never changed, and lives as long as `self`.
        let function = unsafe {
            std::mem::transmute::<*const u8, extern "sysv64" fn(*mut u8)>(self.memory.as_ptr())
        };
        // The function reads and writes slots below `slots` only, of which each is one line: with
        // AVX2 the half of it that the pointer is at.
        let lines = rows.lines.as_mut_ptr().cast::<u8>();
        function(lines);
        if self.isa == Isa::Avx2 && self.layout.slots() > 0 {
            function(lines.wrapping_add(size_of::<Line>() / 2));
        }
    }
}

fn unavailable(why: String) -> Error {
    Error::Unavailable { what: "machine code", why }
}

struct Compiler<'a> {
    isa: Isa,
    graph: &'a Graph,
    /// The gates that read each node are `uses[start[node]..start[node + 1]]`, in order.
    start: Vec<u32>,
    uses: Vec<u32>,
    is_output: Vec<bool>,
    /// Where each node is: its register and its slot, or `NEVER`.
    register: Vec<u32>,
    slot: Vec<u32>,
    /// The node that each register holds, or `NEVER`.
    holds: Vec<u32>,
    free: Vec<u32>,
    slots: u32,
    inputs: Vec<(u32, u32)>,
    encoder: Encoder,
}

impl<'a> Compiler<'a> {
    fn new(isa: Isa, graph: &'a Graph) -> Self {
        let nodes = graph.nodes();
        let mut start = vec![0u32; nodes + 1];
        for gate in graph.gates() {
            gate.operands().iter().for_each(|&node| start[node as usize + 1] += 1);
        }
        for node in 0..nodes {
            start[node + 1] += start[node];
        }
        let mut uses = vec![0u32; start[nodes] as usize];
        let mut fill = start.clone();
        for (index, gate) in graph.gates().iter().enumerate() {
            for &node in gate.operands() {
                uses[fill[node as usize] as usize] = index as u32;
                fill[node as usize] += 1;
            }
        }
        let mut is_output = vec![false; nodes];
        graph.outputs.iter().for_each(|output| is_output[output.node() as usize] = true);
        let registers = if isa == Isa::Avx512 { REGISTERS } else { REGISTERS / 2 };
        let mut made = Self {
            isa,
            graph,
            start,
            uses,
            register: vec![NEVER; nodes],
            slot: vec![NEVER; nodes],
            holds: vec![NEVER; registers],
            free: Vec::new(),
            slots: 0,
            inputs: Vec::new(),
            encoder: Encoder::new(64),
            is_output,
        };
        for row in 0..graph.inputs() {
            let node = row as usize + 1;
            if made.is_output[node] || made.start[node] < made.start[node + 1] {
                made.slot[node] = made.slots;
                made.inputs.push((row, made.slots));
                made.slots += 1;
            }
        }
        made
    }

    /// The first gate after `gate` that reads a node.
    fn next_use(&self, node: u32, gate: u32) -> u32 {
        let uses =
            &self.uses[self.start[node as usize] as usize..self.start[node as usize + 1] as usize];
        uses.get(uses.partition_point(|&at| at <= gate)).copied().unwrap_or(NEVER)
    }

    fn emit(&mut self, made: std::result::Result<Instruction, iced_x86::IcedError>) -> Result<()> {
        let instruction = made.map_err(|error| unavailable(error.to_string()))?;
        let encoded = self.encoder.encode(&instruction, 0);
        encoded.map(|_| ()).map_err(|error| unavailable(error.to_string()))
    }

    fn memory(&self, node: u32) -> MemoryOperand {
        let place = i64::from(self.slot[node as usize]) * 64;
        MemoryOperand::with_base_displ(Register::RDI, place)
    }

    /// The register of this number.
    fn vector(&self, register: u32) -> Register {
        let first = if self.isa == Isa::Avx512 { Register::ZMM0 } else { Register::YMM0 };
        first + register
    }

    /// The instruction set's own of two codes.
    fn own(&self, avx512: Code, avx2: Code) -> Code {
        if self.isa == Isa::Avx512 { avx512 } else { avx2 }
    }

    fn store(&mut self, node: u32) -> Result<()> {
        self.slot[node as usize] = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        let from = self.vector(self.register[node as usize]);
        let to = self.memory(node);
        let code = self.own(Code::EVEX_Vmovdqa64_zmmm512_k1z_zmm, Code::VEX_Vmovdqa_ymmm256_ymm);
        self.emit(Instruction::with2(code, to, from))
    }

    fn load(&mut self, node: u32, to: u32) -> Result<()> {
        let (from, to) = (self.memory(node), self.vector(to));
        let code = self.own(Code::EVEX_Vmovdqa64_zmm_k1z_zmmm512, Code::VEX_Vmovdqa_ymm_ymmm256);
        self.emit(Instruction::with2(code, to, from))
    }

    /// A register for a new value, none of `keep`.
    fn take(&mut self, gate: u32, keep: &[u32]) -> Result<u32> {
        if let Some(free) = self.holds.iter().position(|&node| node == NEVER) {
            return Ok(free as u32);
        }
        let mut best = (0, 0u64);
        for (register, &node) in self.holds.iter().enumerate() {
            // What is in memory already costs nothing to drop.
            let distance = 2 * u64::from(self.next_use(node, gate))
                + u64::from(self.slot[node as usize] != NEVER);
            if !keep.contains(&node) && distance >= best.1 {
                best = (register, distance);
            }
        }
        let node = self.holds[best.0];
        if self.slot[node as usize] == NEVER && self.next_use(node, gate.saturating_sub(1)) != NEVER
        {
            self.store(node)?;
        }
        self.register[node as usize] = NEVER;
        self.holds[best.0] = NEVER;
        Ok(best.0 as u32)
    }

    fn hold(&mut self, register: u32, node: u32) {
        self.holds[register as usize] = node;
        self.register[node as usize] = register;
    }

    /// The whole code, every gate by `gate`.
    fn code(
        mut self,
        gate: impl Fn(&mut Self, u32, &Gate) -> Result<()>,
    ) -> Result<(Vec<u8>, Program)> {
        let graph = self.graph;
        for (index, each) in graph.gates().iter().enumerate() {
            gate(&mut self, index as u32, each)?;
        }
        self.emit(Ok(Instruction::with(Code::VEX_Vzeroupper)))?;
        self.emit(Ok(Instruction::with(Code::Retnq)))?;
        self.finish()
    }

    /// One ternary-logic instruction.
    fn gate(&mut self, index: u32, gate: &Gate) -> Result<()> {
        let mut sources = gate.operands().to_vec();
        // One source may stay in memory: the one that is needed last, if any is not in a register.
        let missing = |compiler: &Self, node: u32| compiler.register[node as usize] == NEVER;
        let in_memory = sources
            .iter()
            .copied()
            .filter(|&node| missing(self, node))
            .max_by_key(|&node| self.next_use(node, index));
        for position in 0..sources.len() {
            let node = sources[position];
            if missing(self, node) && Some(node) != in_memory {
                let register = self.take(index, &sources)?;
                self.load(node, register)?;
                self.hold(register, node);
            }
        }
        // The source whose register becomes the target: one that is needed no more.
        let registers: Vec<u32> =
            sources.iter().copied().filter(|&node| Some(node) != in_memory).collect();
        let dying = registers.iter().copied().find(|&node| self.next_use(node, index) == NEVER);
        let first = dying.or(in_memory).unwrap_or(sources[0]);
        sources.retain(|&source| source != first);
        sources.insert(0, first);
        let target = if dying.is_some() {
            // Where an output needs it, it is in memory since it was made.
            std::mem::replace(&mut self.register[first as usize], NEVER)
        } else {
            let register = self.take(index, &sources)?;
            // The source in memory is loaded; where there is none, one is copied.
            if missing(self, first) {
                self.load(first, register)?;
            } else {
                let from = self.vector(self.register[first as usize]);
                let copy = Code::EVEX_Vmovdqa64_zmm_k1z_zmmm512;
                self.emit(Instruction::with2(copy, self.vector(register), from))?;
            }
            register
        };
        // The rest in registers first, as only the last operand may be memory.
        let mut rest: Vec<u32> = sources[1..].to_vec();
        rest.sort_by_key(|&node| missing(self, node));
        let last = rest.last().copied().unwrap_or(sources[0]);
        let middle = if rest.len() > 1 {
            self.vector(self.register[rest[0] as usize])
        } else {
            self.vector(target)
        };
        let table = immediate(gate, sources[0], (rest.len() > 1).then(|| rest[0]), last);
        let code = Code::EVEX_Vpternlogq_zmm_k1z_zmm_zmmm512b64_imm8;
        let made = if missing(self, last) {
            Instruction::with4(code, self.vector(target), middle, self.memory(last), table)
        } else {
            let last = self.vector(self.register[last as usize]);
            Instruction::with4(code, self.vector(target), middle, last, table)
        };
        self.emit(made)?;
        self.made(index, gate, target)
    }

    /// A gate is in this register; what it read for the last time is gone.
    fn made(&mut self, index: u32, gate: &Gate, target: u32) -> Result<()> {
        let made = self.graph.first_gate() + index;
        for &node in gate.operands() {
            if self.next_use(node, index) == NEVER {
                let register = std::mem::replace(&mut self.register[node as usize], NEVER);
                if register != NEVER {
                    self.holds[register as usize] = NEVER;
                }
                let slot = self.slot[node as usize];
                // Rows of inputs stay: they are written once for a block.
                if slot != NEVER && !self.is_output[node as usize] {
                    self.slot[node as usize] = NEVER;
                    self.free.push(slot);
                }
            }
        }
        self.hold(target, made);
        if self.is_output[made as usize] {
            self.store(made)?;
        }
        if self.next_use(made, index) == NEVER {
            self.register[made as usize] = NEVER;
            self.holds[target as usize] = NEVER;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<u8>, Program)> {
        let outputs = self.graph.outputs.iter().map(|output| {
            let node = output.node();
            let place = if node == 0 { 0 } else { self.slot[node as usize] + 1 };
            2 * place + u32::from(output.inverted())
        });
        let outputs = outputs.collect();
        let rows = self.graph.inputs();
        let layout = Program::new(rows, self.slots, self.inputs, Vec::new(), outputs)?;
        Ok((self.encoder.take_buffer(), layout))
    }
}

/// The gate's table with the target as bit 2 of the index, then `middle`, and `last` as bit 0.
fn immediate(gate: &Gate, target: u32, middle: Option<u32>, last: u32) -> u32 {
    (0..8u32)
        .map(|k| {
            let at = gate.operands().iter().enumerate().fold(0, |at, (v, &node)| {
                let bit = if node == target {
                    k >> 2
                } else if Some(node) == middle {
                    k >> 1
                } else {
                    debug_assert!(node == last);
                    k
                };
                at | (bit & 1) << v
            });
            ((gate.table >> at & 1) as u32) << k
        })
        .sum()
}
