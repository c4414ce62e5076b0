// em_step: EM iterations of mixtures of small GANs in one launch, formulas in kernels/em_step.h.
//
// A cluster of N + 1 blocks takes a mixture: blocks 0 .. N - 1 a GAN each (mlp_gan.h), block N the
// classifier's training (mlp_classifier.h). Parameters and, where they fit, the optimiser's states
// stay in shared memory for all iterations. What blocks tell each other goes through global memory,
// which the L2 cache holds, ordered by three barriers of the cluster:
//
//   all blocks    classify a share of the pool each, with a copy of the classifier
//   ------------  (with pins: set them, one more barrier)
//   GANs          draw rows from running sums over the pool, in shared memory; generator step;
//                 samples for the classifier
//   ------------
//   GANs          samples and critic steps       classifier    trains on the samples
//   ------------
//
// The shared memory of a GAN's M-step is free between M-steps: the copy of the classifier, the rows
// that are classified and the sums over the pool lie there.
//
// Bound as mlp_step is. The classifier's training hides behind the critic steps; classification and
// draws add latency and the multiply-adds of P / (N + 1) rows. Clusters do not wait for each other:
// those that the device cannot hold at once come after the first.
#include "kernels/backend.h"
#include "kernels/cuda/mlp_classifier.h"
#include "kernels/cuda/mlp_gan.h"
#include "kernels/cuda/scan.h"

namespace ganmm::kernels::cuda {

namespace {

using namespace mlp;

struct EmStep {
  Step gan;
  Classifier classifier;
  int components, classifier_steps;
  bool single_class_batches;
  int floats;                       // of shared memory
  int gan_chunk, classifier_chunk;  // rows that a block classifies at once
  int borrowed;                     // floats of a GAN's work area that are used between M-steps
  Index pool, data_rows;
  std::uint32_t foreign;
  Clock* clock;
  std::int32_t* label;
  float* posterior;  // null: pre-training
  std::int32_t* row;
  PinView pins;
  float* classifier_loss;
  float* samples;  // [R][classifier_steps][N * B][item stride]

  GANMM_DEVICE float* samples_of(int mixture, int step) const {
    const Index rows = Index{components} * gan.batch;
    return samples + (Index{mixture} * classifier_steps + step) * rows * classifier.item_stride;
  }
};

constexpr int kRowsPerThread = 8;
constexpr int kOwnShift = 48;  // counts of own rows above the sums of weights, in one number

// Room for the running sums over the pool, in floats: scratch for prefix sums, a sum and a member
// per row.
Index draw_floats(Index pool) { return 2 * device::kWarpSize + 2 * pool + whole_packs(pool); }

// The rows of a component's critic batches, as draw_rows_kernel and sort_tiles_kernel find them.
template <bool pretraining, bool resident>
GANMM_DEVICE void draw_from_pool(const EmStep& e, const Gan<resident>& gan, int mixture,
                                 int component, int iteration, Index first_row) {
  Weight* const scratch = reinterpret_cast<Weight*>(gan.shared + e.gan.at.real);
  Weight* const sums = scratch + device::kWarpSize;
  std::int32_t* const own = reinterpret_cast<std::int32_t*>(sums + e.pool);
  const std::int32_t* const label =
      e.label + (pretraining ? mixture * e.data_rows + first_row : mixture * e.pool);
  const float* const posterior =
      pretraining ? nullptr : e.posterior + mixture * e.pool * e.components + component;
  constexpr Weight kOne = Weight{1} << kOwnShift;
  Weight before = 0;
  for (Index start = 0; start < e.pool; start += kRowsPerThread * block_size_x()) {
    const Index first = start + kRowsPerThread * thread_index_x();
    Weight sum[kRowsPerThread];
    Weight mine = 0;
    GANMM_UNROLL
    for (int j = 0; j < kRowsPerThread; ++j) {
      const Index p = first + j;
      sum[j] = p >= e.pool             ? 0
               : label[p] == component ? kOne
               : pretraining           ? 0
                                       : draw_weight(posterior[p * e.components]);
    }
    GANMM_UNROLL
    for (int j = 0; j < kRowsPerThread; ++j) mine = sum[j] += mine;
    const PrefixSums<Weight> of_block = block_prefix_sums(mine, scratch);
    Weight last = before + of_block.before;
    GANMM_UNROLL
    for (int j = 0; j < kRowsPerThread; ++j) {
      const Weight now = before + of_block.before + sum[j];
      if (first + j < e.pool) sums[first + j] = now & (kOne - 1);
      if (now >> kOwnShift != last >> kOwnShift) {
        own[last >> kOwnShift] = static_cast<std::int32_t>(first + j);
      }
      last = now;
    }
    before += of_block.total;
  }
  sync_threads();
  const auto batch = static_cast<std::uint32_t>(e.gan.batch);
  const auto own_count = static_cast<std::uint32_t>(before >> kOwnShift);
  const DrawSource source{own, own_count, own_count > 0 ? batch - e.foreign : 0,
                          before & (kOne - 1), e.pool};
  draw(e.row + gan.group * e.gan.row_group_stride, static_cast<std::uint32_t>(thread_index_x()),
       static_cast<std::uint32_t>(block_size_x()),
       static_cast<std::uint32_t>(e.gan.critic_steps) * batch, batch, source,
       gan.real_rows(iteration), gan.drawing_group, first_row,
       [&](Weight target) { return first_above(sums, e.pool, target); });
  sync_threads();
}

// pretraining: GANs alone, on given labels; their blocks need not meet, the classifier's idles.
template <bool resident, bool pretraining>
GANMM_BLOCK_KERNEL(kMaxThreads)
em_step_kernel(EmStep e) {
  float* const shared = device::dynamic_shared<float>();
  const Step& s = e.gan;
  const Classifier& c = e.classifier;
  const int blocks = e.components + 1, rank = device::cluster_rank();
  const int mixture = device::block_index_x() / blocks;
  const bool trains = rank == e.components;  // the classifier
  const int group = mixture * e.components + (trains ? 0 : rank);
  const auto weights = [&](const Net& net) {
    return Weights<resident>{net, shared, resident ? shared + s.at.state1 : net.state1,
                             resident ? shared + s.at.state2 : net.state2, group};
  };
  const std::uint32_t first_step = e.clock->step;
  const Gan<resident> gan{s,
                          weights(s.generator),
                          weights(s.critic),
                          shared,
                          group,
                          static_cast<std::uint32_t>(group),
                          first_step};
  const ClassifierTraining training{
      c, {c.net, shared, shared + c.state1, shared + c.state2, mixture}, shared};
  float* const borrowed = shared + s.at.real;
  const Weights<false> copy{c.net, borrowed, nullptr, nullptr, mixture};
  const int parts = e.single_class_batches ? e.components : 1;

  // Padding must be zero in weights and finite elsewhere.
  for (int i = thread_index_x(); i < e.floats; i += block_size_x()) shared[i] = 0;
  const int generator_updates = s.generator.step[group], critic_updates = s.critic.step[group];
  const int classifier_updates = c.net.step[mixture];
  const Index pins = *e.pins.count;
  sync_threads();
  if (trains) {
    training.weights.load();
  } else {
    gan.generator.load();
    gan.critic.load();
  }
  sync_threads();

  for (int i = 0; i < s.steps; ++i) {
    const Index first_row =
        pool_begin(first_step + static_cast<std::uint32_t>(i), e.pool, e.data_rows);
    const PoolRows pool{s.data, e.label + mixture * e.pool,
                        e.posterior + mixture * e.pool * e.components, first_row};
    const Index begin = e.pool * rank / blocks, end = e.pool * (rank + 1) / blocks;
    if (trains && !pretraining) {
      classify_rows_of_block(c, shared, shared + c.rows, e.classifier_chunk, pool, begin, end);
    } else if (!pretraining) {
      for (int j = thread_index_x(); j < c.parameters; j += block_size_x()) borrowed[j] = 0;
      sync_threads();
      copy.load();
      classify_rows_of_block(c, borrowed, borrowed + c.parameters, e.gan_chunk, pool, begin, end);
    }
    if (!pretraining) device::sync_cluster();
    if (!pretraining && pins > 0) {
      for (Index j = Index{rank} * block_size_x() + thread_index_x(); j < pins;
           j += Index{blocks} * block_size_x()) {
        if (e.pins.group[j] / e.components != mixture) continue;
        pin_label(e.label, e.pins, j, e.components, e.pool, first_row);
      }
      device::sync_cluster();
    }

    if (!trains) {
      draw_from_pool<pretraining>(e, gan, mixture, rank, i, first_row);
      for (int j = 4 * thread_index_x(); j < e.borrowed; j += 4 * block_size_x()) {
        pack_at(borrowed + j) = Pack4{};
      }
      sync_threads();
      gan.generator_step(i, generator_updates + i + 1);
      for (int k = 0; !pretraining && k < e.classifier_steps; ++k) {
        const std::uint32_t number = (first_step + static_cast<std::uint32_t>(i) + 1) *
                                         static_cast<std::uint32_t>(e.classifier_steps) +
                                     static_cast<std::uint32_t>(k);
        gan.make_samples(e.samples_of(mixture, k) + Index{rank} * s.batch * c.item_stride, s.batch,
                         Purpose::classifier_noise, number);
      }
    }
    if (!pretraining) device::sync_cluster();

    if (trains && !pretraining) {
      const int rows = e.components * s.batch / parts;
      for (int k = 0; k < e.classifier_steps * parts; ++k) {
        const int part = k % parts;
        const bool last = i + 1 == s.steps && k + 1 == e.classifier_steps * parts;
        training.step(e.samples_of(mixture, k / parts) + Index{part} * rows * c.item_stride, rows,
                      s.batch, part, classifier_updates + (i * e.classifier_steps * parts + k) + 1,
                      last ? e.classifier_loss + mixture : nullptr);
      }
      training.weights.save();
    } else if (!trains) {
      gan.make_fakes(i);
      for (int k = 0; k < s.critic_steps; ++k) {
        gan.critic_step(i, k, critic_updates + i * s.critic_steps + k + 1);
      }
    }
    if (!pretraining) device::sync_cluster();
  }

  if (trains) {
    if (thread_index_x() == 0 && !pretraining) {
      c.net.step[mixture] = classifier_updates + s.steps * e.classifier_steps * parts;
    }
    return;
  }
  gan.generator.save();
  gan.critic.save();
  if (thread_index_x() == 0) {
    s.generator.step[group] = generator_updates + s.steps;
    s.critic.step[group] = critic_updates + s.steps * s.critic_steps;
  }
}

struct Plan {
  EmStep e{};
  bool resident = true;
  LaunchShape shape;
  Index needed = 0;  // bytes of shared memory
};

// Everything about the iterations of `mixtures` mixtures but pointers, for blocks with `limit`
// bytes of shared memory.
Plan plan_em(const EmStepSettings& settings, Index mixtures, Index limit) {
  Plan plan;
  EmStep& e = plan.e;
  e.gan = plan_step(settings.gan);
  e.classifier = plan_classifier(settings.classifier, settings.classifier_optimizer);
  Classifier& c = e.classifier;
  c.readout = !settings.freeze_readout;
  c.scale = static_cast<float>(1.0 / settings.temperature);
  c.twice = settings.entropy.double_softmax;
  c.target = target_distribution(settings.entropy, settings.components());
  e.components = static_cast<int>(settings.components());
  e.classifier_steps = static_cast<int>(settings.classifier_steps);
  e.single_class_batches = settings.single_class_batches;
  e.pool = settings.pool;
  e.foreign = static_cast<std::uint32_t>(settings.foreign);

  const Index available = limit / static_cast<Index>(sizeof(float));
  const Index draws = draw_floats(e.pool);
  const Index copy = Index{c.parameters} + kFewestRows * c.classified_floats();
  const auto lay_out_gan = [&] { return lay_out(e.gan, plan.resident, std::max(draws, copy)); };
  Index floats = lay_out_gan();
  plan.resident = floats <= available;
  if (!plan.resident) floats = lay_out_gan();

  // As many rows at once as there is room for, in chunks of equal size.
  const auto chunk_of = [](Index rows, Index room, Index floats_per_row) {
    const Index most = std::clamp<Index>(room / floats_per_row, 1, rows);
    const Index chunks = (rows + most - 1) / most;
    return static_cast<int>((rows + chunks - 1) / chunks);
  };
  const Index batches = settings.single_class_batches ? 1 : settings.components();
  const Index trained = batches * settings.gan.batch;
  floats = std::max(floats, c.rows + std::min(trained, Index{kFewestRows}) * c.trained_floats());
  plan.needed = floats * static_cast<Index>(sizeof(float));
  floats = std::max(floats, std::min(available, c.rows + trained * c.trained_floats()));
  c.train_chunk = chunk_of(trained, floats - c.rows, c.trained_floats());
  const Index blocks = settings.components() + 1, share = (e.pool + blocks - 1) / blocks;
  const Index borrowed = floats - e.gan.at.real;
  e.gan_chunk = chunk_of(share, borrowed - c.parameters, c.classified_floats());
  e.classifier_chunk = chunk_of(share, floats - c.rows, c.classified_floats());
  e.borrowed = whole_packs(
      std::max(draws, Index{c.parameters} + Index{e.gan_chunk} * c.classified_floats()));
  e.floats = static_cast<int>(floats);
  plan.shape = {mixtures * blocks,
                1,
                1,
                threads_for(e.gan),
                static_cast<std::size_t>(floats) * sizeof(float),
                static_cast<int>(blocks)};
  return plan;
}

}  // namespace

std::string em_step_refusal(const Context& ctx, const EmStepSettings& settings) {
  const std::string reason = network_refusal("classifier", settings.classifier);
  if (!reason.empty()) return reason;
  const Index blocks = settings.components() + 1;
  if (blocks > kMaxCluster) {
    return message(settings.components(), " components and their classifier take ", blocks,
                   " thread blocks, a cluster has at most ", kMaxCluster);
  }
  const auto limit = static_cast<Index>(shared_memory_limit(ctx));
  const Plan plan = plan_em(settings, 1, limit);
  if (plan.needed > limit) {
    return message("a component with a pool of ", settings.pool, " rows takes ", plan.needed,
                   " bytes of shared memory, the device has ", limit);
  }
  const auto kernel = plan.resident ? em_step_kernel<true, false> : em_step_kernel<false, false>;
  if (resident_clusters(ctx, plan.shape, kernel) < 1) {
    return message("the device runs no clusters of ", blocks, " thread blocks with ",
                   plan.shape.shared_bytes, " bytes of shared memory each");
  }
  return {};
}

Index em_step_workspace(const EmStepSettings& settings, Index mixtures) {
  const Index rows = checked_multiply(mixtures * settings.components(),
                                      settings.classifier_steps * settings.gan.batch);
  return aligned_bytes<float>(checked_multiply(rows, shared_stride(settings.classifier.input)));
}

void em_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
             const ParamSlabs<float>& classifier, const EmStepBuffers& buffers, std::uint64_t seed,
             Index iterations, const EmStepSettings& settings) {
  const Index mixtures = classifier.groups;
  Plan plan = plan_em(settings, mixtures, static_cast<Index>(shared_memory_limit(ctx)));
  EmStep& e = plan.e;
  bind(e.gan.generator, generator);
  bind(e.gan.critic, critic);
  bind(e.classifier.net, classifier);
  const GroupView<const float>& data = buffers.data;
  e.gan.steps = static_cast<int>(iterations);
  e.gan.data = {data.data, data.group_stride, data.batch_stride};
  e.gan.row = e.row = buffers.row;
  e.gan.row_group_stride = settings.gan.critic_steps * settings.gan.batch;
  e.gan.losses = buffers.gan_losses;
  e.gan.key.seed = seed;
  e.data_rows = data.batch;
  e.clock = buffers.clock;
  e.label = buffers.label;
  e.posterior = buffers.posterior;
  e.pins = buffers.pins;
  e.classifier_loss = buffers.classifier_loss;
  Scratch::Frame frame(ctx.scratch());
  e.samples = frame.take<float>(mixtures * settings.components() * settings.classifier_steps *
                                settings.gan.batch * e.classifier.item_stride);
  const bool pretraining = buffers.posterior == nullptr;
  const auto kernel =
      plan.resident ? (pretraining ? em_step_kernel<true, true> : em_step_kernel<true, false>)
                    : (pretraining ? em_step_kernel<false, true> : em_step_kernel<false, false>);
  launch(ctx, pretraining ? "em_step: pre-training" : "em_step", plan.shape, kernel, e);
}

}  // namespace ganmm::kernels::cuda
