// What the two backends of fn.dali_mix.apply share: arguments, checks, and the address arithmetic
// that turns crop, mirror and plan into samples. No pixel is touched here.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_OP_H_
#define DALI_MIX_NATIVE_DALI_APPLY_OP_H_

#include <string>
#include <vector>

#include "arguments.h"
#include "core/plan_columns.h"
#include "dali/pipeline/operator/checkpointing/stateless_operator.h"
#include "loops/dispatch.h"

namespace dali_mix {

// Shape of one image, or of the frames of one video: sizes, and the strides of its layout.
struct ImageShape {
  int frames, channels;
  Extent extent;
  int frame, row, column, channel;  // from one to the next, in values
  int64_t volume;
};

// Where the crop window of an image lies.
struct CropWindow {
  int y, x;
  Extent size;
};

// A batch of images that a plan may take partners from.
struct ImageInput {
  std::vector<ImageShape> shapes;
  std::vector<CropWindow> windows;
};

// How one sample is mixed, checked: what its Sample is made from.
struct SampleMix {
  int images;                  // that show, the own among them
  int index[kMaxImages];       // over all inputs: input * batch + sample
  double weights[kMaxImages];  // where there is no box
  int offset[kMaxImages][2];   // of what is seen in a box, (y, x)
  int boxes;
  Box box[kMaxBoxes];
  int shows[kMaxBoxes];
  int first_frame, end_frame;  // that have the boxes
  bool fitted;                 // the box shows an image that was made for it
  bool masked;
  Shows outside;
};

// A batch ready for the pixel code; all that it points to.
struct Batch {
  std::vector<Sample> samples;  // in the order of AlongPartners, frame by frame
  std::vector<Layers> layers;
  std::vector<Bytes> bytes;    // [samples][images]
  std::vector<float> weights;  // [samples][channels][images]
};

// Addresses of the buffers of a call.
struct Buffers {
  std::vector<const void *> images;  // of all inputs, one after the other
  std::vector<const void *> fitted;
  std::vector<const void *> masks;
  std::vector<void *> outputs;
};

// The arguments of one call, checked, sample by sample.
class ApplyArguments {
 public:
  explicit ApplyArguments(const dali::OpSpec &spec);

  // Which further inputs there are: their places among the inputs, -1: none.
  struct Places {
    int others = -1, fitted = -1, mask = -1;
  };
  const Places &Extra() const { return extra_; }

  // Shapes, layout and type of one input.
  struct InputShape {
    dali::TensorListShape<> shape;
    dali::TensorLayout layout;
    dali::DALIDataType type;
  };

  // Reads the arguments for these inputs and refuses what cannot be applied.
  void Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws,
               std::vector<InputShape> inputs);

  int BatchSize() const { return static_cast<int>(mixes_.size()); }
  dali::TensorListShape<> OutputShape() const;
  const dali::TensorLayout &OutputLayout() const { return out_layout_; }
  dali::DALIDataType OutputType() const { return copies_ ? in_dali_type_ : dtype_; }
  RowsKey Key() const;

  Batch MakeBatch(const Buffers &buffers) const;
  // Without its pointers.
  Call MakeCall() const;
  const std::vector<Single> &Singles() const { return singles_; }
  const std::vector<double> &Factors() const { return factors_; }

 private:
  int OutChannels() const;  // those that pad among them
  void ResolveLayouts(std::vector<InputShape> &inputs) const;
  void AcquireImages(const std::vector<InputShape> &inputs);
  ImageInput ReadShapes(const char *name, const InputShape &input) const;
  void AcquireOutputLayout(const dali::TensorLayout &layout);
  void AcquireNormalization();
  void AcquireWindows(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws);
  CropWindow MakeWindow(const char *name, int i, Extent image) const;

  void AcquirePlan(const dali::ArgumentWorkspace &ws);
  void CheckPlannedSize(int i) const;
  SampleMix MakeMix(int i) const;
  void ReadPartners(SampleMix &mix, int i) const;
  void ReadBoxes(SampleMix &mix, int i) const;
  void CopyOneOfABlend(SampleMix &mix) const;
  void DropWhatDoesNotShow(SampleMix &mix, int i) const;
  void CheckMask(SampleMix &mix, int i) const;
  void CheckImages(const SampleMix &mix, int i) const;
  void CheckShapes(const SampleMix &mix, int i, int image) const;
  void CheckInBox(const SampleMix &mix, int i, int image) const;
  void CheckFitted(const SampleMix &mix, int i) const;

  std::string NameOf(int index) const;
  const ImageShape &ShapeOf(int index) const;
  const CropWindow &WindowOf(int index) const;
  // The samples, each followed by its first partner where it can be: what was just read as a
  // partner is read as the own image while the cache still holds it.
  std::vector<int> AlongPartners() const;
  Source MakeSource(const SampleMix &mix, int i, int image, int frame,
                    const Buffers &buffers) const;
  Sample MakeSample(const SampleMix &mix, int i, int frame, const Buffers &buffers) const;
  Layers MakeLayers(const SampleMix &mix, int i, int frame, const Buffers &buffers) const;
  bool NeedsLayers(const SampleMix &mix) const;

  CropSize crop_size_;
  dali::ArgValue<float> crop_pos_x_, crop_pos_y_;
  dali::ArgValue<int> mirror_;
  PlanColumns plan_;
  std::vector<float> mean_, std_;
  float scale_, shift_;
  int copied_;
  bool pad_output_, copies_;
  dali::TensorLayout asked_layout_;
  dali::DALIDataType dtype_;
  Places extra_;

  InType in_type_ = InType::kUint8;
  dali::DALIDataType in_dali_type_ = DALI_UINT8;
  bool interleaved_ = true, planar_ = true;
  int channels_ = 0;
  dali::TensorLayout out_layout_;
  std::vector<ImageInput> inputs_;  // images, and others if there are any
  ImageInput fitted_;
  std::vector<Extent> masks_;
  std::vector<SampleMix> mixes_;
  std::vector<Single> singles_;
  std::vector<double> factors_;
};

template <typename Backend>
class ApplyOp : public dali::StatelessOperator<Backend> {
 public:
  explicit ApplyOp(const dali::OpSpec &spec)
      : dali::StatelessOperator<Backend>(spec), arguments_(spec) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const dali::Workspace &ws) override {
    std::vector<ApplyArguments::InputShape> inputs;
    for (int k = 0; k < ws.NumInput(); k++) {
      const auto &input = ws.template Input<Backend>(k);
      inputs.push_back({input.shape(), input.GetLayout(), input.type()});
    }
    arguments_.Acquire(this->spec_, ws, inputs);
    outputs = {{arguments_.OutputShape(), arguments_.OutputType()}};
    return true;
  }

 protected:
  Buffers MakeBuffers(dali::Workspace &ws) const {
    Buffers buffers;
    const auto append = [&](std::vector<const void *> &addresses, int place) {
      if (place < 0) {
        return;
      }
      const auto &input = ws.template Input<Backend>(place);
      for (int i = 0; i < input.num_samples(); i++) {
        addresses.push_back(input.raw_tensor(i));
      }
    };
    append(buffers.images, 0);
    append(buffers.images, arguments_.Extra().others);
    append(buffers.fitted, arguments_.Extra().fitted);
    append(buffers.masks, arguments_.Extra().mask);
    auto &output = ws.template Output<Backend>(0);
    for (int i = 0; i < output.num_samples(); i++) {
      buffers.outputs.push_back(output.raw_mutable_tensor(i));
    }
    return buffers;
  }

  ApplyArguments arguments_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_OP_H_
