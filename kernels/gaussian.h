// N Gaussians on the rows of a data set: log densities, responsibilities, and the weighted moments
// that the next Gaussians are made of. Together an EM iteration of a Gaussian mixture. Everything
// but the rows is double, since covariances of scaled data come close to singular.
//
// R mixtures of N Gaussians are R groups. Aliasing: none but where it says so. Throws ShapeError.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// In the memory of the context's device, contiguous. A precision matrix is P P^T.
struct GaussianView {
  Index mixtures = 0, components = 0, features = 0;
  const double* offset = nullptr;  // [R][N] log weight + log det P - D/2 log 2 pi
  const double* mean = nullptr;    // [R][N][D]
  // [R][N][D][D], P upper triangular with zeros below the diagonal; with `shared` [R][D][D], the
  // same for all components; with `diagonal` [R][N][D].
  const double* factor = nullptr;
  bool diagonal = false;
  bool shared = false;

  Index factor_elements() const { return diagonal ? features : features * features; }
};

// log_density[r,b,k] = offset[r,k] - |(x[r,b] - mean[r,k]) P[r,k]|^2 / 2.
// Shapes log_density [R][B][N], data [R or 1 shared][B][D].
template <class T>
void gaussian_log_density(Context& ctx, GroupView<double> log_density, GroupView<const T> data,
                          const GaussianView& gaussians);

// In place: density[r,b,k] = exp(log_density[r,b,k] - l[r,b]) with l[r,b] = log of the sum over k
// of exp(log_density[r,b,k]). total[r] = sum over b of l[r,b].
// Shapes density [R][B][N >= 1], total [R], overwritten.
// Workspace: responsibilities_workspace(ctx, R, B) bytes of scratch.
void responsibilities(Context& ctx, double* total, GroupView<double> density);
Index responsibilities_workspace(const Context& ctx, Index mixtures, Index rows);

// With d = x[r,b] - shift[r,k] and w = weight[r,b,k], sums over b of w, of w d and of w d d^T
// (symmetric), or with `diagonal` of the squares w d^2 alone.
// Shapes moments [R][N][1 + D + D*D], with `diagonal` [R][N][1 + 2 D], overwritten; weight
//        [R][B][N]; data [R or 1 shared][B][D]; shift [R][N][D], contiguous.
// Workspace: moments_workspace(ctx, R, N, B, D, diagonal) bytes of scratch.
template <class T>
void weighted_moments(Context& ctx, double* moments, GroupView<const double> weight,
                      GroupView<const T> data, const double* shift, bool diagonal);
Index moments_workspace(const Context& ctx, Index mixtures, Index components, Index rows,
                        Index features, bool diagonal);

// Numbers per component that weighted_moments writes.
inline Index moment_count(Index features, bool diagonal) {
  return 1 + features + (diagonal ? features : features * features);
}

}  // namespace ganmm::kernels
