// The step benchmark: time of one training iteration of all pairs of a mixture, against what the
// device could do.
#pragma once

#include "ganmm/settings.h"
#include "kernels/core/meter.h"
#include "tools/options.h"

#include <functional>
#include <string>
#include <vector>

namespace ganmm::tools {

// What a device reaches at best, measured here: a product of large square matrices per math mode
// and a copy of memory far beyond every cache.
struct Ceilings {
  double flops_per_second = 0;
  double bytes_per_second = 0;
};
Ceilings measure_ceilings(const DeviceArguments& device);

struct StepCase {
  std::string name;   // "mlp 64-64-6", "conv 16"
  Settings settings;  // resolved by measure_step
  Shape item;
};

struct StepResult {
  double milliseconds = 0;        // one iteration: generator step and critic steps of all pairs
  double spread = 0;              // (largest - smallest) / median over the repetitions
  double em_milliseconds = 0;     // with classification, draw and classifier training
  double flops = 0;               // of the iteration's products
  double floor_milliseconds = 0;  // flops at the ceiling of the products
  Index memory_bytes = 0;         // the whole plan
  std::size_t graph_nodes = 0;    // kernels, copies and memsets of one EM iteration; 0 on the CPU
  std::vector<Meter::Row> ops;    // of one metered iteration, sums over its calls
};

// seconds: how long to measure at least. Random data.
StepResult measure_step(const StepCase& step, const DeviceArguments& device, double seconds,
                        const Ceilings& ceilings, bool meter);

inline constexpr const char* kStepNames[] = {"mlp 64-64-6", "mlp 64-64-19", "mlp 64-32-10",
                                             "conv 16", "conv 64"};
// What is asked of the published shapes. 0: as published.
struct StepRequest {
  std::string net = "auto";  // one of kStepNames, "mlp", "conv", "all", or "auto": all that take
                             // less than a minute on this kind of device
  Objective objective = Objective::wgan_gp;
  Index clusters = 0, restarts = 1, batch = 0;
  Index width = 0;  // hidden units, channels of the first convolution
};
std::vector<StepCase> published_steps(const StepRequest& request, DeviceKind kind);

}  // namespace ganmm::tools
