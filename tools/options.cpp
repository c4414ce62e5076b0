#include "tools/options.h"

#include "kernels/core/context.h"
#include "tools/metrics_json.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

namespace ganmm::tools {

void DataArguments::add_to(CLI::App& app) {
  app.add_option(
         "DATA", path,
         "CSV, NumPy .npy (2-D tables, 3-D and 4-D images) or IDX file, also gzip-compressed")
      ->required();
  add_labels_to(app);
}

void DataArguments::add_labels_to(CLI::App& app) {
  CLI::Option* file = app.add_option("--labels", load.labels_file,
                                     "file with one class per row; scores the result, never trains")
                          ->type_name("FILE");
  app.add_option("--label-column", load.label_column,
                 "CSV: the column that holds the class: a header name, a number from 1 on in a "
                 "file without header, or last; scores the result, never trains")
      ->type_name("NAME")
      ->excludes(file);
}

void DeviceArguments::add_to(CLI::App& app) {
  app.add_option(
         "--backend", backend,
         "cpu, cuda, or auto: cpu, as long as no measured record of the CUDA backend exists")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}).description(""))
      ->capture_default_str();
  app.add_option("--device", index, "number of the CUDA device")
      ->check(CLI::NonNegativeNumber.description(""))
      ->capture_default_str();
  app.add_option("--math", math, "fp32, tf32 or bf16: arithmetic of products and convolutions")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}).description(""))
      ->capture_default_str();
  app.add_option("--threads", threads, "CPU threads; 0: all. Results do not depend on it")
      ->check(CLI::Range(0, 4096).description(""))
      ->capture_default_str();
  std::vector<std::string> paths;
  for (const ConvPath path : kConvPaths) paths.push_back(to_string(path));
  app.add_option("--conv-path", conv_path,
                 "CUDA: automatic, im2col, direct, implicit or library (cuDNN); what a path cannot "
                 "do, im2col does; --verbose tells")
      ->check(CLI::IsMember(paths).description(""))
      ->capture_default_str();
}

Device DeviceArguments::device() const {
  if (backend == "cuda") return {DeviceKind::cuda, index};
  return {};
}

MathMode DeviceArguments::math_mode() const {
  if (math == to_string(MathMode::tf32)) return MathMode::tf32;
  if (math == to_string(MathMode::bf16)) return MathMode::bf16;
  return MathMode::fp32;
}

void DeviceArguments::require_available() const {
  try {
    const Context available(device(), math_mode());
  } catch (const UnsupportedError& error) {
    throw ConfigError(error.what());  // the user asked for it on the command line
  }
}

void require_fit(const Model& model, const io::Dataset& data, const std::string& model_path) {
  const std::string what = message("predict ", data.source, " with model ", model_path);
  require<InputError>(data.item == model.item, what, ": expected rows of ", to_string(model.item),
                      " features, found ", to_string(data.item),
                      "; use data with the columns the model was trained on");
  const std::size_t known = std::min(model.columns.size(), data.columns.size());
  for (std::size_t i = 0; i < known; ++i) {
    // As JSON, since bytes that are not UTF-8 were replaced when the model was written.
    const std::string expected = to_line(model.columns[i]), found = to_line(data.columns[i]);
    require<InputError>(expected == found, what, ": expected feature ", i + 1,
                        " (counted from 1) to be ", expected, ", found ", found,
                        "; put the columns in the order that the model was trained on");
  }
}

}  // namespace ganmm::tools
