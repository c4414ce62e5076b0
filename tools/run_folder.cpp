#include "tools/run_folder.h"

#include "io/atomic_file.h"
#include "io/npy.h"
#include "io/png.h"
#include "tools/run_report.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace ganmm::tools {
namespace {

constexpr Index kSamplesPerCluster = 10;

std::string bytes_of_file(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  require<IoError>(bytes.good() && !bytes.str().empty(), path,
                   ": expected to read the picture that was just written, found none");
  return bytes.str();
}

}  // namespace

std::vector<std::string> write_run_folder(const std::string& folder, const FitRecord& record,
                                          const nlohmann::ordered_json& metrics,
                                          const History& history, const ValueRange& range,
                                          io::NpyWriter& posteriors) {
  const Index n = record.data.rows, clusters = record.settings.clusters;
  const FitResult& result = record.result;
  std::vector<std::string> names;
  const auto place = [&](const char* name) {
    names.emplace_back(name);
    return (std::filesystem::path(folder) / name).string();
  };
  const auto remove_old = [&](const char* name) {
    std::error_code ignored;
    std::filesystem::remove(std::filesystem::path(folder) / name, ignored);
  };

  io::write_npy(place("assignments.npy"), {n}, result.prediction.assignments.data());
  (void)place("posteriors.npy");
  posteriors.commit();
  if (trains_gans(record.settings.method) && record.settings.select == Select::all) {
    io::write_npy(place("assignments-all.npy"), {std::ssize(result.training.confidence), n},
                  result.training.assignments.data());
  } else {
    remove_old("assignments-all.npy");
  }
  save_model(result.model, place("model.safetensors"));
  io::write_file(place("history.csv"), history.text());
  std::string samples_png;
  if (is_image(record.data.item) && io::has_png() && can_sample(result.model)) {
    const FitOptions& options = record.options;
    Lanes lanes(options.device, options.math, 1, options.conv_path);
    const auto samples =
        draw_samples(result.model, 0, clusters, kSamplesPerCluster, record.settings.seed, lanes);
    const std::string picture = place("samples.png");
    write_sample_picture(picture, samples, record.data.item, kSamplesPerCluster, range);
    samples_png = bytes_of_file(picture);
  } else {
    remove_old("samples.png");
  }
  io::write_file(place("report.html"), run_report(metrics, history.text(), samples_png));
  io::write_file(place("metrics.json"), to_text(metrics));
  return names;
}

}  // namespace ganmm::tools
