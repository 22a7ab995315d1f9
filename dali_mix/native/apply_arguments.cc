// Arguments of fn.dali_mix.apply: reading, checking, address arithmetic.
#include <algorithm>

#include "apply_op.h"

namespace dali_mix {

using dali::ArgumentWorkspace;
using dali::OpSpec;
using dali::TensorLayout;
using dali::TensorListShape;

namespace {

InType ParseInType(dali::DALIDataType type) {
  switch (type) {
    case DALI_UINT8:
      return InType::kUint8;
    case DALI_FLOAT:
      return InType::kFloat;
    case DALI_FLOAT16:
      return InType::kHalf;
    default:
      Refuse("images must be UINT8, FLOAT or FLOAT16, got ", type, ".");
  }
}

OutType ParseOutType(dali::DALIDataType type) {
  switch (type) {
    case DALI_FLOAT:
      return OutType::kFloat;
    case DALI_FLOAT16:
      return OutType::kHalf;
    case DALI_UINT8:
      return OutType::kUint8;
    case DALI_INT8:
      return OutType::kInt8;
    default:
      Refuse("dtype must be FLOAT, FLOAT16, UINT8 or INT8, got ", type, ".");
  }
}

int PowerOfTwoFrom(int count) {
  int power = 1;
  while (power < count) power *= 2;
  return power;
}

std::string ShapeText(Extent extent, int channels) {
  return dali::make_string(extent.height, "x", extent.width, "x", channels, " (HxWxC)");
}

}  // namespace

int64_t SizeOf(InType type) { return type == InType::kUint8 ? 1 : (type == InType::kHalf ? 2 : 4); }

ApplyArguments::ApplyArguments(const OpSpec &spec)
    : crop_size_(spec),
      crop_pos_x_("crop_pos_x", spec),
      crop_pos_y_("crop_pos_y", spec),
      mirror_("mirror", spec),
      partner_("partner", spec),
      blend_("blend", spec),
      box_("box", spec),
      size_("size", spec),
      mean_(spec.GetRepeatedArgument<float>("mean")),
      std_(spec.GetRepeatedArgument<float>("std")),
      scale_(spec.GetArgument<float>("scale")),
      shift_(spec.GetArgument<float>("shift")),
      pad_output_(spec.GetArgument<bool>("pad_output")),
      dtype_(spec.GetArgument<dali::DALIDataType>("dtype")) {
  const auto layout = spec.GetArgument<TensorLayout>("output_layout");
  if (layout != "CHW" && layout != "HWC")
    Refuse("output_layout must be \"CHW\" or \"HWC\", got \"", layout.str(), "\".");
  planar_ = layout == "CHW";
  ParseOutType(dtype_);
  for (const float std : std_)
    if (std == 0) Refuse("std must not be 0: it divides.");
  const auto check_finite = [](const char *name, const std::vector<float> &values) {
    for (const float value : values)
      if (!std::isfinite(value)) Refuse(name, " must be finite, got ", value, ".");
  };
  check_finite("mean", mean_);
  check_finite("std", std_);
  check_finite("scale", {scale_});
  check_finite("shift", {shift_});
}

void ApplyArguments::Acquire(const OpSpec &spec, const ArgumentWorkspace &ws,
                             const TensorListShape<> &images, const TensorLayout &layout,
                             dali::DALIDataType type) {
  AcquireImages(images, layout, type);
  AcquireNormalization();
  AcquireWindows(spec, ws);
  AcquirePlan(spec, ws);
}

void ApplyArguments::AcquireImages(const TensorListShape<> &images, const TensorLayout &layout,
                                   dali::DALIDataType type) {
  in_type_ = ParseInType(type);
  interleaved_ = layout != "CHW";
  images_.clear();
  for (int i = 0; i < images.num_samples(); i++) {
    const auto shape = images.tensor_shape_span(i);
    const int channel = interleaved_ ? 2 : 0, y = interleaved_ ? 0 : 1;
    images_.push_back({{static_cast<int>(shape[y]), static_cast<int>(shape[y + 1])},
                       static_cast<int>(shape[channel])});
    if (dali::volume(shape) >= int64_t{1} << 31)
      Refuse("an image must have fewer than 2^31 values, got ",
             ShapeText(images_[i].extent, images_[i].channels), " for sample ", i, ".");
    if (images_[i].channels != images_[0].channels)
      Refuse("all images of a batch must have the same number of channels, got ",
             images_[0].channels, " for sample 0 and ", images_[i].channels, " for sample ", i,
             ".");
  }
  channels_ =
      images_.empty() ? static_cast<int>(std::max(mean_.size(), std_.size())) : images_[0].channels;
}

void ApplyArguments::AcquireNormalization() {
  const auto check = [this](const char *name, const std::vector<float> &values) {
    const int count = static_cast<int>(values.size());
    if (count != 1 && count != channels_)
      Refuse(name, " must have one value, or one for each of the ", channels_, " channels, got ",
             count, ".");
  };
  check("mean", mean_);
  check("std", std_);
  normalizations_.clear();
  singles_.clear();
  for (int c = 0; c < channels_; c++) {
    const auto of = [c](const std::vector<float> &values) {
      return values[values.size() == 1 ? 0 : c];
    };
    normalizations_.emplace_back(of(mean_), of(std_), scale_, shift_);
    singles_.push_back(normalizations_[c].ForSingle());
  }
}

void ApplyArguments::AcquireWindows(const OpSpec &spec, const ArgumentWorkspace &ws) {
  const int count = static_cast<int>(images_.size());
  crop_size_.Acquire(spec, ws, count);
  AcquireArgument(crop_pos_x_, "crop_pos_x", spec, ws, count);
  AcquireArgument(crop_pos_y_, "crop_pos_y", spec, ws, count);
  AcquireArgument(mirror_, "mirror", spec, ws, count);
  windows_.clear();
  for (int i = 0; i < count; i++) windows_.push_back(MakeWindow(i));
}

Window ApplyArguments::MakeWindow(int i) const {
  const Extent image = images_[i].extent, size = crop_size_(i, image);
  if (size.height > image.height || size.width > image.width)
    Refuse("crop must lie inside the image, got a window of ", size.height, " x ", size.width,
           " for sample ", i, " of ", image.height, " x ", image.width,
           ". Resize the images first, or crop less.");
  // As crop_mirror_normalize: halves away from zero, of the product in double.
  const auto place = [i](const char *name, float position, int slack) {
    if (!(position >= 0 && position <= 1))
      Refuse(name, " must be in [0, 1], got ", position, " for sample ", i, ".");
    return static_cast<int>(std::round(static_cast<double>(position) * slack));
  };
  return {place("crop_pos_y", crop_pos_y_[i].data[0], image.height - size.height),
          place("crop_pos_x", crop_pos_x_[i].data[0], image.width - size.width), size};
}

void ApplyArguments::AcquirePlan(const OpSpec &spec, const ArgumentWorkspace &ws) {
  const int count = static_cast<int>(images_.size());
  if (partner_.HasExplicitValue()) AcquireArgument(partner_, "partner", spec, ws, count);
  AcquireArgument(blend_, "blend", spec, ws, count);
  AcquireArgument(box_, "box", spec, ws, count, 4);
  if (size_.HasExplicitValue()) AcquireArgument(size_, "size", spec, ws, count, 2);
  mixes_.clear();
  blends_.clear();
  for (int i = 0; i < count; i++) {
    CheckPlannedSize(i);
    mixes_.push_back(MakeMix(i));
    for (const Normalization &normalization : normalizations_)
      blends_.push_back(normalization.ForBlend(mixes_[i].blend));
  }
}

void ApplyArguments::CheckPlannedSize(int i) const {
  if (!size_.HasExplicitValue()) return;
  const Extent planned = {size_[i].data[0], size_[i].data[1]}, actual = windows_[i].size;
  if (!(planned == actual))
    Refuse("the plan was drawn for ", planned.height, " x ", planned.width,
           " pixels, but the output of sample ", i, " is ", actual.height, " x ", actual.width,
           ". Give plan the same crop or size.");
}

ApplyArguments::Mix ApplyArguments::MakeMix(int i) const {
  const int count = static_cast<int>(images_.size());
  const int partner = partner_.HasExplicitValue() ? partner_[i].data[0] : i;
  if (partner < 0 || partner >= count)
    Refuse("partner must be an index into the batch of ", count, ", got ", partner, " for sample ",
           i, ".");
  const float blend = blend_[i].data[0];
  if (!(blend >= 0 && blend <= 1))
    Refuse("blend must be in [0, 1], got ", blend, " for sample ", i, ".");
  const int *b = box_[i].data;
  Box box = {b[0], b[1], b[2], b[3]};
  const Extent size = windows_[i].size;
  if (!(0 <= box.y0 && box.y0 <= box.y1 && box.y1 <= size.height && 0 <= box.x0 &&
        box.x0 <= box.x1 && box.x1 <= size.width))
    Refuse("box must be (y0, x0, y1, x1) inside the output of ", size.height, " x ", size.width,
           ", got (", b[0], ", ", b[1], ", ", b[2], ", ", b[3], ") for sample ", i, ".");
  if (partner == i) return {i, 1.0, Box{}, Shows::kOwn};
  if (box.Empty()) box = Box{};
  const Shows outside = blend == 1 ? Shows::kOwn : (blend == 0 ? Shows::kPartner : Shows::kBoth);
  if (outside == Shows::kOwn && box.Empty()) return {i, 1.0, box, outside};
  CheckPair(i, partner);
  return {partner, blend, box, outside};
}

void ApplyArguments::CheckPair(int i, int partner) const {
  if (windows_[i].size == windows_[partner].size) return;
  Refuse("mixed samples must have equal shapes, got ", ShapeText(windows_[i].size, channels_),
         " for sample ", i, " and ", ShapeText(windows_[partner].size, channels_),
         " for its partner, sample ", partner, ". Resize the images, or pass crop=(H, W).");
}

TensorListShape<> ApplyArguments::OutputShape() const {
  const int channels = pad_output_ ? PowerOfTwoFrom(channels_) : channels_;
  TensorListShape<> shape(BatchSize(), 3);
  for (int i = 0; i < BatchSize(); i++) {
    const auto [height, width] = windows_[i].size;
    if (planar_)
      shape.set_tensor_shape(i, dali::TensorShape<3>{channels, height, width});
    else
      shape.set_tensor_shape(i, dali::TensorShape<3>{height, width, channels});
  }
  return shape;
}

RowsKey ApplyArguments::Key() const {
  return {in_type_,     ParseOutType(dtype_),
          channels_,    pad_output_ ? PowerOfTwoFrom(channels_) : channels_,
          interleaved_, planar_,
          false};
}

Call ApplyArguments::MakeCall(const Single *singles, const Blend *blends) const {
  return {singles, blends, channels_, pad_output_ ? PowerOfTwoFrom(channels_) : channels_, planar_};
}

int64_t ApplyArguments::ImageBytes(int i) const {
  const auto &[extent, channels] = images_[i];
  return int64_t{extent.height} * extent.width * channels * SizeOf(in_type_);
}

Source ApplyArguments::MakeSource(int i, const void *image) const {
  const Extent extent = images_[i].extent;
  const Window &window = windows_[i];
  const int column = interleaved_ ? channels_ : 1;
  const int row = extent.width * column;
  const int channel = interleaved_ ? 1 : extent.width * extent.height;
  const bool mirrored = mirror_[i].data[0] != 0;
  const int first_column = mirrored ? window.x + window.size.width - 1 : window.x;
  const int64_t offset = int64_t{window.y} * row + int64_t{first_column} * column;
  return {static_cast<const char *>(image) + offset * SizeOf(in_type_), row,
          mirrored ? -column : column, channel};
}

}  // namespace dali_mix
