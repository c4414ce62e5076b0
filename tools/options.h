// Options that several commands have.
#pragma once

#include "ganmm/model.h"
#include "io/dataset.h"
#include "kernels/core/lanes.h"

#include <string>

namespace CLI {
class App;
}

namespace ganmm::tools {

inline constexpr const char* kWarpHelp =
    "how much an autoencoder's images are shifted, turned, slanted and zoomed in every pass: 1 is "
    "up to 7 % of the sides, 10 degrees, 0.15 and 10 %; 0: not at all";

struct DataArguments {
  std::string path;
  io::LoadOptions load;

  void add_to(CLI::App& app);         // DATA and the labels
  void add_labels_to(CLI::App& app);  // --labels and --label-column
};

struct DeviceArguments {
  std::string backend = "auto";
  int index = 0;
  std::string math = to_string(MathMode::fp32);
  int threads = 0;
  std::string conv_path = to_string(ConvPath::automatic);

  void add_to(CLI::App& app);
  Device device() const;
  MathMode math_mode() const;
  ConvPath convolution_path() const { return *parse_conv_path(conv_path); }
  Lanes lanes() const { return {device(), math_mode(), threads, convolution_path()}; }
  // Throws ConfigError unless this build on this machine has the device and its arithmetic.
  void require_available() const;
};

// Throws InputError that names both sides unless the data has the model's items and, where both
// know names, its columns in the same order.
void require_fit(const Model& model, const io::Dataset& data, const std::string& model_path);

}  // namespace ganmm::tools
