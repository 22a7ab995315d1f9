// The CPU loops for AVX2, FMA and F16C.
#include <immintrin.h>

#include <utility>

#include "rows.h"

namespace dali_mix {
namespace avx2 {

#include "rows_generic.h"
#include "rows_pattern.h"

struct V {
  static constexpr int kLanes = 2, kFloats = 8;
  using F = __m256;
  using Window = __m256i;

  static constexpr int kGroups = 4;  // vectors that one store run takes

  static inline Window Load(const uint8_t *&at, ptrdiff_t step) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at + step));
    at += 2 * step;
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  static inline F Pick(Window window, const uint8_t *bytes) {
    const __m256i control = _mm256_load_si256(reinterpret_cast<const __m256i *>(bytes));
    return _mm256_cvtepi32_ps(_mm256_shuffle_epi8(window, control));
  }
  static inline F Load(const float *values) { return _mm256_load_ps(values); }
  static inline F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }

  // `in` where the bit of the index is 1, else `out`.
  static inline F Select(const int *index, uint32_t bits, F in, F out) {
    const __m256i i = _mm256_load_si256(reinterpret_cast<const __m256i *>(index));
    const __m256i high = _mm256_sub_epi32(_mm256_set1_epi32(31), i);
    const __m256i sign = _mm256_sllv_epi32(_mm256_set1_epi32(static_cast<int>(bits)), high);
    return _mm256_blendv_ps(out, in, _mm256_castsi256_ps(sign));
  }

  template <bool kStream>
  static inline void Store(float *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g++)
      kStream ? _mm256_stream_ps(out + 8 * g, values[g]) : _mm256_storeu_ps(out + 8 * g, values[g]);
  }
  template <bool kStream>
  static inline void Store(Half *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g += 2) {
      const __m128i low = _mm256_cvtps_ph(values[g], _MM_FROUND_TO_NEAREST_INT);
      const __m128i high = _mm256_cvtps_ph(values[g + 1], _MM_FROUND_TO_NEAREST_INT);
      StoreInts<kStream>(out + 8 * g,
                         _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
    }
  }
  template <bool kStream>
  static inline void Store(uint8_t *out, const F (&values)[4]) {
    const __m256i low = _mm256_packs_epi32(Round(values[0], 0, 255), Round(values[1], 0, 255));
    const __m256i high = _mm256_packs_epi32(Round(values[2], 0, 255), Round(values[3], 0, 255));
    StoreInts<kStream>(out, Unweave(_mm256_packus_epi16(low, high)));
  }
  template <bool kStream>
  static inline void Store(int8_t *out, const F (&values)[4]) {
    const __m256i low =
        _mm256_packs_epi32(Round(values[0], -128, 127), Round(values[1], -128, 127));
    const __m256i high =
        _mm256_packs_epi32(Round(values[2], -128, 127), Round(values[3], -128, 127));
    StoreInts<kStream>(out, Unweave(_mm256_packs_epi16(low, high)));
  }
  static inline void Fence() { _mm_sfence(); }

 private:
  // As RoundInto in pixel.h: NaN becomes `low`, halves go to even.
  static inline __m256i Round(F value, float low, float high) {
    value = _mm256_max_ps(value, _mm256_set1_ps(low));
    return _mm256_cvtps_epi32(_mm256_min_ps(value, _mm256_set1_ps(high)));
  }
  // Packing works within lanes: puts the 4-byte pieces back in order.
  static inline __m256i Unweave(__m256i packed) {
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
  template <bool kStream, typename Out>
  static inline void StoreInts(Out *out, __m256i value) {
    auto *at = reinterpret_cast<__m256i *>(out);
    kStream ? _mm256_stream_si256(at, value) : _mm256_storeu_si256(at, value);
  }
};

#include "rows_windows.h"
// Builds on the windows.
#include "rows_vector.h"

}  // namespace avx2

RowsFn RowsAvx2(const RowsKey &key) {
  const RowsFn vector = avx2::SelectVector(key);
  return vector ? vector : avx2::SelectGeneric(key);
}

}  // namespace dali_mix
