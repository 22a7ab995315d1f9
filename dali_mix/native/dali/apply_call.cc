// Reads one call of apply. Each step needs the ones before it.
#include "apply_call.h"

#include <utility>

namespace dali_mix {

Call ApplyCall::MakeCall() const {
  Call call = {};
  call.channels = output.channels;
  call.out_channels = output.out_channels;
  call.images = output.images;
  call.planar = input.planar;
  return call;
}

dali::TensorListShape<> ApplyCall::OutputShape() const {
  const dali::TensorLayout &layout = input.output_layout;
  dali::TensorListShape<> shape(images.Count(), layout.ndim());
  for (int i = 0; i < images.Count(); i++) {
    const auto sizes = shape.tensor_shape_span(i);
    const Extent extent = images.OutputOf(i);
    for (int d = 0; d < layout.ndim(); d++) {
      switch (layout[d]) {
        case 'C':
          sizes[d] = output.out_channels;
          break;
        case 'H':
          sizes[d] = extent.height;
          break;
        case 'W':
          sizes[d] = extent.width;
          break;
        default:  // F or D
          sizes[d] = images.ShapeOf(i).frames;
      }
    }
    if (dali::volume(sizes) >= int64_t{1} << 31) {
      Refuse("an output must have fewer than 2^31 values, got the shape ", shape[i], " for sample ",
             i, ".");
    }
  }
  return shape;
}

ApplyArguments::ApplyArguments(const dali::OpSpec &spec)
    : options_(spec), windows_(spec), plan_(PlanColumnsOf(spec)) {}

ApplyCall ApplyArguments::Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws,
                                  std::vector<InputShape> inputs) {
  ApplyCall call = {};
  call.input = ReadInputs(options_, std::move(inputs), call.images);
  const InputFormat &input = call.input;
  call.coefficients = CoefficientsOf(options_, input.channels);
  windows_.Acquire(spec, ws, call.images);
  AcquirePlan(plan_, ws, call.images.Count());
  call.images.canvases = CanvasesOf(plan_, call.images.Count());
  call.canvases = MakeCanvasRows(plan_, call.images, input.in);
  call.mixes = MixSamples(plan_, call.images, options_.copied, input.frames_axis);
  const int out_channels = options_.OutChannels(input.channels), in_size = SizeOf(input.in);
  const int out_size = options_.CopiesMaps()
                           ? in_size
                           : static_cast<int>(dali::TypeTable::GetTypeInfo(options_.dtype).size());
  call.output = {input.channels, out_channels, plan_.images + plan_.HasCanvas(),
                 in_size,        out_size,     input.output_layout[0] == 'C',
                 options_.copied};
  call.key = {input.in,          options_.Out(), input.channels, out_channels,
              input.interleaved, input.planar,   false};
  return call;
}

}  // namespace dali_mix
