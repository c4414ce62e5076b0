#include "kernels/distance.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

namespace {

void check_labels(const char* op, const std::int32_t* label, Index label_stride, Index groups,
                  Index batch) {
  if (groups == 0 || batch == 0) return;
  require<ShapeError>(label != nullptr, op, ": expected memory for labels [R=", groups,
                      "][B=", batch, "], found a null pointer; reserve the arena before running");
  require<ShapeError>(groups <= 1 || label_stride >= batch, op,
                      ": expected a label stride of at least ", batch, " in [R=", groups,
                      "][B=", batch, "], found ", label_stride, "; groups must not overlap");
}

}  // namespace

template <class T>
void nearest_centre(Context& ctx, std::int32_t* label, T* distance, Index label_stride,
                    GroupView<const T> data, GroupView<const T> centre) {
  const char* op = "nearest_centre";
  check_view(op, "data", data);
  check_view(op, "centre", centre);
  if ((data.groups != centre.groups && data.groups != 1) || data.features() != centre.features()) {
    throw ShapeError(message(op, ": expected data [R or 1][B][D] and centre [R][k][D], found data ",
                             describe(data), " and centre ", describe(centre),
                             "; give every restart centres of the data's dimension"));
  }
  const bool rows = centre.groups > 0 && data.batch > 0;
  require<ShapeError>(!rows || (centre.batch >= 1 && centre.batch < (Index{1} << 31)), op,
                      ": expected 1 to 2^31-1 centres, found ", centre.batch,
                      "; a row needs a centre to be nearest to");
  check_labels(op, label, label_stride, centre.groups, data.batch);
  dispatch<T>(
      ctx, op,
      OpCost{bytes_of(data),
             3.0 * static_cast<double>(label_stride == 0 ? 0
                                                         : centre.groups * data.batch *
                                                               centre.batch * data.features())},
      [&](auto& c) { cpu::nearest_centre<T>(c, label, distance, label_stride, data, centre); },
      [&](auto& c) { cuda::nearest_centre<T>(c, label, distance, label_stride, data, centre); });
}

template <class T>
void centre_sums(Context& ctx, double* sum, double* count, Index centres, const std::int32_t* label,
                 Index label_stride, GroupView<const T> data) {
  const char* op = "centre_sums";
  check_view(op, "data", data);
  check_labels(op, label, label_stride, data.groups, data.batch);
  const bool rows = data.groups > 0 && data.batch > 0;
  const bool missing = count == nullptr || (sum == nullptr && data.features() > 0);
  require<ShapeError>(!rows || (!missing && centres >= 1), op,
                      ": expected memory for the sums and counts of at least one centre, found ",
                      centres, " centres", missing ? " and a null pointer" : "",
                      "; allocate and clear both before the first chunk of rows");
  dispatch<T>(
      ctx, op, traffic(data),
      [&](auto& c) { cpu::centre_sums<T>(c, sum, count, centres, label, label_stride, data); },
      [&](auto& c) { cuda::centre_sums<T>(c, sum, count, centres, label, label_stride, data); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void nearest_centre<T>(Context&, std::int32_t*, T*, Index, GroupView<const T>,          \
                                  GroupView<const T>);                                             \
  template void centre_sums<T>(Context&, double*, double*, Index, const std::int32_t*, Index,      \
                               GroupView<const T>);

GANMM_FOR_EACH_WIDE_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
