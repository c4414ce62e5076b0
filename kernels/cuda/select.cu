// classify_rows: p = softmax(z / temperature) and argmax z per row. `lanes` neighbouring threads
// share a row, so that reads are coalesced for few and for many components, and reduce with
// shuffles; a thread touches its own columns alone, so posterior may be logits.
//
// gather_rows, window_rows: copies of rows, 16 bytes of the data at a time where memory allows.
// The row number is one more load before the data's; rows of the pool are too scattered to do
// better. All are bound by memory bandwidth for large pools and by latency for small ones.
#include "kernels/backend.h"
#include "kernels/cuda/classify.h"
#include "kernels/cuda/elements.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr Index kFewComponents = 64;
constexpr unsigned kPack = 4;  // elements of the data in 16 bytes

// Every thread of a warp stays to the end, since the shuffles need them all.
template <int L>
GANMM_KERNEL classify_rows_kernel(Rows<float> posterior, std::int32_t* label, Index label_stride,
                                  Rows<const float> logits, Index batch, int components,
                                  float scale) {
  const int lane = device::thread_index_x() % L;
  const Index row =
      (Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x()) / L;
  const bool valid = row < batch;
  const int group = device::block_index_y();
  const float* z = &at(logits, group, valid ? row : 0, 0);
  float* p = posterior.data == nullptr ? nullptr : &at(posterior, group, valid ? row : 0, 0);
  const std::int32_t best = classify_row<L>(z, p, components, scale, lane, valid);
  if (valid && lane == 0) label[group * label_stride + row] = best;
}

template <int L>
void classify(Context& ctx, const GroupView<float>& posterior, std::int32_t* label,
              Index label_stride, const GroupView<const float>& logits, float scale) {
  const LaunchShape shape{(logits.batch * L + kElementThreads - 1) / kElementThreads, logits.groups,
                          1, kElementThreads};
  launch(ctx, "classify_rows", shape, classify_rows_kernel<L>,
         Rows<float>{posterior.data, posterior.group_stride, posterior.batch_stride}, label,
         label_stride, Rows<const float>{logits.data, logits.group_stride, logits.batch_stride},
         logits.batch, static_cast<int>(logits.features()), scale);
}

template <class T, unsigned W>
GANMM_KERNEL gather_rows_kernel(ElementWalk walk, Rows<Pack<T, W>> y,
                                Rows<const Pack<float, W>> data, const std::int32_t* row,
                                Index row_stride) {
  for_each_element(walk, [&](Index group, Index b, Index col) {
    const Pack<float, W> v = at(data, 0, row[group * row_stride + b], col);
    Pack<T, W> rounded;
    for (unsigned i = 0; i < W; ++i) rounded.value[i] = static_cast<T>(v.value[i]);
    at(y, group, b, col) = rounded;
  });
}

template <unsigned W>
GANMM_KERNEL window_rows_kernel(ElementWalk walk, Rows<Pack<float, W>> y,
                                Rows<const Pack<float, W>> data, const std::int32_t* first_row,
                                Index offset) {
  const Index first = *first_row + offset;
  for_each_element(
      walk, [&](Index, Index b, Index col) { at(y, 0, b, col) = at(data, 0, first + b, col); });
}

GANMM_KERNEL window_labels_kernel(std::int32_t* label, Index pool_rows,
                                  const std::int32_t* assigned, Index rows,
                                  const std::int32_t* first_row) {
  const Index p =
      Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x();
  const Index r = device::block_index_y();
  if (p < pool_rows) label[r * pool_rows + p] = assigned[r * rows + *first_row + p];
}

GANMM_KERNEL pin_labels_kernel(std::int32_t* label, PinView pins, Index components, Index pool_rows,
                               const std::int32_t* first_row) {
  const Index step = Index{device::grid_size_x()} * device::block_size_x();
  for (Index e = Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x();
       e < *pins.count; e += step) {
    pin_label(label, pins, e, components, pool_rows, *first_row);
  }
}

template <unsigned W, class T>
void gather(Context& ctx, ElementExtent extent, const GroupView<T>& y,
            const GroupView<const float>& data, const std::int32_t* row, Index row_stride) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "gather_rows", shape, gather_rows_kernel<T, W>, walk, packs<W>(y), packs<W>(data),
         row, row_stride);
}

template <unsigned W>
void window(Context& ctx, ElementExtent extent, const GroupView<float>& y,
            const GroupView<const float>& data, const std::int32_t* first_row, Index offset) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "window_rows", shape, window_rows_kernel<W>, walk, packs<W>(y), packs<W>(data),
         first_row, offset);
}

// Rows of the data are chosen on the device, so they are not joined: every one must fit.
template <unsigned W, class T>
bool rows_fit(const ElementExtent& extent, const GroupView<T>& y,
              const GroupView<const float>& data) {
  return packs_fit<W>(extent, y) && packs_fit<W>({1, data.batch, extent.cols}, data);
}

}  // namespace

template <class T>
void classify_rows(Context& ctx, GroupView<T> posterior, std::int32_t* label, Index label_stride,
                   GroupView<const T> logits, double temperature) {
  if (logits.groups == 0 || logits.batch == 0) return;
  const auto scale = static_cast<float>(1.0 / temperature);
  if (logits.features() <= kFewComponents) {
    classify<8>(ctx, posterior, label, label_stride, logits, scale);
  } else {
    classify<32>(ctx, posterior, label, label_stride, logits, scale);
  }
}

template <class T>
void gather_rows(Context& ctx, GroupView<T> y, GroupView<const Master<T>> data,
                 const std::int32_t* row, Index row_stride) {
  const ElementExtent extent{y.groups, y.batch, y.features()};
  if (extent.empty()) return;
  if (rows_fit<kPack>(extent, y, data)) {
    gather<kPack>(ctx, extent, y, data, row, row_stride);
  } else {
    gather<1>(ctx, extent, y, data, row, row_stride);
  }
}

template <class T>
void window_rows(Context& ctx, GroupView<T> y, GroupView<const T> data,
                 const std::int32_t* first_row, Index offset) {
  const ElementExtent extent{1, y.batch, y.features()};
  if (extent.empty()) return;
  if (rows_fit<kPack>(extent, y, data)) {
    window<kPack>(ctx, extent, y, data, first_row, offset);
  } else {
    window<1>(ctx, extent, y, data, first_row, offset);
  }
}

void window_labels(Context& ctx, std::int32_t* label, Index pool_rows, const std::int32_t* assigned,
                   Index mixtures, Index rows, const std::int32_t* first_row) {
  const Index blocks = (pool_rows + kElementThreads - 1) / kElementThreads;
  launch(ctx, "window_labels", {blocks, mixtures, 1, kElementThreads}, window_labels_kernel, label,
         pool_rows, assigned, rows, first_row);
}

void pin_labels(Context& ctx, std::int32_t* label, const PinView& pins, Index components,
                Index pool_rows, const std::int32_t* first_row) {
  const Index blocks =
      std::min((pins.capacity + kElementThreads - 1) / kElementThreads, resident_blocks(ctx));
  launch(ctx, "pin_labels", {blocks, 1, 1, kElementThreads}, pin_labels_kernel, label, pins,
         components, pool_rows, first_row);
}

template void classify_rows<float>(Context&, GroupView<float>, std::int32_t*, Index,
                                   GroupView<const float>, double);
template void gather_rows<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const std::int32_t*, Index);
template void gather_rows<BFloat16>(Context&, GroupView<BFloat16>, GroupView<const float>,
                                    const std::int32_t*, Index);
template void window_rows<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const std::int32_t*, Index);

}  // namespace ganmm::kernels::cuda
