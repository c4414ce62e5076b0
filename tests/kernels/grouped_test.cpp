// f(N) equals N calls of f(1), to the bit, for every op: on the CPU the driver hands groups to
// lanes in whatever portions it likes.
#include "kernels/conv.h"
#include "kernels/distance.h"
#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/norm.h"
#include "kernels/optim.h"
#include "kernels/penalty.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/scores.h"
#include "kernels/select.h"
#include "kernels/student.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;

constexpr Index kGroups = 7;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The ways in which kGroups groups are computed: whole, one by one, unevenly.
const std::vector<std::vector<Index>> kPortions = {{7}, {1, 1, 1, 1, 1, 1, 1}, {3, 2, 2}, {1, 6}};

// Calls run(first group, groups) for every portion and compares what result() then returns.
template <class Run, class Result>
void check_portions(const Run& run, const Result& result) {
  decltype(result()) whole;
  for (const auto& portions : kPortions) {
    Index first = 0;
    for (const Index count : portions) {
      run(first, count);
      first += count;
    }
    const auto now = result();
    if (portions.size() == 1) {
      whole = now;
      CHECK(std::any_of(now.begin(), now.end(), [](auto value) { return value != 0; }));
      CHECK(std::none_of(now.begin(), now.end(), [](auto value) { return value != value; }));
    } else {
      CAPTURE(portions.size());
      CHECK(same_bits(now, whole));
    }
  }
}

template <class T>
struct Rows : Batch<T> {
  Rows(Context& ctx, Index batch, Shape item, std::uint64_t stream)
      : Batch<T>(ctx, kGroups, batch, item,
                 RandomData(stream).reals<T>(kGroups * batch * item.count(), -1, 1)) {}
};

template <class T>
struct Tensor : Param<T> {
  Tensor(Context& ctx, Shape shape, std::uint64_t stream)
      : Param<T>(ctx, kGroups, shape, RandomData(stream).reals<T>(kGroups * shape.count(), -1, 1)) {
  }
};

template <class T>
MatrixView<T> slice(MatrixView<T> m, Index first, Index count) {
  m.data += first * m.group_stride;
  m.groups = count;
  return m;
}

RandomKey key_from(Index first) {
  return {5, Purpose::noise, 1, static_cast<std::uint32_t>(first)};
}

}  // namespace

GANMM_CPU_CASE("grouped: gemm of N equals N times gemm of 1") {
  struct Case {
    Index m, k, l;
    bool ta, tb;
  };
  for (const Case& c : {Case{50, 64, 19, false, false}, Case{50, 19, 64, false, true},
                        Case{64, 19, 50, true, false}, Case{5, 1, 33, false, false}}) {
    const Rows<T> a(ctx, c.ta ? c.l : c.m, {c.ta ? c.m : c.l}, 1);
    const Rows<T> b(ctx, c.tb ? c.k : c.l, {c.tb ? c.l : c.k}, 2);
    const Tensor<T> bias(ctx, {c.k}, 3);
    Batch<T> y(ctx, kGroups, c.m, {c.k});
    check_portions(
        [&](Index first, Index count) {
          gemm<T>(ctx, slice(matrix(y.view()), first, count),
                  slice(matrix(a.input()), first, count), c.ta ? Transpose::yes : Transpose::no,
                  slice(matrix(b.input()), first, count), c.tb ? Transpose::yes : Transpose::no,
                  Write::overwrite,
                  {bias.input().slice(first, count), {ActivationKind::tanh, 0.2}});
        },
        [&] { return y.bits(); });
  }
}

GANMM_CPU_CASE("grouped: convolutions of N equal N convolutions of 1") {
  const ConvGeometry g = same_padding(9, 7, 3, 8, 5, 2);
  reserve_scratch(ctx, conv_workspace<T>(ctx, kGroups, 4, g));
  const Rows<T> x(ctx, 4, g.input(), 1);
  const Rows<T> d_y(ctx, 4, g.output(), 2);
  const Tensor<T> filter(ctx, g.filter(), 3);
  const Tensor<T> bias(ctx, {g.out_c}, 4);
  Batch<T> y(ctx, kGroups, 4, g.output());
  Batch<T> d_x(ctx, kGroups, 4, g.input());
  Param<T> d_filter(ctx, kGroups, g.filter());
  check_portions(
      [&](Index first, Index count) {
        conv_forward<T>(ctx, y.view().slice(first, count), x.input().slice(first, count),
                        filter.input().slice(first, count), g,
                        {bias.input().slice(first, count), {ActivationKind::leaky_relu, 0.2}});
      },
      [&] { return y.bits(); });
  check_portions(
      [&](Index first, Index count) {
        conv_backward_data<T>(ctx, d_x.view().slice(first, count), d_y.input().slice(first, count),
                              filter.input().slice(first, count), g);
      },
      [&] { return d_x.bits(); });
  check_portions(
      [&](Index first, Index count) {
        conv_backward_weights<T>(ctx, d_filter.view().slice(first, count),
                                 x.input().slice(first, count), d_y.input().slice(first, count), g,
                                 Write::overwrite);
      },
      [&] { return d_filter.bits(); });
}

GANMM_DEVICE_CASE("grouped: activations of N equal N activations of 1") {
  const Activation activation{ActivationKind::sigmoid, 0.2};
  const Rows<T> x(ctx, 5, {19}, 1), d_y(ctx, 5, {19}, 2), t(ctx, 5, {19}, 3);
  Batch<T> y(ctx, kGroups, 5, {19}), d_x(ctx, kGroups, 5, {19}), r_x(ctx, kGroups, 5, {19});
  check_portions(
      [&](Index first, Index count) {
        activation_forward<T>(ctx, y.view().slice(first, count), x.input().slice(first, count),
                              activation);
      },
      [&] { return y.bits(); });
  check_portions(
      [&](Index first, Index count) {
        activation_backward<T>(ctx, d_x.view().slice(first, count), d_y.input().slice(first, count),
                               y.input().slice(first, count), activation);
      },
      [&] { return d_x.bits(); });
  check_portions(
      [&](Index first, Index count) {
        activation_curvature<T>(ctx, r_x.view().slice(first, count),
                                d_y.input().slice(first, count), y.input().slice(first, count),
                                d_x.input().slice(first, count), t.input().slice(first, count),
                                activation);
      },
      [&] { return r_x.bits(); });
}

GANMM_DEVICE_CASE("grouped: elementwise ops of N equal N ops of 1") {
  const Rows<T> x(ctx, 3, {5, 3, 7}, 1);
  const Tensor<T> bias(ctx, {7}, 2);
  Batch<T> y(ctx, kGroups, 3, {5, 3, 7}), small(ctx, kGroups, 3, {2, 3, 7});
  Param<T> d_bias(ctx, kGroups, {7});
  check_portions(
      [&](Index first, Index count) {
        axpby<T>(ctx, y.view().slice(first, count), 0.3, x.input().slice(first, count), 0);
        add_bias<T>(ctx, y.view().slice(first, count), bias.input().slice(first, count));
      },
      [&] { return y.bits(); });
  check_portions(
      [&](Index first, Index count) {
        bias_grad<T>(ctx, d_bias.view().slice(first, count), x.input().slice(first, count),
                     Write::overwrite);
      },
      [&] { return d_bias.bits(); });
  check_portions(
      [&](Index first, Index count) {
        crop<T>(ctx, small.view().slice(first, count), x.input().slice(first, count));
      },
      [&] { return small.bits(); });
  check_portions(
      [&](Index first, Index count) {
        fill<T>(ctx, y.view().slice(first, count), 0.1);
        crop_backward<T>(ctx, y.view().slice(first, count), small.input().slice(first, count));
      },
      [&] { return y.bits(); });
}

GANMM_CPU_CASE("grouped: normalisation of N equals N normalisations of 1") {
  for (const NormSettings& settings :
       {NormSettings{NormKind::batch, 1e-5, 3}, NormSettings{NormKind::layer, 1e-5, 0}}) {
    const Shape item{3, 2, 5};
    const Index batch = 6, statistics = norm_statistics(settings, batch, 5);
    const Rows<T> x(ctx, batch, item, 1), d_z(ctx, batch, item, 2), u(ctx, batch, item, 3);
    const Tensor<T> gamma(ctx, {5}, 4), beta(ctx, {5}, 5);
    Batch<T> z(ctx, kGroups, batch, item);
    Param<T> mean(ctx, kGroups, {statistics}), inv_sigma(ctx, kGroups, {statistics});
    Param<T> d_gamma(ctx, kGroups, {5}), d_beta(ctx, kGroups, {5});
    check_portions(
        [&](Index first, Index count) {
          norm_forward<T>(ctx, z.view().slice(first, count), mean.view().slice(first, count),
                          inv_sigma.view().slice(first, count), x.input().slice(first, count),
                          gamma.input().slice(first, count), beta.input().slice(first, count),
                          settings);
        },
        [&] { return z.bits(); });
    check_portions(
        [&](Index first, Index count) {
          norm_backward_data<T>(ctx, z.view().slice(first, count), d_z.input().slice(first, count),
                                x.input().slice(first, count), mean.input().slice(first, count),
                                inv_sigma.input().slice(first, count),
                                gamma.input().slice(first, count), settings);
        },
        [&] { return z.bits(); });
    check_portions(
        [&](Index first, Index count) {
          norm_tangent<T>(ctx, z.view().slice(first, count), u.input().slice(first, count),
                          x.input().slice(first, count), mean.input().slice(first, count),
                          inv_sigma.input().slice(first, count), gamma.input().slice(first, count),
                          settings);
        },
        [&] { return z.bits(); });
    const auto params = [&] {
      std::vector<T> all = d_gamma.bits();
      const std::vector<T> rest = d_beta.bits();
      all.insert(all.end(), rest.begin(), rest.end());
      return all;
    };
    check_portions(
        [&](Index first, Index count) {
          norm_backward_params<T>(
              ctx, d_gamma.view().slice(first, count), d_beta.view().slice(first, count),
              d_z.input().slice(first, count), x.input().slice(first, count),
              mean.input().slice(first, count), inv_sigma.input().slice(first, count), settings,
              Write::overwrite);
        },
        params);
    if (settings.kind == NormKind::batch) continue;
    check_portions(
        [&](Index first, Index count) {
          if (first == 0) {
            d_gamma.set(Values(at(kGroups * 5), 0.0));
            d_beta.set(Values(at(kGroups * 5), 0.0));
          }
          norm_penalty<T>(ctx, z.view().slice(first, count), d_gamma.view().slice(first, count),
                          d_beta.view().slice(first, count), d_z.input().slice(first, count),
                          u.input().slice(first, count), d_z.input().slice(first, count),
                          x.input().slice(first, count), mean.input().slice(first, count),
                          inv_sigma.input().slice(first, count), gamma.input().slice(first, count),
                          settings);
        },
        [&] {
          std::vector<T> all = params();
          const std::vector<T> rows = z.bits();
          all.insert(all.end(), rows.begin(), rows.end());
          return all;
        });
  }
}

GANMM_DEVICE_CASE("grouped: losses and penalties of N equal N of 1") {
  const Rows<T> real(ctx, 9, {5}, 1), fake(ctx, 9, {5}, 2);
  Batch<T> rows(ctx, kGroups, 9, {5});
  Param<T> value(ctx, kGroups, {1});
  const GuardBuffer<std::int32_t> label(ctx, {0, 1, 2, 3, 4, 0, 1, 2, 3});
  const auto both = [&] {
    std::vector<T> all = value.bits();
    const std::vector<T> rest = rows.bits();
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  };
  check_portions(
      [&](Index first, Index count) {
        cross_entropy<T>(ctx, value.view().slice(first, count), rows.view().slice(first, count),
                         real.input().slice(first, count), label.data(), {true, 0.1});
      },
      both);
  check_portions(
      [&](Index first, Index count) {
        penalty_direction<T>(ctx, rows.view().slice(first, count), value.view().slice(first, count),
                             real.input().slice(first, count), 10);
      },
      both);
  check_portions(
      [&](Index first, Index count) {
        interpolate<T>(ctx, rows.view().slice(first, count), real.input().slice(first, count),
                       fake.input().slice(first, count), key_from(first));
      },
      [&] { return rows.bits(); });
  Batch<T> d_score(ctx, kGroups, 33, {1});
  check_portions(
      [&](Index first, Index count) {
        wasserstein_signal<T>(ctx, d_score.view().slice(first, count), 11, 7);
      },
      [&] { return d_score.bits(); });
  const Rows<T> score(ctx, 33, {1}, 5);
  check_portions(
      [&](Index first, Index count) {
        logistic_signal<T>(ctx, d_score.view().slice(first, count),
                           score.input().slice(first, count), 11, 22);
      },
      [&] { return d_score.bits(); });
}

GANMM_DEVICE_CASE("grouped: reductions of N equal N of 1") {
  const Rows<T> x(ctx, 33, {5}, 3);
  Batch<T> rows(ctx, kGroups, 33, {1});
  Param<T> mean(ctx, kGroups, {1});
  check_portions(
      [&](Index first, Index count) {
        group_mean<T>(ctx, mean.view().slice(first, count), x.input().slice(first, count));
      },
      [&] { return mean.bits(); });
  check_portions(
      [&](Index first, Index count) {
        row_sums<T>(ctx, rows.view().slice(first, count), x.input().slice(first, count));
      },
      [&] { return rows.bits(); });
  check_portions(
      [&](Index first, Index count) {
        row_squared_norms<T>(ctx, rows.view().slice(first, count), x.input().slice(first, count));
      },
      [&] { return rows.bits(); });
}

GANMM_DEVICE_CASE("grouped: statistics and logits of N critics equal those of 1") {
  const Rows<T> score(ctx, 33, {1}, 4);
  Param<T> centre(ctx, kGroups, {1}), scale(ctx, kGroups, {1});
  Batch<T> logits(ctx, kGroups, 33, {1});
  check_portions(
      [&](Index first, Index count) {
        score_statistics<T>(ctx, centre.view().slice(first, count),
                            scale.view().slice(first, count), score.input().slice(first, count));
        join_scores<T>(ctx, logits.view().slice(first, count), score.input().slice(first, count),
                       centre.input().slice(first, count), scale.input().slice(first, count));
      },
      [&] { return logits.bits(); });
  const GuardBuffer<std::int32_t> begin(ctx, {0, 2, 2, 7, 11, 0, 1, 4, 9, 30});
  Param<float> shares(ctx, kGroups, {1});
  check_portions(
      [&](Index first, Index count) {
        share_centres(ctx, shares.view().slice(first, count), begin.data(), 4, first);
      },
      [&] { return shares.bits(); });
}

GANMM_DEVICE_CASE("grouped: fills of N equal N fills of 1") {
  Batch<T> y(ctx, kGroups, 5, {13});
  check_portions(
      [&](Index first, Index count) {
        fill_normal<T>(ctx, y.view().slice(first, count), 0, 1, key_from(first));
      },
      [&] { return y.bits(); });
  check_portions(
      [&](Index first, Index count) {
        fill_uniform<T>(ctx, y.view().slice(first, count), -1, 1, key_from(first));
      },
      [&] { return y.bits(); });
}

GANMM_CPU_CASE("grouped: an optimiser step of N equals N steps of 1") {
  const std::vector<TensorSlot> slots = {{0, 17}, {17 * kGroups, 5}};
  const Index size = 22 * kGroups;
  for (const OptimizerKind kind : {OptimizerKind::adam, OptimizerKind::rmsprop}) {
    const OptimizerSettings settings{kind, 0.01, 0.5, 0.9, 1e-8, 0.9};
    RandomData random(1);
    std::vector<T> start, gradient;
    for (Index i = 0; i < size; ++i) {
      start.push_back(static_cast<T>(random.real<T>(-1, 1)));
      gradient.push_back(static_cast<T>(random.real<T>(-1, 1)));
    }
    const GuardBuffer<T> grad(ctx, gradient);
    GuardBuffer<T> value(ctx, size), state1(ctx, size), state2(ctx, size);
    GuardBuffer<std::int32_t> step(ctx, kGroups);
    check_portions(
        [&](Index first, Index count) {
          if (first == 0) value.set(start);
          const ParamSlabs<T> slabs{value.data(), grad.data(), state1.data(), state2.data(),
                                    step.data(),  &slots,      first,         count};
          optimizer_reset<T>(ctx, slabs, settings);
          for (int i = 0; i < 3; ++i) optimizer_step<T>(ctx, slabs, settings);
        },
        [&] {
          std::vector<T> all = value.get();
          const std::vector<T> state = state1.get();
          all.insert(all.end(), state.begin(), state.end());
          return all;
        });
  }
}

GANMM_CPU_CASE("grouped: selection and distances of N equal N of 1") {
  const Index batch = 21;
  const Rows<T> data(ctx, batch, {5}, 1), centre(ctx, 4, {5}, 2);
  Batch<T> posterior(ctx, kGroups, batch, {5});
  GuardBuffer<std::int32_t> label(ctx, kGroups * batch);
  GuardBuffer<T> distance(ctx, kGroups * batch);
  check_portions(
      [&](Index first, Index count) {
        classify_rows<T>(ctx, posterior.view().slice(first, count), label.data() + first * batch,
                         batch, data.input().slice(first, count), 0.7);
      },
      [&] { return posterior.bits(); });
  check_portions(
      [&](Index first, Index count) {
        nearest_centre<T>(ctx, label.data() + first * batch, distance.data() + first * batch, batch,
                          data.input().slice(first, count), centre.input().slice(first, count));
      },
      [&] {
        std::vector<T> all = distance.get();
        for (const std::int32_t k : label.get()) all.push_back(static_cast<T>(k));
        return all;
      });
  GuardBuffer<double> sum(ctx, kGroups * 4 * 5), count_of(ctx, kGroups * 4);
  check_portions(
      [&](Index first, Index count) {
        if (first == 0) {
          sum.set(Values(at(kGroups * 20), 0.0));
          count_of.set(Values(at(kGroups * 4), 0.0));
        }
        centre_sums<T>(ctx, sum.data() + first * 20, count_of.data() + first * 4, 4,
                       label.data() + first * batch, batch, data.input().slice(first, count));
      },
      [&] { return sum.get(); });
  Batch<T> gathered(ctx, kGroups, batch, {5});
  check_portions(
      [&](Index first, Index count) {
        gather_rows<T>(ctx, gathered.view().slice(first, count), data.input().slice(0, 1),
                       label.data() + first * batch, batch);
      },
      [&] { return gathered.bits(); });
}

GANMM_CPU_CASE("grouped: Student t clusters of N equal N of 1") {
  const Index batch = 21, clusters = 4;
  const Rows<T> code(ctx, batch, {5}, 1);
  const Tensor<T> centre(ctx, {clusters, 5}, 2);
  const Param<T> frequency(ctx, kGroups, {clusters},
                           RandomData(3).reals<T>(kGroups * clusters, 1, 9));
  Batch<T> q(ctx, kGroups, batch, {clusters}), p(ctx, kGroups, batch, {clusters});
  Batch<T> weight(ctx, kGroups, batch, {clusters}), d_code(ctx, kGroups, batch, {5});
  Param<T> d_centre(ctx, kGroups, {clusters, 5});
  GuardBuffer<std::int32_t> label(ctx, kGroups * batch);
  check_portions(
      [&](Index first, Index count) {
        const auto own = [&](const auto& view) { return view.slice(first, count); };
        student_assign<T>(ctx, own(q.view()), label.data() + first * batch, batch,
                          own(code.input()), own(centre.input()));
        student_target<T>(ctx, own(p.view()), own(q.input()), own(frequency.input()));
        student_code_gradient<T>(ctx, own(d_code.view()), own(weight.view()), own(code.input()),
                                 own(centre.input()), own(p.input()), 0.5);
        student_centre_gradient<T>(ctx, own(d_centre.view()), own(weight.input()),
                                   own(code.input()), own(centre.input()));
      },
      [&] {
        std::vector<T> all = q.bits();
        for (const auto& more : {p.bits(), d_code.bits(), d_centre.bits()}) {
          all.insert(all.end(), more.begin(), more.end());
        }
        for (const std::int32_t k : label.get()) all.push_back(static_cast<T>(k));
        return all;
      });
}

TEST_CASE("grouped: partitions of N equal N partitions of 1") {
  Context ctx;
  const Index rows = 50, components = 4;
  RandomData random(3);
  std::vector<std::int32_t> labels;
  for (Index i = 0; i < kGroups * rows; ++i) {
    labels.push_back(static_cast<std::int32_t>(random.integer(0, components - 1)));
  }
  const GuardBuffer<std::int32_t> label(ctx, labels);
  GuardBuffer<std::int32_t> member(ctx, kGroups * rows), begin(ctx, kGroups * (components + 1));
  check_portions(
      [&](Index first, Index count) {
        partition_rows(ctx, member.data() + first * rows, begin.data() + first * (components + 1),
                       {label.data() + first * rows, nullptr, count, components, rows});
      },
      [&] {
        std::vector<std::int32_t> all = member.get();
        const std::vector<std::int32_t> rest = begin.get();
        all.insert(all.end(), rest.begin(), rest.end());
        return all;
      });
}

}  // namespace ganmm::kernels
