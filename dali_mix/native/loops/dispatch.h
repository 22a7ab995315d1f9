// The CPU pixel loops: one implementation, compiled once for each instruction set.
#ifndef DALI_MIX_NATIVE_LOOPS_DISPATCH_H_
#define DALI_MIX_NATIVE_LOOPS_DISPATCH_H_

#include <cstddef>
#include <initializer_list>
#include <type_traits>

#include "core/api.h"
#include "core/key.h"
#include "core/sample.h"

namespace dali_mix {

struct CpuSample : Layered {
  const Bytes *bytes;  // [images]
  int index;           // among the samples of the call: the row of Call::weights
};

// Writes rows [y_begin, y_end) of one output image.
using RowsFn = void (*)(const Call &call, const CpuSample &sample, int y_begin, int y_end);

// The loop of one instruction set: isa_NAME.cc.
RowsFn RowsBaseline(const RowsKey &key);
#if defined(__x86_64__)
RowsFn RowsAvx2(const RowsKey &key);
RowsFn RowsAvx512(const RowsKey &key);  // null where AVX2 is as fast
#elif defined(__aarch64__)
RowsFn RowsNeon(const RowsKey &key);
#endif

// Note [fastest]
// There are AVX-512 loops from RGB to uint8 alone. On an Intel Xeon with two cores, 128 images of
// 224 x 224 x 3, AVX-512 took 20 to 25 % less time there, 2.65 against 3.2 ms. Outputs in float32
// and float16, which memory binds, gained nothing at any width: where rows are whole blocks, 3.2
// against 3.1 ms. One and four channels, int8, and AMD's processors with AVX-512 were not tried. On
// an AMD EPYC (Zen 3), which has none, AVX2 was the faster for every key of bytes and of floats,
// with 1, 3, 4 and 5 channels: at least 1.3 times, and 1.5 to 22 times where there are vector
// loops.

// Instruction sets, from least to most.
enum class Isa { kBaseline, kNeon, kAvx2, kAvx512 };

// The fastest of this processor. DALI_MIX_CPU=baseline|neon|avx2 takes a lesser one, for
// tests and measurements; what the processor lacks is never taken. Reads the environment, which
// another thread may be writing to: asked when an operator is made, never while it runs.
DALI_MIX_API Isa ChosenIsa();

// The loop for an instruction set of this processor.
DALI_MIX_API RowsFn SelectRows(Isa isa, RowsKey key);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_LOOPS_DISPATCH_H_
