// Picks the instruction set of the CPU loops at run time.
#include "loops/dispatch.h"

#include <cstdlib>
#include <cstring>

namespace dali_mix {

namespace {

#if defined(__x86_64__)
Isa BestIsa() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    return Isa::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    return Isa::kAvx2;
  }
  return Isa::kBaseline;
}
#else
Isa BestIsa() { return Isa::kBaseline; }
#endif

// Whether stores around the cache pay when they alternate between planes: they do on Intel's
// processors, and cost more than they save on AMD's (Zen 3); for one interleaved stream they pay on
// both.
bool StreamsPlanes() {
#if defined(__x86_64__)
  return __builtin_cpu_is("intel");
#else
  return false;
#endif
}

Isa AllowedIsa() {
  const char *name = std::getenv("DALI_MIX_CPU");
  if (name && !std::strcmp(name, "baseline")) {
    return Isa::kBaseline;
  }
  if (name && !std::strcmp(name, "avx2")) {
    return Isa::kAvx2;
  }
  if (name && !std::strcmp(name, "avx512")) {
    return Isa::kAvx512;
  }
  return Isa::kFastest;
}

}  // namespace

Isa ChosenIsa() {
  const Isa best = BestIsa(), allowed = AllowedIsa();
  return best < allowed ? best : allowed;
}

RowsFn SelectRows(Isa isa, RowsKey key) {
  if (key.planar && !StreamsPlanes()) {
    key.stream = false;
  }
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512:
      return RowsAvx512(key);
    case Isa::kFastest:
      return key.out == OutType::kUint8 || key.out == OutType::kInt8 ? RowsAvx512(key)
                                                                     : RowsAvx2(key);
    case Isa::kAvx2:
      return RowsAvx2(key);
#endif
    default:
      return RowsBaseline(key);
  }
}

}  // namespace dali_mix
