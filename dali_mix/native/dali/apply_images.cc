// The inputs of fn.dali_mix.apply: types, layouts and shapes.
#include <algorithm>

#include "apply_op.h"

namespace dali_mix {

using dali::TensorLayout;

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

// The letter of the frames (or slices) of a layout, 0 where it has none.
char FramesOf(const TensorLayout &layout) {
  return layout.find('F') >= 0 ? 'F' : (layout.find('D') >= 0 ? 'D' : '\0');
}

}  // namespace

// One sample for each image, and the layout of the images (DALI sees to that one) where an input
// has none.
void ApplyArguments::ResolveLayouts(std::vector<InputShape> &inputs) const {
  for (size_t k = 0; k < inputs.size(); k++) {
    const int count = inputs[0].shape.num_samples(), got = inputs[k].shape.num_samples();
    if (got != count) {
      Refuse("all inputs must have one sample for each of the ", count, " images, got ", got, ".");
    }
    const TensorLayout &layout = inputs[0].layout;
    if (inputs[k].layout.empty() && inputs[k].shape.sample_dim() == layout.ndim()) {
      inputs[k].layout = layout;
    }
  }
}

// Sizes and strides, found by the letters of the layout.
ImageInput ApplyArguments::ReadShapes(const char *name, const InputShape &input) const {
  if (input.type != in_dali_type_) {
    Refuse(name, " must have the type of the images, ", in_dali_type_, ", got ", input.type, ".");
  }
  const TensorLayout &layout = input.layout;
  ImageInput images;
  images.shapes.reserve(input.shape.num_samples());
  for (int i = 0; i < input.shape.num_samples(); i++) {
    const auto sizes = input.shape.tensor_shape_span(i);
    if (dali::volume(sizes) >= int64_t{1} << 31) {
      Refuse("an image must have fewer than 2^31 values, got the shape ", input.shape[i],
             " for sample ", i, ".");
    }
    ImageShape shape = {1, 1, {1, 1}, 0, 0, 0, 0, dali::volume(sizes)};
    int stride = 1;
    for (int d = layout.ndim() - 1; d >= 0; stride *= static_cast<int>(sizes[d--])) {
      const int size = static_cast<int>(sizes[d]);
      if (layout[d] == 'H') {
        shape.extent.height = size, shape.row = stride;
      }
      if (layout[d] == 'W') {
        shape.extent.width = size, shape.column = stride;
      }
      if (layout[d] == 'C') {
        shape.channels = size, shape.channel = stride;
      }
      if (layout[d] == 'F' || layout[d] == 'D') {
        shape.frames = size, shape.frame = stride;
      }
    }
    images.shapes.push_back(shape);
  }
  return images;
}

void ApplyArguments::AcquireImages(const std::vector<InputShape> &inputs) {
  in_dali_type_ = inputs[0].type;
  in_type_ = copies_ ? ParseCopiedType(in_dali_type_) : ParseInType(in_dali_type_);
  const TensorLayout &layout = inputs[0].layout;
  interleaved_ = layout[layout.ndim() - 1] != 'W';
  const auto read = [&](const char *name, int place) {
    const TensorLayout &own = inputs[place].layout;
    // Maps may come back from a resize with a channel.
    const bool alike = own == layout || (copies_ && layout == "HW" && own == "HWC");
    if (!alike) {
      Refuse(name, " must have the layout of the images, \"", layout.str(), "\", got \"",
             inputs[place].layout.str(), "\".");
    }
    ImageInput images = ReadShapes(name, inputs[place]);
    for (size_t i = 0; i < images.shapes.size(); i++) {
      if (images.shapes[i].channels != channels_) {
        Refuse("all images of a batch must have the same number of channels, got ", channels_,
               " for sample 0 and ", images.shapes[i].channels, " for sample ", i,
               place == 0 ? "" : dali::make_string(" of ", name), ".");
      }
    }
    return images;
  };
  const bool empty = inputs[0].shape.num_samples() == 0;
  channels_ = empty ? static_cast<int>(std::max(mean_.size(), std_.size()))
                    : ReadShapes("images", inputs[0]).shapes[0].channels;
  inputs_ = {read("images", 0)};
  if (extra_.others >= 0) {
    inputs_.push_back(read("others", extra_.others));
  }
  fitted_ = extra_.fitted >= 0 ? read("fitted", extra_.fitted) : ImageInput{};
  masks_.clear();
  if (extra_.mask < 0) {
    return;
  }
  const InputShape &mask = inputs[extra_.mask];
  if (mask.type != DALI_UINT8 || mask.shape.sample_dim() != 2) {
    Refuse("mask must hold UINT8 of shape (H, W), own weights of 255, got ", mask.type, " of ",
           mask.shape.sample_dim(), " dimensions.");
  }
  for (int i = 0; i < mask.shape.num_samples(); i++) {
    const auto sizes = mask.shape.tensor_shape_span(i);
    masks_.push_back({static_cast<int>(sizes[0]), static_cast<int>(sizes[1])});
  }
}

// "CHW" and "HWC" stand for each frame of a sequence; "CFHW" takes the channels out of the frames.
// Maps keep theirs where none is asked for.
void ApplyArguments::AcquireOutputLayout(const TensorLayout &layout) {
  const char frames = FramesOf(layout);
  std::string asked = asked_layout_.str();
  if (copies_ && asked.empty()) {
    asked = layout.str();
  }
  if (layout == "HW") {
    if (!copies_) {
      Refuse(
          "images must be \"HWC\" or \"CHW\", or sequences of these, got \"HW\". fn.reshape adds a "
          "channel.");
    }
    asked = "HW";
  }
  if (frames && asked.size() == 3) {
    asked = frames + asked;
  }
  const std::string sequence = std::string("C") + frames + "HW";
  const bool known = asked == "HW" || asked == "CHW" || asked == "HWC" ||
                     (frames && (asked == frames + std::string("CHW") ||
                                 asked == frames + std::string("HWC") || asked == sequence));
  if (!known || (asked.size() == 4) != (frames != '\0')) {
    Refuse("output_layout must be \"CHW\" or \"HWC\"",
           frames ? dali::make_string(" (of each frame) or \"", sequence, "\"") : std::string(),
           ", got \"", asked_layout_.str(), "\".");
  }
  out_layout_ = TensorLayout(asked);
  planar_ = asked.size() > 2 && asked.back() == 'W';
}

}  // namespace dali_mix
