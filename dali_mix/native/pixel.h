// The arithmetic of one pixel: the one truth behind the CPU loops and the CUDA kernel.
//
//   w = 0 inside the box, blend outside it, times the mask where there is one
//   out = fma(own, w*k, fma(partner, (1-w)*k, s)),   k = scale/std,   s = shift - mean*k
//
// and with more images, of weights w[0], w[1], …, fma(image 0, w[0]*k, fma(image 1, w[1]*k, …)).
// The coefficients are computed in double and rounded once to float. Contraction is off in every
// build, so the two fma are the only fused operations and all backends agree to the bit.
#ifndef DALI_MIX_NATIVE_PIXEL_H_
#define DALI_MIX_NATIVE_PIXEL_H_

#include <cmath>

#include "half.h"

namespace dali_mix {

// Coefficients of one channel where a single image shows.
struct Single {
  float k, s;
};

// Coefficients of one channel of one sample where both images show; `s` is that of Single.
struct Blend {
  float own, partner;
};

MIX_HD Blend BlendOf(double k, double w) {
  return {static_cast<float>(w * k), static_cast<float>((1.0 - w) * k)};
}

// Own weight where the mask has `level`.
MIX_HD double SoftWeight(float blend, uint8_t level) {
  return static_cast<double>(blend) * (level / 255.0);
}

struct Normalization {
  double k, s;

  Normalization(double mean, double std, double scale, double shift)
      : k(scale / std), s(shift - mean * k) {}

  Single ForSingle() const { return {static_cast<float>(k), static_cast<float>(s)}; }
  Blend ForBlend(double w) const { return BlendOf(k, w); }
};

// A value that is copied and never computed with, as those of class maps.
template <typename T>
struct Copied {
  T bits;
};
template <typename T>
constexpr bool kIsCopied = false;
template <typename T>
constexpr bool kIsCopied<Copied<T>> = true;

MIX_HD float Widen(uint8_t value) { return static_cast<float>(value); }
MIX_HD float Widen(float value) { return value; }
MIX_HD float Widen(Half value) { return ToFloat(value); }

MIX_HD float Fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

template <typename In>
MIX_HD float NormalizePixel(In value, Single coefficients) {
  return Fma(Widen(value), coefficients.k, coefficients.s);
}

template <typename In>
MIX_HD float BlendPixel(In own, In partner, Blend weights, float s) {
  return Fma(Widen(own), weights.own, Fma(Widen(partner), weights.partner, s));
}

// Saturates (NaN becomes the lower bound) and rounds halves to even: adding 1.5 * 2^23 leaves no
// fraction bits, so the addition itself rounds.
MIX_HD float RoundInto(float value, float low, float high) {
  value = value > low ? value : low;
  value = value < high ? value : high;
  constexpr float kNoFraction = 12582912.0f;
  return (value + kNoFraction) - kNoFraction;
}

template <typename Out>
MIX_HD Out Narrow(float value);
template <>
MIX_HD float Narrow<float>(float value) {
  return value;
}
template <>
MIX_HD Half Narrow<Half>(float value) {
  return ToHalf(value);
}
template <>
MIX_HD uint8_t Narrow<uint8_t>(float value) {
  return static_cast<uint8_t>(RoundInto(value, 0.0f, 255.0f));
}
template <>
MIX_HD int8_t Narrow<int8_t>(float value) {
  return static_cast<int8_t>(RoundInto(value, -128.0f, 127.0f));
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_PIXEL_H_
