#include "kernels/cpu/mlp_step.h"

#include "kernels/backend.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace ganmm::kernels::cpu {

const MlpStepLoops& mlp_step_loops([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
  case Isa::avx512: return avx512::kMlpStepLoops;
  case Isa::avx2: return avx2::kMlpStepLoops;
  case Isa::baseline: break;
  }
#endif
  return baseline::kMlpStepLoops;
}

namespace {

Index padded(Index count) { return (count + kMlpPad - 1) / kMlpPad * kMlpPad; }

// Pieces of one block of floats; without a base only their sum is found.
class Pieces {
 public:
  explicit Pieces(float* base) : base_(base) {}
  float* take(Index count) {
    float* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += padded(count);
    return piece;
  }
  Index used() const { return used_; }

 private:
  float* base_;
  Index used_ = 0;
};

MlpPhi phi_of(const Activation& a) {
  switch (a.kind) {
  case ActivationKind::identity: return {MlpPhi::piecewise, 1.0f};
  case ActivationKind::relu: return {MlpPhi::piecewise, 0.0f};
  case ActivationKind::leaky_relu: return {MlpPhi::piecewise, static_cast<float>(a.slope)};
  case ActivationKind::tanh: return {MlpPhi::tanh, 0.0f};
  case ActivationKind::sigmoid: return {MlpPhi::sigmoid, 0.0f};
  }
  return {};
}

MlpTensor plan_tensor(Pieces& pieces, Index rows, Index cols) {
  MlpTensor t{};
  t.rows = rows, t.cols = cols, t.stride = padded(cols);
  t.in_place = t.stride == cols;
  const Index count = rows * t.stride;
  t.grad = pieces.take(count);
  if (!t.in_place) {
    t.value = pieces.take(count);
    t.state1 = pieces.take(count);
    t.state2 = pieces.take(count);
  }
  return t;
}

// The layers of one network with their activations for `rows` rows.
void plan_net(Pieces& pieces, MlpLayer (&layers)[kMlpMaxLayers], const Mlp& net, Index rows,
              bool critic, bool tangents, bool curved) {
  for (int l = 0; l < net.layers; ++l) {
    MlpLayer& layer = layers[l];
    layer.in = net.in(l), layer.out = net.width[l];
    layer.phi = phi_of(net.activation[l]);
    const bool score = critic && l + 1 == net.layers;
    layer.weight =
        score ? plan_tensor(pieces, 1, layer.in) : plan_tensor(pieces, layer.in, layer.out);
    layer.bias = plan_tensor(pieces, 1, layer.out);
    if (score) continue;
    layer.transposed_stride = padded(layer.in);
    layer.transposed = pieces.take(layer.out * layer.transposed_stride);
    const Index count = rows * layer.weight.stride;
    layer.y = pieces.take(count);
    layer.u = pieces.take(count);
    if (tangents) layer.t = pieces.take(count);
    if (curved) layer.r = pieces.take(count);
  }
}

MlpWork plan(Pieces& pieces, const MlpStepSettings& s) {
  MlpWork w{};
  w.generator_layers = s.generator.layers;
  w.critic_layers = s.critic.layers;
  w.with_penalty = s.with_penalty;
  w.lambda = static_cast<float>(s.penalty);
  w.batch = s.batch, w.critic_steps = s.critic_steps;
  w.features = s.critic.input, w.row_stride = padded(w.features);
  for (int l = 0; l < s.critic.layers; ++l) {
    w.curved = w.curved || (s.with_penalty && !s.critic.activation[l].piecewise_linear());
  }
  const Index rows = std::max(s.batch, kMlpBlock);
  plan_net(pieces, w.generator, s.generator, rows, false, false, false);
  plan_net(pieces, w.critic, s.critic, s.batch, true, s.with_penalty, w.curved);
  const Index items = s.batch * w.row_stride;
  w.noise = pieces.take(rows * s.generator.input);
  w.fakes = pieces.take(s.critic_steps * items);
  w.real = pieces.take(items);
  w.mix = pieces.take(items);
  w.gradient = pieces.take(items);
  w.alpha = pieces.take(s.batch);
  w.scale = pieces.take(s.batch);
  const Index top = s.critic.in(s.critic.layers - 1);
  for (MlpSums* sums : {&w.real_sums, &w.fake_sums}) {
    sums->y = pieces.take(top);
    sums->slope = pieces.take(top);
  }
  return w;
}

Index elements(const MlpStepSettings& settings) {
  Pieces pieces(nullptr);
  plan(pieces, settings);
  return pieces.used();
}

// Points the tensors of a network at group g.
void bind(MlpLayer* layers, const Mlp& net, const ParamSlabs<float>& slabs, Index g) {
  const auto point = [&](MlpTensor& t, std::size_t number) {
    const TensorSlot& slot = (*slabs.slots)[number];
    const Index at = slot.offset + g * slot.count;
    t.slab_value = slabs.value + at;
    t.slab_state1 = slabs.state1 + at;
    t.slab_state2 = slabs.state2 == nullptr ? nullptr : slabs.state2 + at;
    if (t.in_place) t.value = t.slab_value, t.state1 = t.slab_state1, t.state2 = t.slab_state2;
  };
  for (int l = 0; l < net.layers; ++l) {
    point(layers[l].weight, static_cast<std::size_t>(2 * l));
    point(layers[l].bias, static_cast<std::size_t>(2 * l + 1));
  }
}

void for_each_tensor(const MlpLayer* layers, int count, void (*move)(const MlpTensor&)) {
  for (int l = 0; l < count; ++l) {
    move(layers[l].weight);
    move(layers[l].bias);
  }
}

// The optimiser's numbers for update `step`, from 1, with the roundings of optimizer_step.
MlpOptimizer optimizer_at(const OptimizerSettings& s, std::int32_t step) {
  MlpOptimizer o{};
  o.adam = s.kind == OptimizerKind::adam;
  o.beta1 = static_cast<float>(s.beta1);
  o.beta2 = static_cast<float>(s.beta2);
  o.epsilon = static_cast<float>(s.epsilon);
  o.limit = s.clip > 0 ? static_cast<float>(s.clip) : std::numeric_limits<float>::infinity();
  o.rate = static_cast<float>(s.learning_rate);
  if (o.adam) {
    o.rate = static_cast<float>(s.learning_rate / (1.0 - std::pow(s.beta1, step)));
    o.root_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(s.beta2, step)));
  }
  return o;
}

constexpr Index kMaxCriticSteps = 64;

}  // namespace

std::string mlp_step_refusal(const MlpStepSettings& s) {
  if (s.critic.layers < 2) return "the critic has no hidden layer";
  if (s.critic_steps > kMaxCriticSteps) {
    return message("there are ", s.critic_steps, " critic steps, expected at most ",
                   kMaxCriticSteps);
  }
  // Elements beyond a layer's width are updated like the others: 0 / epsilon must be 0.
  if (static_cast<float>(s.generator_optimizer.epsilon) <= 0.0f ||
      static_cast<float>(s.critic_optimizer.epsilon) <= 0.0f) {
    return "an optimiser has epsilon 0";
  }
  return {};
}

void mlp_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
              const MlpStepBatches& batches, const MlpStepLosses& losses, const RandomKey& key,
              Index steps, const MlpStepSettings& s) {
  mlp_step_with(mlp_step_loops(best_isa()), ctx, generator, critic, batches, losses, key, steps, s);
}

void mlp_step_with(const MlpStepLoops& loops, Context& ctx, const ParamSlabs<float>& generator,
                   const ParamSlabs<float>& critic, const MlpStepBatches& batches,
                   const MlpStepLosses& losses, const RandomKey& key, Index steps,
                   const MlpStepSettings& s) {
  Scratch::Frame frame(ctx.scratch());
  Pieces pieces(frame.take<float>(elements(s)));
  MlpWork work = plan(pieces, s);
  std::array<MlpOptimizer, kMaxCriticSteps> critic_optimizer;

  for (Index g = 0; g < generator.groups; ++g) {
    const Index group = generator.first_group + g;
    bind(work.generator, s.generator, generator, group);
    bind(work.critic, s.critic, critic, group);
    for_each_tensor(work.generator, work.generator_layers, loops.load);
    for_each_tensor(work.critic, work.critic_layers, loops.load);
    for (Index i = 0; i < steps; ++i) {
      const MlpOptimizer generator_optimizer =
          optimizer_at(s.generator_optimizer, ++generator.step[group]);
      for (Index c = 0; c < s.critic_steps; ++c) {
        critic_optimizer[static_cast<std::size_t>(c)] =
            optimizer_at(s.critic_optimizer, ++critic.step[group]);
      }
      MlpStepJob job{};
      job.data = batches.data.data;
      job.data_stride = batches.data.batch_stride;
      job.row = batches.row + i * batches.step_stride + g * batches.group_stride;
      job.seed = key.seed;
      job.group = key.first_group + static_cast<std::uint32_t>(g);
      job.step = step_of(key) + static_cast<std::uint32_t>(i);
      job.generator_optimizer = &generator_optimizer;
      job.critic_optimizer = critic_optimizer.data();
      if (i + 1 == steps) {
        const auto at = [g](float* loss) { return loss == nullptr ? nullptr : loss + g; };
        job.real_loss = at(losses.real);
        job.fake_loss = at(losses.fake);
        job.penalty_loss = at(losses.penalty);
        job.generated_loss = at(losses.generated);
      }
      loops.run(work, job);
    }
    for_each_tensor(work.generator, work.generator_layers, loops.store);
    for_each_tensor(work.critic, work.critic_layers, loops.store);
  }
}

Index mlp_step_workspace(const MlpStepSettings& settings) {
  return aligned_bytes<float>(elements(settings));
}

}  // namespace ganmm::kernels::cpu
