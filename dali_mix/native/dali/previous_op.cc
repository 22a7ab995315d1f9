// fn.dali_mix.previous: returns the batch before this one, so that a batch of one has a partner.
#include <cstring>
#include <memory>

#include "arguments.h"
#include "copy_samples.h"
#include "dali/core/device_guard.h"
#include "dali/pipeline/operator/checkpointing/op_checkpoint.h"
#include "dali/pipeline/operator/operator.h"

namespace dali_mix {

using dali::AccessOrder;
using dali::CPUBackend;
using dali::GPUBackend;
using dali::OpCheckpoint;
using dali::TensorList;

namespace {

// A batch as bytes, for checkpoints: layout, type, shapes, values.
std::string ToBytes(const TensorList<CPUBackend> &batch) {
  std::string bytes;
  const auto append = [&bytes](const void *from, size_t size) {
    bytes.append(static_cast<const char *>(from), size);
  };
  const auto append_number = [&](int64_t number) { append(&number, sizeof(number)); };
  const std::string layout = batch.GetLayout().str();
  append_number(static_cast<int64_t>(layout.size()));
  append(layout.data(), layout.size());
  append_number(batch.type());
  append_number(batch.sample_dim());
  append_number(batch.num_samples());
  for (int i = 0; i < batch.num_samples(); i++) {
    for (const int64_t size : batch.tensor_shape_span(i)) {
      append_number(size);
    }
    append(batch.raw_tensor(i),
           dali::volume(batch.tensor_shape_span(i)) * batch.type_info().size());
  }
  return bytes;
}

// Reads the bytes of ToBytes, and refuses them if they are too short.
class Reader {
 public:
  explicit Reader(const std::string &bytes) : bytes_(bytes) {}
  const char *Take(size_t size) {
    if (size > bytes_.size() - at_) {
      Refuse("the checkpoint of `previous` is damaged: it is too short.");
    }
    at_ += size;
    return bytes_.data() + at_ - size;
  }
  int64_t Number() {
    int64_t number;
    std::memcpy(&number, Take(sizeof(number)), sizeof(number));
    return number;
  }

 private:
  const std::string &bytes_;
  size_t at_ = 0;
};

void FromBytes(TensorList<CPUBackend> &batch, const std::string &bytes) {
  // The bytes are read twice: once for the shapes, then for the values.
  Reader shapes(bytes), values(bytes);
  const auto skip_head = [](Reader &reader) {
    const int64_t length = reader.Number();
    const std::string layout(reader.Take(length), length);
    return dali::TensorLayout(layout);
  };
  const auto layout = skip_head(shapes);
  const auto type = static_cast<dali::DALIDataType>(shapes.Number());
  const int dims = static_cast<int>(shapes.Number()), count = static_cast<int>(shapes.Number());
  const int64_t value_size = dali::TypeTable::GetTypeInfo(type).size();
  dali::TensorListShape<> shape(count, dims);
  for (int i = 0; i < count; i++) {
    for (int64_t &size : shape.tensor_shape_span(i)) {
      size = shapes.Number();
    }
    shapes.Take(shape.tensor_size(i) * value_size);
  }
  batch.Resize(shape, type);
  if (layout.ndim() == dims) {
    batch.SetLayout(layout);
  }
  skip_head(values);
  values.Take(3 * sizeof(int64_t));
  for (int i = 0; i < count; i++) {
    values.Take(dims * sizeof(int64_t));
    const size_t size = shape.tensor_size(i) * value_size;
    std::memcpy(batch.raw_mutable_tensor(i), values.Take(size), size);
  }
}

}  // namespace

template <typename Backend>
class Previous : public dali::Operator<Backend> {
 public:
  using Batch = std::shared_ptr<TensorList<Backend>>;
  explicit Previous(const dali::OpSpec &spec)
      : dali::Operator<Backend>(spec), device_(spec.GetArgument<int>("device_id")) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const dali::Workspace &ws) override {
    const auto &input = ws.template Input<Backend>(0);
    const bool first = !previous_ || previous_->num_samples() == 0;
    const TensorList<Backend> &shown = first ? input : *previous_;
    const int count = input.num_samples();
    is_whole_ = count == shown.num_samples() && shown.IsContiguous();
    dali::TensorListShape<> shape(count, shown.sample_dim());
    samples_.resize(count);
    for (int i = 0; i < count; i++) {
      const int k = i % shown.num_samples();  // repeats the samples if there were fewer
      shape.set_tensor_shape(i, shown.tensor_shape_span(k));
      samples_[i] = shown.raw_tensor(k);
    }
    outputs = {{shape, shown.type()}};
    return true;
  }

  void RunImpl(dali::Workspace &ws) override {
    const auto &input = ws.template Input<Backend>(0);
    auto &output = ws.template Output<Backend>(0);
    const cudaStream_t stream = StreamOf<Backend>(ws);
    output.SetLayout(input.GetLayout());
    CopySamples(output, samples_, is_whole_, stream);
    auto current = std::make_shared<TensorList<Backend>>();
    current->set_pinned(false);
    if constexpr (std::is_same_v<Backend, GPUBackend>) {
      // A later run frees this batch in the order of the stream, after the GPU has read it. A batch
      // from a checkpoint has another order, so the host waits.
      const AccessOrder order = ws.output_order();
      current->set_order(order);
      if (previous_ && previous_->order() != order) {
        AccessOrder::host().wait(order);
      }
    }
    current->Resize(input.shape(), input.type());
    current->SetLayout(input.GetLayout());
    CopyBatch(*current, input, stream);
    previous_ = current;
  }

  void SaveState(OpCheckpoint &checkpoint, AccessOrder order) override {
    checkpoint.MutableCheckpointState() = previous_;
    checkpoint.SetOrder(order);
  }
  void RestoreState(const OpCheckpoint &checkpoint) override {
    previous_ = checkpoint.template CheckpointState<Batch>();
  }
  std::string SerializeCheckpoint(const OpCheckpoint &checkpoint) const override {
    const auto &batch = checkpoint.template CheckpointState<Batch>();
    if (!batch) {
      return {};
    }
    const dali::DeviceGuard guard(device_);
    TensorList<CPUBackend> host;
    host.set_pinned(false);
    host.Copy(*batch, AccessOrder::host());
    return ToBytes(host);
  }
  void DeserializeCheckpoint(OpCheckpoint &checkpoint, const std::string &bytes) const override {
    Batch batch;
    if (!bytes.empty()) {
      TensorList<CPUBackend> host;
      host.set_pinned(false);
      FromBytes(host, bytes);
      // The batch belongs on the GPU of the pipeline; the restoring thread may have another one.
      const dali::DeviceGuard guard(device_);
      batch = std::make_shared<TensorList<Backend>>();
      batch->set_pinned(false);
      if constexpr (std::is_same_v<Backend, GPUBackend>) {
        batch->set_device_id(device_);
      }
      batch->Copy(host, AccessOrder::host());
    }
    checkpoint.MutableCheckpointState() = batch;
  }

 private:
  int device_;  // GPU of the pipeline; negative if it has none
  Batch previous_;
  Pointers samples_;
  bool is_whole_ = false;  // the samples fill one allocation, in its order
};

}  // namespace dali_mix

namespace dali {

DALI_SCHEMA(dali_mix__Previous)
    .DocStr(R"(Returns the batch that came before this one.

With it a sample is mixed with one of the batch before, and a batch of one is mixed too. The first
batch is its own; where the batch before was smaller, its samples come again from the first. The
batch is kept, and is part of DALI's checkpoints.)")
    .NumInput(1)
    .NumOutput(1)
    .InputDox(0, "batch", "TensorList", "Images, labels or whatever travels with them.")
    .MakeStateful();

DALI_REGISTER_OPERATOR(dali_mix__Previous, dali_mix::Previous<CPUBackend>, CPU);
DALI_REGISTER_OPERATOR(dali_mix__Previous, dali_mix::Previous<GPUBackend>, GPU);

}  // namespace dali
