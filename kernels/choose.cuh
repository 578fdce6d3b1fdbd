// Learned wiring: the candidates with the best scores, and which inputs then read each source. A warp sees to
// a node, and to a source; all its lanes come to every part.

// A candidate of a slot: its number, and its score.
struct Candidate {
  u32 number;
  float score;
};

__device__ __forceinline__ bool is_nan(float value) { return value != value; }

// The best candidate of a slot that is none of the `served` sources which the first lanes have in `taken`: the
// first of equals. One that is NaN is best where it is the first that is free, and never else. The first
// candidate, with the least of scores, where everything is taken.
__device__ __forceinline__ Candidate best_of(const u32 *candidates, const float *scores, u32 count, u32 taken,
                                             u32 served) {
  u32 lane = threadIdx.x & 31, first = NO_SOURCE;
  float first_score = 0;
  Candidate best = {NO_SOURCE, __int_as_float(0xff800000)};
  for (u32 start = 0; start < count; start += 32) {
    u32 c = start + lane;
    bool is_free = c < count;
    u32 source = is_free ? candidates[c] : 0;
    float score = is_free ? scores[c] : 0;
    for (u32 i = 0; i < served; i++) is_free = __shfl_sync(ALL_LANES, taken, i) != source && is_free;
    if (is_free && first == NO_SOURCE) {
      first = c;
      first_score = score;
    }
    if (is_free && !is_nan(score) && (best.number == NO_SOURCE || score > best.score)) best = {c, score};
  }
#pragma unroll
  for (u32 far = 16; far > 0; far /= 2) {
    u32 other_first = __shfl_xor_sync(ALL_LANES, first, far), number = __shfl_xor_sync(ALL_LANES, best.number, far);
    float other_score = __shfl_xor_sync(ALL_LANES, first_score, far);
    float score = __shfl_xor_sync(ALL_LANES, best.score, far);
    if (other_first < first) {
      first = other_first;
      first_score = other_score;
    }
    if (score > best.score || (score == best.score && number < best.number)) best = {number, score};
  }
  if (first == NO_SOURCE) return {0, best.score};
  return is_nan(first_score) ? Candidate{first, first_score} : best;
}

// Chooses for the slots of a node, whose candidates and scores are given: the best score is served first, of
// equals the lower slot, and slots whose own was taken look again. Lane i gets the source of slot i, and its
// number among the candidates.
__device__ __forceinline__ uint2 choose_node(const u32 *candidates, const float *scores, u32 count, u32 fan_in) {
  u32 lane = threadIdx.x & 31, taken = 0, open = (1u << fan_in) - 1;
  Candidate own = {0, 0};
  u32 source = 0;
  for (u32 i = 0; i < fan_in; i++) {
    Candidate best = best_of(candidates + i * count, scores + i * count, count, 0, 0);
    if (lane == i) own = best;
  }
  if (lane < fan_in) source = candidates[lane * count + own.number];
  for (u32 served = 0; served < fan_in; served++) {
    u32 slot = MOST_LANES;
    float most = 0;
    for (u32 i = 0; i < fan_in; i++) {
      float score = __shfl_sync(ALL_LANES, own.score, i);
      if ((open >> i & 1) && (slot == MOST_LANES || score > most)) {
        slot = i;
        most = score;
      }
    }
    u32 served_source = __shfl_sync(ALL_LANES, source, slot);
    if (lane == served) taken = served_source;
    open &= ~(1u << slot);
    for (u32 i = 0; i < fan_in; i++) {
      if (!(open >> i & 1) || __shfl_sync(ALL_LANES, source, i) != served_source) continue;
      Candidate best = best_of(candidates + i * count, scores + i * count, count, taken, served + 1);
      if (lane != i) continue;
      own = best;
      source = candidates[i * count + own.number];
    }
  }
  return make_uint2(source, own.number);
}

// Of all candidates that name a source (slot, number in the slot) those that were picked, in their order:
// node and slot. They lie where the candidates of the source begin.
struct Turning {
  const u32 *first;
  const uint2 *named;
  const u32 *picked;
  u32 fan_in, sources;
  u32 *begin, *end;
  uint2 *readers;
};

// The same as arguments of a kernel.
#define TURNING_ARGUMENTS                                                                               \
  const u32 *first, const uint2 *named, const u32 *picked, u32 fan_in, u32 sources, u32 *begin, u32 *end, \
      uint2 *readers
#define TURNING \
  Turning { first, named, picked, fan_in, sources, begin, end, readers }

// By one warp, for one source.
__device__ __forceinline__ void turn_source(Turning t, u32 source) {
  u32 lane = threadIdx.x & 31, start = t.first[source], stop = t.first[source + 1], next = start;
  for (u32 at = start; at < stop; at += 32) {
    bool reads = false;
    uint2 own = make_uint2(0, 0);
    if (at + lane < stop) {
      own = t.named[at + lane];
      reads = t.picked[own.x] == own.y;
    }
    u32 all = __ballot_sync(ALL_LANES, reads);
    if (reads) t.readers[next + __popc(all & ((1u << lane) - 1))] = make_uint2(own.x / t.fan_in, own.x);
    next += __popc(all);
  }
  if (lane != 0) return;
  t.begin[source] = start;
  t.end[source] = next;
}
