// ganmm embed: trains an autoencoder on a data set and writes the codes of its rows.
#include "ganmm/autoencoder.h"
#include "ganmm/device_rows.h"
#include "ganmm/model.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "io/scaling.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/stop_signals.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iomanip>
#include <iostream>

namespace ganmm::tools {
namespace {

struct EmbedArguments {
  DataArguments data;
  DeviceArguments device;
  AutoencoderSettings settings;
  std::string scale = "auto";
  std::string out;
  std::string model;
  bool quiet = false;
};

std::string folder_of(const std::string& file) {
  const auto folder = std::filesystem::path(file).parent_path();
  return folder.empty() ? "." : folder.string();
}

int run_embed(const EmbedArguments& arguments) {
  const StopSignals signals;
  arguments.device.require_available();
  io::Dataset data = io::load_dataset(arguments.data.path, arguments.data.load);
  const AutoencoderSettings settings = arguments.settings.resolved(data.rows);
  const io::Scaling scaling = io::fit_scaling(data, io::parse_scale(arguments.scale));
  io::apply(scaling, data.values, data.item.count());
  for (const std::string& file : {arguments.out, arguments.model}) {
    if (!file.empty()) io::require_writable_folder(folder_of(file));
  }

  Lanes lanes = arguments.device.lanes();
  const DeviceRows rows(data.values, data.rows, data.item, lanes);
  const auto begin = std::chrono::steady_clock::now();
  const AutoencoderResult result =
      train_autoencoder(rows.view(), settings, lanes, {{}, [&] { return signals.requested(); }});
  const std::vector<float> codes = encode(result.encoder, rows.view(), lanes);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  io::write_npy(arguments.out, {data.rows, settings.codes}, codes.data());
  if (!arguments.model.empty()) {
    save_encoder(result.encoder, scaling, data.columns, settings.seed, arguments.model);
  }
  if (!arguments.quiet) {
    std::cout << data.rows << " points of " << to_string(data.item) << " features in "
              << settings.codes << " codes, " << result.steps << " steps, "
              << (result.cancelled ? "interrupted, " : "") << std::fixed << std::setprecision(1)
              << seconds << " s\n";
    if (!result.error.empty()) {
      std::cout << "mean squared error per value " << std::defaultfloat << std::setprecision(4)
                << result.error.back() / static_cast<double>(data.item.count())
                << " in the last batch, noise included\n";
    }
    std::cout << arguments.out << (arguments.model.empty() ? "" : " " + arguments.model) << '\n';
  }
  return signals.exit_code();
}

}  // namespace

Command add_embed(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "embed", "Train an autoencoder on DATA; write the codes of its rows as .npy");
  auto arguments = std::make_shared<EmbedArguments>();
  AutoencoderSettings& s = arguments->settings;
  arguments->data.add_to(*app);
  app->add_option("--out", arguments->out, "file for the codes, float32 [rows][codes]")
      ->type_name("FILE")
      ->required();
  app->add_option("--model", arguments->model, "file for the encoder, .safetensors")
      ->type_name("FILE");
  app->add_option("--codes", s.codes, "width of the code layer")->capture_default_str();
  app->add_option("--encoder", s.hidden,
                  "widths of the encoder's hidden layers; the decoder mirrors them")
      ->delimiter(',')
      ->type_name("N,N,...")
      ->default_str("500,500,2000");
  app->add_option("--epochs", s.epochs,
                  "passes over the rows; 0: 100, for small data more, 2000 steps")
      ->capture_default_str();
  app->add_option("--batch", s.batch, "rows of a step")->capture_default_str();
  app->add_option("--learning-rate", s.learning_rate, "of Adam, at the start")
      ->capture_default_str();
  app->add_option("--corruption", s.noise, "deviation of the noise added to the scaled inputs")
      ->capture_default_str();
  app->add_option("--warp", s.warp, kWarpHelp)->capture_default_str();
  app->add_option("--scale", arguments->scale,
                  "auto (maxabs for tables, unit for images), none, standard, maxabs, minmax or "
                  "unit")
      ->capture_default_str();
  app->add_option("--seed", s.seed, "seed of all random numbers; same seed, same result")
      ->capture_default_str();
  arguments->device.add_to(*app);
  app->add_flag("--quiet", arguments->quiet, "no summary");
  return [arguments] { return run_embed(*arguments); };
}

}  // namespace ganmm::tools
