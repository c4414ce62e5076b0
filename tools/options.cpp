#include "tools/options.h"

#include "kernels/core/error.h"

#include <CLI/CLI.hpp>

namespace ganmm::tools {

void DataArguments::add_to(CLI::App& app) {
  app.add_option(
         "DATA", path,
         "CSV, NumPy .npy (2-D tables, 3-D and 4-D images) or IDX file, also gzip-compressed")
      ->required();
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
  app.add_option("--backend", backend, "auto (cpu for now), cpu or cuda")
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

void require_items(const Shape& expected, const io::Dataset& data, const std::string& model_path) {
  require<InputError>(data.item == expected, "predict ", data.source, " with model ", model_path,
                      ": expected rows of ", to_string(expected), " features, found ",
                      to_string(data.item), "; use data with the columns the model was trained on");
}

}  // namespace ganmm::tools
