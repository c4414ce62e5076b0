#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"

namespace ganmm::kernels {

template <class T>
void classify_rows(Context& ctx, GroupView<T> posterior, std::int32_t* label, Index label_stride,
                   GroupView<const T> logits, double temperature) {
  require<ShapeError>(posterior.data == nullptr ||
                          (posterior.groups == logits.groups && posterior.batch == logits.batch &&
                           posterior.features() == logits.features()),
                      "classify_rows: expected posterior [R=", logits.groups, "][B=", logits.batch,
                      "][N=", logits.features(), "] like the logits, found [", posterior.groups,
                      "][", posterior.batch, "][", posterior.features(), "]");
  require<ShapeError>(logits.features() >= 1 && temperature > 0,
                      "classify_rows: expected at least one component and a positive temperature, "
                      "found ",
                      logits.features(), " and ", temperature);
  dispatch_cpu_only(ctx, "classify_rows", [&] {
    cpu::classify_rows<T>(ctx, posterior, label, label_stride, logits, temperature);
  });
}

void partition_rows(Context& ctx, std::int32_t* member, std::int32_t* begin, const PoolView& pool) {
  dispatch_cpu_only(ctx, "partition_rows", [&] { cpu::partition_rows(ctx, member, begin, pool); });
}

void draw_rows(Context& ctx, std::int32_t* row, Index first_group, Index groups,
               const PoolView& pool, const std::int32_t* member, const std::int32_t* begin,
               const DrawSettings& settings) {
  require<ShapeError>(settings.foreign >= 0 && settings.foreign <= settings.batch,
                      "draw_rows: expected a foreign share between 0 and the batch of ",
                      settings.batch, ", found ", settings.foreign);
  require<ShapeError>(pool.rows >= 1 && pool.rows <= (Index{1} << 31) - 1,
                      "draw_rows: expected a pool of 1 to 2^31-1 rows, found ", pool.rows);
  require<ShapeError>(first_group >= 0 && first_group + groups <= pool.mixtures * pool.components,
                      "draw_rows: groups [", first_group, ", ", first_group + groups,
                      ") of mixtures x components = ", pool.mixtures * pool.components);
  dispatch_cpu_only(ctx, "draw_rows", [&] {
    cpu::draw_rows(ctx, row, first_group, groups, pool, member, begin, settings);
  });
}

Index draw_workspace(const Context&, Index groups, Index rows) {
  return groups == 0 ? 0 : aligned_bytes<std::uint64_t>(rows);
}

template <class T>
void gather_rows(Context& ctx, GroupView<T> y, GroupView<const T> data, const std::int32_t* row,
                 Index row_stride) {
  if (data.features() != y.features()) {
    throw ShapeError(message("gather_rows: expected items of ", to_string(data.item), ", found ",
                             to_string(y.item)));
  }
  dispatch_cpu_only(ctx, "gather_rows",
                    [&] { cpu::gather_rows<T>(ctx, y, data, row, row_stride); });
}

template void classify_rows<float>(Context&, GroupView<float>, std::int32_t*, Index,
                                   GroupView<const float>, double);
template void classify_rows<double>(Context&, GroupView<double>, std::int32_t*, Index,
                                    GroupView<const double>, double);
template void gather_rows<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const std::int32_t*, Index);
template void gather_rows<double>(Context&, GroupView<double>, GroupView<const double>,
                                  const std::int32_t*, Index);

}  // namespace ganmm::kernels
