#include "kernels/em_step.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/mlp_check.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {
namespace {

constexpr const char* kOp = "em_step";

// The products of the M-steps, of the classifiers' training and of the classification; values and
// states once per call.
OpCost cost_of(Index mixtures, Index iterations, const EmStepSettings& s) {
  const NetworkMacs generator = macs_of(s.gan.generator), critic = macs_of(s.gan.critic);
  const NetworkMacs classifier = macs_of(s.classifier);
  const auto components = static_cast<double>(s.components());
  const double samples = components * static_cast<double>(s.classifier_steps * s.gan.batch);
  const double flops = components * m_step_flops(generator, critic, s.gan) +
                       2 * samples * (generator.all + 3 * classifier.all - classifier.first) +
                       2 * static_cast<double>(s.pool) * classifier.all;
  const double bytes = 24 * (components * (generator.all + critic.all) + classifier.all);
  return {static_cast<double>(mixtures) * bytes,
          static_cast<double>(mixtures * iterations) * flops};
}

}  // namespace

std::string em_step_refusal(const Context& ctx, const EmStepSettings& s) {
  if (ctx.on_cpu()) return "on the CPU the components of a mixture are dealt out to lanes";
  std::string reason = mlp_step_refusal(ctx, s.gan);
  if (reason.empty()) reason = mlp_refusal("classifier", s.classifier);
  if (!reason.empty()) return reason;
  if (s.classifier.input != s.gan.critic.input) {
    return message("the classifier reads items of ", s.classifier.input, " features, the critic ",
                   s.gan.critic.input);
  }
  if (s.components() < 2 || s.classifier_steps < 1 || s.pool < 1 || s.foreign < 0 ||
      s.foreign > s.gan.batch) {
    return "expected two components, a classifier step, a pool, and at most a batch of foreign "
           "rows";
  }
  return cuda::em_step_refusal(ctx, s);
}

void em_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
             const ParamSlabs<float>& classifier, const EmStepBuffers& buffers, std::uint64_t seed,
             Index iterations, const EmStepSettings& s) {
  const std::string reason = em_step_refusal(ctx, s);
  require<UnsupportedError>(reason.empty(), kOp, " on ", to_string(ctx.device()), ": ", reason,
                            "; take the general path");
  const Index mixtures = classifier.groups, groups = checked_multiply(mixtures, s.components());
  require<ShapeError>(
      generator.groups == groups && critic.groups == groups && generator.first_group == 0 &&
          critic.first_group == 0 && classifier.first_group == 0,
      kOp, ": expected all ", groups, " generators and critics of ", mixtures, " mixtures of ",
      s.components(), " components, found groups [", generator.first_group, ", +", generator.groups,
      ") and [", critic.first_group, ", +", critic.groups, ")");
  require<ShapeError>(iterations >= 1, kOp, ": expected at least one iteration, found ",
                      iterations);
  if (mixtures == 0) return;
  check_mlp_slabs(kOp, "generator", s.gan.generator, generator, s.gan.generator_optimizer.kind);
  check_mlp_slabs(kOp, "critic", s.gan.critic, critic, s.gan.critic_optimizer.kind);
  check_mlp_slabs(kOp, "classifier", s.classifier, classifier, s.classifier_optimizer.kind);
  const GroupView<const float>& data = buffers.data;
  check_view(kOp, "data", data);
  require<ShapeError>(data.groups == 1 && data.features() == s.classifier.input &&
                          data.batch >= s.pool && data.batch < Index{1} << 31,
                      kOp, ": expected data [N=1][B][", s.classifier.input, "] of ", s.pool,
                      " to 2^31 - 1 rows, found ", describe(data));
  require<ShapeError>(buffers.clock != nullptr && buffers.label != nullptr &&
                          (buffers.posterior != nullptr || s.foreign == 0) &&
                          buffers.row != nullptr && buffers.pins.count != nullptr &&
                          buffers.classifier_loss != nullptr,
                      kOp, ": expected buffers for everything but the losses of the GANs");
  const Index drawn = checked_multiply(s.gan.critic_steps, s.gan.batch);
  require<ShapeError>(checked_multiply(drawn, s.gan.generator.input) <= (Index{1} << 34), kOp,
                      ": expected at most 2^34 noise values per M-step, found ",
                      drawn * s.gan.generator.input);
  {
    [[maybe_unused]] const TraceRange range(kOp);
    const Metered metered(ctx, kOp, cost_of(mixtures, iterations, s));
    cuda::em_step(ctx, generator, critic, classifier, buffers, seed, iterations, s);
  }
  advance(ctx, buffers.clock, s.pool, data.batch, iterations);
}

Index em_step_workspace(const Context&, const EmStepSettings& settings, Index mixtures) {
  return cuda::em_step_workspace(settings, mixtures);
}

}  // namespace ganmm::kernels
