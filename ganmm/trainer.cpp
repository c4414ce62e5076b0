#include "ganmm/trainer.h"

#include "ganmm/training_run.h"

namespace ganmm {

Trainer::Trainer(const Settings& settings, std::span<float> values, Index rows, Shape item,
                 std::span<const std::int32_t> initial, Lanes& lanes) {
  if (lanes.context(0).math() == MathMode::bf16) {
    run_ = std::make_unique<TrainingRun<BFloat16>>(settings, values, rows, item, initial, lanes);
  } else {
    run_ = std::make_unique<TrainingRun<float>>(settings, values, rows, item, initial, lanes);
  }
}

}  // namespace ganmm
