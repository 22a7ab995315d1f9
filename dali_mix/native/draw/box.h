// The boxes of the cut family.
#ifndef DALI_MIX_NATIVE_DRAW_BOX_H_
#define DALI_MIX_NATIVE_DRAW_BOX_H_

#include "draw/method.h"
#include "draw/random.h"

namespace dali_mix {

// A side of `length` pixels, at most as long as the image. By the centre law (Yun et al. 2019, eq.
// 2) a side s covers [c - s/2, c + (s+1)/2) with s/2 rounded down, so that odd sides are exact, for
// a pixel c; then it is clipped. By the uniform law every pixel is covered by `length` of the
// places that are drawn from.
inline Range DrawSide(BoxPlace place, int length, int size, Rng &rng) {
  int begin = 0;
  if (place == BoxPlace::kCenter) {
    begin = UniformInt(rng, size) - length / 2;
  }
  if (place == BoxPlace::kInside) {
    begin = UniformInt(rng, size - length + 1);
  }
  if (place == BoxPlace::kUniform) {
    begin = UniformInt(rng, size + std::max(length, 1) - 1) - length + 1;
  }
  return {std::max(begin, 0), std::min(begin + length, size)};
}

inline Box DrawPlace(BoxPlace place, int box_height, int box_width, int height, int width,
                     Rng &rng) {
  const Range y = DrawSide(place, box_height, height, rng);
  const Range x = DrawSide(place, box_width, width, rng);
  const Box box = {y.begin, x.begin, y.end, x.end};
  return box.Empty() ? Box{} : box;
}

// A box that leaves the share `lam` to the own image, before clipping.
inline Box DrawBox(const Method &method, double lam, int height, int width, Rng &rng) {
  if (method.minmax.high > 0) {
    // As timm's minmax: both sides by themselves, whatever lam.
    const auto side = [&](int size) {
      const int low = static_cast<int>(size * method.minmax.low);
      const int high = static_cast<int>(size * method.minmax.high);
      return low + UniformInt(rng, high - low + 1);
    };
    const int box_height = side(height), box_width = side(width);
    return DrawPlace(method.place, box_height, box_width, height, width, rng);
  }
  const double ratio = std::sqrt((1.0 - lam) / method.boxes);
  double stretch = 1;  // of the height, over that of the width
  if (method.aspect.low != 1 || method.aspect.high != 1) {
    stretch =
        std::exp(0.5 * Uniform(rng, std::log(method.aspect.low), std::log(method.aspect.high)));
  }
  const int box_height = std::min(static_cast<int>(height * ratio * stretch), height);
  const int box_width = std::min(static_cast<int>(width * ratio / stretch), width);
  return DrawPlace(method.place, box_height, box_width, height, width, rng);
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_BOX_H_
