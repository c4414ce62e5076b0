// Entry of the program: parses the command line, runs one command, turns exceptions into one line
// on stderr and an exit code (0 success, 1 failure at run time, 2 bad usage or bad input).
#include "kernels/core/error.h"
#include "tools/commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>
#include <new>
#include <utility>

namespace {

constexpr int kFailure = 1;
constexpr int kBadInput = 2;

int fail(std::string text, int code) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::cerr << "ganmm: " << text << '\n';
  return code;
}

// Keys of a config file that are in no section belong to the command that was called.
class CommandConfig : public CLI::ConfigINI {
 public:
  explicit CommandConfig(const CLI::App& program) : program_(program) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::vector<CLI::ConfigItem> read = ConfigINI::from_config(in);
    const auto called = program_.get_subcommands();
    for (CLI::ConfigItem& item : read) {
      if (item.parents.empty() && !called.empty()) item.parents = {called.front()->get_name()};
    }
    return read;
  }

 private:
  const CLI::App& program_;
};

int run(int argc, char** argv) {
  CLI::App program("Clustering with a mixture of generative adversarial networks.", "ganmm");
  program.set_version_flag("--version", "ganmm " GANMM_VERSION);
  program.require_subcommand(0, 1);  // none is reported below, after unknown words
  program.fallthrough();
  program
      .set_config("--config", "",
                  "read options from this file: NAME=VALUE lines, in [COMMAND] sections or "
                  "without; the command line goes first")
      ->type_name("FILE");
  program.allow_config_extras(false);
  program.config_formatter(std::make_shared<CommandConfig>(program));

  using namespace ganmm::tools;
  const std::array commands{add_fit(program),    add_embed(program), add_predict(program),
                            add_sample(program), add_score(program), add_experiment(program),
                            add_info(program),   add_bench(program)};
  const std::vector<CLI::App*> apps = program.get_subcommands(nullptr);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // help and version
    return fail(std::string(error.what()) + "; see ganmm --help or ganmm COMMAND --help",
                kBadInput);
  }
  if (program.get_subcommands().empty()) {
    return fail(
        "expected a command: fit, embed, predict, sample, score, experiment, info or bench; "
        "see ganmm --help",
        kBadInput);
  }
  const auto called = std::find(apps.begin(), apps.end(), program.get_subcommands().front());
  const int code = commands[static_cast<std::size_t>(called - apps.begin())]();
  ganmm::require<ganmm::IoError>(!std::cout.flush().fail(),
                                 "standard output: the system refused to write to it");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const ganmm::ConfigError& error) {
    return fail(error.what(), kBadInput);
  } catch (const ganmm::InputError& error) {
    return fail(error.what(), kBadInput);
  } catch (const std::bad_alloc&) {
    return fail("out of memory: the system refused an allocation; use a machine with more memory "
                "or smaller data",
                kFailure);
  } catch (const std::exception& error) {
    return fail(error.what(), kFailure);
  }
}
