#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

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
  dispatch<T>(
      ctx, "classify_rows", traffic(posterior, logits),
      [&](auto& c) {
        cpu::classify_rows<T>(c, posterior, label, label_stride, logits, temperature);
      },
      [&](auto& c) {
        cuda::classify_rows<T>(c, posterior, label, label_stride, logits, temperature);
      });
}

void partition_rows(Context& ctx, std::int32_t* member, std::int32_t* begin, const PoolView& pool) {
  dispatch<float>(
      ctx, "partition_rows", OpCost{8.0 * static_cast<double>(pool.mixtures * pool.rows), 0},
      [&](auto& c) { cpu::partition_rows(c, member, begin, pool); },
      [&](auto& c) { cuda::partition_rows(c, member, begin, pool); });
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
  dispatch<float>(
      ctx, "draw_rows",
      OpCost{static_cast<double>(groups * settings.batches * settings.batch) * 4 +
                 (settings.foreign > 0 ? static_cast<double>(groups * pool.rows) * 8 : 0.0),
             0},
      [&](auto& c) { cpu::draw_rows(c, row, first_group, groups, pool, member, begin, settings); },
      [&](auto& c) {
        cuda::draw_rows(c, row, first_group, groups, pool, member, begin, settings);
      });
}

Index partition_workspace(const Context& ctx, Index mixtures, Index components, Index rows) {
  return ctx.on_cpu() ? 0 : cuda::partition_workspace(mixtures, components, rows);
}

Index draw_workspace(const Context& ctx, Index groups, Index rows) {
  // On the CPU groups are drawn one after the other and share their sums.
  if (groups == 0) return 0;
  return aligned_bytes<std::uint64_t>(ctx.on_cpu() ? rows : checked_multiply(groups, rows));
}

template <class T>
void gather_rows(Context& ctx, GroupView<T> y, GroupView<const Master<T>> data,
                 const std::int32_t* row, Index row_stride) {
  if (data.features() != y.features()) {
    throw ShapeError(message("gather_rows: expected items of ", to_string(data.item), ", found ",
                             to_string(y.item)));
  }
  dispatch<T>(
      ctx, "gather_rows", traffic(y, y),
      [&](auto& c) { cpu::gather_rows<T>(c, y, data, row, row_stride); },
      [&](auto& c) { cuda::gather_rows<T>(c, y, data, row, row_stride); });
}

template <class T>
void window_rows(Context& ctx, GroupView<T> y, GroupView<const T> data,
                 const std::int32_t* first_row, Index offset) {
  const char* op = "window_rows";
  check_view(op, "y", y);
  check_view(op, "data", data);
  require<ShapeError>(y.groups == 1 && data.groups == 1 && y.features() == data.features() &&
                          offset >= 0 && offset + y.batch <= data.batch && first_row != nullptr,
                      op, ": expected one group of rows like the data and a window within ",
                      data.batch, " rows, found offset ", offset, " and ", y.batch, " rows");
  dispatch<T>(
      ctx, op, traffic(y, y), [&](auto& c) { cpu::window_rows<T>(c, y, data, first_row, offset); },
      [&](auto& c) { cuda::window_rows<T>(c, y, data, first_row, offset); });
}

void window_labels(Context& ctx, std::int32_t* label, Index pool_rows, const std::int32_t* assigned,
                   Index mixtures, Index rows, const std::int32_t* first_row) {
  const char* op = "window_labels";
  require<ShapeError>(mixtures >= 0 && pool_rows >= 0 && pool_rows <= rows && first_row != nullptr,
                      op, ": expected a window within ", rows, " rows, found ", pool_rows,
                      " rows of ", mixtures, " mixtures");
  if (mixtures == 0 || pool_rows == 0) return;
  OpCost cost;
  cost.bytes = 2.0 * static_cast<double>(mixtures * pool_rows) * sizeof(std::int32_t);
  dispatch<float>(
      ctx, op, cost,
      [&](auto& c) {
        cpu::window_labels(c, label, pool_rows, assigned, mixtures, rows, first_row);
      },
      [&](auto& c) {
        cuda::window_labels(c, label, pool_rows, assigned, mixtures, rows, first_row);
      });
}

void pin_labels(Context& ctx, std::int32_t* label, const PinView& pins, Index components,
                Index pool_rows, const std::int32_t* first_row) {
  if (pins.capacity == 0) return;
  dispatch<float>(
      ctx, "pin_labels", OpCost{},
      [&](auto& c) { cpu::pin_labels(c, label, pins, components, pool_rows, first_row); },
      [&](auto& c) { cuda::pin_labels(c, label, pins, components, pool_rows, first_row); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void gather_rows<T>(Context&, GroupView<T>, GroupView<const Master<T>>,                 \
                               const std::int32_t*, Index);
GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)
#undef GANMM_INSTANTIATE

#define GANMM_INSTANTIATE(T)                                                                       \
  template void classify_rows<T>(Context&, GroupView<T>, std::int32_t*, Index, GroupView<const T>, \
                                 double);                                                          \
  template void window_rows<T>(Context&, GroupView<T>, GroupView<const T>, const std::int32_t*,    \
                               Index);
GANMM_FOR_EACH_WIDE_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
