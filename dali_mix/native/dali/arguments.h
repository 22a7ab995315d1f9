// Reads arguments that several operators share.
#ifndef DALI_MIX_NATIVE_DALI_ARGUMENTS_H_
#define DALI_MIX_NATIVE_DALI_ARGUMENTS_H_

#include <string>
#include <vector>

#include "core/plan_columns.h"
#include "core/refuse.h"
#include "dali/core/tensor_layout.h"
#include "dali/core/tensor_shape_print.h"
#include "dali/pipeline/operator/arg_helper.h"
#include "dali_compat.h"

namespace dali_mix {

// Reads the values of an argument for each sample: a scalar if kDim is 0, else `length` values or
// one value for all of them.
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
      Refuse(name, " must hold ", kDim == 0 ? "a scalar, shape ()," : Text(length, " values"),
             " for each sample, got shape ", shape[i], " for sample ", i, ".");
    }
  }
  if constexpr (kDim == 0) {
    argument.Acquire(spec, ws, batch_size);
  } else {
    argument.Acquire(spec, ws, batch_size, dali::TensorShape<1>{length});
  }
}

// A column, with its constant values if it is not a tensor. For the constructor of an operator.
template <typename T>
Column<T> ColumnOf(const char *name, const dali::OpSpec &spec) {
  Column<T> column;
  column.varies = spec.HasTensorArgument(name);
  column.given = column.varies || spec.HasArgument(name);
  if (!column.varies) {
    spec.TryGetRepeatedArgument(column.constant, name);
  }
  return column;
}

// Reads the values of each sample if the column is a tensor. For each batch.
template <typename T>
void AcquireColumn(Column<T> &column, const char *name, const dali::ArgumentWorkspace &ws,
                   int batch_size) {
  column.length = static_cast<int>(column.constant.size());
  if (!column.varies) {
    return;
  }
  const auto &tensors = ws.ArgumentInput(name);
  if (tensors.type() != dali::type2id<T>::value) {
    Refuse(name, " must be ", dali::type2id<T>::value, ", got ", tensors.type(), ".");
  }
  if (tensors.num_samples() != batch_size) {
    Refuse(name, " must have ", batch_size, " samples, as the images, got ", tensors.num_samples(),
           ".");
  }
  column.samples.clear();
  for (int i = 0; i < batch_size; i++) {
    const int length = static_cast<int>(tensors.shape().tensor_size(i));
    if (i > 0 && length != column.length) {
      Refuse(name, " must have equally many values for each sample, got ", column.length,
             " for sample 0 and ", length, " for sample ", i, ".");
    }
    column.length = length;
    column.samples.push_back(static_cast<const T *>(tensors.raw_tensor(i)));
  }
}

// The columns of a plan, read in the same two steps.
PlanColumns PlanColumnsOf(const dali::OpSpec &spec);
void AcquirePlan(PlanColumns &plan, const dali::ArgumentWorkspace &ws, int batch_size);

// `crop`, `crop_h` and `crop_w`, the size of the output as in crop_mirror_normalize. Their schema
// is dali_mix__CropSize, a parent of the schemas of plan and apply.
class CropSize {
 public:
  explicit CropSize(const dali::OpSpec &spec);

  // Whether the arguments give the size of the output. Else it is that of the images.
  bool Given() const { return crop_.HasExplicitValue() || crop_h_.HasExplicitValue(); }
  void Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws, int batch_size);
  Extent operator()(int sample, Extent image) const;

 private:
  dali::ArgValue<float, 1> crop_;
  dali::ArgValue<float> crop_h_, crop_w_;
};

// The index of a name in the argument `inputs`, or -1.
int PlaceOfInput(const std::vector<std::string> &inputs, const char *name);

// Height and width of a shape, found by the layout. Without a layout HWC is assumed.
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
