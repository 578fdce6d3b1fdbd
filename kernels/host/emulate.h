// Runs CUDA kernels on the CPU, so that what they compute can be tested where there is no GPU.
//
// Every thread of a block is a fiber with a stack of its own; one block runs at a time on each thread
// of the system. A fiber runs until it waits for its block or warp, or ends. What order fibers and
// blocks run in is the caller's choice: a kernel whose result depends on it has a race. Shared memory
// is poisoned before every block. A barrier that part of a block does not reach, a block larger than
// the kernel's bound, and arguments of other sizes than the kernel's are errors.
//
// Not emulated: lanes in step (code has to synchronise warps, as it has to on GPUs since 2017), and
// whatever no kernel here uses. Speed here says nothing about speed there.

#pragma once
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>
#if !defined(__x86_64__) && !defined(EMULATE_UCONTEXT)
#define EMULATE_UCONTEXT
#endif
#ifdef EMULATE_UCONTEXT
#include <ucontext.h>
#endif

#define __device__
#define __forceinline__ inline
struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float2 make_float2(float x, float y) { return {x, y}; }

namespace emulate {

struct Three { unsigned x, y, z; };

// What a fiber waits for.
enum class Wait { Nothing, Block, Warp, Ended };

// Where a fiber or the scheduler goes on.
struct Context {
#ifdef EMULATE_UCONTEXT
  ucontext_t state;
#else
  void *stack = nullptr;
#endif
};

// Values that the lanes of a warp hand each other; two sets, since the first lane to go on may reach
// the next exchange while others have yet to read this one.
struct Warp {
  uint64_t values[2][32];
  unsigned arrived = 0, passed = 0, lanes = 0;
};

struct Fiber {
  Context context;
  Three thread;
  unsigned number = 0, lane = 0, passed = 0;
  Warp *warp = nullptr;
  Wait wait = Wait::Nothing;
  const char *where = nullptr;
  char *stack = nullptr;
};

constexpr size_t STACK_BYTES = 64 << 10;

#ifndef EMULATE_UCONTEXT
// Saves what a call must preserve, keeps the stack in *from, goes on where `to` was left.
extern "C" void lutweave_switch(void **from, void *to);
asm(".text\n"
    ".p2align 4\n"
    ".globl lutweave_switch\n"
    ".hidden lutweave_switch\n"
    ".type lutweave_switch,@function\n"
    "lutweave_switch:\n"
    " pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
    " movq %rsp, (%rdi)\n"
    " movq %rsi, %rsp\n"
    " popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n"
    " ret\n"
    ".size lutweave_switch,.-lutweave_switch\n");
#endif

// Runs blocks, one after the other; one for each thread of the system.
struct Scheduler {
  Context home;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  std::vector<char *> stacks; // free
  Fiber *current = nullptr;
  Three block{}, block_size{}, grid_size{};
  unsigned at_barrier = 0, barriers = 0;
  uint64_t serial = 0; // of the block, over all launches
  void (*body)(void *) = nullptr;
  void *body_data = nullptr;
  std::string error;

  ~Scheduler() {
    for (char *stack : stacks) free(stack);
    for (Fiber &fiber : fibers) free(fiber.stack);
  }

  void go_home() {
#ifdef EMULATE_UCONTEXT
    swapcontext(&current->context.state, &home.state);
#else
    lutweave_switch(&current->context.stack, home.stack);
#endif
  }

  static void enter();

  void start(Fiber &fiber) {
    if (stacks.empty()) {
      stacks.push_back(static_cast<char *>(malloc(STACK_BYTES)));
      if (!stacks.back()) abort();
    }
    fiber.stack = stacks.back();
    stacks.pop_back();
#ifdef EMULATE_UCONTEXT
    getcontext(&fiber.context.state);
    fiber.context.state.uc_stack.ss_sp = fiber.stack;
    fiber.context.state.uc_stack.ss_size = STACK_BYTES;
    fiber.context.state.uc_link = nullptr;
    makecontext(&fiber.context.state, &Scheduler::enter, 0);
#else
    uintptr_t top = reinterpret_cast<uintptr_t>(fiber.stack + STACK_BYTES) & ~uintptr_t{15};
    void **stack = reinterpret_cast<void **>(top);
    *--stack = nullptr; // no caller to return to
    *--stack = reinterpret_cast<void *>(&Scheduler::enter);
    for (int i = 0; i < 6; i++) *--stack = nullptr;
    fiber.context.stack = stack;
#endif
  }

  void resume(Fiber &fiber) {
    if (!fiber.stack) start(fiber);
    current = &fiber;
#ifdef EMULATE_UCONTEXT
    swapcontext(&home.state, &fiber.context.state);
#else
    lutweave_switch(&home.stack, fiber.context.stack);
#endif
    if (fiber.wait == Wait::Ended) {
      stacks.push_back(fiber.stack);
      fiber.stack = nullptr;
    }
  }

  bool waits(const Fiber &fiber) const {
    switch (fiber.wait) {
      case Wait::Ended: return true;
      case Wait::Block: return fiber.passed == barriers;
      case Wait::Warp: return fiber.passed == fiber.warp->passed;
      default: return false;
    }
  }

  // Runs a block with its threads in the order given; false, with an error, where it cannot end.
  bool run(const std::vector<unsigned> &order) {
    unsigned threads = block_size.x * block_size.y * block_size.z, alive = threads;
    fibers.resize(threads);
    warps.assign((threads + 31) / 32, Warp{});
    at_barrier = barriers = 0;
    serial++;
    for (unsigned i = 0; i < threads; i++) {
      Fiber &fiber = fibers[i];
      fiber.thread = {i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
      fiber.number = i;
      fiber.lane = i & 31;
      fiber.warp = &warps[i / 32];
      fiber.warp->lanes |= 1u << fiber.lane;
      fiber.wait = Wait::Nothing;
    }
    while (alive > 0) {
      bool moved = false;
      for (unsigned i : order) {
        Fiber &fiber = fibers[i];
        if (waits(fiber)) continue;
        fiber.wait = Wait::Nothing;
        resume(fiber);
        moved = true;
        if (fiber.wait == Wait::Ended) alive--;
        if (!error.empty()) break;
      }
      if (moved && error.empty()) continue;
      for (Fiber &fiber : fibers) {
        if (error.empty() && fiber.wait != Wait::Ended) {
          error = "thread " + std::to_string(fiber.number) + " waits for ever in " + fiber.where;
        }
        if (fiber.stack) stacks.push_back(fiber.stack);
        fiber.stack = nullptr;
      }
      return false;
    }
    return true;
  }
};

inline thread_local Scheduler scheduler;

inline void Scheduler::enter() {
  scheduler.body(scheduler.body_data);
  scheduler.current->wait = Wait::Ended;
  scheduler.go_home();
  abort(); // nobody resumes a fiber that has ended
}

inline void sync_block() {
  Scheduler &s = scheduler;
  if (++s.at_barrier == s.fibers.size()) {
    s.at_barrier = 0;
    s.barriers++;
    return;
  }
  s.current->passed = s.barriers;
  s.current->where = "__syncthreads";
  s.current->wait = Wait::Block;
  s.go_home();
}

// Gives the values of all lanes of `mask` once each has brought its own.
inline const uint64_t *exchange(unsigned mask, uint64_t value, const char *where) {
  Scheduler &s = scheduler;
  Fiber &fiber = *s.current;
  Warp &warp = *fiber.warp;
  mask &= warp.lanes;
  if (!(mask >> fiber.lane & 1)) {
    s.error = "thread " + std::to_string(fiber.number) + " is not in its own mask in " + where;
    fiber.wait = Wait::Warp;
    fiber.passed = warp.passed;
    s.go_home();
  }
  unsigned own = warp.passed;
  warp.values[own & 1][fiber.lane] = value;
  warp.arrived |= 1u << fiber.lane;
  if ((warp.arrived & mask) == mask) {
    warp.arrived = 0;
    warp.passed++;
  } else {
    fiber.passed = own;
    fiber.where = where;
    fiber.wait = Wait::Warp;
    s.go_home();
  }
  return warp.values[own & 1];
}

template <class T>
uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <class T>
T from_bits(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof(T));
  return value;
}

// Poisons shared memory where this block sees it for the first time.
inline void poison(void *memory, size_t bytes, uint64_t *seen) {
  if (*seen == scheduler.serial) return;
  *seen = scheduler.serial;
  memset(memory, 0xcd, bytes);
}

// A kernel by name, callable with pointers to its arguments.
struct Entry {
  unsigned threads;
  std::vector<size_t> sizes;
  void (*call)(void **);
};

inline std::map<std::string, Entry> &entries() {
  static std::map<std::string, Entry> all;
  return all;
}

template <auto Kernel, class... A, size_t... I>
void call(void (*)(A...), void **arguments, std::index_sequence<I...>) {
  Kernel(*static_cast<A *>(arguments[I])...);
}

template <auto Kernel, class... A>
Entry entry(unsigned threads, void (*)(A...)) {
  auto function = [](void **arguments) {
    call<Kernel>(static_cast<void (*)(A...)>(Kernel), arguments, std::index_sequence_for<A...>{});
  };
  return {threads, {sizeof(A)...}, function};
}

// Numbers 0 to n - 1: rising, falling, or shuffled by a seed.
inline std::vector<unsigned> permutation(size_t n, unsigned order) {
  std::vector<unsigned> numbers(n);
  for (size_t i = 0; i < n; i++) numbers[i] = unsigned(order == 1 ? n - 1 - i : i);
  uint64_t state = order;
  for (size_t i = n; order > 1 && i > 1; i--) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::swap(numbers[i - 1], numbers[(state >> 33) % i]);
  }
  return numbers;
}

inline std::string launch(const std::string &name, Three grid, Three block, void **arguments, const size_t *sizes,
                          size_t count, unsigned order, unsigned threads) {
  auto found = entries().find(name);
  if (found == entries().end()) return "there is no kernel " + name;
  const Entry &kernel = found->second;
  uint64_t size = uint64_t(block.x) * block.y * block.z, blocks = uint64_t(grid.x) * grid.y * grid.z;
  if (size == 0 || size > kernel.threads) {
    return name + ": blocks of " + std::to_string(size) + " threads, at most " + std::to_string(kernel.threads);
  }
  if (blocks == 0 || grid.y > 65535 || grid.z > 65535 || grid.x > 0x7fffffff || blocks > 0xffffffff) {
    return name + ": a grid that no device takes";
  }
  if (count != kernel.sizes.size()) {
    return name + ": " + std::to_string(count) + " arguments of " + std::to_string(kernel.sizes.size());
  }
  for (size_t i = 0; i < count; i++) {
    if (sizes[i] != kernel.sizes[i]) return name + ": argument " + std::to_string(i) + " has another size";
  }
  struct Call {
    const Entry *kernel;
    void **arguments;
  } to_call = {&kernel, arguments};
  std::vector<unsigned> thread_order = permutation(size, order), block_order = permutation(blocks, order);
  std::atomic<uint64_t> next{0};
  std::atomic<bool> failed{false};
  std::vector<std::string> errors(threads);
  auto work = [&](unsigned worker) {
    Scheduler &s = scheduler;
    s.grid_size = grid;
    s.block_size = block;
    s.body_data = &to_call;
    s.body = [](void *data) {
      Call &call = *static_cast<Call *>(data);
      call.kernel->call(call.arguments);
    };
    s.error.clear();
    for (uint64_t i; !failed && (i = next++) < blocks;) {
      unsigned number = block_order[i];
      s.block = {number % grid.x, number / grid.x % grid.y, unsigned(number / (uint64_t(grid.x) * grid.y))};
      if (!s.run(thread_order)) {
        errors[worker] = name + ", block " + std::to_string(number) + ": " + s.error;
        failed = true;
      }
    }
  };
  std::vector<std::thread> others;
  for (unsigned worker = 1; worker < threads; worker++) others.emplace_back(work, worker);
  work(0);
  for (std::thread &other : others) other.join();
  for (std::string &error : errors) {
    if (!error.empty()) return error;
  }
  return "";
}

} // namespace emulate

#define threadIdx (emulate::scheduler.current->thread)
#define blockIdx (emulate::scheduler.block)
#define blockDim (emulate::scheduler.block_size)
#define gridDim (emulate::scheduler.grid_size)

#define KERNEL(threads, name, ...)                                                                 \
  static void name(__VA_ARGS__);                                                                   \
  static const bool registered_##name =                                                            \
      emulate::entries().emplace(#name, emulate::entry<&name>(threads, &name)).second;             \
  static void name(__VA_ARGS__)
#define SHARED(type, name, count)                                                                  \
  alignas(16) static thread_local type name[count];                                                \
  static thread_local uint64_t name##_seen = 0;                                                    \
  emulate::poison(name, sizeof(name), &name##_seen)

inline void __syncthreads() { emulate::sync_block(); }
inline void __syncwarp() { emulate::exchange(0xffffffffu, 0, "__syncwarp"); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned by) {
  unsigned lane = emulate::scheduler.current->lane;
  return emulate::from_bits<T>(emulate::exchange(mask, emulate::to_bits(value), "__shfl_xor_sync")[lane ^ by]);
}

template <class T>
T __shfl_sync(unsigned mask, T value, unsigned from) {
  return emulate::from_bits<T>(emulate::exchange(mask, emulate::to_bits(value), "__shfl_sync")[from & 31]);
}

inline unsigned __ballot_sync(unsigned mask, int vote) {
  const uint64_t *votes = emulate::exchange(mask, vote != 0, "__ballot_sync");
  unsigned lanes = mask & emulate::scheduler.current->warp->lanes, all = 0;
  for (unsigned lane = 0; lane < 32; lane++) {
    if (lanes >> lane & 1) all |= unsigned(votes[lane]) << lane;
  }
  return all;
}

inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline float __uint_as_float(unsigned bits) { return emulate::from_bits<float>(bits); }
inline unsigned __float_as_uint(float value) { return unsigned(emulate::to_bits(value)); }
inline float __int_as_float(int bits) { return emulate::from_bits<float>(uint32_t(bits)); }
inline unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
inline unsigned atomicAdd(unsigned *to, unsigned value) { return __atomic_fetch_add(to, value, __ATOMIC_SEQ_CST); }
