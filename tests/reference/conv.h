// Convolution and its adjoints: one loop nest over every (output, tap) pair that is inside the
// image, used three ways.
#pragma once

#include "kernels/conv.h"
#include "tests/reference/values.h"

namespace ganmm::reference {

using kernels::ConvGeometry;

// Calls visit(x index, filter index, y index) for every product of every item.
template <class Visit>
void for_each_product(const ConvGeometry& g, Index groups, Index batch, const Visit& visit) {
  for (Index n = 0; n < groups; ++n) {
    for (Index b = 0; b < batch; ++b) {
      for (Index ho = 0; ho < g.out_h; ++ho) {
        for (Index wo = 0; wo < g.out_w; ++wo) {
          for (Index kh = 0; kh < g.kernel; ++kh) {
            for (Index kw = 0; kw < g.kernel; ++kw) {
              const Index hi = ho * g.stride + kh - g.pad_top;
              const Index wi = wo * g.stride + kw - g.pad_left;
              if (hi < 0 || hi >= g.in_h || wi < 0 || wi >= g.in_w) continue;
              for (Index ci = 0; ci < g.in_c; ++ci) {
                for (Index co = 0; co < g.out_c; ++co) {
                  visit((((n * batch + b) * g.in_h + hi) * g.in_w + wi) * g.in_c + ci,
                        (((n * g.kernel + kh) * g.kernel + kw) * g.in_c + ci) * g.out_c + co,
                        (((n * batch + b) * g.out_h + ho) * g.out_w + wo) * g.out_c + co);
                }
              }
            }
          }
        }
      }
    }
  }
}

inline Sums conv_forward(const ConvGeometry& g, Index groups, Index batch, const Values& x,
                         const Values& filter) {
  Sums y(groups * batch * g.output().count());
  for_each_product(g, groups, batch, [&](Index in_x, Index in_filter, Index in_y) {
    y.add(in_y, x[at(in_x)] * filter[at(in_filter)]);
  });
  return y;
}

inline Sums conv_backward_data(const ConvGeometry& g, Index groups, Index batch, const Values& d_y,
                               const Values& filter) {
  Sums d_x(groups * batch * g.input().count());
  for_each_product(g, groups, batch, [&](Index in_x, Index in_filter, Index in_y) {
    d_x.add(in_x, d_y[at(in_y)] * filter[at(in_filter)]);
  });
  return d_x;
}

inline Sums conv_backward_weights(const ConvGeometry& g, Index groups, Index batch, const Values& x,
                                  const Values& d_y) {
  Sums d_filter(groups * g.filter().count());
  for_each_product(g, groups, batch, [&](Index in_x, Index in_filter, Index in_y) {
    d_filter.add(in_filter, x[at(in_x)] * d_y[at(in_y)]);
  });
  return d_filter;
}

}  // namespace ganmm::reference
