// Arguments of fn.dali_mix.apply but for images and plan: names, windows, normalization.
#include <algorithm>
#include <cmath>

#include "apply_op.h"

namespace dali_mix {

using dali::ArgumentWorkspace;
using dali::OpSpec;
using dali::TensorLayout;
using dali::TensorListShape;

namespace {

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
  while (power < count) {
    power *= 2;
  }
  return power;
}

void CheckFinite(const char *name, const std::vector<float> &values) {
  for (const float value : values) {
    if (!std::isfinite(value)) {
      Refuse(name, " must be finite, got ", value, ".");
    }
  }
}

// The place of the input of that name, counted after the images, or -1.
int PlaceOf(const std::vector<std::string> &inputs, const char *name) {
  const auto at = std::find(inputs.begin(), inputs.end(), name);
  return at == inputs.end() ? -1 : 1 + static_cast<int>(at - inputs.begin());
}

}  // namespace

ApplyArguments::ApplyArguments(const OpSpec &spec)
    : crop_size_(spec),
      crop_pos_x_("crop_pos_x", spec),
      crop_pos_y_("crop_pos_y", spec),
      mirror_("mirror", spec),
      plan_(spec),
      mean_(spec.GetRepeatedArgument<float>("mean")),
      std_(spec.GetRepeatedArgument<float>("std")),
      scale_(spec.GetArgument<float>("scale")),
      shift_(spec.GetArgument<float>("shift")),
      copied_(spec.GetArgument<int>("copied")),
      pad_output_(spec.GetArgument<bool>("pad_output")),
      copies_(copied_ >= 0),
      asked_layout_(copies_ && !spec.HasArgument("output_layout")
                        ? TensorLayout()
                        : spec.GetArgument<TensorLayout>("output_layout")),
      dtype_(spec.GetArgument<dali::DALIDataType>("dtype")) {
  const auto names = spec.GetRepeatedArgument<std::string>("inputs");
  extra_ = {PlaceOf(names, "others"), PlaceOf(names, "fitted"), PlaceOf(names, "mask")};
  for (const std::string &name : names) {
    if ((name != "others" && name != "fitted" && name != "mask") ||
        std::count(names.begin(), names.end(), name) > 1) {
      Refuse("inputs must name \"others\", \"fitted\" or \"mask\", each once, got \"", name, "\".");
    }
  }
  if (spec.NumRegularInput() != 1 + static_cast<int>(names.size())) {
    Refuse("inputs must name each input after the images, got ", names.size(), " names for ",
           spec.NumRegularInput() - 1, " inputs.");
  }
  ParseOutType(dtype_);
  for (const float std : std_) {
    if (std == 0) {
      Refuse("std must not be 0: it divides.");
    }
  }
  CheckFinite("mean", mean_);
  CheckFinite("std", std_);
  CheckFinite("scale", {scale_});
  CheckFinite("shift", {shift_});
}

void ApplyArguments::Acquire(const OpSpec &spec, const ArgumentWorkspace &ws,
                             std::vector<InputShape> inputs) {
  ResolveLayouts(inputs);
  AcquireImages(inputs);
  AcquireOutputLayout(inputs[0].layout);
  AcquireNormalization();
  AcquireWindows(spec, ws);
  AcquirePlan(ws);
}

void ApplyArguments::AcquireNormalization() {
  singles_.clear();
  factors_.clear();
  const auto of = [this](const char *name, const std::vector<float> &values, int c) {
    const int count = static_cast<int>(values.size());
    if (count != 1 && count != channels_) {
      Refuse(name, " must have one value, or one for each of the ", channels_, " channels, got ",
             count, ".");
    }
    return values[count == 1 ? 0 : c];
  };
  for (int c = 0; c < channels_; c++) {
    const Normalization normalization(of("mean", mean_, c), of("std", std_, c), scale_, shift_);
    singles_.push_back(normalization.ForSingle());
    factors_.push_back(normalization.k);
  }
}

void ApplyArguments::AcquireWindows(const OpSpec &spec, const ArgumentWorkspace &ws) {
  const int count = static_cast<int>(inputs_[0].shapes.size());
  crop_size_.Acquire(spec, ws, count);
  AcquireArgument(crop_pos_x_, "crop_pos_x", spec, ws, count);
  AcquireArgument(crop_pos_y_, "crop_pos_y", spec, ws, count);
  AcquireArgument(mirror_, "mirror", spec, ws, count);
  for (size_t input = 0; input < inputs_.size(); input++) {
    auto &[shapes, windows] = inputs_[input];
    windows.reserve(count);
    for (int i = 0; i < count; i++) {
      windows.push_back(MakeWindow(input == 0 ? "" : " of others", i, shapes[i].extent));
    }
  }
  for (const ImageShape &shape : fitted_.shapes) {
    fitted_.windows.push_back({0, 0, shape.extent});
  }
}

CropWindow ApplyArguments::MakeWindow(const char *whose, int i, Extent image) const {
  const Extent size = crop_size_(i, image);
  if (size.height > image.height || size.width > image.width) {
    Refuse("crop must lie inside the image, got a window of ", size.height, " x ", size.width,
           " for sample ", i, whose, " of ", image.height, " x ", image.width,
           ". Resize the images first, or crop less.");
  }
  // As crop_mirror_normalize: halves away from zero, of the product in double.
  const auto place = [i](const char *name, float position, int slack) {
    if (!(position >= 0 && position <= 1)) {
      Refuse(name, " must be in [0, 1], got ", position, " for sample ", i, ".");
    }
    return static_cast<int>(std::round(static_cast<double>(position) * slack));
  };
  return {place("crop_pos_y", crop_pos_y_[i].data[0], image.height - size.height),
          place("crop_pos_x", crop_pos_x_[i].data[0], image.width - size.width), size};
}

int ApplyArguments::OutChannels() const {
  return pad_output_ ? PowerOfTwoFrom(channels_) : channels_;
}

TensorListShape<> ApplyArguments::OutputShape() const {
  TensorListShape<> shape(BatchSize(), out_layout_.ndim());
  for (int i = 0; i < BatchSize(); i++) {
    const auto sizes = shape.tensor_shape_span(i);
    const Extent extent = inputs_[0].windows[i].size;
    for (int d = 0; d < out_layout_.ndim(); d++) {
      const char letter = out_layout_[d];
      sizes[d] = letter == 'C'   ? OutChannels()
                 : letter == 'H' ? extent.height
                 : letter == 'W' ? extent.width
                                 : inputs_[0].shapes[i].frames;
    }
    if (dali::volume(sizes) >= int64_t{1} << 31) {
      Refuse("an output must have fewer than 2^31 values, got the shape ", shape[i], " for sample ",
             i, ".");
    }
  }
  return shape;
}

RowsKey ApplyArguments::Key() const {
  return {in_type_,     copies_ ? OutType::kCopied : ParseOutType(dtype_),
          channels_,    OutChannels(),
          interleaved_, planar_,
          false};
}

Call ApplyArguments::MakeCall() const {
  Call call = {};
  call.channels = channels_;
  call.out_channels = OutChannels();
  call.images = plan_.Images();
  call.planar = planar_;
  return call;
}

}  // namespace dali_mix
