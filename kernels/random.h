// Random fills. Element e of group g is a pure function of the key; see kernels/core/rng.h.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// Elements are numbered e = b * features + f within a group. Element e comes from the Philox words
// of quad e / 4: a uniform from word e % 4; of the normals, elements 0 and 1 of a quad are the pair
// of words 0 and 1, elements 2 and 3 the pair of words 2 and 3. Everything is computed in single
// precision, as low + (high - low) * u and mean + deviation * n without fused operations; the
// double version stores the same numbers.
// Throws ShapeError when a group has more than 2^34 elements.
template <class T>
void fill_uniform(Context& ctx, GroupView<T> y, double low, double high, const RandomKey& key);

template <class T>
void fill_normal(Context& ctx, GroupView<T> y, double mean, double deviation, const RandomKey& key);

}  // namespace ganmm::kernels
