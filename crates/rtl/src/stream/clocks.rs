//! How long a chain takes: its handshakes, clock cycle by clock cycle, without the data.
//!
//! Which cycle a pixel moves in depends on no pixel, only on the places of the scans. So the
//! figures in the header of the Verilog are not estimates: test benches without stalls compare
//! them with what they see.

use super::plan::{Plan, StagePlan, Work};

/// Frames that are followed: by the third, the stages keep each other busy as they go on doing.
const FRAMES: usize = 3;

/// When pixels of frames that follow one another without a gap come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clocks {
    /// From the first pixel in to the first out.
    pub(super) first: usize,
    /// From the first pixel in to the last of its frame out.
    pub(super) last: usize,
    /// From the last pixel out of the second frame to that of the third.
    pub(super) frame: usize,
}

/// What one stage holds.
struct Unit<'a> {
    plan: &'a StagePlan,
    scan: [usize; 2],
    row: usize,
    column: usize,
    /// The valid bits of its registers, as a ring; `head` is the newest.
    pipe: Vec<bool>,
    head: usize,
    /// Words in its hand-over, at most two.
    held: usize,
}

impl Unit<'_> {
    /// Whether the place of the scan takes a pixel.
    fn reads(&self) -> bool {
        match &self.plan.work {
            Work::Slide { axes, .. } => {
                let inside = |axis: usize, place: usize| {
                    let axis = &axes[axis];
                    (axis.offset..axis.offset + axis.size).contains(&place)
                };
                inside(0, self.row) && inside(1, self.column)
            }
            Work::Enlarge { factors: [down, across] } => {
                self.row.is_multiple_of(*down) && self.column.is_multiple_of(*across)
            }
        }
    }

    /// Whether the place of the scan gives a pixel.
    fn gives(&self) -> bool {
        match &self.plan.work {
            Work::Slide { axes, .. } => {
                let ends = |axis: usize, place: usize| {
                    let axis = &axes[axis];
                    (axis.first_end()..=axis.last_end()).contains(&place)
                        && (place - axis.first_end()).is_multiple_of(axis.stride)
                };
                ends(0, self.row) && ends(1, self.column)
            }
            Work::Enlarge { .. } => true,
        }
    }

    /// The oldest of its registers.
    fn result(&self) -> bool {
        self.pipe[(self.head + 1) % self.pipe.len()]
    }

    /// One clock cycle. `offered` says whether the stage before it has a pixel, `taken` whether
    /// the stage behind it takes one; returns whether this stage took one.
    fn clock(&mut self, offered: bool, taken: bool) -> bool {
        let enable = !self.result() || self.held < 2;
        let reads = self.reads();
        let begins = self.plan.waits() && (self.row, self.column) == (0, 0);
        let steps = enable && (offered || !(reads || begins));
        let pushed = self.result() && self.held < 2;
        self.held = self.held + usize::from(pushed) - usize::from(taken);
        if enable {
            let gives = steps && self.gives();
            self.head = (self.head + 1) % self.pipe.len();
            self.pipe[self.head] = gives;
        }
        if steps {
            self.column += 1;
            if self.column == self.scan[1] {
                self.column = 0;
                self.row = (self.row + 1) % self.scan[0];
            }
        }
        steps && reads
    }
}

impl Clocks {
    /// Follows frames through the chain.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut units: Vec<Unit<'_>> = plan
            .stages
            .iter()
            .map(|plan| {
                let (scan, pipe) = (plan.scan(), vec![false; plan.depth()]);
                Unit { plan, scan, row: 0, column: 0, pipe, head: 0, held: 0 }
            })
            .collect();
        let pixels = plan.output_image[0] * plan.output_image[1];
        let mut waiting = 0; // words in the hand-over at the input
        let mut out = 0;
        let mut clocks = Self { first: 0, last: 0, frame: 0 };
        let mut second = 0;
        let mut now = 0;
        while out < FRAMES * pixels {
            if units.last().is_some_and(|unit| unit.held > 0) {
                if out == 0 {
                    clocks.first = now;
                }
                out += 1;
                match (out.is_multiple_of(pixels), out / pixels) {
                    (true, 1) => clocks.last = now,
                    (true, 2) => second = now,
                    (true, _) => clocks.frame = now - second,
                    (false, _) => {}
                }
            }
            // From the last stage to the first, each takes what the one before it held when the
            // cycle began.
            let mut taken = true;
            for at in (0..units.len()).rev() {
                let offered = if at == 0 { waiting > 0 } else { units[at - 1].held > 0 };
                let unit = &mut units[at];
                let leaves = taken && unit.held > 0;
                taken = unit.clock(offered, leaves);
            }
            let comes = waiting < 2;
            waiting = waiting + usize::from(comes) - usize::from(taken);
            now += 1;
        }
        clocks
    }
}
