// TEMPORARY: ops whose CUDA version is being written. Deleted when empty.
#include "kernels/backend.h"
#include "kernels/core/error.h"

namespace ganmm::kernels::cuda {
namespace {
[[noreturn]] void refuse(const char* op) {
  throw UnsupportedError(message(op, " on a CUDA device: not written yet; choose the CPU backend"));
}
}  // namespace

template <class T>
void classify_rows(Context&, GroupView<T>, std::int32_t*, Index, GroupView<const T>, double) {
  refuse("classify_rows");
}
void partition_rows(Context&, std::int32_t*, std::int32_t*, const PoolView&) {
  refuse("partition_rows");
}
void draw_rows(Context&, std::int32_t*, Index, Index, const PoolView&, const std::int32_t*,
               const std::int32_t*, const DrawSettings&) {
  refuse("draw_rows");
}
template <class T>
void gather_rows(Context&, GroupView<T>, GroupView<const Master<T>>, const std::int32_t*, Index) {
  refuse("gather_rows");
}
template <class T>
void window_rows(Context&, GroupView<T>, GroupView<const T>, const std::int32_t*, Index) {
  refuse("window_rows");
}
void pin_labels(Context&, std::int32_t*, const PinView&, Index, Index, const std::int32_t*) {
  refuse("pin_labels");
}
void advance(Context&, Clock*, Index, Index) { refuse("advance"); }
void count_assignments(Context&, const AssignmentCounts&, std::int32_t*, Index, const PoolView&,
                       Index, Index) {
  refuse("count_assignments");
}
void contingency(Context&, std::int32_t*, Index, Index, const std::int32_t*, const std::int32_t*,
                 Index) {
  refuse("contingency");
}
Index partition_workspace(Index, Index, Index) { refuse("partition_workspace"); }

#define GANMM_INSTANTIATE(T)                                                                       \
  template void gather_rows<T>(Context&, GroupView<T>, GroupView<const Master<T>>,                 \
                               const std::int32_t*, Index);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

template void classify_rows<float>(Context&, GroupView<float>, std::int32_t*, Index,
                                   GroupView<const float>, double);
template void window_rows<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const std::int32_t*, Index);

}  // namespace ganmm::kernels::cuda
