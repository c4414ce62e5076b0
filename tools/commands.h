// The commands of the program. Each function adds a command with its options to the command line
// and returns what runs it after parsing; the result is the exit code.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace ganmm::tools {

using Command = std::function<int()>;

Command add_fit(CLI::App& program);
Command add_embed(CLI::App& program);
Command add_predict(CLI::App& program);
Command add_sample(CLI::App& program);
Command add_score(CLI::App& program);
Command add_experiment(CLI::App& program);
Command add_info(CLI::App& program);
Command add_bench(CLI::App& program);

}  // namespace ganmm::tools
