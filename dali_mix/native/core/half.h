// IEEE half precision as 16 bits. It is converted in hardware if the target has the instruction.
#ifndef DALI_MIX_NATIVE_CORE_HALF_H_
#define DALI_MIX_NATIVE_CORE_HALF_H_

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#define MIX_HD __host__ __device__ __forceinline__
#elif !defined(MIX_HD)
// Always inlined: the same header is compiled for several instruction sets, and the linker must not
// keep one copy for all of them. Tests of one instruction set define it as `inline`, and MIX_INLINE
// as nothing, to be compiled in a tenth of the time.
#define MIX_HD inline __attribute__((always_inline))
#endif

#if defined(__F16C__) && !defined(__CUDACC__)
#include <immintrin.h>
#endif

namespace dali_mix {

struct Half {
  uint16_t bits;
};

template <typename To, typename From>
MIX_HD To BitCast(const From &from) {
  static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

// Software conversions, exact, for hosts without an instruction.
MIX_HD float HalfToFloatSoft(Half half) {
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16;
  const uint32_t magnitude = half.bits & 0x7fffu;
  uint32_t bits;
  if (magnitude >= 0x7c00u) {  // infinity or NaN, which becomes quiet as in hardware
    bits = 0x7f800000u | ((magnitude & 0x3ffu) << 13) | (magnitude > 0x7c00u ? 0x400000u : 0u);
  } else if (magnitude >= 0x400u) {
    bits = (magnitude << 13) + ((127u - 15u) << 23);
  } else {  // subnormal: a whole number of 2^-24
    bits = BitCast<uint32_t>(static_cast<float>(magnitude) * 5.9604644775390625e-08f);
  }
  return BitCast<float>(sign | bits);
}

MIX_HD Half FloatToHalfSoft(float value) {
  const uint32_t bits = BitCast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t half;
  if (magnitude > 0x7f800000u) {  // NaN, which becomes quiet
    half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  } else if (magnitude >= 0x47800000u) {  // 65536 and more
    half = 0x7c00u;
  } else if (magnitude < 0x38800000u) {
    // Below 2^-14 the result is a whole number of 2^-24. That is the last place of a float at 0.5,
    // so the addition itself rounds to nearest even.
    half = BitCast<uint32_t>(BitCast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {  // round the 13 dropped bits to nearest even; a carry into the exponent is right
    half = (magnitude - ((127u - 15u) << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  return {static_cast<uint16_t>(sign | half)};
}

MIX_HD float ToFloat(Half half) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(half.bits));
#elif defined(__F16C__) && !defined(__CUDACC__)
  return _cvtsh_ss(half.bits);
#elif defined(__aarch64__) && !defined(__CUDACC__)
  return BitCast<__fp16>(half);
#else
  return HalfToFloatSoft(half);
#endif
}

MIX_HD Half ToHalf(float value) {
#if defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(value))};
#elif defined(__F16C__) && !defined(__CUDACC__)
  return {static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT))};
#elif defined(__aarch64__) && !defined(__CUDACC__)
  return BitCast<Half>(static_cast<__fp16>(value));
#else
  return FloatToHalfSoft(value);
#endif
}

// Converts two values into one word, by one instruction if there is one.
MIX_HD uint32_t ToHalves(float low, float high) {
#if defined(__CUDA_ARCH__)
  return BitCast<uint32_t>(__floats2half2_rn(low, high));
#else
  return ToHalf(low).bits | static_cast<uint32_t>(ToHalf(high).bits) << 16;
#endif
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_HALF_H_
