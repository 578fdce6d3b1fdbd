// Lowering of images and its inverse: rows of F frames become parts of rows of positions · F frames,
// frame f at position p being frame p · F + f, and back.
//
// Moves every element once in and once out: 3 TB/s of both together. A word of bits that crosses
// into the next position is put together from two words of each.

// y[e, (p − start) F + f] = x[sources[e][p], f]. Threads (word of y, element).
KERNEL(256, lower_bits, const u32 *x, u32 x_stride, u32 frames, const u32 *sources, u32 all, u32 start,
       u32 positions, u32 border, u32 elements, u32 *y, u32 stride) {
  u32 element = row(), word = column();
  if (element >= elements || word >= stride) return;
  u32 end = positions * frames, bit = word * 32, out = 0;
  u32 have = 0; // bits of the word that are done
  while (have < 32 && bit < end) {
    u32 position = bit / frames, frame = bit - position * frames;
    u32 count = min(32 - have, frames - frame);
    u32 source = sources[(u64)element * all + start + position];
    u32 bits = border ? (count == 32 ? 0xffffffffu : (1u << count) - 1) : 0;
    if (source != NO_SOURCE) bits = row_bits(at(x, x_stride, source), frame, count);
    out |= bits << have;
    have += count;
    bit += count;
  }
  at(y, stride, element)[word] = out;
}

// The same for f32. Threads (frame of y, element).
KERNEL(256, lower_reals, const float *x, u32 x_stride, u32 frames, const u32 *sources, u32 all, u32 start,
       u32 positions, float border, u32 elements, float *y, u32 stride) {
  u32 element = row(), to = column();
  if (element >= elements || to >= stride) return;
  float out = 0;
  if (to < positions * frames) {
    u32 position = to / frames, source = sources[(u64)element * all + start + position];
    out = source == NO_SOURCE ? border : at(x, x_stride, source)[to - position * frames];
  }
  at(y, stride, element)[to] = out;
}

// y[n · all + start + p, f] = x[n, p F + f]. Threads (word of y, n · positions + p).
KERNEL(256, raise_bits, const u32 *x, u32 x_stride, u32 frames, u32 all, u32 start, u32 positions,
       u32 rows, u32 *y, u32 stride) {
  u32 number = row(), word = column();
  if (number >= rows || word >= stride) return;
  u32 node = number / positions, position = number - node * positions, first = word * 32, out = 0;
  if (first < frames) out = row_bits(at(x, x_stride, node), position * frames + first, min(32u, frames - first));
  at(y, stride, node * all + start + position)[word] = out;
}

// The same for f32. Threads (frame of y, n · positions + p).
KERNEL(256, raise_reals, const float *x, u32 x_stride, u32 frames, u32 all, u32 start, u32 positions,
       u32 rows, float *y, u32 stride) {
  u32 number = row(), frame = column();
  if (number >= rows || frame >= stride) return;
  u32 node = number / positions, position = number - node * positions;
  float out = frame < frames ? at(x, x_stride, node)[position * frames + frame] : 0;
  at(y, stride, node * all + start + position)[frame] = out;
}

// dx[n, p F + f] = dy[n · all + start + p, f]. Threads (frame of dx, n).
KERNEL(256, raise_backward, const float *dy, u32 dy_stride, u32 frames, u32 all, u32 start, u32 positions,
       u32 nodes, float *dx, u32 stride) {
  u32 node = row(), to = column();
  if (node >= nodes || to >= stride) return;
  float out = 0;
  if (to < positions * frames) {
    u32 position = to / frames;
    out = at(dy, dy_stride, node * all + start + position)[to - position * frames];
  }
  at(dx, stride, node)[to] = out;
}
