// Reads the constant arguments of apply, and refuses wrong ones.
#include "apply_options.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace dali_mix {

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

void CheckFinite(const char *name, const std::vector<float> &values) {
  for (const float value : values) {
    if (!std::isfinite(value)) {
      Refuse(name, " must be finite, got ", value, ".");
    }
  }
}

// The value for channel c. There is one value for all channels, or one for each.
float ValueOf(const char *name, const std::vector<float> &values, int channels, int c) {
  const int count = static_cast<int>(values.size());
  if (count != 1 && count != channels) {
    Refuse(name, " must have one value, or one for each of the ", channels, " channels, got ",
           count, ".");
  }
  return values[count == 1 ? 0 : c];
}

}  // namespace

ApplyOptions::ApplyOptions(const dali::OpSpec &spec)
    : mean(spec.GetRepeatedArgument<float>("mean")),
      std(spec.GetRepeatedArgument<float>("std")),
      scale(spec.GetArgument<float>("scale")),
      shift(spec.GetArgument<float>("shift")),
      copied(spec.GetArgument<int>("copied")),
      pad_output(spec.GetArgument<bool>("pad_output")),
      dtype(spec.GetArgument<dali::DALIDataType>("dtype")) {
  if (!CopiesMaps() || spec.HasArgument("output_layout")) {
    output_layout = spec.GetArgument<dali::TensorLayout>("output_layout");
  }
  const auto names = spec.GetRepeatedArgument<std::string>("inputs");
  const auto number_of = [&names](const char *name) {
    const int place = PlaceOfInput(names, name);
    return place < 0 ? -1 : 1 + place;  // after the images
  };
  others = number_of("others");
  fitted = number_of("fitted");
  mask = number_of("mask");
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
  ParseOutType(dtype);
  for (const float value : std) {
    if (value == 0) {
      Refuse("std must not be 0: it divides.");
    }
  }
  CheckFinite("mean", mean);
  CheckFinite("std", std);
  CheckFinite("scale", {scale});
  CheckFinite("shift", {shift});
}

int ApplyOptions::OutChannels(int channels) const {
  int padded = 1;
  while (padded < channels) {
    padded *= 2;
  }
  return pad_output ? padded : channels;
}

OutType ApplyOptions::Out() const { return CopiesMaps() ? OutType::kCopied : ParseOutType(dtype); }

Coefficients CoefficientsOf(const ApplyOptions &options, int channels) {
  Coefficients coefficients;
  for (int c = 0; c < channels; c++) {
    const Normalization normalization(ValueOf("mean", options.mean, channels, c),
                                      ValueOf("std", options.std, channels, c), options.scale,
                                      options.shift);
    coefficients.singles.push_back(normalization.ForSingle());
    coefficients.factors.push_back(normalization.k);
  }
  return coefficients;
}

}  // namespace dali_mix
