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

}  // namespace

template <class T>
void optimizer_step(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  check("optimizer_step", slabs, settings);
  dispatch_cpu_only(ctx, "optimizer_step", [&] { cpu::optimizer_step<T>(ctx, slabs, settings); });
}

template <class T>
void optimizer_reset(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  check("optimizer_reset", slabs, settings);
  dispatch_cpu_only(ctx, "optimizer_reset", [&] { cpu::optimizer_reset<T>(ctx, slabs, settings); });
}

template void optimizer_step<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);
template void optimizer_step<double>(Context&, const ParamSlabs<double>&, const OptimizerSettings&);
template void optimizer_reset<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);
template void optimizer_reset<double>(Context&, const ParamSlabs<double>&,
                                      const OptimizerSettings&);

}  // namespace ganmm::kernels
