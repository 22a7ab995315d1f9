// Reads plans and crop sizes. Has the schema of crop sizes.
#include "arguments.h"

#include <algorithm>

#include "dali/pipeline/operator/op_schema.h"

namespace dali_mix {

PlanColumns PlanColumnsOf(const dali::OpSpec &spec) {
  PlanColumns plan;
  plan.partner = ColumnOf<int>("partner", spec);
  plan.box = ColumnOf<int>("box", spec);
  plan.size = ColumnOf<int>("size", spec);
  plan.offset = ColumnOf<int>("offset", spec);
  plan.fit = ColumnOf<int>("fit", spec);
  plan.frames = ColumnOf<int>("frames", spec);
  plan.blend = ColumnOf<float>("blend", spec);
  plan.fill = ColumnOf<float>("fill", spec);
  plan.view = ColumnOf<int>("view", spec);
  plan.box_blend = ColumnOf<float>("box_blend", spec);
  return plan;
}

void AcquirePlan(PlanColumns &plan, const dali::ArgumentWorkspace &ws, int batch_size) {
  AcquireColumn(plan.partner, "partner", ws, batch_size);
  AcquireColumn(plan.box, "box", ws, batch_size);
  AcquireColumn(plan.size, "size", ws, batch_size);
  AcquireColumn(plan.offset, "offset", ws, batch_size);
  AcquireColumn(plan.fit, "fit", ws, batch_size);
  AcquireColumn(plan.frames, "frames", ws, batch_size);
  AcquireColumn(plan.blend, "blend", ws, batch_size);
  AcquireColumn(plan.fill, "fill", ws, batch_size);
  AcquireColumn(plan.view, "view", ws, batch_size);
  AcquireColumn(plan.box_blend, "box_blend", ws, batch_size);
  plan.Check(batch_size);
}

int PlaceOfInput(const std::vector<std::string> &inputs, const char *name) {
  const auto at = std::find(inputs.begin(), inputs.end(), name);
  return at == inputs.end() ? -1 : static_cast<int>(at - inputs.begin());
}

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

namespace dali {

DALI_SCHEMA(dali_mix__CropSize)
    .DocStr("Arguments that give the size of the output, alike in plan and apply.")
    .AddOptionalArg<std::vector<float>>(
        "crop",
        "Size of the output as (height, width) in pixels, one for all samples or a tensor for "
        "each. "
        "Cannot be combined with `crop_h` and `crop_w`. Default: the size of the image.",
        nullptr, true)
    .AddOptionalArg<float>("crop_h", "Height of the output in pixels; goes with `crop_w`.", nullptr,
                           true)
    .AddOptionalArg<float>("crop_w", "Width of the output in pixels; goes with `crop_h`.", nullptr,
                           true);

}  // namespace dali
