// The share of a level of a mask, level / 255.0, in the form that vector code wants.
#ifndef DALI_MIX_NATIVE_LOOPS_LEVEL_H_
#define DALI_MIX_NATIVE_LOOPS_LEVEL_H_

namespace dali_mix {

// fma(level, kPart, level * kRest) is level / 255.0 to the bit, without a division.
constexpr double kPart = 1 / 255.0, kRest = __builtin_fma(-255.0, kPart, 1.0) / 255;
static_assert([] {
  for (int level = 0; level < 256; level++) {
    if (__builtin_fma(level, kPart, level * kRest) != level / 255.0) {
      return false;
    }
  }
  return true;
}());

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_LOOPS_LEVEL_H_
