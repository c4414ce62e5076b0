// Entry of the test program. Beside doctest's own options it knows
//   --gpu-only   run the test suite "gpu"; without a CUDA device exit with 77 (CTest: skipped), or
//                with 1 if GANMM_REQUIRE_GPU=1 says that this machine should have one.
// A run whose filters select no test case fails: it would prove nothing.
#define DOCTEST_CONFIG_IMPLEMENT
#include "kernels/core/device.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string_view>

namespace {

constexpr int kSkipped = 77;
unsigned selected_cases = 0;

struct CaseCounter : doctest::IReporter {
  explicit CaseCounter(const doctest::ContextOptions&) {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    selected_cases = stats.numTestCasesPassingFilters;
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

bool gpu_required() {
  const char* value = std::getenv("GANMM_REQUIRE_GPU");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

}  // namespace

REGISTER_LISTENER("case-counter", 1, CaseCounter);

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--gpu-only") continue;
    const ganmm::CudaStatus cuda = ganmm::cuda_status();
    if (cuda.devices.empty()) {
      std::cerr << "no CUDA device: " << cuda.reason << '\n';
      return gpu_required() ? EXIT_FAILURE : kSkipped;
    }
    context.addFilter("test-suite", "gpu");
  }
  const int result = context.run();
  if (context.shouldExit()) return result;
  if (selected_cases == 0) {
    std::cerr << "the filters select no test case\n";
    return EXIT_FAILURE;
  }
  return result;
}
