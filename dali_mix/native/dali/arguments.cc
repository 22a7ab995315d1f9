// Crop size arguments, read alike by the plan and the apply operator.
#include "arguments.h"

namespace dali_mix {

CropSize::CropSize(const dali::OpSpec &spec)
    : crop_("crop", spec), crop_h_("crop_h", spec), crop_w_("crop_w", spec) {
  if (crop_h_.HasExplicitValue() != crop_w_.HasExplicitValue()) {
    Refuse("crop_h and crop_w must be given together, got only ",
           crop_h_.HasExplicitValue() ? "crop_h." : "crop_w.");
  }
  if (crop_.HasExplicitValue() && crop_h_.HasExplicitValue()) {
    Refuse("crop cannot be combined with crop_h and crop_w: give one of the two forms.");
  }
}

void CropSize::Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws,
                       int batch_size) {
  if (crop_.HasExplicitValue()) {
    AcquireArgument(crop_, "crop", spec, ws, batch_size, 2);
  }
  if (crop_h_.HasExplicitValue()) {
    AcquireArgument(crop_h_, "crop_h", spec, ws, batch_size);
    AcquireArgument(crop_w_, "crop_w", spec, ws, batch_size);
  }
}

Extent CropSize::operator()(int sample, Extent image) const {
  if (!Given()) {
    return image;
  }
  const bool pair = crop_.HasExplicitValue();
  const float height = pair ? crop_[sample].data[0] : crop_h_[sample].data[0];
  const float width = pair ? crop_[sample].data[1] : crop_w_[sample].data[0];
  if (!(height >= 1 && width >= 1 && height < 0x1p30f && width < 0x1p30f)) {
    Refuse("crop must be at least 1 x 1 pixels, got ", height, " x ", width, " for sample ", sample,
           ".");
  }
  return {static_cast<int>(height), static_cast<int>(width)};
}

}  // namespace dali_mix
