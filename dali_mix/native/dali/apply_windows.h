// The crop windows and mirror flags of fn.dali_mix.apply.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_WINDOWS_H_
#define DALI_MIX_NATIVE_DALI_APPLY_WINDOWS_H_

#include "arguments.h"
#include "core/images.h"

namespace dali_mix {

// The arguments that crop and mirror each image.
class WindowArguments {
 public:
  explicit WindowArguments(const dali::OpSpec &spec);

  // Reads the arguments for a batch whose shapes are set, and sets its windows and mirror flags.
  void Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws, Images &images);

 private:
  CropWindow WindowOf(const char *whose, int sample, Extent image) const;

  CropSize crop_size_;
  dali::ArgValue<float> crop_pos_x_, crop_pos_y_;
  dali::ArgValue<int> mirror_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_WINDOWS_H_
