// fn.dali_mix.resized: makes the same plan for another output size, and counts its shares again.
#include <algorithm>
#include <cmath>

#include "arguments.h"
#include "core/shares.h"
#include "dali/pipeline/operator/checkpointing/stateless_operator.h"
#include "dali/pipeline/operator/operator.h"

namespace dali_mix {

using dali::CPUBackend;
using dali::Workspace;

class Resized : public dali::StatelessOperator<CPUBackend> {
 public:
  explicit Resized(const dali::OpSpec &spec)
      : dali::StatelessOperator<CPUBackend>(spec),
        plan_(PlanColumnsOf(spec)),
        to_(ColumnOf<int>("to", spec)) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) override {
    count_ = ws.ArgumentInput("box").num_samples();
    AcquirePlan(plan_, ws, count_);
    AcquireColumn(to_, "to", ws, count_);
    if (count_ > 0 && to_.given && to_.length != 2) {
      Refuse("to must hold 2 values for each sample, height and width, got ", to_.length, ".");
    }
    CheckMask(ws);
    const auto shaped = [&ws](const char *name, dali::DALIDataType type) {
      return dali::OutputDesc{ws.ArgumentInput(name).shape(), type};
    };
    const auto lam = plan_.images > 2 ? dali::TensorShape<>{plan_.images} : dali::TensorShape<>{};
    outputs = {shaped("box", DALI_INT32),
               {dali::uniform_list_shape(count_, lam), DALI_FLOAT},
               shaped("size", DALI_INT32)};
    if (plan_.offset.given) {
      outputs.push_back(shaped("offset", DALI_INT32));
    }
    if (plan_.fit.given) {
      outputs.push_back(shaped("fit", DALI_INT32));
    }
    return true;
  }

  void RunImpl(Workspace &ws) override {
    std::vector<Counted> samples;
    for (int i = 0; i < count_; i++) {
      samples.push_back(WriteSample(ws, i));
    }
    if (ws.NumInput() == 0) {
      for (const Counted &sample : samples) {
        Count(sample);
      }
      return;
    }
    // Masks take long enough for threads.
    auto &threads = ws.GetThreadPool();
    for (const Counted &sample : samples) {
      threads.AddWork([this, &sample] { Count(sample); });
    }
    threads.RunAll();
  }

 private:
  // One sample whose shares are counted.
  struct Counted {
    Extent size;
    Box boxes[kMaxBoxes];
    int images[kMaxBoxes];  // the image that each box shows
    Mask mask;
    double weights[kMaxImages];
    double inside;      // own weight inside the boxes
    int frames, boxed;  // number of all frames, and of those that have the boxes
    float *lam;
  };

  static void CheckMask(const Workspace &ws) {
    if (ws.NumInput() == 0) {
      return;
    }
    const auto &mask = ws.Input<CPUBackend>(0);
    if (mask.type() != DALI_UINT8 || mask.sample_dim() != 2) {
      Refuse("mask must be uint8 of shape (h, w), the own weight in 1/255, got ", mask.type(),
             " of ", mask.sample_dim(), " dimensions.");
    }
  }

  // An edge (or a distance) at the other size, rounded to a whole pixel.
  static int Scale(int value, int to, int from) {
    return static_cast<int>(std::lround(static_cast<double>(value) * to / from));
  }

  // Writes all outputs except the shares.
  Counted WriteSample(Workspace &ws, int i) const {
    const Extent size = plan_.Size(i);
    const Extent to = to_.given ? Extent{to_[i][0], to_[i][1]} : size;
    for (const auto &[name, extent] : {std::pair{"size", size}, std::pair{"to", to}}) {
      if (extent.height <= 0 || extent.width <= 0) {
        Refuse(name, " must be a height and a width above 0, got ", extent.height, " x ",
               extent.width, ".");
      }
    }
    const int froms[] = {size.height, size.width}, tos[] = {to.height, to.width};
    int *box = ws.Output<CPUBackend>(0).mutable_tensor<int>(i);
    for (int b = 0; b < plan_.Boxes(); b++) {
      const Box old = plan_.BoxOf(i, b, size);
      const int edges[] = {old.y0, old.x0, old.y1, old.x1};
      int *scaled = box + 4 * b;
      for (int k = 0; k < 4; k++) {
        scaled[k] = Scale(edges[k], tos[k % 2], froms[k % 2]);
      }
      if (scaled[0] == scaled[2] || scaled[1] == scaled[3]) {
        std::fill_n(scaled, 4, 0);
      }
    }
    int *new_size = ws.Output<CPUBackend>(2).mutable_tensor<int>(i);
    std::copy_n(plan_.size[i], plan_.size.length, new_size);
    std::copy_n(tos, 2, new_size + plan_.size.length - 2);
    int output = 3;
    if (plan_.offset.given) {
      int *offset = ws.Output<CPUBackend>(output++).mutable_tensor<int>(i);
      for (int k = 0; k < plan_.offset.length; k++) {
        offset[k] = Scale(plan_.offset[i][k], tos[k % 2], froms[k % 2]);
        // The box must show pixels inside its image.
        const int *edges = box + 4 * (k / 2) + k % 2;
        offset[k] = std::clamp(offset[k], -edges[0], tos[k % 2] - edges[2]);
      }
    }
    if (plan_.fit.given) {
      int *fit = ws.Output<CPUBackend>(output).mutable_tensor<int>(i);
      for (int k = 0; k < plan_.fit.length; k++) {
        fit[k] = plan_.fit[i][0] ? box[2 + k] - box[k] : 0;
      }
    }
    return ReadCounted(ws, i, box, to, ws.Output<CPUBackend>(1).mutable_tensor<float>(i));
  }

  bool IsAlone(int i) const {
    return plan_.partner.given &&
           std::all_of(plan_.partner[i], plan_.partner[i] + plan_.partner.length,
                       [i](int partner) { return partner == i; });
  }

  // `box`: the boxes at the new size. An unmixed sample has no boxes, and its own image has the
  // whole weight.
  Counted ReadCounted(const Workspace &ws, int i, const int *box, Extent size, float *lam) const {
    Counted counted = {size, {}, {}, {}, {1}, 0, 1, 0, lam};
    if (IsAlone(i)) {
      return counted;
    }
    plan_.Weights(i, counted.weights);
    counted.inside = plan_.BoxBlend(i);
    for (int b = 0; b < plan_.Boxes(); b++) {
      counted.boxes[b] = {box[4 * b], box[4 * b + 1], box[4 * b + 2], box[4 * b + 3]};
      counted.images[b] = plan_.ShownIn(b);
    }
    if (ws.NumInput() > 0) {
      const auto shape = ws.Input<CPUBackend>(0).tensor_shape_span(i);
      const int height = static_cast<int>(shape[0]), width = static_cast<int>(shape[1]);
      if (height > 0 && width > 0) {
        counted.mask = {ws.Input<CPUBackend>(0).tensor<uint8_t>(i), height, width};
      }
    }
    counted.frames = plan_.size.length == 3 ? plan_.size[i][0] : 1;
    const auto [begin, end] = plan_.BoxedFrames(i, counted.frames);
    counted.boxed = end - begin;
    return counted;
  }

  // Counts the exact share of each image; of two images, only that of the own one.
  void Count(const Counted &of) const {
    const auto [height, width] = of.size;
    const Shares with = CountShares({height, width, of.boxes, of.images, kMaxBoxes}, of.mask);
    Shares without;
    if (of.boxed < of.frames) {
      without = CountShares({height, width, nullptr, nullptr, 0}, of.mask);
    }
    // In all frames together: the number of pixels without a box, and the sum of their mask.
    const int64_t behind = with.bare * of.boxed + without.bare * (of.frames - of.boxed);
    const int64_t outside = with.levels * of.boxed + without.levels * (of.frames - of.boxed);
    const double pixels = static_cast<double>(height) * width * of.frames;
    const int shares_kept = plan_.images > 2 ? plan_.images : 1;
    for (int k = 0; k < shares_kept; k++) {
      double share = of.weights[k] * behind;
      if (k == 0) {
        share = of.weights[0] * (outside / 255.0) + of.inside * with.in_boxes[1] * of.boxed;
      }
      // The first partner gets what the mask takes from the own image.
      if (k == 1) {
        share += of.weights[0] * (behind - outside / 255.0);
      }
      of.lam[k] = static_cast<float>((with.in_boxes[k] * of.boxed + share) / pixels);
    }
  }

  PlanColumns plan_;
  Column<int> to_;
  int count_ = 0;
};

}  // namespace dali_mix

namespace dali {

DALI_SCHEMA(dali_mix__Resized)
    .DocStr(R"(The same plan for another size of the output, so that two views are mixed alike.

Edges of boxes go to the nearest pixel; ``lam`` is counted again. Takes the columns of a plan as
tensor arguments and puts out ``box``, ``lam`` and ``size``, then ``offset`` and ``fit`` where they are
given. The mask of the plan is the input, if it has one, and stays as it is.)")
    .NumInput(0, 1)
    .NumOutput(3)
    .OutputFn([](const OpSpec &spec) {
      return 3 + spec.HasTensorArgument("offset") + spec.HasTensorArgument("fit");
    })
    .InputDox(0, "mask", "TensorList of uint8", "``mask`` of the plan.")
    .AddOptionalArg<std::vector<int>>("to",
                                      "Height and width of the output. Default: those of the plan.",
                                      nullptr, true)
    .AddArg("size", "``size`` of the plan.", DALI_INT_VEC, true)
    .AddArg("box", "``box`` of the plan.", DALI_INT_VEC, true)
    .AddOptionalArg<float>("blend", "``blend`` of the plan.", std::vector<float>{1.0f}, true)
    .AddOptionalArg<std::vector<int>>(
        "partner", "``partner`` of the plan: a sample that is its own partner stays unmixed.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>("offset", "``offset`` of the plan.", nullptr, true)
    .AddOptionalArg<std::vector<int>>("fit", "``fit`` of the plan.", nullptr, true)
    .AddOptionalArg<std::vector<int>>("frames", "``frames`` of the plan.", nullptr, true)
    .AddOptionalArg<std::vector<float>>("box_blend", "``box_blend`` of the plan.", nullptr, true);

DALI_REGISTER_OPERATOR(dali_mix__Resized, dali_mix::Resized, CPU);

}  // namespace dali
