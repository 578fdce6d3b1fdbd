//! How long a chain takes: its handshakes, clock cycle by clock cycle, without the data.
//!
//! Which cycle a pixel moves in depends on no pixel, only on the places of the scans. So the
//! figures in the header of the Verilog are not estimates: test benches without stalls compare
//! them with what they see.

use super::plan::{Plan, Reader, StagePlan, Work};

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
pub(super) struct Place {
    /// A pixel is taken, if the other axis says so too.
    pub(super) reads: bool,
    /// A pixel is given, likewise.
    pub(super) gives: bool,
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

/// A queue before a join.
struct Queue {
    places: usize,
    /// Pixels inside, and whether the oldest can be taken.
    count: usize,
    ready: bool,
}

/// What a stage holds.
enum Held {
    Unit(Unit),
    /// The queues of a join, and words in the hand-over behind it.
    Queues(Vec<Queue>, usize),
}

/// The places of one axis of a stage that is no join.
pub(super) fn places(plan: &StagePlan, axis: usize) -> Vec<Place> {
    // Along a row, the frames of a pixel follow one another.
    let frames = |count: usize| if axis == 0 { 1 } else { count };
    let place = |place: usize| match &plan.work {
        Work::Slide { axes, .. } => {
            let axis = &axes[axis];
            let ends = (axis.first_end()..=axis.last_end()).contains(&place);
            let window = ends && (place - axis.first_end()) % axis.period() < axis.frames;
            Place { reads: (axis.offset..axis.offset + axis.size).contains(&place), gives: window }
        }
        Work::Enlarge { factors: every } | Work::Spread { stride: every, .. } => {
            let pixel = place / frames(plan.frames);
            Place { reads: pixel.is_multiple_of(every[axis]), gives: true }
        }
        Work::Modulate { .. } => {
            Place { reads: place.is_multiple_of(frames(plan.output_frames)), gives: true }
        }
        Work::Sum => Place { reads: true, gives: (place + 1).is_multiple_of(frames(plan.frames)) },
        Work::Join { .. } => Place { reads: true, gives: true },
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

    /// Whether it would take a pixel.
    fn ready(&self) -> bool {
        let (row, column) = (self.rows[self.row], self.columns[self.column]);
        (!self.result() || self.held < 2) && row.reads && column.reads
    }

    /// One clock cycle. `offered` says whether the stage before it has a pixel, `taken` whether
    /// the stage behind it takes one.
    fn clock(&mut self, offered: bool, taken: bool) {
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
    }
}

impl Queue {
    fn clock(&mut self, comes: bool, goes: bool) {
        let kept = self.count - usize::from(goes);
        self.ready = kept > 0;
        self.count = kept + usize::from(comes);
    }
}

impl Held {
    fn new(plan: &StagePlan) -> Self {
        let Work::Join { places } = &plan.work else { return Self::Unit(Unit::new(plan)) };
        let queue = |&places: &usize| Queue { places: 1 << places, count: 0, ready: false };
        Self::Queues(places.iter().map(queue).collect(), 0)
    }

    /// Whether it would take a pixel of the image that it reads as number `side`.
    fn takes(&self, side: usize) -> bool {
        match self {
            Self::Unit(unit) => unit.ready(),
            Self::Queues(queues, _) => queues[side].count < queues[side].places,
        }
    }

    /// Whether it has a pixel to give.
    fn gives(&self) -> bool {
        match self {
            Self::Unit(unit) => unit.held > 0,
            Self::Queues(_, held) => *held > 0,
        }
    }
}

/// A chain between two clock cycles.
struct Chain {
    held: Vec<Held>,
    /// Who reads each image, and which of them have its present pixel already.
    readers: Vec<Vec<Reader>>,
    done: Vec<Vec<bool>>,
    /// Words in the hand-over at the input.
    waiting: usize,
    /// In this cycle: which images each stage is offered a pixel of, and which pixels are taken.
    comes: Vec<Vec<bool>>,
    taken: Vec<bool>,
}

impl Chain {
    fn new(plan: &Plan) -> Self {
        let readers = plan.readers();
        let done = readers.iter().map(|readers| vec![false; readers.len()]).collect();
        let taken = vec![false; readers.len()];
        let held = plan.stages.iter().map(Held::new).collect();
        let comes = plan.stages.iter().map(|stage| vec![false; stage.inputs.len()]).collect();
        Self { held, readers, done, waiting: 0, comes, taken }
    }

    /// Whether there is a pixel of an image.
    fn offered(&self, image: usize) -> bool {
        match image.checked_sub(1) {
            Some(stage) => self.held[stage].gives(),
            None => self.waiting > 0,
        }
    }

    /// One clock cycle, in which the source has a pixel and the sink takes one.
    fn clock(&mut self) {
        // Everything depends on what there was when the cycle began. First, who takes what.
        for image in 0..self.readers.len() {
            let offered = self.offered(image);
            let mut all = true;
            for (at, reader) in self.readers[image].iter().enumerate() {
                let takes = self.held[reader.stage].takes(reader.side);
                let offers = offered && !self.done[image][at];
                self.comes[reader.stage][reader.side] = offers;
                all &= takes || self.done[image][at];
                self.done[image][at] |= offers && takes;
            }
            self.taken[image] = offered && all;
            if self.taken[image] {
                self.done[image].fill(false);
            }
        }
        for (stage, held) in self.held.iter_mut().enumerate() {
            let goes = self.taken[stage + 1];
            match held {
                Held::Unit(unit) => unit.clock(self.comes[stage][0], goes),
                Held::Queues(queues, held) => {
                    let pushed = *held < 2 && queues.iter().all(|queue| queue.ready);
                    *held = *held + usize::from(pushed) - usize::from(goes);
                    for (queue, &comes) in queues.iter_mut().zip(&self.comes[stage]) {
                        queue.clock(comes && queue.count < queue.places, pushed);
                    }
                }
            }
        }
        let comes = self.waiting < 2;
        self.waiting = self.waiting + usize::from(comes) - usize::from(self.taken[0]);
    }
}

impl Clocks {
    /// Follows frames through the chain.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut chain = Chain::new(plan);
        let pixels = plan.output_image[0] * plan.output_image[1];
        let last = plan.stages.len();
        let mut out = 0;
        let mut clocks = Self { first: 0, last: 0, frame: 0 };
        let mut second = 0;
        let mut now = 0;
        // Were the stages to work one after the other, it would take no longer.
        let each = |stage: &StagePlan| stage.scan()[0] * stage.scan()[1] + stage.depth() + 8;
        let longest = FRAMES * plan.stages.iter().map(each).sum::<usize>();
        while out < FRAMES * pixels && now <= longest {
            if chain.offered(last) {
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
            chain.clock();
            now += 1;
        }
        clocks
    }
}
