// The CPU loops for any processor.
#include "loops/dispatch.h"

namespace dali_mix {
namespace baseline {

#include "loops/generic.inc"

}  // namespace baseline

RowsFn RowsBaseline(const RowsKey &key) { return baseline::SelectGeneric(key); }

}  // namespace dali_mix
