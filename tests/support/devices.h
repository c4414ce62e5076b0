// One test body, one test case per device and precision it runs on.
//
//   GANMM_CPU_CASE("gemm: ...") { ... T and ctx are in scope ... }
//
// makes two test cases, GANMM_DEVICE_CASE three: the third runs in single precision on the first
// CUDA device and belongs to the suite "gpu", which CTest reports as skipped without a device.
// GANMM_ELEMENT_CASE, for ops on activations, makes a fourth where T is BFloat16.
#pragma once

#include "kernels/core/bfloat16.h"
#include "kernels/core/context.h"

#include <doctest/doctest.h>

#define GANMM_CPU_CASE(name) GANMM_CPU_CASE_AS(DOCTEST_ANONYMOUS(kernel_case_), name)
#define GANMM_DEVICE_CASE(name) GANMM_DEVICE_CASE_AS(DOCTEST_ANONYMOUS(kernel_case_), name)
#define GANMM_ELEMENT_CASE(name) GANMM_ELEMENT_CASE_AS(DOCTEST_ANONYMOUS(kernel_case_), name)

#define GANMM_CPU_CASE_AS(body, name)                                                              \
  template <class T>                                                                               \
  static void body(ganmm::Context& ctx);                                                           \
  TEST_CASE(name ", cpu float") { ganmm::test::on_cpu(body<float>); }                              \
  TEST_CASE(name ", cpu double") { ganmm::test::on_cpu(body<double>); }                            \
  template <class T>                                                                               \
  static void body([[maybe_unused]] ganmm::Context& ctx)

#define GANMM_DEVICE_CASE_AS(body, name)                                                           \
  template <class T>                                                                               \
  static void body(ganmm::Context& ctx);                                                           \
  TEST_CASE(name ", cpu float") { ganmm::test::on_cpu(body<float>); }                              \
  TEST_CASE(name ", cpu double") { ganmm::test::on_cpu(body<double>); }                            \
  TEST_CASE(name ", cuda float" * doctest::test_suite("gpu")) {                                    \
    ganmm::test::on_cuda(body<float>);                                                             \
  }                                                                                                \
  template <class T>                                                                               \
  static void body([[maybe_unused]] ganmm::Context& ctx)

#define GANMM_ELEMENT_CASE_AS(body, name)                                                          \
  template <class T>                                                                               \
  static void body(ganmm::Context& ctx);                                                           \
  TEST_CASE(name ", cuda bfloat16" * doctest::test_suite("gpu")) {                                 \
    ganmm::test::on_cuda(body<ganmm::BFloat16>);                                                   \
  }                                                                                                \
  GANMM_DEVICE_CASE_AS(body, name)

namespace ganmm::test {

inline void on_cpu(void (*body)(Context&)) {
  Context ctx;
  body(ctx);
}

inline void on_cuda(void (*body)(Context&)) {
  if (!cuda_available()) {
    MESSAGE("not run, no CUDA device: ", cuda_status().reason);
    return;
  }
  Context ctx(Device{DeviceKind::cuda, 0});
  body(ctx);
}

// Plan and reserve in one go, for a case whose largest need is known.
inline void reserve_scratch(Context& ctx, Index bytes) {
  ctx.scratch().require_bytes(bytes);
  ctx.scratch().reserve();
}

}  // namespace ganmm::test
