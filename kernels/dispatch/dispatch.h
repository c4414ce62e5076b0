// How an op picks its backend after its arguments were checked.
#pragma once

#include "kernels/core/bfloat16.h"
#include "kernels/core/context.h"
#include "kernels/core/trace.h"
#include "kernels/dispatch/cost.h"

#include <type_traits>

// Calls of(T) for every element type that ops exist for: float on both backends, double on the CPU
// alone (gradient checks), bfloat16 on CUDA alone (math mode bf16).
#define GANMM_FOR_EACH_TYPE(of) of(float) of(double) of(::ganmm::BFloat16)
// Ops on labels, posteriors and parameters, which are never stored as bfloat16.
#define GANMM_FOR_EACH_WIDE_TYPE(of) of(float) of(double)

namespace ganmm::kernels {

// Measures one op where the context has a meter.
class Metered {
 public:
  Metered(Context& ctx, const char* op, const OpCost& cost) : ctx_(ctx) {
    if (ctx.meter() != nullptr) ctx.meter()->begin(ctx, op, cost);
  }
  ~Metered() {
    if (ctx_.meter() != nullptr) ctx_.meter()->end(ctx_);
  }
  Metered(const Metered&) = delete;
  Metered& operator=(const Metered&) = delete;

 private:
  Context& ctx_;
};

// Calls `on_cpu(ctx)`, or `on_cuda(ctx)` when the context is a CUDA device. Both are generic
// lambdas, so that the one which does not exist for T is never instantiated.
template <class T, class Cpu, class Cuda>
void dispatch(Context& ctx, const char* op, const OpCost& cost, Cpu&& on_cpu, Cuda&& on_cuda) {
  [[maybe_unused]] const TraceRange range(op);
  const Metered metered(ctx, op, cost);
  if (ctx.on_cpu()) {
    if constexpr (!std::is_same_v<T, BFloat16>) return on_cpu(ctx);
  } else {
    if constexpr (!std::is_same_v<T, double>) return on_cuda(ctx);
  }
  throw UnsupportedError(message(op, " on ", to_string(ctx.device()), ": expected ",
                                 ctx.on_cpu() ? "float or double there, found bfloat16"
                                              : "float or bfloat16 there, found double",
                                 "; choose the other backend"));
}

}  // namespace ganmm::kernels
