// Training steps of N groups at once equal those of every group alone, to the bit.
#include "ganmm/networks.h"
#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/optim.h"
#include "kernels/penalty.h"
#include "kernels/random.h"
#include "tests/nn/net.h"

namespace ganmm::nn {
namespace {

using namespace ganmm::test;

constexpr Index kGroups = 7, kBatch = 5;

struct Variant {
  std::string name;
  NetKind net;
  Objective objective;
  Shape item;

  Settings settings() const {
    Settings s;
    s.clusters = kGroups;
    s.net = net;
    s.objective = objective;
    s.learning_rate = 0.01;
    s.hidden = 9;
    s.noise = 6;
    s.width = 3;
    s.clip = 0.2;
    s.seed = 5;
    return s.resolved(1000, item);
  }
};
const std::vector<Variant> kVariants = {
    {"mlp, penalty", NetKind::mlp, Objective::wgan_gp, {6}},
    {"mlp, clip", NetKind::mlp, Objective::wgan_clip, {6}},
    {"conv, penalty", NetKind::conv, Objective::wgan_gp, {9, 8, 2}},
    {"conv, clip", NetKind::conv, Objective::wgan_clip, {9, 8, 2}},
};

// Generators and critics of groups [origin, origin + groups) of the seven, trained `portion` at
// a time.
class Pairs {
 public:
  Pairs(const Settings& s, Shape item, Index origin, Index groups, Index portion)
      : s_(s), origin_(origin), groups_(groups), portion_(portion),
        penalty_used_(s.objective == Objective::wgan_gp), nets_(make_networks(s, item)),
        generator_(nets_.generator), critic_(nets_.critic),
        generators_(arena_, "generators", generator_.layout(groups), StoreUse::training),
        critics_(arena_, "critics", critic_.layout(groups), StoreUse::training),
        samples_(arena_, "samples", generator_, portion, kBatch, TapeUse::backward),
        scores_(arena_, "scores", critic_, portion, (penalty_used_ ? 3 : 2) * kBatch,
                penalty_used_ ? TapeUse::penalty : TapeUse::backward, kBatch),
        penalty_(arena_.request<float>("penalty", groups)) {
    arena_.reserve();
    reserve_scratch(ctx_, std::max(workspace(generator_, ctx_, portion, kBatch),
                                   workspace(critic_, ctx_, portion, 3 * kBatch)));
    kernels::optimizer_reset<float>(ctx_, generators_.all().slabs(), s_.optimizer());
    kernels::optimizer_reset<float>(ctx_, critics_.all().slabs(), s_.critic_optimizer());
  }

  void initialize() {
    generators_.initialize(ctx_, s_.seed, 0, 0, groups_);
    critics_.initialize(ctx_, s_.seed, 0, 0, groups_);
  }
  void train(std::uint32_t steps) {
    for (std::uint32_t step = 0; step < steps; ++step) {
      for (Index first = 0; first < groups_; first += portion_) train_portion(first, step);
    }
  }
  void train_portion(Index first, std::uint32_t step) {
    critic_step(first, step);
    generator_step(first, step);
  }

  // Values of one group: all tensors of both networks.
  std::vector<float> group(Index n) {
    std::vector<float> values;
    for (ParamStore<float>* store : {&generators_, &critics_}) {
      for (std::size_t i = 0; i < store->layout().specs().size(); ++i) {
        const std::vector<float> tensor = store->download(ctx_, static_cast<int>(i));
        const Index count = store->layout().slots()[i].count;
        values.insert(values.end(), tensor.begin() + n * count, tensor.begin() + (n + 1) * count);
      }
    }
    return values;
  }
  void set_group(Index n, const std::vector<float>& values) {
    auto next = values.begin();
    for (ParamStore<float>* store : {&generators_, &critics_}) {
      for (std::size_t i = 0; i < store->layout().specs().size(); ++i) {
        const Index count = store->layout().slots()[i].count;
        std::vector<float> tensor = store->download(ctx_, static_cast<int>(i));
        std::copy(next, next + count, tensor.begin() + n * count);
        store->upload(ctx_, static_cast<int>(i), tensor);
        next += count;
      }
    }
  }
  float penalty(Index n) const { return penalty_.data()[n]; }

 private:
  RandomKey key(Purpose purpose, std::uint32_t step, Index first) const {
    return {s_.seed, purpose, step, static_cast<std::uint32_t>(origin_ + first)};
  }
  void critic_step(Index first, std::uint32_t step) {
    const auto generators = generators_.range(first, portion_);
    const auto critics = critics_.range(first, portion_);
    const GroupView<float> real = scores_.input().rows(0, kBatch);
    const GroupView<float> fake = scores_.input().rows(kBatch, kBatch);
    kernels::fill_normal<float>(ctx_, samples_.input(), 0, 1, key(Purpose::noise, step, first));
    generator_.forward(ctx_, generators, samples_, kBatch);
    kernels::fill_uniform<float>(ctx_, real, 0, 1, key(Purpose::sample, step, first));
    kernels::axpby<float>(ctx_, fake, 1, samples_.output(), 0);
    if (penalty_used_) {
      kernels::interpolate<float>(ctx_, scores_.input().rows(2 * kBatch, kBatch), real, fake,
                                  key(Purpose::interpolation, step, first));
    }
    const Index all = scores_.batch();
    critic_.forward(ctx_, critics, scores_, all);
    kernels::wasserstein_signal<float>(ctx_, scores_.signal(scores_.depth()), kBatch, kBatch);
    critic_.backward(ctx_, critics, scores_,
                     {.rows = all,
                      .input_first = 2 * kBatch,
                      .input_rows = all - 2 * kBatch,
                      .param_rows = 2 * kBatch});
    if (penalty_used_) {
      gradient_penalty<float>(ctx_, critic_, critics, scores_, 2 * kBatch, kBatch, s_.penalty,
                              {penalty_.data() + first, portion_, {1}});
    }
    kernels::optimizer_step<float>(ctx_, critics.slabs(), s_.critic_optimizer());
  }
  void generator_step(Index first, std::uint32_t step) {
    const auto generators = generators_.range(first, portion_);
    const auto critics = critics_.range(first, portion_);
    const GroupView<float> fake = scores_.input().rows(0, kBatch);
    kernels::fill_normal<float>(ctx_, samples_.input(), 0, 1,
                                key(Purpose::generator_noise, step, first));
    generator_.forward(ctx_, generators, samples_, kBatch);
    kernels::axpby<float>(ctx_, fake, 1, samples_.output(), 0);
    critic_.forward(ctx_, critics, scores_, kBatch);
    fill(scores_.signal(scores_.depth()).rows(0, kBatch), -1.0 / kBatch);
    critic_.backward(ctx_, critics, scores_, {.rows = kBatch, .input_rows = kBatch});
    kernels::axpby<float>(ctx_, samples_.signal(samples_.depth()), 1,
                          scores_.signal(0).rows(0, kBatch), 0);
    generator_.backward(ctx_, generators, samples_, {.rows = kBatch, .param_rows = kBatch});
    kernels::optimizer_step<float>(ctx_, generators.slabs(), s_.optimizer());
  }

  Settings s_;
  Index origin_, groups_, portion_;
  bool penalty_used_;
  Context ctx_;
  Arena arena_;
  Networks nets_;
  Sequential<float> generator_, critic_;
  ParamStore<float> generators_, critics_;
  Tape<float> samples_, scores_;
  Buffer<float> penalty_;
};

constexpr std::uint32_t kSteps = 3;

template <class Body>
void for_every_variant(const Body& body) {
  for (const Variant& variant : kVariants) {
    CAPTURE(variant.name);
    const Settings settings = variant.settings();
    Pairs together(settings, variant.item, 0, kGroups, kGroups);
    together.initialize();
    std::vector<std::vector<float>> start;
    for (Index n = 0; n < kGroups; ++n) start.push_back(together.group(n));
    together.train(kSteps);
    body(settings, variant, start, together);
  }
}

}  // namespace

TEST_CASE("grouped step: seven groups at once equal seven stores of one group, bitwise") {
  for_every_variant([](const Settings& settings, const Variant& variant,
                       const std::vector<std::vector<float>>& start, Pairs& together) {
    for (Index n = 0; n < kGroups; ++n) {
      CAPTURE(n);
      const std::vector<float>& initial = start[static_cast<std::size_t>(n)];
      Pairs alone(settings, variant.item, n, 1, 1);
      alone.set_group(0, initial);
      alone.train(kSteps);
      const std::vector<float> values = together.group(n);
      CHECK(same_bits(alone.group(0), values));
      CHECK(alone.penalty(0) == together.penalty(n));
      CHECK((together.penalty(n) > 0) == (settings.objective == Objective::wgan_gp));
      CHECK_FALSE(same_bits(values, initial));
      CHECK(all_finite({values.begin(), values.end()}));
    }
    CHECK_FALSE(same_bits(together.group(0), together.group(1)));
  });
}

TEST_CASE("grouped step: seven groups one after the other equal seven at once, bitwise") {
  for_every_variant([](const Settings& settings, const Variant& variant,
                       const std::vector<std::vector<float>>&, Pairs& together) {
    Pairs in_turn(settings, variant.item, 0, kGroups, 1);
    in_turn.initialize();
    in_turn.train(kSteps);
    for (Index n = 0; n < kGroups; ++n) CHECK(same_bits(in_turn.group(n), together.group(n)));
  });
}

TEST_CASE("grouped step: training a group leaves the other groups' bits alone") {
  for (const Variant& variant : kVariants) {
    CAPTURE(variant.name);
    Pairs pairs(variant.settings(), variant.item, 0, kGroups, 1);
    pairs.initialize();
    std::vector<std::vector<float>> before;
    for (Index n = 0; n < kGroups; ++n) before.push_back(pairs.group(n));
    pairs.train_portion(3, 0);
    for (Index n = 0; n < kGroups; ++n) {
      CHECK(same_bits(pairs.group(n), before[static_cast<std::size_t>(n)]) == (n != 3));
    }
  }
}

}  // namespace ganmm::nn
