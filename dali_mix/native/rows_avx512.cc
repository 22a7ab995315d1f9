// The CPU loops for AVX-512 (F, BW, VL, DQ).
#include <immintrin.h>

// GCC before 13 takes the deliberately undefined operand inside its own AVX-512 intrinsics for a
// bug of the caller (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <utility>

#include "rows.h"

namespace dali_mix {
namespace avx512 {

#include "rows_generic.h"
#include "rows_pattern.h"

struct V {
  static constexpr int kLanes = 4, kFloats = 16;
  using F = __m512;
  using Window = __m512i;

  static constexpr int kGroups = 4;  // vectors that one store run takes

  static inline Window Load(const uint8_t *&at, ptrdiff_t step) {
    const auto lane = [at, step](int i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i *>(at + i * step));
    };
    __m512i window = _mm512_castsi128_si512(lane(0));
    window = _mm512_inserti32x4(window, lane(1), 1);
    window = _mm512_inserti32x4(window, lane(2), 2);
    window = _mm512_inserti32x4(window, lane(3), 3);
    at += 4 * step;
    return window;
  }
  static inline F Pick(Window window, const uint8_t *bytes) {
    return _mm512_cvtepi32_ps(_mm512_shuffle_epi8(window, _mm512_load_si512(bytes)));
  }
  static inline F Load(const float *values) { return _mm512_load_ps(values); }
  static inline F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }

  // `in` where the bit of the index is 1, else `out`.
  static inline F Select(const int *index, uint32_t bits, F in, F out) {
    const __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_load_si512(index));
    const __mmask16 inside = _mm512_test_epi32_mask(_mm512_set1_epi32(static_cast<int>(bits)), bit);
    return _mm512_mask_blend_ps(inside, out, in);
  }

  template <bool kStream>
  static inline void Store(float *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g++)
      kStream ? _mm512_stream_ps(out + 16 * g, values[g])
              : _mm512_storeu_ps(out + 16 * g, values[g]);
  }
  template <bool kStream>
  static inline void Store(Half *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g += 2) {
      const __m256i low = _mm512_cvtps_ph(values[g], _MM_FROUND_TO_NEAREST_INT);
      const __m256i high = _mm512_cvtps_ph(values[g + 1], _MM_FROUND_TO_NEAREST_INT);
      StoreInts<kStream>(out + 16 * g, _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
    }
  }
  template <bool kStream>
  static inline void Store(uint8_t *out, const F (&values)[4]) {
    StoreInts<kStream>(out, Pack(values, 0, 255));
  }
  template <bool kStream>
  static inline void Store(int8_t *out, const F (&values)[4]) {
    StoreInts<kStream>(out, Pack(values, -128, 127));
  }
  static inline void Fence() { _mm_sfence(); }

 private:
  // As RoundInto in pixel.h: NaN becomes `low`, halves go to even.
  static inline __m128i Round(F value, float low, float high) {
    value = _mm512_max_ps(value, _mm512_set1_ps(low));
    value = _mm512_min_ps(value, _mm512_set1_ps(high));
    return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value));
  }
  static inline __m512i Pack(const F (&values)[4], float low, float high) {
    __m512i packed = _mm512_castsi128_si512(Round(values[0], low, high));
    packed = _mm512_inserti32x4(packed, Round(values[1], low, high), 1);
    packed = _mm512_inserti32x4(packed, Round(values[2], low, high), 2);
    return _mm512_inserti32x4(packed, Round(values[3], low, high), 3);
  }
  template <bool kStream, typename Out>
  static inline void StoreInts(Out *out, __m512i value) {
    auto *at = reinterpret_cast<__m512i *>(out);
    kStream ? _mm512_stream_si512(at, value) : _mm512_storeu_si512(at, value);
  }
};

#include "rows_windows.h"
// Builds on the windows.
#include "rows_vector.h"

}  // namespace avx512

RowsFn RowsAvx512(const RowsKey &key) {
  const RowsFn vector = avx512::SelectVector(key);
  return vector ? vector : avx512::SelectGeneric(key);
}

}  // namespace dali_mix
