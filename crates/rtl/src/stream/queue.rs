//! The text of a queue before a join.

use crate::verilog::range;

/// The body of the module, behind its ports: a queue of `2^places` pixels of `bits` bits.
pub(super) fn text(bits: usize, places: usize) -> String {
    let (word, place, count) = (range(bits + 1), range(places), range(places + 1));
    let (p, c, last) = (places, places + 1, (1usize << places) - 1);
    format!(
        "
  reg {word}memory [0:{last}];
  reg {word}head; // the oldest, a cycle after it came in
  reg head_valid;
  reg {place}read;
  reg {place}write;
  reg {count}count; // pixels inside
  assign in_ready = !count[{p}];
  wire push = in_valid && in_ready;
  assign out_valid = head_valid;
  assign {{out_first, out_pixel}} = head;
  wire pop = head_valid && out_ready;
  wire {count}kept = pop ? count - {c}'d1 : count;
  wire {place}next_read = pop ? read + {p}'d1 : read;

  always @(posedge clk) begin
    if (rst) begin
      head_valid <= 1'b0;
      read <= {p}'d0;
      write <= {p}'d0;
      count <= {c}'d0;
    end else begin
      head_valid <= kept != {c}'d0;
      read <= next_read;
      if (push) write <= write + {p}'d1;
      count <= push ? kept + {c}'d1 : kept;
    end
    head <= memory[next_read];
    if (push) memory[write] <= {{in_first, in_pixel}};
  end
"
    )
}
