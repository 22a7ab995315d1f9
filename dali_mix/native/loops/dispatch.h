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
RowsFn RowsAvx512(const RowsKey &key);
#elif defined(__aarch64__)
RowsFn RowsNeon(const RowsKey &key);
#endif

// Instruction sets, from least to most. kFastest: of AVX2 and AVX-512 the faster for each output.
// Outputs of 8 bits took 20 to 25 % less time with AVX-512 on an Intel Xeon. Those of 16 and 32
// bits gained nothing at any width, because memory binds them.
enum class Isa { kBaseline, kNeon, kAvx2, kFastest, kAvx512 };

// The fastest of this processor. DALI_MIX_CPU=baseline|neon|avx2|avx512 takes another one, for
// tests and measurements; what the processor lacks is never taken. Reads the environment, which
// another thread may be writing to: asked when an operator is made, never while it runs.
DALI_MIX_API Isa ChosenIsa();

// The loop for an instruction set of this processor.
DALI_MIX_API RowsFn SelectRows(Isa isa, RowsKey key);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_LOOPS_DISPATCH_H_
