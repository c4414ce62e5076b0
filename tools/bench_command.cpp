// ganmm bench: what this machine makes of the training step.
#include "io/atomic_file.h"
#include "tools/bench_step.h"
#include "tools/commands.h"
#include "tools/environment.h"
#include "tools/metrics_json.h"
#include "tools/options.h"

#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

struct BenchArguments {
  DeviceArguments device;
  StepRequest step;
  std::string objective = to_string(step.objective), json;
  std::vector<std::string> math;
  std::vector<Index> clusters, restarts = {1};
  double seconds = 1.0;
  bool ops = false;
};

Json ops_json(const StepResult& result, const Ceilings& ceilings) {
  double total = 0;
  for (const Meter::Row& row : result.ops) total += row.milliseconds;
  Json rows = Json::array();
  for (const Meter::Row& row : result.ops) {
    const double seconds = row.milliseconds / 1e3;
    rows.push_back({{"op", row.op},
                    {"calls", row.calls},
                    {"ms", row.milliseconds},
                    {"share", row.milliseconds / total},
                    {"bytes", row.cost.bytes},
                    {"flops", row.cost.flops},
                    {"share_of_bandwidth", row.cost.bytes / seconds / ceilings.bytes_per_second},
                    {"share_of_flops", row.cost.flops / seconds / ceilings.flops_per_second},
                    {"registers", row.registers},
                    {"local_bytes", row.local_bytes}});
  }
  return rows;
}

void print_ops(const Json& rows) {
  std::cout << "    op                       calls       ms  share    MB   MFLOP  %bw  %flop  regs "
               "local\n";
  for (const Json& row : rows) {
    std::cout << "    " << std::left << std::setw(24) << row["op"].get<std::string>() << std::right
              << std::setw(6) << row["calls"].get<Index>() << std::fixed << std::setw(9)
              << std::setprecision(3) << row["ms"].get<double>() << std::setw(6)
              << std::setprecision(1) << 100 * row["share"].get<double>() << '%' << std::setw(7)
              << row["bytes"].get<double>() / 1e6 << std::setw(8)
              << row["flops"].get<double>() / 1e6 << std::setw(5) << std::setprecision(0)
              << 100 * row["share_of_bandwidth"].get<double>() << std::setw(6)
              << 100 * row["share_of_flops"].get<double>() << std::setw(7)
              << row["registers"].get<int>() << std::setw(6) << row["local_bytes"].get<int>()
              << '\n';
  }
}

int run_bench(const BenchArguments& arguments) {
  arguments.device.require_available();
  const Device device = arguments.device.device();
  std::vector<std::string> modes = arguments.math;
  if (modes.empty()) {
    modes = device.kind == DeviceKind::cpu ? std::vector<std::string>{"fp32"}
                                           : std::vector<std::string>{"fp32", "tf32", "bf16"};
  }
  Json record{{"what", "step"}, {"environment", environment_json(arguments.device)}};
  Json results = Json::array();
  std::cout
      << "one iteration of all pairs (generator step, 5 critic steps); floor: its products at\n"
         "the rate of one large product on this device\n"
         "net           objective  math   N   R       ms  spread    with E   floor  share  "
         "GFLOP/s   memory  nodes\n";
  for (const std::string& mode : modes) {
    DeviceArguments with_mode = arguments.device;
    with_mode.math = mode;
    with_mode.require_available();
    const Ceilings ceilings = measure_ceilings(with_mode);
    record["ceilings"][mode] = {{"flops_per_second", ceilings.flops_per_second},
                                {"bytes_per_second", ceilings.bytes_per_second}};
    const std::vector<Index> counts =
        arguments.clusters.empty() ? std::vector<Index>{0} : arguments.clusters;
    for (const Index clusters : counts) {
      for (const Index restarts : arguments.restarts) {
        StepRequest request = arguments.step;
        request.objective = parse_objective(arguments.objective);
        request.clusters = clusters;
        request.restarts = restarts;
        for (const StepCase& step : published_steps(request, device.kind)) {
          const StepResult result =
              measure_step(step, with_mode, arguments.seconds, ceilings, arguments.ops);
          const double rate = result.flops / (result.milliseconds / 1e3);
          Json row{{"net", step.name},
                   {"objective", arguments.objective},
                   {"math", mode},
                   {"clusters", step.settings.clusters},
                   {"restarts", restarts},
                   {"batch", step.settings.batch},
                   {"width", step.settings.net == NetKind::conv ? step.settings.width
                                                                : step.settings.hidden},
                   {"ms", result.milliseconds},
                   {"spread", result.spread},
                   {"ms_with_e_step", result.em_milliseconds},
                   {"flops", result.flops},
                   {"floor_ms", result.floor_milliseconds},
                   {"share_of_floor", result.floor_milliseconds / result.milliseconds},
                   {"flops_per_second", rate},
                   {"memory_bytes", result.memory_bytes},
                   {"graph_nodes", result.graph_nodes}};
          std::cout << std::left << std::setw(14) << step.name << std::setw(10)
                    << arguments.objective << std::right << std::setw(5) << mode << std::setw(4)
                    << step.settings.clusters << std::setw(4) << restarts << std::fixed
                    << std::setprecision(3) << std::setw(9) << result.milliseconds
                    << std::setprecision(0) << std::setw(7) << 100 * result.spread << '%'
                    << std::setprecision(3) << std::setw(10) << result.em_milliseconds
                    << std::setw(8) << result.floor_milliseconds << std::setprecision(1)
                    << std::setw(6) << 100 * result.floor_milliseconds / result.milliseconds << '%'
                    << std::setw(9) << rate / 1e9 << std::setw(6)
                    << static_cast<double>(result.memory_bytes) / 1e6 << " MB" << std::setw(7)
                    << result.graph_nodes << std::endl;
          if (arguments.ops) {
            row["ops"] = ops_json(result, ceilings);
            print_ops(row["ops"]);
          }
          results.push_back(row);
          // Written after every row: what was measured survives a time limit.
          record["results"] = results;
          if (!arguments.json.empty()) {
            io::AtomicFile file(arguments.json);
            file.stream() << to_text(record) << '\n';
            file.commit();
          }
        }
      }
    }
  }
  return 0;
}

}  // namespace

Command add_bench(CLI::App& program) {
  CLI::App* app = program.add_subcommand("bench", "Measure the training step on this machine");
  auto arguments = std::make_shared<BenchArguments>();
  arguments->device.add_to(*app);
  app->remove_option(app->get_option("--math"));
  app->add_option("--math", arguments->math,
                  "fp32, tf32, bf16, several allowed; default: all that the backend has")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}).description(""));
  std::vector<std::string> nets{"auto", "mlp", "conv", "all"};
  nets.insert(nets.end(), std::begin(kStepNames), std::end(kStepNames));
  app->add_option("--net", arguments->step.net,
                  "mlp, conv, all, one of the names in the table, such as 'conv 16', or auto: all, "
                  "on a CPU without the minutes of 'conv 64'")
      ->check(CLI::IsMember(nets).description(""))
      ->capture_default_str();
  app->add_option("--objective", arguments->objective, "wgan-gp, wgan-clip or gan")
      ->check(CLI::IsMember({"wgan-gp", "wgan-clip"}).description(""))
      ->capture_default_str();
  app->add_option("--clusters", arguments->clusters,
                  "networks per mixture, several allowed; default: the published number");
  app->add_option("--restarts", arguments->restarts, "mixtures side by side, several allowed");
  app->add_option("--batch", arguments->step.batch, "rows per critic batch; 0: 50")
      ->capture_default_str();
  app->add_option("--width", arguments->step.width,
                  "hidden units or channels of the first convolution; 0: as published")
      ->capture_default_str();
  app->add_option("--seconds", arguments->seconds, "per measurement, at least")
      ->capture_default_str();
  app->add_flag("--ops", arguments->ops, "also a table of ops for every case");
  app->add_option("--json", arguments->json, "write the record to this file")->type_name("FILE");
  return [arguments] { return run_bench(*arguments); };
}

}  // namespace ganmm::tools
