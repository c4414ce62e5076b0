// Clusters of codes by a Student t kernel with one degree of freedom, as DEC has them: soft
// assignments q, the sharper distribution p that they are to meet, and the gradient of KL(P|Q) with
// P held fixed.
//
// With t[b,j] = 1 / (1 + |z[b] - mu[j]|^2) and f[j] = sum over b of q[b,j]:
//   q[b,j] = t[b,j] / sum over j of t[b,j]
//   p[b,j] = (q[b,j]^2 / f[j]) / sum over j of (q[b,j]^2 / f[j])
//   KL = sum over b, j of p log(p / q)
//   dKL/dz[b] = sum over j of w[b,j] (z[b] - mu[j]), w[b,j] = 2 (p[b,j] - q[b,j]) t[b,j]
//   dKL/dmu[j] = - sum over b of w[b,j] (z[b] - mu[j])
// N is the number of groups, k that of centres, D that of codes. Aliasing: none but where it says
// so. Throws ShapeError.
// Source: Xie, Girshick & Farhadi, ICML 2016, with alpha = 1; the gradients derived, and checked by
// central differences in tests/kernels/student_test.cpp.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// q, and as label the number of its largest, the lowest on ties.
// Shapes q [N][B][k >= 1], label [N][B] with group stride `label_stride`, code [N][B][D],
//        centre [N][k][D].
template <class T>
void student_assign(Context& ctx, GroupView<T> q, std::int32_t* label, Index label_stride,
                    GroupView<const T> code, ParamView<const T> centre);

// p of all rows whose q are summed up in `frequency` = f. Centres with f = 0 have p = 0.
// Shapes p, q [N][B][k], frequency [N][k]. p may alias q.
template <class T>
void student_target(Context& ctx, GroupView<T> p, GroupView<const T> q,
                    ParamView<const T> frequency);

// scale x dKL/dz, and scale x w for student_centre_gradient. q is computed anew.
// Shapes d_code, code [N][B][D], weight, target = p [N][B][k], centre [N][k][D].
template <class T>
void student_code_gradient(Context& ctx, GroupView<T> d_code, GroupView<T> weight,
                           GroupView<const T> code, ParamView<const T> centre,
                           GroupView<const T> target, double scale);

// scale x dKL/dmu from weight = scale x w, summed in double.
// Shapes d_centre, centre [N][k][D], weight [N][B][k], code [N][B][D].
template <class T>
void student_centre_gradient(Context& ctx, ParamView<T> d_centre, GroupView<const T> weight,
                             GroupView<const T> code, ParamView<const T> centre);

}  // namespace ganmm::kernels
