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
#elif defined(__aarch64__)
Isa BestIsa() { return Isa::kNeon; }
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
  const char *chosen = std::getenv("DALI_MIX_CPU");
  const auto is = [chosen](const char *name) { return chosen && !std::strcmp(chosen, name); };
  if (is("baseline")) {
    return Isa::kBaseline;
  }
  if (is("neon")) {
    return Isa::kNeon;
  }
  if (is("avx2")) {
    return Isa::kAvx2;
  }
  return Isa::kAvx512;
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
      if (const RowsFn rows = RowsAvx512(key)) {
        return rows;
      }
      [[fallthrough]];
    case Isa::kAvx2:
      return RowsAvx2(key);
#elif defined(__aarch64__)
    case Isa::kNeon:
      return RowsNeon(key);
#endif
    default:
      return RowsBaseline(key);
  }
}

}  // namespace dali_mix
