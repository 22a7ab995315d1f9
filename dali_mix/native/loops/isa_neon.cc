// The CPU loops for NEON, which every 64-bit Arm processor has.
#include <arm_neon.h>

#include <array>
#include <utility>

#include "loops/dispatch.h"
#include "loops/level.h"

namespace dali_mix {
namespace neon {

struct Vectors {
  static constexpr int kLanes = 1;
  // These processors see by themselves that whole lines are written.
  static constexpr bool kStreams = false;
  static constexpr bool kEveryKey = true;
  using F = float32x4_t;
  using Window = uint8x16_t;

  // From a pixel to its window.
  using Starts = std::array<int, kLanes>;
  static constexpr Starts Place(Starts starts) { return starts; }
  template <Starts kStarts>
  MIX_HD static Window Load(const uint8_t *pixel) {
    return vld1q_u8(pixel + kStarts[0]);
  }
  MIX_HD static Window LoadBytes(const uint8_t *bytes) { return vld1q_u8(bytes); }
  MIX_HD static Window PickBytes(Window window, const uint8_t *control) {
    return vqtbl1q_u8(window, vld1q_u8(control));
  }
  MIX_HD static Window Or(Window a, Window b) { return vorrq_u8(a, b); }
  MIX_HD static F ToFloats(Window ints) { return vcvtq_f32_u32(vreinterpretq_u32_u8(ints)); }
  MIX_HD static void Widen(const uint8_t *bytes, F (&floats)[4]) {
    const Window sixteen = vld1q_u8(bytes);
    const uint16x8_t low = vmovl_u8(vget_low_u8(sixteen)), high = vmovl_high_u8(sixteen);
    floats[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
    floats[1] = vcvtq_f32_u32(vmovl_high_u16(low));
    floats[2] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
    floats[3] = vcvtq_f32_u32(vmovl_high_u16(high));
  }
  // The first and the last of every four bytes, widened.
  MIX_HD static Window LowBytes(Window bytes) {
    return vandq_u8(bytes, vreinterpretq_u8_u32(vdupq_n_u32(0xff)));
  }
  MIX_HD static Window HighBytes(Window bytes) {
    return vreinterpretq_u8_u32(vshrq_n_u32(vreinterpretq_u32_u8(bytes), 24));
  }
  MIX_HD static F Load(const float *values) { return vld1q_f32(values); }
  MIX_HD static F Fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }

  // The low or the high half of the floats as doubles, and back.
  using D = float64x2_t;
  MIX_HD static D Load(const double *values) { return vld1q_f64(values); }
  MIX_HD static D Fma(D a, D b, D c) { return vfmaq_f64(c, a, b); }
  MIX_HD static D Low(F floats) { return vcvt_f64_f32(vget_low_f32(floats)); }
  MIX_HD static D High(F floats) { return vcvt_high_f64_f32(floats); }
  MIX_HD static F Narrow(D low, D high) { return vcvt_high_f32_f64(vcvt_f32_f64(low), high); }

  // `in` where the bit of the index is 1, else `out`.
  MIX_HD static F Select(const int *index, uint32_t bits, F in, F out) {
    const uint32x4_t bit = vshlq_u32(vdupq_n_u32(1), vld1q_s32(index));
    return vbslq_f32(vtstq_u32(vdupq_n_u32(bits), bit), in, out);
  }

  template <bool kStream>
  MIX_HD static void StoreFloats(float *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g++) {
      vst1q_f32(out + 4 * g, values[g]);
    }
  }
  template <bool kStream>
  MIX_HD static void StoreFloats(Half *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g += 2) {
      const float16x4_t low = vcvt_f16_f32(values[g]);
      const float16x8_t halves = vcvt_high_f16_f32(low, values[g + 1]);
      vst1q_u16(&out[4 * g].bits, vreinterpretq_u16_f16(halves));
    }
  }
  template <bool kStream, typename Byte>
  MIX_HD static void StoreBytes(Byte *out, Window bytes) {
    vst1q_u8(reinterpret_cast<uint8_t *>(out), bytes);
  }
  MIX_HD static void Fence() {}

  MIX_HD static Window Round(F values) { return vreinterpretq_u8_s32(vcvtnq_s32_f32(values)); }
  MIX_HD static Window PackInts(Window a, Window b) {
    const int16x4_t low = vqmovn_s32(vreinterpretq_s32_u8(a));
    return vreinterpretq_u8_s16(vqmovn_high_s32(low, vreinterpretq_s32_u8(b)));
  }
  template <typename Byte>
  MIX_HD static Window PackWords(Window a, Window b) {
    const int16x8_t low = vreinterpretq_s16_u8(a), high = vreinterpretq_s16_u8(b);
    if constexpr (std::is_signed_v<Byte>) {
      return vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(low), high));
    }
    return vqmovun_high_s16(vqmovun_s16(low), high);
  }
  // What the packs of one lane make is in order.
  MIX_HD static Window Ordered(Window packed) { return packed; }
};

#include "loops/isa.inc"

}  // namespace neon

RowsFn RowsNeon(const RowsKey &key) { return neon::Select(key); }

}  // namespace dali_mix
