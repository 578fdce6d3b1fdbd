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

/// What happens at a place of a scan, as far as one axis says.
#[derive(Clone, Copy)]
struct Place {
    /// A pixel is taken, if the other axis says so too.
    reads: bool,
    /// A pixel is given, likewise.
    gives: bool,
}

/// What one stage holds.
struct Unit {
    rows: Vec<Place>,
    columns: Vec<Place>,
    /// Whether the scan waits for an image to begin.
    waits: bool,
    row: usize,
    column: usize,
    /// The valid bits of its registers, as a ring; `head` is the newest.
    pipe: Vec<bool>,
    head: usize,
    /// Words in its hand-over, at most two.
    held: usize,
}

/// The places of one axis.
fn places(plan: &StagePlan, axis: usize) -> Vec<Place> {
    let place = |place: usize| match &plan.work {
        Work::Slide { axes, .. } => {
            let axis = &axes[axis];
            let ends = (axis.first_end()..=axis.last_end()).contains(&place);
            Place {
                reads: (axis.offset..axis.offset + axis.size).contains(&place),
                gives: ends && (place - axis.first_end()).is_multiple_of(axis.stride),
            }
        }
        Work::Enlarge { factors } => {
            Place { reads: place.is_multiple_of(factors[axis]), gives: true }
        }
    };
    (0..plan.scan()[axis]).map(place).collect()
}

impl Unit {
    fn new(plan: &StagePlan) -> Self {
        Self {
            rows: places(plan, 0),
            columns: places(plan, 1),
            waits: plan.waits(),
            row: 0,
            column: 0,
            pipe: vec![false; plan.depth()],
            head: 0,
            held: 0,
        }
    }

    /// The oldest of its registers.
    fn result(&self) -> bool {
        self.pipe[self.next()]
    }

    fn next(&self) -> usize {
        if self.head + 1 == self.pipe.len() { 0 } else { self.head + 1 }
    }

    /// One clock cycle. `offered` says whether the stage before it has a pixel, `taken` whether
    /// the stage behind it takes one; returns whether this stage took one.
    fn clock(&mut self, offered: bool, taken: bool) -> bool {
        let (row, column) = (self.rows[self.row], self.columns[self.column]);
        let enable = !self.result() || self.held < 2;
        let reads = row.reads && column.reads;
        let begins = self.waits && self.row == 0 && self.column == 0;
        let steps = enable && (offered || !(reads || begins));
        let pushed = self.result() && self.held < 2;
        self.held = self.held + usize::from(pushed) - usize::from(taken);
        if enable {
            self.head = self.next();
            self.pipe[self.head] = steps && row.gives && column.gives;
        }
        if steps {
            self.column += 1;
            if self.column == self.columns.len() {
                self.column = 0;
                self.row += 1;
                if self.row == self.rows.len() {
                    self.row = 0;
                }
            }
        }
        steps && reads
    }
}

impl Clocks {
    /// Follows frames through the chain.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut units: Vec<Unit> = plan.stages.iter().map(Unit::new).collect();
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
                if out == pixels {
                    clocks.last = now;
                } else if out == 2 * pixels {
                    second = now;
                } else if out == FRAMES * pixels {
                    clocks.frame = now - second;
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
