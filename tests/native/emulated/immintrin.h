// The AVX-512 intrinsics that isa_avx512.cc uses, lane by lane in plain C++: takes the place of
// the compiler's header, so that the vector code is tested on processors that lack the
// instructions.
#ifndef DALI_MIX_TESTS_EMULATED_IMMINTRIN_H_
#define DALI_MIX_TESTS_EMULATED_IMMINTRIN_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "core/half.h"

struct alignas(16) __m128i {
  uint8_t bytes[16];
};
struct alignas(32) __m256i {
  uint16_t words[16];
};
struct alignas(64) __m512i {
  uint8_t bytes[64];
};
struct alignas(64) __m512 {
  float floats[16];
};
struct alignas(32) __m256 {
  float floats[8];
};
struct alignas(64) __m512d {
  double doubles[8];
};
using __mmask16 = uint16_t;
constexpr int _MM_FROUND_TO_NEAREST_INT = 0;

namespace emulated {
template <typename T>
T Load(const void *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}
// Aligned accesses fault on the real processor where the address is not.
inline void RequireAligned(const void *at) {
  if (reinterpret_cast<uintptr_t>(at) % 64) {
    std::abort();
  }
}
template <typename F>
__m512 Map(F &&lane) {
  __m512 result;
  for (int i = 0; i < 16; i++) {
    result.floats[i] = lane(i);
  }
  return result;
}
template <typename F>
__m512d MapDoubles(F &&lane) {
  __m512d result;
  for (int i = 0; i < 8; i++) {
    result.doubles[i] = lane(i);
  }
  return result;
}
inline int32_t Int(const __m512i &v, int i) { return Load<int32_t>(v.bytes + 4 * i); }
template <typename F>
__m512i MapInts(F &&lane) {
  __m512i result;
  for (int i = 0; i < 16; i++) {
    const int32_t value = lane(i);
    std::memcpy(result.bytes + 4 * i, &value, 4);
  }
  return result;
}
template <typename F>
__mmask16 Compare(F &&lane) {
  __mmask16 mask = 0;
  for (int i = 0; i < 16; i++) {
    mask = static_cast<__mmask16>(mask | (lane(i) ? 1u << i : 0u));
  }
  return mask;
}
template <typename Wide, typename Narrow>
__m512i Pack(const __m512i &a, const __m512i &b) {
  constexpr int kCount = 16 / sizeof(Wide);  // of each operand, in a lane
  __m512i result;
  for (int i = 0; i < 64 / static_cast<int>(sizeof(Narrow)); i++) {
    const int lane = i / (2 * kCount), j = i % (2 * kCount);
    const __m512i &from = j < kCount ? a : b;
    const auto wide = Load<Wide>(from.bytes + 16 * lane + j % kCount * sizeof(Wide));
    const auto narrow = static_cast<Narrow>(std::clamp<Wide>(
        wide, std::numeric_limits<Narrow>::min(), std::numeric_limits<Narrow>::max()));
    std::memcpy(result.bytes + i * sizeof(Narrow), &narrow, sizeof(Narrow));
  }
  return result;
}
}  // namespace emulated

inline __m128i _mm_loadu_si128(const __m128i *at) { return emulated::Load<__m128i>(at); }
inline __m512i _mm512_load_si512(const void *at) {
  emulated::RequireAligned(at);
  return emulated::Load<__m512i>(at);
}
inline __m512 _mm512_load_ps(const void *at) {
  emulated::RequireAligned(at);
  return emulated::Load<__m512>(at);
}
inline void _mm512_storeu_ps(void *at, __m512 v) { std::memcpy(at, &v, 64); }
inline void _mm512_stream_ps(void *at, __m512 v) {
  emulated::RequireAligned(at);
  std::memcpy(at, &v, 64);
}
inline void _mm512_storeu_si512(void *at, __m512i v) { std::memcpy(at, &v, 64); }
inline void _mm512_stream_si512(void *at, __m512i v) {
  emulated::RequireAligned(at);
  std::memcpy(at, &v, 64);
}
inline void _mm_sfence() {}

inline __m512i _mm512_loadu_si512(const void *at) { return emulated::Load<__m512i>(at); }
inline __m256i _mm256_loadu_si256(const __m256i *at) { return emulated::Load<__m256i>(at); }

inline __m512i _mm512_broadcast_i32x4(__m128i v) {
  __m512i result;
  for (int lane = 0; lane < 4; lane++) {
    std::memcpy(result.bytes + 16 * lane, &v, 16);
  }
  return result;
}
inline __m512i _mm512_permutexvar_epi32(__m512i index, __m512i v) {
  __m512i result;
  for (int i = 0; i < 16; i++) {
    std::memcpy(result.bytes + 4 * i, v.bytes + 4 * (emulated::Int(index, i) & 15), 4);
  }
  return result;
}
inline __m512i _mm512_cvtepu8_epi32(__m128i v) {
  __m512i result = {};
  for (int i = 0; i < 16; i++) {
    result.bytes[4 * i] = v.bytes[i];
  }
  return result;
}
inline __m512i _mm512_castsi256_si512(__m256i v) {
  __m512i result = {};
  std::memcpy(result.bytes, &v, 32);
  return result;
}
inline __m512i _mm512_inserti64x4(__m512i a, __m256i b, int half) {
  std::memcpy(a.bytes + 32 * half, &b, 32);
  return a;
}
inline __m512i _mm512_shuffle_epi8(__m512i a, __m512i control) {
  __m512i result;
  for (int i = 0; i < 64; i++) {
    const uint8_t c = control.bytes[i];
    result.bytes[i] = c & 0x80 ? 0 : a.bytes[(i & ~15) + (c & 15)];
  }
  return result;
}
inline __m512i _mm512_set1_epi32(int32_t value) {
  __m512i result;
  for (int i = 0; i < 16; i++) {
    std::memcpy(result.bytes + 4 * i, &value, 4);
  }
  return result;
}
inline __m512 _mm512_cvtepi32_ps(__m512i v) {
  return emulated::Map([&](int i) { return static_cast<float>(emulated::Int(v, i)); });
}
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return emulated::Map([&](int i) { return std::fma(a.floats[i], b.floats[i], c.floats[i]); });
}
inline __m512i _mm512_cvtps_epi32(__m512 v) {
  __m512i result;
  for (int i = 0; i < 16; i++) {
    const float value = std::nearbyint(v.floats[i]);
    // What no integer holds becomes the least one.
    const bool fits = value >= -2147483648.0f && value < 2147483648.0f;
    const int32_t rounded = fits ? static_cast<int32_t>(value) : INT32_MIN;
    std::memcpy(result.bytes + 4 * i, &rounded, 4);
  }
  return result;
}
// Within each 128-bit lane: the narrowed integers of `a`, then those of `b`.
inline __m512i _mm512_packs_epi32(__m512i a, __m512i b) {
  return emulated::Pack<int32_t, int16_t>(a, b);
}
inline __m512i _mm512_packs_epi16(__m512i a, __m512i b) {
  return emulated::Pack<int16_t, int8_t>(a, b);
}
inline __m512i _mm512_packus_epi16(__m512i a, __m512i b) {
  return emulated::Pack<int16_t, uint8_t>(a, b);
}
inline __m256i _mm512_cvtps_ph(__m512 v, int) {
  __m256i result;
  for (int i = 0; i < 16; i++) {
    result.words[i] = dali_mix::FloatToHalfSoft(v.floats[i]).bits;
  }
  return result;
}
inline __m512i _mm512_and_si512(__m512i a, __m512i b) {
  return emulated::MapInts([&](int i) { return emulated::Int(a, i) & emulated::Int(b, i); });
}
inline __m512i _mm512_or_si512(__m512i a, __m512i b) {
  return emulated::MapInts([&](int i) { return emulated::Int(a, i) | emulated::Int(b, i); });
}
inline __m512i _mm512_srli_epi32(__m512i a, unsigned count) {
  return emulated::MapInts([&](int i) {
    return static_cast<int32_t>(static_cast<uint32_t>(emulated::Int(a, i)) >> count);
  });
}
inline __m512i _mm512_sllv_epi32(__m512i a, __m512i count) {
  return emulated::MapInts([&](int i) {
    const uint32_t by = static_cast<uint32_t>(emulated::Int(count, i));
    return by < 32 ? static_cast<int32_t>(static_cast<uint32_t>(emulated::Int(a, i)) << by) : 0;
  });
}
inline __mmask16 _mm512_test_epi32_mask(__m512i a, __m512i b) {
  return emulated::Compare([&](int i) { return (emulated::Int(a, i) & emulated::Int(b, i)) != 0; });
}
inline __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
  return emulated::Map([&](int i) { return mask >> i & 1 ? b.floats[i] : a.floats[i]; });
}

inline __m256 _mm512_extractf32x8_ps(__m512 v, int half) {
  return emulated::Load<__m256>(v.floats + 8 * half);
}
inline __m256 _mm512_castps512_ps256(__m512 v) { return _mm512_extractf32x8_ps(v, 0); }
inline __m512 _mm512_insertf32x8(__m512 a, __m256 b, int half) {
  std::memcpy(a.floats + 8 * half, &b, 32);
  return a;
}
inline __m512 _mm512_castps256_ps512(__m256 v) { return _mm512_insertf32x8({}, v, 0); }
inline __m512d _mm512_load_pd(const void *at) {
  emulated::RequireAligned(at);
  return emulated::Load<__m512d>(at);
}
inline __m512d _mm512_set1_pd(double value) {
  return emulated::MapDoubles([&](int) { return value; });
}
inline __m512d _mm512_cvtps_pd(__m256 v) {
  return emulated::MapDoubles([&](int i) { return static_cast<double>(v.floats[i]); });
}
inline __m256 _mm512_cvtpd_ps(__m512d v) {
  __m256 result;
  for (int i = 0; i < 8; i++) {
    result.floats[i] = static_cast<float>(v.doubles[i]);
  }
  return result;
}
inline __m512d _mm512_mul_pd(__m512d a, __m512d b) {
  return emulated::MapDoubles([&](int i) { return a.doubles[i] * b.doubles[i]; });
}
inline __m512d _mm512_sub_pd(__m512d a, __m512d b) {
  return emulated::MapDoubles([&](int i) { return a.doubles[i] - b.doubles[i]; });
}
inline __m512d _mm512_fmadd_pd(__m512d a, __m512d b, __m512d c) {
  return emulated::MapDoubles(
      [&](int i) { return std::fma(a.doubles[i], b.doubles[i], c.doubles[i]); });
}

#endif  // DALI_MIX_TESTS_EMULATED_IMMINTRIN_H_
