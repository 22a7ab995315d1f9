// The AVX-512 intrinsics that isa_avx512.cc uses, in vectors of the compiler. It replaces the
// compiler's header, so that the vector code is tested on processors that lack the instructions.
#ifndef DALI_MIX_TESTS_EMULATED_IMMINTRIN_H_
#define DALI_MIX_TESTS_EMULATED_IMMINTRIN_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

using __m128i = uint8_t __attribute__((vector_size(16)));
using __m256i = uint16_t __attribute__((vector_size(32)));
using __m512i = int32_t __attribute__((vector_size(64)));
using __m256 = float __attribute__((vector_size(32)));
using __m512 = float __attribute__((vector_size(64)));
using __m512d = double __attribute__((vector_size(64)));
using __mmask16 = uint16_t;

namespace emulated {
using Unsigned = uint32_t __attribute__((vector_size(64)));

template <typename T>
T Load(const void *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}
// Aligned accesses fault on the real processor where the address is not.
template <typename T>
T *Aligned(T *at) {
  if (reinterpret_cast<uintptr_t>(at) % 64) {
    std::abort();
  }
  return at;
}
// Values of type T in a vector.
template <typename T>
struct Values {
  T of[64 / sizeof(T)];
};
// Within each 128-bit lane: the narrowed integers of `a`, then those of `b`.
template <typename Wide, typename Narrow>
__m512i Pack(__m512i a, __m512i b) {
  constexpr int kCount = 16 / sizeof(Wide);  // of each operand, in a lane
  const auto from = {Load<Values<Wide>>(&a), Load<Values<Wide>>(&b)};
  Values<Narrow> result;
  for (int i = 0; i < 8 * kCount; i++) {
    const int lane = i / (2 * kCount), j = i % (2 * kCount);
    const Wide wide = from.begin()[j / kCount].of[lane * kCount + j % kCount];
    result.of[i] = static_cast<Narrow>(std::clamp<Wide>(wide, std::numeric_limits<Narrow>::min(),
                                                        std::numeric_limits<Narrow>::max()));
  }
  return Load<__m512i>(&result);
}
}  // namespace emulated

inline __m128i _mm_loadu_si128(const __m128i *at) { return emulated::Load<__m128i>(at); }
inline __m256i _mm256_loadu_si256(const __m256i *at) { return emulated::Load<__m256i>(at); }
inline __m512i _mm512_loadu_si512(const void *at) { return emulated::Load<__m512i>(at); }
inline __m512i _mm512_load_si512(const void *at) {
  return emulated::Load<__m512i>(emulated::Aligned(at));
}
inline __m512 _mm512_load_ps(const void *at) {
  return emulated::Load<__m512>(emulated::Aligned(at));
}
inline void _mm512_storeu_si512(void *at, __m512i v) { std::memcpy(at, &v, 64); }
inline void _mm512_stream_si512(void *at, __m512i v) { std::memcpy(emulated::Aligned(at), &v, 64); }
inline void _mm_sfence() {}

inline __m512i _mm512_set1_epi32(int32_t value) { return __m512i{} + value; }
inline __m512i _mm512_broadcast_i32x4(__m128i v) {
  const __m128i lanes[] = {v, v, v, v};
  return emulated::Load<__m512i>(lanes);
}
inline __m512i _mm512_castsi256_si512(__m256i v) {
  const __m256i halves[] = {v, {}};
  return emulated::Load<__m512i>(halves);
}
inline __m512i _mm512_permutexvar_epi32(__m512i index, __m512i v) {
  return __builtin_shuffle(v, index);
}
inline __m512i _mm512_shuffle_epi8(__m512i a, __m512i control) {
  const auto from = emulated::Load<emulated::Values<uint8_t>>(&a);
  auto bytes = emulated::Load<emulated::Values<uint8_t>>(&control);
  for (int i = 0; i < 64; i++) {
    const uint8_t c = bytes.of[i];
    bytes.of[i] = c & 0x80 ? 0 : from.of[(i & ~15) + (c & 15)];
  }
  return emulated::Load<__m512i>(&bytes);
}
inline __m512i _mm512_cvtepu8_epi32(__m128i v) { return __builtin_convertvector(v, __m512i); }
inline __m512 _mm512_cvtepi32_ps(__m512i v) { return __builtin_convertvector(v, __m512); }
inline __m512i _mm512_cvtps_epi32(__m512 v) {
  __m512i result = {};
  for (int i = 0; i < 16; i++) {
    const float value = std::nearbyint(v[i]);
    // What no integer holds becomes the least one.
    const bool fits = value >= -2147483648.0f && value < 2147483648.0f;
    result[i] = fits ? static_cast<int32_t>(value) : INT32_MIN;
  }
  return result;
}
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  for (int i = 0; i < 16; i++) {
    c[i] = std::fma(a[i], b[i], c[i]);
  }
  return c;
}
inline __m512i _mm512_packs_epi32(__m512i a, __m512i b) {
  return emulated::Pack<int32_t, int16_t>(a, b);
}
inline __m512i _mm512_packs_epi16(__m512i a, __m512i b) {
  return emulated::Pack<int16_t, int8_t>(a, b);
}
inline __m512i _mm512_packus_epi16(__m512i a, __m512i b) {
  return emulated::Pack<int16_t, uint8_t>(a, b);
}
inline __m512i _mm512_and_si512(__m512i a, __m512i b) { return a & b; }
inline __m512i _mm512_or_si512(__m512i a, __m512i b) { return a | b; }
inline __m512i _mm512_srli_epi32(__m512i a, unsigned count) {
  return reinterpret_cast<__m512i>(reinterpret_cast<emulated::Unsigned>(a) >> count);
}
inline __m512i _mm512_sllv_epi32(__m512i a, __m512i count) {
  const auto by = reinterpret_cast<emulated::Unsigned>(count);
  return (a << (count & 31)) & (by < 32);
}
inline __mmask16 _mm512_test_epi32_mask(__m512i a, __m512i b) {
  __mmask16 mask = 0;
  for (int i = 0; i < 16; i++) {
    mask = static_cast<__mmask16>(mask | (a[i] & b[i] ? 1u << i : 0u));
  }
  return mask;
}
inline __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
  for (int i = 0; i < 16; i++) {
    a[i] = mask >> i & 1 ? b[i] : a[i];
  }
  return a;
}

inline __m256 _mm512_extractf32x8_ps(__m512 v, int half) {
  return emulated::Load<__m256>(reinterpret_cast<const uint8_t *>(&v) + 32 * half);
}
inline __m256 _mm512_castps512_ps256(__m512 v) { return _mm512_extractf32x8_ps(v, 0); }
inline __m512 _mm512_insertf32x8(__m512 a, __m256 b, int half) {
  std::memcpy(reinterpret_cast<uint8_t *>(&a) + 32 * half, &b, 32);
  return a;
}
inline __m512 _mm512_castps256_ps512(__m256 v) { return _mm512_insertf32x8(__m512{}, v, 0); }
inline __m512d _mm512_load_pd(const void *at) {
  return emulated::Load<__m512d>(emulated::Aligned(at));
}
inline __m512d _mm512_cvtps_pd(__m256 v) { return __builtin_convertvector(v, __m512d); }
inline __m256 _mm512_cvtpd_ps(__m512d v) { return __builtin_convertvector(v, __m256); }
inline __m512d _mm512_fmadd_pd(__m512d a, __m512d b, __m512d c) {
  for (int i = 0; i < 8; i++) {
    c[i] = std::fma(a[i], b[i], c[i]);
  }
  return c;
}

#endif  // DALI_MIX_TESTS_EMULATED_IMMINTRIN_H_
