// From logits to the rows that every group trains on: softmax, argmax, the partition of a pool of
// rows by label, the draw of critic batches with the epsilon share of foreign rows, and the gather.
//
// R mixtures of N components are R groups here ([R][...][N]) and R*N groups in the networks; the
// component i of mixture r is network group r*N + i.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// posterior = softmax(logits / temperature) per row; label = its argmax (the lowest index wins
// ties). Shapes logits, posterior [R][B][N] (posterior may alias logits), label [R][B] contiguous
// per group with group stride `label_stride`. posterior may be empty.
template <class T>
void classify_rows(Context& ctx, GroupView<T> posterior, std::int32_t* label, Index label_stride,
                   GroupView<const T> logits, double temperature);

// The pool of one EM iteration: P consecutive rows of the (shuffled) data set.
struct PoolView {
  const std::int32_t* label = nullptr;  // [R][P] component of every row
  const float* posterior = nullptr;     // [R][P][N]
  Index mixtures = 0, components = 0, rows = 0;
};

// Rows of every mixture sorted by label (stable): member [R][P], begin [R][N+1] so that component
// i of mixture r owns member[r][begin[r][i] .. begin[r][i+1]).
// Workspace: partition_workspace(ctx, mixtures, components, rows) bytes of scratch.
void partition_rows(Context& ctx, std::int32_t* member, std::int32_t* begin, const PoolView& pool);
Index partition_workspace(const Context& ctx, Index mixtures, Index components, Index rows);

struct DrawSettings {
  Index batches = 5;  // critic batches per group
  Index batch = 50;   // rows per batch
  Index foreign = 0;  // of these, rows drawn from other components by posterior
  const std::int32_t* first_row = nullptr;  // data row of pool row 0, in device memory; null: 0
  RandomKey key;  // Purpose::real_rows; groups are numbered absolutely: first_group stays 0
};

// What a posterior counts in a draw: floor(p * 2^24 + 0.5) in single precision, an integer so that
// sums are exact in any order. A posterior that is not a number, of a mixture that diverged, counts
// nothing.
GANMM_HOST_DEVICE static inline std::uint64_t draw_weight(float posterior) {
  const float counted = posterior > 0 ? posterior : 0.0f;
  return static_cast<std::uint64_t>(static_cast<std::int32_t>(counted * 0x1p24f + 0.5f));
}

// Draws data row numbers for network groups [first_group, first_group + groups):
// Draw e = c * batch + b of a group uses the words of quad e.
//   row [groups][batches][batch]; in each batch the first batch - foreign rows are uniform draws
//   with replacement from the component's own rows, the others draws with replacement from the
//   rest of the pool with probability proportional to the component's posterior there.
// A component that owns nothing draws its own part like its foreign part. Where the component's
// posterior is 0 in the rest of the pool, or there are no posteriors, foreign rows are uniform
// draws from the whole pool, its own rows included.
// Workspace: draw_workspace(ctx, groups, rows) bytes of scratch.
void draw_rows(Context& ctx, std::int32_t* row, Index first_group, Index groups,
               const PoolView& pool, const std::int32_t* member, const std::int32_t* begin,
               const DrawSettings& settings);
Index draw_workspace(const Context& ctx, Index groups, Index rows);

// y[n,b] = data[row[n,b]]. Shapes y [N][B][item], data [1][rows][item], row [N][B] with group
// stride row_stride. Rounded where T is bfloat16.
template <class T>
void gather_rows(Context& ctx, GroupView<T> y, GroupView<const Master<T>> data,
                 const std::int32_t* row, Index row_stride);

// y[0,b] = data[0, *first_row + offset + b]: rows of the pool, wherever it is in the data set now.
// Shapes y [1][B][item], data [1][rows][item].
template <class T>
void window_rows(Context& ctx, GroupView<T> y, GroupView<const T> data,
                 const std::int32_t* first_row, Index offset);

// label[r][p] = assigned[r][*first_row + p]: the components of the pool's rows.
// Shapes label [mixtures][pool_rows], assigned [mixtures][rows]. Throws ShapeError.
void window_labels(Context& ctx, std::int32_t* label, Index pool_rows, const std::int32_t* assigned,
                   Index mixtures, Index rows, const std::int32_t* first_row);

// Rows whose component is prescribed, for restarted components that must learn them first.
struct PinView {
  const std::int32_t* row = nullptr;    // [capacity] data rows
  const std::int32_t* group = nullptr;  // [capacity] r*N + i; no two entries for the same r and row
  const std::int32_t* count = nullptr;  // one number in device memory: entries in use
  Index capacity = 0;
};

// label[r][row - *first_row] = i for every pin whose row is in the pool. Shapes label [R][P].
void pin_labels(Context& ctx, std::int32_t* label, const PinView& pins, Index components,
                Index pool_rows, const std::int32_t* first_row);

}  // namespace ganmm::kernels
