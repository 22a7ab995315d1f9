// Reading operator arguments: what both operators share.
#ifndef DALI_MIX_NATIVE_DALI_ARGUMENTS_H_
#define DALI_MIX_NATIVE_DALI_ARGUMENTS_H_

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dali/core/format.h"
#include "dali/core/tensor_layout.h"
#include "dali/core/tensor_shape_print.h"
#include "dali/pipeline/operator/arg_helper.h"

namespace dali_mix {

// A wrong value of the user's: Python raises ValueError with this sentence.
template <typename... Parts>
[[noreturn]] void Refuse(const Parts &...parts) {
  throw std::invalid_argument(dali::make_string(parts...));
}

// Takes what the argument holds for each sample: a scalar (kDim 0) or `length` values (kDim 1; one
// value stands for all of them).
template <int kDim, typename T>
void AcquireArgument(dali::ArgValue<T, kDim> &argument, const char *name, const dali::OpSpec &spec,
                     const dali::ArgumentWorkspace &ws, int batch_size, int length = 1) {
  if (spec.HasTensorArgument(name)) {
    const auto &shape = ws.ArgumentInput(name).shape();
    for (int i = 0; i < shape.num_samples(); i++) {
      const int dims = shape.sample_dim();
      if (dims == 0 || (kDim == 1 && dims == 1 && shape.tensor_shape_span(i)[0] == length)) {
        continue;
      }
      Refuse(name, " must hold ",
             kDim == 0 ? std::string("a scalar, shape (),") : dali::make_string(length, " values"),
             " for each sample, got shape ", shape[i], " for sample ", i, ".");
    }
  }
  if constexpr (kDim == 0) {
    argument.Acquire(spec, ws, batch_size);
  } else {
    argument.Acquire(spec, ws, batch_size, dali::TensorShape<1>{length});
  }
}

// What an argument holds for each sample: the same number of values for all, given once or as a
// tensor.
template <typename T>
class Column {
 public:
  Column(const char *name, const dali::OpSpec &spec)
      : name_(name),
        is_tensor_(spec.HasTensorArgument(name)),
        given_(is_tensor_ || spec.HasArgument(name)) {
    if (!is_tensor_) {
      spec.TryGetRepeatedArgument(constant_, name);
    }
  }

  bool Given() const { return given_; }
  // Values of one sample.
  int Length() const { return length_; }
  const T *operator[](int i) const { return is_tensor_ ? samples_[i] : constant_.data(); }

  void Acquire(const dali::ArgumentWorkspace &ws, int batch_size) {
    length_ = static_cast<int>(constant_.size());
    if (!is_tensor_) {
      return;
    }
    const auto &tensors = ws.ArgumentInput(name_);
    if (tensors.type() != dali::type2id<T>::value) {
      Refuse(name_, " must be ", dali::type2id<T>::value, ", got ", tensors.type(), ".");
    }
    if (tensors.num_samples() != batch_size) {
      Refuse(name_, " must have ", batch_size, " samples, as the images, got ",
             tensors.num_samples(), ".");
    }
    samples_.clear();
    for (int i = 0; i < batch_size; i++) {
      const int length = static_cast<int>(tensors.shape().tensor_size(i));
      if (i > 0 && length != length_) {
        Refuse(name_, " must have equally many values for each sample, got ", length_,
               " for sample 0 and ", length, " for sample ", i, ".");
      }
      length_ = length;
      samples_.push_back(static_cast<const T *>(tensors.raw_tensor(i)));
    }
  }

 private:
  const char *name_;
  bool is_tensor_, given_;
  int length_ = 0;
  std::vector<T> constant_;
  std::vector<const T *> samples_;
};

struct Extent {
  int height, width;
  bool operator==(const Extent &) const = default;
};

// `crop`, `crop_h` and `crop_w` as in crop_mirror_normalize: the size of the output. Their schema
// is dali_mix__CropSize, a parent of both operators'.
class CropSize {
 public:
  explicit CropSize(const dali::OpSpec &spec);

  // Whether the output size follows from the arguments, whatever the images.
  bool Given() const { return crop_.HasExplicitValue() || crop_h_.HasExplicitValue(); }
  void Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws, int batch_size);
  Extent operator()(int sample, Extent image) const;

 private:
  dali::ArgValue<float, 1> crop_;
  dali::ArgValue<float> crop_h_, crop_w_;
};

// Height and width of a shape, found by layout; HWC is assumed where none is set.
template <typename Shape>
Extent ExtentOf(const Shape &shape, const dali::TensorLayout &layout) {
  const int y = layout.empty() ? 0 : layout.find('H');
  const int x = layout.empty() ? 1 : layout.find('W');
  if (y < 0 || x < 0 || shape.size() <= x || shape.size() <= y) {
    Refuse("images must have height and width, got the layout \"", layout.str(), "\" and ",
           shape.size(), " dimensions. Pass size=(H, W) to plan without looking at them.");
  }
  return {static_cast<int>(shape[y]), static_cast<int>(shape[x])};
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_ARGUMENTS_H_
