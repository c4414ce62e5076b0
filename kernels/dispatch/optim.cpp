#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"

namespace ganmm::kernels {
namespace {

template <class T>
void check(const char* op, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  require<ShapeError>(slabs.slots != nullptr && slabs.first_group >= 0 && slabs.groups >= 0, op,
                      ": expected a tensor table and a valid group range, found first group ",
                      slabs.first_group, ", groups ", slabs.groups);
  const bool complete = slabs.value != nullptr && slabs.grad != nullptr &&
                        slabs.state1 != nullptr && slabs.step != nullptr &&
                        (settings.kind == OptimizerKind::rmsprop || slabs.state2 != nullptr);
  require<ShapeError>(complete || slabs.groups == 0 || slabs.slots->empty(), op,
                      ": expected value, gradient, state and step slabs, found a null one; "
                      "plan the store with optimiser state");
}

// `passes` reads or writes of every parameter.
template <class T>
OpCost cost(const ParamSlabs<T>& slabs, double passes) {
  double parameters = 0;
  for (const TensorSlot& slot : *slabs.slots) parameters += static_cast<double>(slot.count);
  return {passes * parameters * static_cast<double>(slabs.groups) * sizeof(T), 0};
}

}  // namespace

template <class T>
void optimizer_step(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  check("optimizer_step", slabs, settings);
  dispatch<T>(
      ctx, "optimizer_step", cost(slabs, settings.kind == OptimizerKind::adam ? 7.0 : 5.0),
      [&](auto& c) { cpu::optimizer_step<T>(c, slabs, settings); },
      [&](auto& c) { cuda::optimizer_step<T>(c, slabs, settings); });
}

template <class T>
void optimizer_reset(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  check("optimizer_reset", slabs, settings);
  dispatch<T>(
      ctx, "optimizer_reset", cost(slabs, settings.kind == OptimizerKind::adam ? 2.0 : 1.0),
      [&](auto& c) { cpu::optimizer_reset<T>(c, slabs, settings); },
      [&](auto& c) { cuda::optimizer_reset<T>(c, slabs, settings); });
}

template <class T>
void round_values(Context& ctx, const ParamSlabs<T>& slabs) {
  if (slabs.rounded == nullptr) return;
  if constexpr (std::is_same_v<T, float>) {
    dispatch<BFloat16>(
        ctx, "round_values", cost(slabs, 1.5), [](auto&) {},
        [&](auto& c) { cuda::round_values(c, slabs); });
  }
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void optimizer_step<T>(Context&, const ParamSlabs<T>&, const OptimizerSettings&);       \
  template void round_values<T>(Context&, const ParamSlabs<T>&);                                   \
  template void optimizer_reset<T>(Context&, const ParamSlabs<T>&, const OptimizerSettings&);

GANMM_FOR_EACH_WIDE_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
