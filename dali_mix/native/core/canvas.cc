// Fills the rows of canvases with the values of a plan.
#include "core/canvas.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/half.h"
#include "core/refuse.h"

namespace dali_mix {

namespace {

// The bytes of a value, the lowest first.
struct Value {
  uint8_t bytes[8];
};

template <typename T>
Value BytesOf(T number) {
  Value value = {};
  std::memcpy(value.bytes, &number, sizeof(T));
  return value;
}

Value ValueOf(float fill, InType type) {
  switch (type) {
    case InType::kUint8:
      return BytesOf(static_cast<uint8_t>(std::clamp(std::nearbyint(fill), 0.0f, 255.0f)));
    case InType::kFloat:
      return BytesOf(fill);
    case InType::kHalf:
      return BytesOf(ToHalf(fill));
    default:  // of classes, signed or not: shorter types take the lower bytes
      return BytesOf(static_cast<int64_t>(std::nearbyint(fill)));
  }
}

}  // namespace

CanvasRows MakeCanvasRows(const PlanColumns &plan, const Images &images, InType type) {
  CanvasRows rows;
  if (!plan.HasCanvas()) {
    return rows;
  }
  const int size = SizeOf(type);
  for (int i = 0; i < images.Count(); i++) {
    const ImageShape &shape = images.ShapeOf(i);
    const int channels = shape.channels, width = images.OutputOf(i).width;
    const bool interleaved = shape.channel == 1;
    if (plan.fill.length != 1 && plan.fill.length != channels) {
      Refuse("fill must hold a value for all channels or one for each of the ", channels, ", got ",
             plan.fill.length, " for sample ", i, ".");
    }
    rows.begins.push_back(rows.bytes.size() + CanvasRows::kSlack);
    const size_t length = static_cast<size_t>(width) * channels * size;
    rows.bytes.resize(rows.begins.back() + (length + 63) / 64 * 64 + CanvasRows::kSlack);
    uint8_t *row = rows.bytes.data() + rows.begins.back();
    for (int c = 0; c < channels; c++) {
      const float fill = plan.fill[i][plan.fill.length == 1 ? 0 : c];
      if (!std::isfinite(fill)) {
        Refuse("fill must be finite, got ", fill, " for sample ", i, ".");
      }
      const Value value = ValueOf(fill, type);
      for (int x = 0; x < width; x++) {
        const size_t at = interleaved ? static_cast<size_t>(x) * channels + c
                                      : static_cast<size_t>(c) * width + x;
        std::memcpy(row + at * size, value.bytes, size);
      }
    }
  }
  return rows;
}

}  // namespace dali_mix
