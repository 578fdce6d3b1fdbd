// y[place] = tables[table][k(frame)] of packed rows.
//
// Moves (fan_in + 1) / 8 bytes a frame and node (0.875 for 6 inputs): 3.4 T frames·nodes/s at
// 3 TB/s. A table of 6 inputs is a tree of 63 selections on whole words, and 64 masks of its
// entries: about 190 instructions a thread for 32 frames, 4.7 T/s. So memory is the bound.

// The table from entry FIRST on over D inputs, for 32 frames at once.
template <int D, int FIRST>
struct Select {
  static __device__ __forceinline__ u32 of(const u32 *table, const u32 *x) {
    u32 zero = Select<D - 1, FIRST>::of(table, x);
    u32 one = Select<D - 1, FIRST + (1 << (D - 1))>::of(table, x);
    return zero ^ ((zero ^ one) & x[D - 1]);
  }
};

template <int FIRST>
struct Select<0, FIRST> {
  static __device__ __forceinline__ u32 of(const u32 *table, const u32 *) {
    return (u32)((int)(table[FIRST / 32] << (31 - FIRST % 32)) >> 31);
  }
};

template <int N>
__device__ __forceinline__ void table_forward(const u32 *x, u32 x_stride, u32 nodes, const u32 *wiring,
                                              u32 places, u32 share, u32 frames, const u32 *tables,
                                              u32 *y, u32 stride) {
  constexpr int WORDS = N < 6 ? 2 : (1 << N) / 32; // tables are whole words of 64 entries
  u32 place = row(), word = column();
  if (place >= places || word >= stride) return;
  u32 mask = frame_mask(frames, word), out = 0;
  if (mask != 0) {
    const u32 *sources = wiring + (u64)place * N, *own = tables + (u64)(place / share) * WORDS;
    u32 bits[N], table[WORDS];
#pragma unroll
    for (int i = 0; i < N; i++) bits[i] = source_word(x, x_stride, nodes, sources[i], word);
#pragma unroll
    for (int w = 0; w < WORDS; w++) table[w] = own[w];
    out = Select<N, 0>::of(table, bits) & mask;
  }
  at(y, stride, place)[word] = out;
}

// Threads (word, place).
#define TABLE_FORWARD(N)                                                                         \
  KERNEL(256, table_forward_##N, const u32 *x, u32 x_stride, u32 nodes, const u32 *wiring,       \
         u32 places, u32 share, u32 frames, const u32 *tables, u32 *y, u32 stride) {             \
    table_forward<N>(x, x_stride, nodes, wiring, places, share, frames, tables, y, stride);      \
  }
FOR_FAN_INS(TABLE_FORWARD)
