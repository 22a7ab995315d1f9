// fn.dali_mix.gather: takes the samples of the partners from one batch or from two.
#include "arguments.h"
#include "copy_samples.h"
#include "dali/pipeline/operator/checkpointing/stateless_operator.h"

namespace dali_mix {

using dali::CPUBackend;
using dali::GPUBackend;

template <typename Backend>
class Gather : public dali::StatelessOperator<Backend> {
 public:
  explicit Gather(const dali::OpSpec &spec)
      : dali::StatelessOperator<Backend>(spec),
        partner_(ColumnOf<int>("partner", spec)),
        which_(spec.GetArgument<int>("which")),
        images_(spec.GetArgument<int>("images")) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const dali::Workspace &ws) override {
    const auto &own = ws.template Input<Backend>(0);
    const auto &others = ws.template Input<Backend>(ws.NumInput() - 1);
    const int count = own.num_samples(), inputs = ws.NumInput();
    AcquireColumn(partner_, "partner", ws, count);
    if (count > 0 && images_ > 0 && images_ != partner_.length + 1) {
      Refuse("images must be ", partner_.length + 1, ", as many as one sample of the plan mixes, ",
             "got ", images_, ".");
    }
    if (count > 0 && !(0 <= which_ && which_ < partner_.length)) {
      Refuse("which must name one of the ", partner_.length, " partners, got ", which_, ".");
    }
    if (own.type() != others.type() || own.sample_dim() != others.sample_dim()) {
      Refuse("both batches must be of one type and number of dimensions, got ", own.type(), " of ",
             own.sample_dim(), " and ", others.type(), " of ", others.sample_dim(), ".");
    }
    dali::TensorListShape<> shape(count, own.sample_dim());
    samples_.resize(count);
    for (int i = 0; i < count; i++) {
      const int partner = partner_[i][which_];
      CheckPartner(partner, i, count, inputs);
      const auto &batch = partner < count ? own : others;
      shape.set_tensor_shape(i, batch.tensor_shape_span(partner % count));
      samples_[i] = batch.raw_tensor(partner % count);
    }
    outputs = {{shape, own.type()}};
    return true;
  }

  void RunImpl(dali::Workspace &ws) override {
    auto &output = ws.template Output<Backend>(0);
    output.SetLayout(ws.template Input<Backend>(0).GetLayout());
    CopySamples(output, samples_, false, StreamOf<Backend>(ws));
  }

 private:
  Column<int> partner_;
  int which_, images_;
  Pointers samples_;
};

}  // namespace dali_mix

namespace dali {

DALI_SCHEMA(dali_mix__Gather)
    .DocStr(R"(Takes for each sample what belongs to its partner: labels, images or anything else.

As ``permute_batch``, but an index may point behind the batch, into a second one.)")
    .NumInput(1, 2)
    .NumOutput(1)
    .InputDox(0, "batch", "TensorList", "A batch that belongs to the images.")
    .InputDox(1, "others", "TensorList", "A batch that belongs to the other images.")
    .AddArg("partner", "``partner`` of the plan.", DALI_INT_VEC, true)
    .AddOptionalArg("which", "Which of several partners, from 0.", 0)
    .AddOptionalArg("images", "How many images one sample mixes, 0: as many as the plan says.", 0);

DALI_REGISTER_OPERATOR(dali_mix__Gather, dali_mix::Gather<CPUBackend>, CPU);
DALI_REGISTER_OPERATOR(dali_mix__Gather, dali_mix::Gather<GPUBackend>, GPU);

}  // namespace dali
