// The CPU loops for any processor.
#include "rows.h"

namespace dali_mix {
namespace baseline {

#include "rows_generic.h"

}  // namespace baseline

RowsFn RowsBaseline(const RowsKey &key) { return baseline::SelectGeneric(key); }

}  // namespace dali_mix
