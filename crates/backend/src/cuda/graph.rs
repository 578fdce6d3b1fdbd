//! Lists of work as CUDA graphs, kept and launched again.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use cudarc::driver::{DriverError, result, sys};

use super::device::{Argument, Shape, Work};

/// Most graphs kept, and most shapes of lists remembered.
const MOST: usize = 16;
const MOST_SEEN: usize = 64;
/// Shorter lists are launched one by one.
const SHORTEST: usize = 3;

/// What a node of a graph does, with all that it is given.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Launch { function: sys::CUfunction, shape: Shape, arguments: Vec<Argument> },
    Clear { address: u64, bytes: usize },
}

/// A list as a chain of nodes, ready to launch.
struct Graph {
    /// The work as it was last launched.
    work: Vec<Work>,
    nodes: Vec<sys::CUgraphNode>,
    plan: sys::CUgraph,
    ready: sys::CUgraphExec,
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: both were made with this, and nobody else has them. There is nobody to tell of an
        // error.
        let _ = unsafe { result::graph::exec_destroy(self.ready) };
        // SAFETY: as above.
        let _ = unsafe { result::graph::destroy(self.plan) };
    }
}

/// The graphs of a device, the latest used first.
#[derive(Default)]
pub(super) struct Graphs {
    kept: Vec<Graph>,
    /// Lists met once: hashes of what they do, without what it is done with.
    seen: Vec<u64>,
    /// Whether the driver has refused one: lists are then launched one by one.
    refused: bool,
}

// SAFETY: handles of the driver are valid on every thread; whoever has graphs has them alone, behind
// the lock of their device.
unsafe impl Send for Graphs {}

impl Graphs {
    /// Launches a list as a graph; gives whether it did, and the list back where it did not. `step`
    /// finds the kernel of a piece of work.
    ///
    /// # Safety
    ///
    /// The context is that of this thread, and the work is as the device wants it.
    pub(super) unsafe fn launch<E>(
        &mut self,
        work: Vec<Work>,
        (stream, context): (sys::CUstream, sys::CUcontext),
        step: impl Fn(&Work) -> Result<Step, E>,
    ) -> Result<Option<Vec<Work>>, E> {
        if self.refused || work.len() < SHORTEST {
            return Ok(Some(work));
        }
        let known = self.kept.iter().position(|graph| Work::alike(&graph.work, &work));
        let done = if let Some(at) = known {
            self.kept[..=at].rotate_right(1);
            let (graph, mut done) = (&mut self.kept[0], Ok(()));
            for (number, new) in work.iter().enumerate() {
                if done.is_ok() && graph.work[number] != *new {
                    // SAFETY: the node is of this graph, and does what the work does.
                    done = unsafe { graph.change(number, &step(new)?, context) };
                }
            }
            graph.work.clone_from(&work);
            done
        } else {
            let hash = Work::hash(&work);
            if !self.seen.contains(&hash) {
                self.seen.insert(0, hash);
                self.seen.truncate(MOST_SEEN);
                return Ok(Some(work));
            }
            let steps = work.iter().map(&step).collect::<Result<Vec<_>, E>>()?;
            self.kept.truncate(MOST - 1);
            // SAFETY: as the caller promises.
            let made = unsafe { Graph::new(work.clone(), &steps, context) };
            made.map(|graph| self.kept.insert(0, graph))
        };
        let launched = done.and_then(|()| {
            // SAFETY: graph and stream are of this device.
            unsafe { result::graph::launch(self.kept[0].ready, stream) }
        });
        if launched.is_ok() {
            return Ok(None);
        }
        // Nothing of it has begun: it goes on without graphs.
        self.refused = true;
        self.kept.clear();
        Ok(Some(work))
    }
}

/// Calls `call` with the node's parameters as the driver takes them.
fn with_kernel<R>(
    function: sys::CUfunction,
    shape: Shape,
    arguments: &[Argument],
    call: impl FnOnce(&sys::CUDA_KERNEL_NODE_PARAMS) -> R,
) -> R {
    let mut values: Vec<u64> = arguments.iter().map(|argument| argument.bits).collect();
    let mut pointers: Vec<*mut c_void> =
        values.iter_mut().map(|value| ptr::from_mut(value).cast()).collect();
    let ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]) = (shape.grid, shape.block);
    call(&sys::CUDA_KERNEL_NODE_PARAMS {
        func: function,
        gridDimX: grid_x,
        gridDimY: grid_y,
        gridDimZ: grid_z,
        blockDimX: block_x,
        blockDimY: block_y,
        blockDimZ: block_z,
        sharedMemBytes: 0,
        kernelParams: pointers.as_mut_ptr(),
        extra: ptr::null_mut(),
        kern: ptr::null_mut(),
        ctx: ptr::null_mut(),
    })
}

/// Zeroes, byte by byte in one row.
fn zeroes(address: u64, bytes: usize) -> sys::CUDA_MEMSET_NODE_PARAMS {
    sys::CUDA_MEMSET_NODE_PARAMS {
        dst: address,
        pitch: 0,
        value: 0,
        elementSize: 1,
        width: bytes,
        height: 1,
    }
}

impl Graph {
    /// A chain: each piece of work after the one before.
    ///
    /// # Safety
    ///
    /// As [`Graphs::launch`].
    unsafe fn new(
        work: Vec<Work>,
        steps: &[Step],
        context: sys::CUcontext,
    ) -> Result<Self, DriverError> {
        let mut graph = ptr::null_mut();
        // SAFETY: the place is there to be written.
        unsafe { sys::cuGraphCreate(&raw mut graph, 0) }.result()?;
        let mut nodes: Vec<sys::CUgraphNode> = Vec::with_capacity(steps.len());
        let mut made = Ok(());
        for step in steps {
            let (mut node, before) = (ptr::null_mut(), nodes.last().copied());
            let (place, after) =
                (&raw mut node, before.as_ref().map_or(ptr::null(), ptr::from_ref));
            let count = usize::from(before.is_some());
            let done = match step {
                Step::Launch { function, shape, arguments } => {
                    with_kernel(*function, *shape, arguments, |all| {
                        // SAFETY: all pointers are to what lives here; parameters are copied.
                        unsafe { sys::cuGraphAddKernelNode_v2(place, graph, after, count, all) }
                    })
                }
                Step::Clear { address, bytes } => {
                    let all = zeroes(*address, *bytes);
                    // SAFETY: as above.
                    unsafe {
                        sys::cuGraphAddMemsetNode(
                            place,
                            graph,
                            after,
                            count,
                            &raw const all,
                            context,
                        )
                    }
                }
            };
            made = done.result();
            if made.is_err() {
                break;
            }
            nodes.push(node);
        }
        let ready = made.and_then(|()| {
            // SAFETY: the graph is whole.
            unsafe { result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0)) }
        });
        match ready {
            Ok(ready) => Ok(Self { work, nodes, plan: graph, ready }),
            Err(error) => {
                // SAFETY: nobody else has it.
                let _ = unsafe { result::graph::destroy(graph) };
                Err(error)
            }
        }
    }

    /// Gives a node other arguments for all launches to come.
    ///
    /// # Safety
    ///
    /// The node does what the step does; as [`Graphs::launch`].
    unsafe fn change(
        &mut self,
        number: usize,
        step: &Step,
        context: sys::CUcontext,
    ) -> Result<(), DriverError> {
        let (ready, node) = (self.ready, self.nodes[number]);
        let done = match step {
            Step::Launch { function, shape, arguments } => {
                with_kernel(*function, *shape, arguments, |all| {
                    // SAFETY: as the caller promises; parameters are copied.
                    unsafe { sys::cuGraphExecKernelNodeSetParams_v2(ready, node, all) }
                })
            }
            Step::Clear { address, bytes } => {
                let all = zeroes(*address, *bytes);
                // SAFETY: as above.
                unsafe { sys::cuGraphExecMemsetNodeSetParams(ready, node, &raw const all, context) }
            }
        };
        done.result()
    }
}
