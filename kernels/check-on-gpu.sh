#!/usr/bin/env bash
# Everything about CUDA that needs a GPU: the suites of all kernels on it, then the same under NVIDIA's
# compute-sanitizer, which finds reads and writes outside of memory, races in shared memory, reads of
# memory nobody wrote, and barriers misused. Needs the driver, NVRTC and, for the second half, the CUDA
# toolkit. Takes some minutes; anything found ends it with a status other than 0.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LUTWEAVE_REQUIRE_CUDA=1

cargo test -p lutweave-backend --features cuda
cargo test -p lutweave-train --features lutweave-backend/cuda --test lut_layers
cargo run --release -p lutweave-cli --features cuda -- devices
cargo run --release -p lutweave-cli --features cuda -- bench kernels --device cuda:0

if ! command -v compute-sanitizer > /dev/null; then
  echo "compute-sanitizer is not installed: it comes with the CUDA toolkit" >&2
  exit 1
fi
# The test programs, as cargo names them.
programs=$({
  cargo test -p lutweave-backend --features cuda --no-run --message-format=json
  cargo test -p lutweave-train --features lutweave-backend/cuda --test lut_layers --no-run --message-format=json
} | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
for tool in memcheck racecheck initcheck synccheck; do
  for program in $programs; do
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$program" cuda agree numbers_stay clipped chooses read_as tied noise compute
  done
done
