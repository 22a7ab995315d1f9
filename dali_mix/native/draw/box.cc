// Draws boxes by their laws.
#include "draw/box.h"

#include <algorithm>
#include <cmath>

namespace dali_mix {

// kCenter (Yun et al. 2019, equation 2): for a uniform pixel c, a side s covers [c - s/2,
// c + (s+1)/2) with s/2 rounded down, so that odd sides are exact. Then it is clipped. kUniform:
// every pixel is covered by `length` of the places that are drawn from.
Range DrawSide(BoxPlace place, int length, int size, Random &random) {
  int begin = 0;
  if (place == BoxPlace::kCenter) {
    begin = UniformInt(random, size) - length / 2;
  }
  if (place == BoxPlace::kInside) {
    begin = UniformInt(random, size - length + 1);
  }
  if (place == BoxPlace::kUniform) {
    begin = UniformInt(random, size + std::max(length, 1) - 1) - length + 1;
  }
  return {std::max(begin, 0), std::min(begin + length, size)};
}

Box DrawPlace(BoxPlace place, int box_height, int box_width, int height, int width,
              Random &random) {
  const Range y = DrawSide(place, box_height, height, random);
  const Range x = DrawSide(place, box_width, width, random);
  const Box box = {y.begin, x.begin, y.end, x.end};
  return box.Empty() ? Box{} : box;
}

Box DrawBox(const Method &method, double lam, int height, int width, Random &random) {
  if (method.minmax.high > 0) {
    // As timm's minmax: each side is drawn by itself, and lam is not used.
    const auto side = [&](int size) {
      const int low = static_cast<int>(size * method.minmax.low);
      const int high = static_cast<int>(size * method.minmax.high);
      return low + UniformInt(random, high - low + 1);
    };
    const int box_height = side(height), box_width = side(width);
    return DrawPlace(method.place, box_height, box_width, height, width, random);
  }
  const double ratio = std::sqrt((1.0 - lam) / method.boxes);
  double stretch = 1;  // factor of the height; the width is divided by it
  if (method.aspect.low != 1 || method.aspect.high != 1) {
    stretch =
        std::exp(0.5 * Uniform(random, std::log(method.aspect.low), std::log(method.aspect.high)));
  }
  const int box_height = std::min(static_cast<int>(height * ratio * stretch), height);
  const int box_width = std::min(static_cast<int>(width * ratio / stretch), width);
  return DrawPlace(method.place, box_height, box_width, height, width, random);
}

}  // namespace dali_mix
