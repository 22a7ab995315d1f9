// What the two backends of fn.dali_mix.apply share: arguments, checks, and the address arithmetic
// that turns crop, mirror and plan into samples. No pixel is touched here.
#ifndef DALI_MIX_NATIVE_APPLY_OP_H_
#define DALI_MIX_NATIVE_APPLY_OP_H_

#include <string>
#include <vector>

#include "arguments.h"
#include "dali/pipeline/operator/checkpointing/stateless_operator.h"
#include "rows.h"

namespace dali_mix {

// Where the crop window of an image lies.
struct Window {
  int y, x;
  Extent size;
};

struct ImageShape {
  Extent extent;
  int channels;
};

// The arguments of one call, checked, sample by sample.
class ApplyArguments {
 public:
  explicit ApplyArguments(const dali::OpSpec &spec);

  // Reads the arguments for these images and refuses what cannot be applied.
  void Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws,
               const dali::TensorListShape<> &images, const dali::TensorLayout &layout,
               dali::DALIDataType type);

  int BatchSize() const { return static_cast<int>(windows_.size()); }
  dali::TensorListShape<> OutputShape() const;
  dali::TensorLayout OutputLayout() const { return planar_ ? "CHW" : "HWC"; }
  dali::DALIDataType OutputType() const { return dtype_; }
  RowsKey Key() const;

  // Sample i, given where the images and the output begin. `image(i)` returns the bytes' address.
  template <typename ImageAt>
  Sample MakeSample(int i, void *out, ImageAt &&image) const {
    const Mix &mix = mixes_[i];
    return {out,
            MakeSource(i, image(i)),
            MakeSource(mix.partner, image(mix.partner)),
            windows_[i].size.height,
            windows_[i].size.width,
            mix.box,
            mix.outside};
  }
  // `singles` and `blends` must outlive the call that reads them.
  Call MakeCall(const Single *singles, const Blend *blends) const;
  const std::vector<Single> &Singles() const { return singles_; }
  const std::vector<Blend> &Blends() const { return blends_; }
  int Partner(int i) const { return mixes_[i].partner; }
  int64_t ImageBytes(int i) const;

 private:
  struct Mix {
    int partner;
    double blend;
    Box box;
    Shows outside;
  };

  void AcquireImages(const dali::TensorListShape<> &images, const dali::TensorLayout &layout,
                     dali::DALIDataType type);
  void AcquireNormalization();
  void AcquireWindows(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws);
  void AcquirePlan(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws);
  Window MakeWindow(int i) const;
  Mix MakeMix(int i) const;
  void CheckPair(int i, int partner) const;
  void CheckPlannedSize(int i) const;
  Source MakeSource(int i, const void *image) const;

  CropSize crop_size_;
  dali::ArgValue<float> crop_pos_x_, crop_pos_y_;
  dali::ArgValue<int> mirror_, partner_;
  dali::ArgValue<float> blend_;
  dali::ArgValue<int, 1> box_, size_;
  std::vector<float> mean_, std_;
  float scale_, shift_;
  bool planar_, pad_output_;
  dali::DALIDataType dtype_;

  InType in_type_ = InType::kUint8;
  bool interleaved_ = true;
  int channels_ = 0;
  std::vector<ImageShape> images_;
  std::vector<Window> windows_;
  std::vector<Mix> mixes_;
  std::vector<Normalization> normalizations_;
  std::vector<Single> singles_;
  std::vector<Blend> blends_;
};

int64_t SizeOf(InType type);

template <typename Backend>
class ApplyOp : public dali::StatelessOperator<Backend> {
 public:
  explicit ApplyOp(const dali::OpSpec &spec)
      : dali::StatelessOperator<Backend>(spec), arguments_(spec) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const dali::Workspace &ws) override {
    const auto &images = ws.template Input<Backend>(0);
    arguments_.Acquire(this->spec_, ws, images.shape(), images.GetLayout(), images.type());
    outputs = {{arguments_.OutputShape(), arguments_.OutputType()}};
    return true;
  }

 protected:
  ApplyArguments arguments_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_APPLY_OP_H_
