// Arguments of fn.dali_mix.apply but for the plan: images, layouts, windows, normalization.
#include <algorithm>
#include <cmath>

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

InType ParseCopiedType(dali::DALIDataType type) {
  switch (type) {
    case DALI_UINT8:
    case DALI_INT8:
    case DALI_BOOL:
      return InType::kCopied1;
    case DALI_UINT16:
    case DALI_INT16:
      return InType::kCopied2;
    case DALI_UINT32:
    case DALI_INT32:
      return InType::kCopied4;
    case DALI_UINT64:
    case DALI_INT64:
      return InType::kCopied8;
    default:
      Refuse("maps of classes must be of an integer type, got ", type, ".");
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

void CheckFinite(const char *name, const std::vector<float> &values) {
  for (const float value : values)
    if (!std::isfinite(value)) Refuse(name, " must be finite, got ", value, ".");
}

// The place of the input of that name, counted after the images, or -1.
int PlaceOf(const std::vector<std::string> &inputs, const char *name) {
  const auto at = std::find(inputs.begin(), inputs.end(), name);
  return at == inputs.end() ? -1 : 1 + static_cast<int>(at - inputs.begin());
}

// The letter of the frames (or slices) of a layout, 0 where it has none.
char FramesOf(const TensorLayout &layout) {
  return layout.find('F') >= 0 ? 'F' : (layout.find('D') >= 0 ? 'D' : '\0');
}

}  // namespace

ApplyArguments::ApplyArguments(const OpSpec &spec)
    : crop_size_(spec),
      crop_pos_x_("crop_pos_x", spec),
      crop_pos_y_("crop_pos_y", spec),
      mirror_("mirror", spec),
      partner_("partner", spec),
      box_("box", spec),
      size_("size", spec),
      fit_("fit", spec),
      offset_("offset", spec),
      frames_("frames", spec),
      blend_("blend", spec),
      mean_(spec.GetRepeatedArgument<float>("mean")),
      std_(spec.GetRepeatedArgument<float>("std")),
      scale_(spec.GetArgument<float>("scale")),
      shift_(spec.GetArgument<float>("shift")),
      copied_(spec.GetArgument<int>("copied")),
      pad_output_(spec.GetArgument<bool>("pad_output")),
      copies_(copied_ >= 0),
      asked_layout_(spec.GetArgument<TensorLayout>("output_layout")),
      dtype_(spec.GetArgument<dali::DALIDataType>("dtype")) {
  const auto names = spec.GetRepeatedArgument<std::string>("inputs");
  extra_ = {PlaceOf(names, "others"), PlaceOf(names, "fitted"), PlaceOf(names, "mask")};
  if (spec.NumRegularInput() != 1 + static_cast<int>(names.size()))
    Refuse("inputs must name each input after the images, got ", names.size(), " names for ",
           spec.NumRegularInput() - 1, " inputs.");
  ParseOutType(dtype_);
  for (const float std : std_)
    if (std == 0) Refuse("std must not be 0: it divides.");
  CheckFinite("mean", mean_);
  CheckFinite("std", std_);
  CheckFinite("scale", {scale_});
  CheckFinite("shift", {shift_});
}

void ApplyArguments::Acquire(const OpSpec &spec, const ArgumentWorkspace &ws,
                             const std::vector<InputShape> &inputs) {
  AcquireImages(inputs);
  AcquireOutputLayout(inputs[0].layout);
  AcquireNormalization();
  AcquireWindows(spec, ws);
  AcquirePlan(ws);
}

// Sizes and strides, found by the letters of the layout; HWC where none is set.
ImageInput ApplyArguments::ReadShapes(const char *name, const InputShape &input) const {
  if (input.type != in_dali_type_)
    Refuse(name, " must have the type of the images, ", in_dali_type_, ", got ", input.type, ".");
  const TensorLayout layout = input.layout.empty() ? TensorLayout("HWC") : input.layout;
  ImageInput images;
  images.shapes.reserve(input.shape.num_samples());
  for (int i = 0; i < input.shape.num_samples(); i++) {
    const auto sizes = input.shape.tensor_shape_span(i);
    if (dali::volume(sizes) >= int64_t{1} << 31)
      Refuse("an image must have fewer than 2^31 values, got the shape ", input.shape[i],
             " for sample ", i, ".");
    ImageShape shape = {1, 1, {1, 1}, 0, 0, 0, 0, dali::volume(sizes)};
    int stride = 1;
    for (int d = layout.ndim() - 1; d >= 0; stride *= static_cast<int>(sizes[d--])) {
      const int size = static_cast<int>(sizes[d]);
      if (layout[d] == 'H') shape.extent.height = size, shape.row = stride;
      if (layout[d] == 'W') shape.extent.width = size, shape.column = stride;
      if (layout[d] == 'C') shape.channels = size, shape.channel = stride;
      if (layout[d] == 'F' || layout[d] == 'D') shape.frames = size, shape.frame = stride;
    }
    images.shapes.push_back(shape);
  }
  return images;
}

void ApplyArguments::AcquireImages(const std::vector<InputShape> &inputs) {
  in_dali_type_ = inputs[0].type;
  in_type_ = copies_ ? ParseCopiedType(in_dali_type_) : ParseInType(in_dali_type_);
  const TensorLayout &layout = inputs[0].layout;
  interleaved_ = layout.empty() || layout[layout.ndim() - 1] != 'W';
  const auto read = [&](const char *name, int place) {
    const TensorLayout &own = inputs[place].layout;
    // Maps may come back from a resize with a channel.
    const bool alike = own == layout || (copies_ && layout == "HW" && own == "HWC");
    if (!alike)
      Refuse(name, " must have the layout of the images, \"", layout.str(), "\", got \"",
             inputs[place].layout.str(), "\".");
    ImageInput images = ReadShapes(name, inputs[place]);
    for (size_t i = 0; i < images.shapes.size(); i++)
      if (images.shapes[i].channels != channels_)
        Refuse("all images of a batch must have the same number of channels, got ", channels_,
               " for sample 0 and ", images.shapes[i].channels, " for sample ", i,
               place == 0 ? "" : dali::make_string(" of ", name), ".");
    return images;
  };
  const bool empty = inputs[0].shape.num_samples() == 0;
  channels_ = empty ? static_cast<int>(std::max(mean_.size(), std_.size()))
                    : ReadShapes("images", inputs[0]).shapes[0].channels;
  inputs_ = {read("images", 0)};
  if (extra_.others >= 0) inputs_.push_back(read("others", extra_.others));
  fitted_ = extra_.fitted >= 0 ? read("fitted", extra_.fitted) : ImageInput{};
  masks_.clear();
  if (extra_.mask < 0) return;
  const InputShape &mask = inputs[extra_.mask];
  if (mask.type != DALI_UINT8 || mask.shape.sample_dim() != 2)
    Refuse("mask must hold UINT8 of shape (H, W), own weights of 255, got ", mask.type, " of ",
           mask.shape.sample_dim(), " dimensions.");
  for (int i = 0; i < mask.shape.num_samples(); i++) {
    const auto sizes = mask.shape.tensor_shape_span(i);
    masks_.push_back({static_cast<int>(sizes[0]), static_cast<int>(sizes[1])});
  }
}

// "CHW" and "HWC" stand for each frame of a sequence; "CFHW" takes the channels out of the frames.
// Maps keep theirs.
void ApplyArguments::AcquireOutputLayout(const TensorLayout &layout) {
  const char frames = FramesOf(layout);
  std::string asked = asked_layout_.str();
  if (layout == "HW" && !copies_)
    Refuse(
        "images must be \"HWC\" or \"CHW\", or sequences of these, got \"HW\". fn.reshape adds a "
        "channel.");
  if (copies_) {
    out_layout_ = layout.empty() ? TensorLayout("HWC") : layout;
    planar_ = layout.ndim() > 2 && layout[layout.ndim() - 1] == 'W';
    return;
  }
  if (frames && asked.size() == 3) asked = frames + asked;
  const std::string sequence = std::string("C") + frames + "HW";
  const bool known = asked == "HW" || asked == "CHW" || asked == "HWC" ||
                     (frames && (asked == frames + std::string("CHW") ||
                                 asked == frames + std::string("HWC") || asked == sequence));
  if (!known || (asked.size() == 4) != (frames != '\0'))
    Refuse("output_layout must be \"CHW\" or \"HWC\"",
           frames ? dali::make_string(" (of each frame) or \"", sequence, "\"") : std::string(),
           ", got \"", asked_layout_.str(), "\".");
  out_layout_ = TensorLayout(asked);
  planar_ = asked.size() > 2 && asked.back() == 'W';
}

void ApplyArguments::AcquireNormalization() {
  singles_.clear();
  factors_.clear();
  const auto of = [this](const char *name, const std::vector<float> &values, int c) {
    const int count = static_cast<int>(values.size());
    if (count != 1 && count != channels_)
      Refuse(name, " must have one value, or one for each of the ", channels_, " channels, got ",
             count, ".");
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
    for (int i = 0; i < count; i++)
      windows.push_back(MakeWindow(input == 0 ? "" : " of others", i, shapes[i].extent));
  }
  for (const ImageShape &shape : fitted_.shapes) fitted_.windows.push_back({0, 0, shape.extent});
}

Window ApplyArguments::MakeWindow(const char *whose, int i, Extent image) const {
  const Extent size = crop_size_(i, image);
  if (size.height > image.height || size.width > image.width)
    Refuse("crop must lie inside the image, got a window of ", size.height, " x ", size.width,
           " for sample ", i, whose, " of ", image.height, " x ", image.width,
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

TensorListShape<> ApplyArguments::OutputShape() const {
  const int channels = pad_output_ ? PowerOfTwoFrom(channels_) : channels_;
  TensorListShape<> shape(BatchSize(), out_layout_.ndim());
  for (int i = 0; i < BatchSize(); i++) {
    const auto sizes = shape.tensor_shape_span(i);
    const Extent extent = inputs_[0].windows[i].size;
    for (int d = 0; d < out_layout_.ndim(); d++) {
      const char letter = out_layout_[d];
      sizes[d] = letter == 'C'   ? channels
                 : letter == 'H' ? extent.height
                 : letter == 'W' ? extent.width
                                 : inputs_[0].shapes[i].frames;
    }
    if (dali::volume(sizes) >= int64_t{1} << 31)
      Refuse("an output must have fewer than 2^31 values, got the shape ", shape[i], " for sample ",
             i, ".");
  }
  return shape;
}

RowsKey ApplyArguments::Key() const {
  return {in_type_,     copies_ ? OutType::kCopied : ParseOutType(dtype_),
          channels_,    pad_output_ ? PowerOfTwoFrom(channels_) : channels_,
          interleaved_, planar_,
          false};
}

Call ApplyArguments::MakeCall() const {
  return {nullptr, nullptr,   nullptr,
          nullptr, channels_, pad_output_ ? PowerOfTwoFrom(channels_) : channels_,
          images_, copied_,   planar_};
}

}  // namespace dali_mix
