// Nodes that are tied to constants, or to inputs of the layer that made them.
//
// tie moves 1 / 8 byte in and out a frame for each tied node, nothing for those that are free. untie moves 8
// bytes a frame and node, 4 of them for tied ones: 0.4 T frames·nodes/s at 3 TB/s. A few instructions
// either: memory is the bound. What tied nodes add to their inputs is summed by scatter_rows.

// What a node is tied to: 0 free, 1 zero, 2 one, 3 + 2 s input s, 4 + 2 s its complement.

// The rows of tied nodes. Threads (word of 32 frames, node).
KERNEL(256, tie, const u32 *x, u32 x_stride, const u32 *ties, u32 nodes, u32 frames, u32 *y, u32 stride) {
  u32 node = row(), word = column();
  if (node >= nodes || word >= stride) return;
  u32 tied = ties[node];
  if (tied == 0) return;
  u32 bits = tied == 2 ? 0xffffffffu : 0;
  if (tied > 2) bits = at(x, x_stride, (tied - 3) / 2)[word] ^ (tied & 1 ? 0 : 0xffffffffu);
  at(y, stride, node)[word] = bits & frame_mask(frames, word);
}

// down = dy where a node is free, else 0. Threads (frame, node).
KERNEL(256, untie, const float *dy, const u32 *ties, u32 nodes, u32 stride, float *down) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  at(down, stride, node)[frame] = ties[node] == 0 ? at(dy, stride, node)[frame] : 0;
}
