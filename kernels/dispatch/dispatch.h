// How an op picks its backend after its arguments were checked.
#pragma once

#include "kernels/core/context.h"

#include <type_traits>

namespace ganmm::kernels {

// Calls `on_cpu`, or `on_cuda` when the context is a CUDA device. The CUDA backend computes in
// single precision; T = double exists on the CPU alone, for gradient checks.
template <class T, class Cpu, class Cuda>
void dispatch(Context& ctx, const char* op, Cpu&& on_cpu, Cuda&& on_cuda) {
  if (ctx.on_cpu()) return on_cpu();
  if constexpr (std::is_same_v<T, float>) {
    return on_cuda();
  } else {
    throw UnsupportedError(message(op, " in double precision on ", to_string(ctx.device()),
                                   ": expected float there; use the CPU for double"));
  }
}

// An op whose CUDA version does not exist.
template <class Cpu>
void dispatch_cpu_only(Context& ctx, const char* op, Cpu&& on_cpu) {
  require<UnsupportedError>(ctx.on_cpu(), op, " on ", to_string(ctx.device()),
                            ": this op has no CUDA version; choose the CPU backend");
  on_cpu();
}

}  // namespace ganmm::kernels
