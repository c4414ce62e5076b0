// The scores of N critics as logits of N components, for rows that critics assign (GANMM(EM)).
//
// R mixtures of N critics are R*N groups of scores and R groups of logits; critic i of mixture r is
// group r*N + i. Aliasing: none. Throws ShapeError.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// centre[g] = mean over b of score[g,b], scale[g] = 1 / sd over b of score[g,b], the root of the
// mean squared deviation; 1 where that is 0. Without rows centre is 0. `scale` may be empty.
// Sums are made in double, in two passes: the mean of a critic may be far larger than the sd.
// Shapes score [G][B][1], centre and scale [G][1], overwritten.
template <class T>
void score_statistics(Context& ctx, ParamView<Master<T>> centre, ParamView<Master<T>> scale,
                      GroupView<const T> score);

// logits[r,b,i] = (score[r*N+i, b] - centre[r*N+i]) * scale[r*N+i].
// Shapes logits [R][B][N >= 1], score [R*N][B][1], centre and scale [R*N][1].
template <class T>
void join_scores(Context& ctx, GroupView<Master<T>> logits, GroupView<const T> score,
                 ParamView<const Master<T>> centre, ParamView<const Master<T>> scale);

// centre[g] = -log((n_i + 1) / (n + N)) for network groups first + g = r*N + i, n_i the rows of
// component i of mixture r and n those of all: score - centre is the score plus the log of the
// component's share of the rows. (Laplace's rule of succession: a component without rows has a
// share too.) Shapes centre [G][1], overwritten, begin [R][N+1] (partition_rows).
void share_centres(Context& ctx, ParamView<float> centre, const std::int32_t* begin,
                   Index components, Index first);

}  // namespace ganmm::kernels
