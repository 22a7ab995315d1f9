// Finds sizes and strides by the letters of layouts.
#include "apply_inputs.h"

#include <algorithm>
#include <string>

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

// The letter of the frames (or slices) of a layout; 0 if it has none.
char FramesAxis(const TensorLayout &layout) {
  return layout.find('F') >= 0 ? 'F' : (layout.find('D') >= 0 ? 'D' : '\0');
}

// Checks that each input has a sample for each image. An input without layout gets that of the
// images, which DALI has checked.
void ResolveLayouts(std::vector<InputShape> &inputs) {
  const TensorLayout &layout = inputs[0].layout;
  const int count = inputs[0].shape.num_samples();
  for (InputShape &input : inputs) {
    const int got = input.shape.num_samples();
    if (got != count) {
      Refuse("all inputs must have one sample for each of the ", count, " images, got ", got, ".");
    }
    if (input.layout.empty() && input.shape.sample_dim() == layout.ndim()) {
      input.layout = layout;
    }
  }
}

// Sizes and strides of one sample, found by the letters of the layout.
ImageShape ShapeOf(const InputShape &input, int i) {
  const auto sizes = input.shape.tensor_shape_span(i);
  if (dali::volume(sizes) >= int64_t{1} << 31) {
    Refuse("an image must have fewer than 2^31 values, got the shape ", input.shape[i],
           " for sample ", i, ".");
  }
  ImageShape shape = {1, 1, {1, 1}, 0, 0, 0, 0, dali::volume(sizes)};
  int stride = 1;
  for (int d = input.layout.ndim() - 1; d >= 0; d--) {
    const int size = static_cast<int>(sizes[d]);
    switch (input.layout[d]) {
      case 'H':
        shape.extent.height = size;
        shape.row = stride;
        break;
      case 'W':
        shape.extent.width = size;
        shape.column = stride;
        break;
      case 'C':
        shape.channels = size;
        shape.channel = stride;
        break;
      default:  // F or D
        shape.frames = size;
        shape.frame = stride;
    }
    stride *= size;
  }
  return shape;
}

// Reads one batch of images. `name`: the name of the input; `first`: the first input.
ImageInput ReadImages(const char *name, const InputShape &input, const InputShape &first,
                      bool copies_maps, int channels) {
  // A resize may have added an axis of channels to maps.
  const bool alike = input.layout == first.layout ||
                     (copies_maps && first.layout == "HW" && input.layout == "HWC");
  if (!alike) {
    Refuse(name, " must have the layout of the images, \"", first.layout.str(), "\", got \"",
           input.layout.str(), "\".");
  }
  if (input.type != first.type) {
    Refuse(name, " must have the type of the images, ", first.type, ", got ", input.type, ".");
  }
  ImageInput images;
  images.shapes.reserve(input.shape.num_samples());
  for (int i = 0; i < input.shape.num_samples(); i++) {
    images.shapes.push_back(ShapeOf(input, i));
  }
  for (size_t i = 0; i < images.shapes.size(); i++) {
    if (images.shapes[i].channels != channels) {
      Refuse("all images of a batch must have the same number of channels, got ", channels,
             " for sample 0 and ", images.shapes[i].channels, " for sample ", i,
             &input == &first ? "" : Text(" of ", name), ".");
    }
  }
  return images;
}

std::vector<Extent> ReadMasks(const InputShape &input) {
  if (input.type != DALI_UINT8 || input.shape.sample_dim() != 2) {
    Refuse("mask must hold UINT8 of shape (H, W), own weights of 255, got ", input.type, " of ",
           input.shape.sample_dim(), " dimensions.");
  }
  std::vector<Extent> masks;
  for (int i = 0; i < input.shape.num_samples(); i++) {
    const auto sizes = input.shape.tensor_shape_span(i);
    masks.push_back({static_cast<int>(sizes[0]), static_cast<int>(sizes[1])});
  }
  return masks;
}

// "CHW" and "HWC" are the layout of each frame of a sequence; "CFHW" puts the channels before the
// frames. Maps keep their layout unless another one is given.
TensorLayout OutputLayoutOf(const ApplyOptions &options, const TensorLayout &layout) {
  const char axis = FramesAxis(layout);
  std::string asked = options.output_layout.str();
  if (options.CopiesMaps() && asked.empty()) {
    asked = layout.str();
  }
  if (layout == "HW") {
    if (!options.CopiesMaps()) {
      Refuse(
          "images must be \"HWC\" or \"CHW\", or sequences of these, got \"HW\". fn.reshape adds a "
          "channel.");
    }
    asked = "HW";
  }
  if (axis && asked.size() == 3) {
    asked = axis + asked;
  }
  const std::string sequence = std::string("C") + axis + "HW";
  const bool known = asked == "HW" || asked == "CHW" || asked == "HWC" ||
                     (axis && (asked == axis + std::string("CHW") ||
                               asked == axis + std::string("HWC") || asked == sequence));
  if (!known || (asked.size() == 4) != (axis != '\0')) {
    Refuse("output_layout must be \"CHW\" or \"HWC\"",
           axis ? Text(" (of each frame) or \"", sequence, "\"") : "", ", got \"",
           options.output_layout.str(), "\".");
  }
  return TensorLayout(asked);
}

}  // namespace

InputFormat ReadInputs(const ApplyOptions &options, std::vector<InputShape> inputs,
                       Images &images) {
  ResolveLayouts(inputs);
  const InputShape &first = inputs[0];
  const bool copies = options.CopiesMaps();
  InputFormat format = {};
  format.type = first.type;
  format.in = copies ? ParseCopiedType(first.type) : ParseInType(first.type);
  format.interleaved = first.layout[first.layout.ndim() - 1] != 'W';
  format.frames_axis = FramesAxis(first.layout);
  format.channels = first.shape.num_samples() == 0
                        ? static_cast<int>(std::max(options.mean.size(), options.std.size()))
                        : ShapeOf(first, 0).channels;
  images.inputs = {ReadImages("images", first, first, copies, format.channels)};
  if (options.others >= 0) {
    images.inputs.push_back(
        ReadImages("others", inputs[options.others], first, copies, format.channels));
  }
  if (options.fitted >= 0) {
    images.has_fitted = true;
    images.fitted = ReadImages("fitted", inputs[options.fitted], first, copies, format.channels);
  }
  if (options.mask >= 0) {
    images.masks = ReadMasks(inputs[options.mask]);
  }
  format.output_layout = OutputLayoutOf(options, first.layout);
  const std::string layout = format.output_layout.str();
  format.planar = layout.size() > 2 && layout.back() == 'W';
  return format;
}

}  // namespace dali_mix
