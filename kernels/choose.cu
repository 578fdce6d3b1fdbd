// Learned wiring: the candidates with the best scores, and which inputs then read each source.
//
// choose reads 8 bytes a candidate, about twice, and turn_around 8 and 4 of what was chosen: 28 bytes a
// candidate and step, whatever the batch. Both are far below a launch for layers of thousands of nodes: a
// thread goes over fan_in * count scores that lie in a row, so the latency of the first-level cache is the
// bound, some 10 us.

#define MOST_INPUTS 8

// The best candidate of a slot that no other slot of the node has: the first of equals; the first of
// all where everything is taken.
__device__ __forceinline__ u32 best_of(const u32 *candidates, const float *scores, u32 count, const u32 *taken,
                                       u32 served, float *score) {
  u32 best = 0;
  bool found = false;
  *score = __int_as_float(0xff800000);
  for (u32 c = 0; c < count; c++) {
    float own = scores[c];
    if (found && !(own > *score)) continue;
    bool is_free = true;
    for (u32 i = 0; i < served; i++) is_free = is_free && taken[i] != candidates[c];
    if (!is_free) continue;
    best = c;
    *score = own;
    found = true;
  }
  return best;
}

// table[slot] is the source of each slot, picked[slot] its number among the candidates. A thread a node.
KERNEL(64, choose, const u32 *candidates, const float *scores, u32 count, u32 fan_in, u32 nodes, u32 *table,
       u32 *picked) {
  u32 node = blockIdx.x * 64 + threadIdx.x;
  if (node >= nodes) return;
  u64 first = (u64)node * fan_in;
  u32 taken[MOST_INPUTS], best[MOST_INPUTS], open = (1u << fan_in) - 1;
  float score[MOST_INPUTS];
  for (u32 i = 0; i < fan_in; i++)
    best[i] = best_of(candidates + (first + i) * count, scores + (first + i) * count, count, taken, 0, &score[i]);
  for (u32 served = 0; served < fan_in; served++) {
    u32 slot = MOST_INPUTS;
    for (u32 i = 0; i < fan_in; i++) {
      if ((open >> i & 1) && (slot == MOST_INPUTS || score[i] > score[slot])) slot = i;
    }
    u32 source = candidates[(first + slot) * count + best[slot]];
    table[first + slot] = source;
    picked[first + slot] = best[slot];
    taken[served] = source;
    open &= ~(1u << slot);
    for (u32 i = 0; i < fan_in; i++) {
      if (!(open >> i & 1) || candidates[(first + i) * count + best[i]] != source) continue;
      u64 at = (first + i) * count;
      best[i] = best_of(candidates + at, scores + at, count, taken, served + 1, &score[i]);
    }
  }
}

// Of all candidates that name a source (slot, number in the slot) those that were picked, in their order:
// node and slot. They lie where the candidates of the source begin. A warp a source.
KERNEL(128, turn_around, const u32 *first, const uint2 *named, const u32 *picked, u32 fan_in, u32 sources,
       u32 *begin, u32 *end, uint2 *readers) {
  u32 lane = threadIdx.x & 31, source = blockIdx.x * 4 + threadIdx.x / 32;
  if (source >= sources) return; // whole warps
  u32 start = first[source], stop = first[source + 1], next = start;
  for (u32 at = start; at < stop; at += 32) {
    bool reads = false;
    uint2 own = make_uint2(0, 0);
    if (at + lane < stop) {
      own = named[at + lane];
      reads = picked[own.x] == own.y;
    }
    u32 all = __ballot_sync(ALL_LANES, reads);
    if (reads) readers[next + __popc(all & ((1u << lane) - 1))] = make_uint2(own.x / fan_in, own.x);
    next += __popc(all);
  }
  if (lane != 0) return;
  begin[source] = start;
  end[source] = next;
}
