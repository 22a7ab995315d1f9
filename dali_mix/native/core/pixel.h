// The arithmetic of one pixel. The CPU loops and the CUDA kernel must both agree with it.
//
//   w = 0 inside the box, blend outside it, times the mask if there is one
//   out = fma(own, w*k, fma(partner, (1-w)*k, s)),   k = scale/std,   s = shift - mean*k
//
// With more images, of weights w[0], w[1], …: fma(image 0, w[0]*k, fma(image 1, w[1]*k, …)).
// The coefficients are computed in double and rounded once to float. Contraction is off in every
// build, so the two fma are the only fused operations, and all backends agree to the bit.
#ifndef DALI_MIX_NATIVE_CORE_PIXEL_H_
#define DALI_MIX_NATIVE_CORE_PIXEL_H_

#include <cmath>

#include "core/half.h"

namespace dali_mix {

// Coefficients of one channel for pixels that show one image.
struct Single {
  float k, s;
};

// Coefficients of one channel of one sample for pixels that blend two images. `s` is in Single.
struct Blend {
  float own, partner;
};

MIX_HD Blend BlendOf(double k, double w) {
  return {static_cast<float>(w * k), static_cast<float>((1.0 - w) * k)};
}

// Own weight at a pixel where the mask has the value `level`.
MIX_HD double SoftWeight(double blend, uint8_t level) { return blend * (level / 255.0); }

struct Normalization {
  double k, s;

  Normalization(double mean, double std, double scale, double shift)
      : k(scale / std), s(shift - mean * k) {}

  Single ForSingle() const { return {static_cast<float>(k), static_cast<float>(s)}; }
};

// A value that is only copied, such as those of class maps.
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

// NaN becomes the lower bound.
MIX_HD float Saturate(float value, float low, float high) {
#if defined(__CUDA_ARCH__)
  return fminf(fmaxf(value, low), high);
#else
  value = value > low ? value : low;
  return value < high ? value : high;
#endif
}

// A float of this size has no fraction bits. So adding this constant rounds, halves to even, and
// the low bits of the sum are the integer.
constexpr float kNoFraction = 12582912.0f;  // 1.5 * 2^23

MIX_HD float RoundInto(float value, float low, float high) {
  return (Saturate(value, low, high) + kNoFraction) - kNoFraction;
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

// Narrows to 8 bits without a conversion to an integer. They are the low byte of the result.
template <typename Out>
MIX_HD uint32_t NarrowToByte(float value);
template <>
MIX_HD uint32_t NarrowToByte<uint8_t>(float value) {
  return BitCast<uint32_t>(Saturate(value, 0.0f, 255.0f) + kNoFraction);
}
template <>
MIX_HD uint32_t NarrowToByte<int8_t>(float value) {
  return BitCast<uint32_t>(Saturate(value, -128.0f, 127.0f) + kNoFraction);
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_PIXEL_H_
