// Places crop windows as crop_mirror_normalize does.
#include "apply_windows.h"

#include <cmath>

namespace dali_mix {

WindowArguments::WindowArguments(const dali::OpSpec &spec)
    : crop_size_(spec),
      crop_pos_x_("crop_pos_x", spec),
      crop_pos_y_("crop_pos_y", spec),
      mirror_("mirror", spec) {}

void WindowArguments::Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws,
                              Images &images) {
  const int count = images.Count();
  crop_size_.Acquire(spec, ws, count);
  AcquireArgument(crop_pos_x_, "crop_pos_x", spec, ws, count);
  AcquireArgument(crop_pos_y_, "crop_pos_y", spec, ws, count);
  AcquireArgument(mirror_, "mirror", spec, ws, count);
  for (size_t input = 0; input < images.inputs.size(); input++) {
    auto &[shapes, windows] = images.inputs[input];
    windows.reserve(count);
    for (int i = 0; i < count; i++) {
      windows.push_back(WindowOf(input == 0 ? "" : " of others", i, shapes[i].extent));
    }
  }
  for (int i = 0; i < count; i++) {
    images.mirrored.push_back(mirror_[i].data[0] != 0);
  }
}

CropWindow WindowArguments::WindowOf(const char *whose, int sample, Extent image) const {
  const Extent size = crop_size_(sample, image);
  if (size.height > image.height || size.width > image.width) {
    Refuse("crop must lie inside the image, got a window of ", size.height, " x ", size.width,
           " for sample ", sample, whose, " of ", image.height, " x ", image.width,
           ". Resize the images first, or pad them with fn.crop(images, crop=(H, W), "
           "out_of_bounds_policy=\"pad\"), or crop less.");
  }
  // Like crop_mirror_normalize: the product is in double, and halves are rounded away from zero.
  const auto begin = [sample](const char *name, float position, int slack) {
    if (!(position >= 0 && position <= 1)) {
      Refuse(name, " must be in [0, 1], got ", position, " for sample ", sample, ".");
    }
    return static_cast<int>(std::round(static_cast<double>(position) * slack));
  };
  const float pos_y = crop_pos_y_[sample].data[0], pos_x = crop_pos_x_[sample].data[0];
  return {begin("crop_pos_y", pos_y, image.height - size.height),
          begin("crop_pos_x", pos_x, image.width - size.width), size};
}

}  // namespace dali_mix
