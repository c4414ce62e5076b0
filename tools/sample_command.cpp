// ganmm sample: draws samples from the generators of the clusters.
#include "ganmm/model.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "io/png.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/samples.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>

namespace ganmm::tools {
namespace {

struct SampleArguments {
  std::string model;
  Index cluster = 0;
  CLI::Option* one_cluster = nullptr;
  Index count = 10;
  std::uint64_t seed = 0;
  DeviceArguments device;
  std::string out = "ganmm-sample";
};

Shape shape_of(Index samples, const Shape& item) {
  return is_image(item) ? Shape{samples, item[0], item[1], item[2]} : Shape{samples, item[0]};
}

int run_sample(const SampleArguments& arguments) {
  arguments.device.require_available();
  const Model model = load_model(arguments.model);
  const bool all = arguments.one_cluster->count() == 0;
  const Index first = all ? 0 : arguments.cluster, clusters = all ? model.clusters() : 1;
  Lanes lanes = arguments.device.lanes();
  const auto samples = draw_samples(model, first, clusters, arguments.count, arguments.seed, lanes);

  io::require_writable_folder(arguments.out);
  const std::filesystem::path folder = arguments.out;
  const Shape shape = shape_of(clusters * arguments.count, model.item);
  io::write_npy((folder / "samples.npy").string(), shape, samples.data());
  std::string files = "samples.npy";
  if (is_image(model.item) && io::has_png()) {
    // A row per cluster; many samples of one cluster make a square.
    const auto square = static_cast<Index>(std::ceil(std::sqrt(arguments.count)));
    const Index columns = clusters == 1 ? std::max<Index>(square, 10) : arguments.count;
    write_sample_picture((folder / "samples.png").string(), samples, model.item, columns,
                         value_range(samples));
    files += " samples.png";
  }
  std::cout << shape[0] << " samples of " << to_string(model.item) << " features\n"
            << arguments.out << ": " << files << '\n';
  return 0;
}

}  // namespace

Command add_sample(CLI::App& program) {
  CLI::App* app = program.add_subcommand("sample", "Draw samples from the clusters of a model");
  auto arguments = std::make_shared<SampleArguments>();
  app->add_option("MODEL", arguments->model, "model.safetensors of a run folder")->required();
  arguments->one_cluster = app->add_option("--cluster", arguments->cluster,
                                           "number of one cluster, from 0 on; default: all");
  app->add_option("--count", arguments->count, "samples per cluster")
      ->check(CLI::Range(Index{1}, Index{1} << 32).description(""))
      ->capture_default_str();
  app->add_option("--seed", arguments->seed, "seed of the random numbers")->capture_default_str();
  arguments->device.add_to(*app);
  app->add_option("--out", arguments->out,
                  "folder for samples.npy, cluster by cluster in the data's own units, and for "
                  "images samples.png")
      ->type_name("DIR")
      ->capture_default_str();
  return [arguments] { return run_sample(*arguments); };
}

}  // namespace ganmm::tools
