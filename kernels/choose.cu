// Learned wiring where it is chosen apart from a layer's passes: see choose.cuh.
//
// choose reads 8 bytes a candidate, some of them twice, and turn_around 8 and 4 of what was chosen: 28 bytes a
// candidate and step, whatever the batch. Both are far below a launch for layers of thousands of nodes: some 50
// instructions of a warp a slot, one after the other, so the latency of shuffles is the bound, a few us.

#define CHOOSE_WARPS 4

// table[slot] is the source of each slot, picked[slot] its number among the candidates. A warp a node.
KERNEL(CHOOSE_WARPS * 32, choose, const u32 *candidates, const float *scores, u32 count, u32 fan_in, u32 nodes,
       u32 *table, u32 *picked) {
  u32 lane = threadIdx.x & 31, node = blockIdx.x * CHOOSE_WARPS + threadIdx.x / 32;
  if (node >= nodes) return; // whole warps
  u64 slot = (u64)node * fan_in;
  uint2 own = choose_node(candidates + slot * count, scores + slot * count, count, fan_in);
  if (lane >= fan_in) return;
  table[slot + lane] = own.x;
  picked[slot + lane] = own.y;
}

// A warp a source.
KERNEL(CHOOSE_WARPS * 32, turn_around, TURNING_ARGUMENTS) {
  u32 source = blockIdx.x * CHOOSE_WARPS + threadIdx.x / 32;
  if (source < sources) turn_source(TURNING, source); // whole warps
}
