// fn.dali_mix.resized: the same plan for another size of the output, its shares counted again.
#include <algorithm>
#include <cmath>

#include "apply_op.h"

namespace dali_mix {

using dali::CPUBackend;
using dali::Workspace;

class Resized : public dali::StatelessOperator<CPUBackend> {
 public:
  explicit Resized(const dali::OpSpec &spec)
      : dali::StatelessOperator<CPUBackend>(spec),
        partner_("partner", spec),
        size_("size", spec),
        to_("to", spec),
        box_("box", spec),
        offset_("offset", spec),
        fit_("fit", spec),
        frames_("frames", spec),
        blend_("blend", spec) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) override {
    count_ = ws.ArgumentInput("box").num_samples();
    for (auto *column : {&partner_, &size_, &to_, &box_, &offset_, &fit_, &frames_})
      column->Acquire(ws, count_);
    blend_.Acquire(ws, count_);
    CheckMask(ws);
    const auto shaped = [&ws](const char *name, dali::DALIDataType type) {
      return dali::OutputDesc{ws.ArgumentInput(name).shape(), type};
    };
    const bool many = blend_.Length() > 1;
    const auto lam = many ? dali::TensorShape<>{blend_.Length()} : dali::TensorShape<>{};
    outputs = {shaped("box", DALI_INT32),
               {dali::uniform_list_shape(count_, lam), DALI_FLOAT},
               shaped("size", DALI_INT32)};
    if (offset_.Given()) outputs.push_back(shaped("offset", DALI_INT32));
    if (fit_.Given()) outputs.push_back(shaped("fit", DALI_INT32));
    return true;
  }

  void RunImpl(Workspace &ws) override {
    for (int i = 0; i < count_; i++) WriteSample(ws, i);
  }

 private:
  static void CheckMask(const Workspace &ws) {
    if (ws.NumInput() == 0) return;
    const auto &mask = ws.Input<CPUBackend>(0);
    if (mask.type() != DALI_UINT8 || mask.sample_dim() != 2)
      Refuse("mask must be uint8 of shape (h, w), the own weight in 1/255, got ", mask.type(),
             " of ", mask.sample_dim(), " dimensions.");
  }

  // An edge (or a distance) at the other size, to the nearest pixel.
  static int Scale(int value, int to, int from) {
    return static_cast<int>(std::lround(static_cast<double>(value) * to / from));
  }

  void WriteSample(Workspace &ws, int i) const {
    const int images = blend_.Length() > 1 ? blend_.Length() : 2, boxes = box_.Length() / 4;
    const int *size = size_[i] + size_.Length() - 2;
    const int *to = to_.Given() ? to_[i] : size;
    const int frames = size_.Length() == 3 ? size_[i][0] : 1;
    if (to[0] <= 0 || to[1] <= 0)
      Refuse("to must be a height and a width above 0, got ", to[0], " x ", to[1], ".");
    int *box = ws.Output<CPUBackend>(0).mutable_tensor<int>(i);
    for (int k = 0; k < 4 * boxes; k++) box[k] = Scale(box_[i][k], to[k % 2], size[k % 2]);
    for (int *b = box; b < box + 4 * boxes; b += 4)
      if (b[0] == b[2] || b[1] == b[3]) std::fill_n(b, 4, 0);
    int *new_size = ws.Output<CPUBackend>(2).mutable_tensor<int>(i);
    std::copy_n(size_[i], size_.Length(), new_size);
    std::copy_n(to, 2, new_size + size_.Length() - 2);
    int output = 3;
    if (offset_.Given()) {
      int *offset = ws.Output<CPUBackend>(output++).mutable_tensor<int>(i);
      for (int k = 0; k < offset_.Length(); k++) {
        offset[k] = Scale(offset_[i][k], to[k % 2], size[k % 2]);
        // What shows in the box must stay inside its image.
        const int *edges = box + 4 * (k / 2) + k % 2;
        offset[k] = std::clamp(offset[k], -edges[0], to[k % 2] - edges[2]);
      }
    }
    if (fit_.Given()) {
      int *fit = ws.Output<CPUBackend>(output).mutable_tensor<int>(i);
      for (int k = 0; k < 2; k++) fit[k] = fit_[i][0] ? box[2 + k] - box[k] : 0;
    }
    float *lam = ws.Output<CPUBackend>(1).mutable_tensor<float>(i);
    Count(ws, i, box, images, to[0], to[1], frames, lam);
  }

  // The image that shows in the boxes of one row of the output, 0: none.
  void PaintRow(std::vector<uint8_t> &row, const int *box, int boxes, int images, int y) const {
    std::fill(row.begin(), row.end(), 0);
    for (int b = 0; b < boxes; b++)
      if (box[4 * b] <= y && y < box[4 * b + 2])
        std::fill(row.begin() + box[4 * b + 1], row.begin() + box[4 * b + 3],
                  images == 2 ? 1 : b + 1);
  }

  bool IsAlone(int i) const {
    return partner_.Given() && std::all_of(partner_[i], partner_[i] + partner_.Length(),
                                           [i](int partner) { return partner == i; });
  }

  // The exact share of each image; of two, that of the own.
  void Count(Workspace &ws, int i, const int *box, int images, int height, int width, int frames,
             float *lam) const {
    const int shares_kept = blend_.Length() > 1 ? images : 1;
    std::fill(lam, lam + shares_kept, 0.0f);
    lam[0] = 1;
    if (IsAlone(i)) return;
    Mask mask = {};
    if (ws.NumInput() > 0) {
      const auto shape = ws.Input<CPUBackend>(0).tensor_shape_span(i);
      mask = {ws.Input<CPUBackend>(0).tensor<uint8_t>(i), static_cast<int>(shape[0]),
              static_cast<int>(shape[1])};
      if (mask.height * mask.width == 0) mask.values = nullptr;
    }
    const int boxed = frames_.Given() ? frames_[i][1] - frames_[i][0] : frames;
    int64_t in_box[kMaxImages] = {}, outside = 0;  // pixels; outside in 1/255 of the blend
    int64_t behind = 0;                            // pixels that have no box
    std::vector<uint8_t> row(width);
    for (int y = 0; y < height; y++) {
      PaintRow(row, box, box_.Length() / 4, images, y);
      for (int x = 0; x < width; x++) {
        in_box[row[x]] += row[x] ? boxed : 0;
        const int64_t bare = row[x] ? frames - boxed : frames;
        behind += bare;
        outside +=
            bare *
            (mask.values
                 ? mask.values[CellAt(y, mask.height, height) * static_cast<ptrdiff_t>(mask.width) +
                               CellAt(x, mask.width, width)]
                 : 255);
      }
    }
    const double pixels = static_cast<double>(height) * width * frames;
    for (int k = 0; k < shares_kept; k++) {
      double share = k == 0 ? blend_[i][0] * (outside / 255.0) : blend_[i][k] * behind;
      // The first partner has what the mask takes from the own image.
      if (k == 1) share += blend_[i][0] * (behind - outside / 255.0);
      lam[k] = static_cast<float>((in_box[k] + share) / pixels);
    }
  }

  Column<int> partner_, size_, to_, box_, offset_, fit_, frames_;
  Column<float> blend_;
  int count_ = 0;
};

}  // namespace dali_mix

namespace dali {

DALI_SCHEMA(dali_mix__Resized)
    .DocStr(R"(A plan for another size of the output: what is mixed alike at two sizes.

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
        "partner", "``partner`` of the plan: a sample that has none but itself stays unmixed.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>("offset", "``offset`` of the plan.", nullptr, true)
    .AddOptionalArg<std::vector<int>>("fit", "``fit`` of the plan.", nullptr, true)
    .AddOptionalArg<std::vector<int>>("frames", "``frames`` of the plan.", nullptr, true);

DALI_REGISTER_OPERATOR(dali_mix__Resized, dali_mix::Resized, CPU);

}  // namespace dali
