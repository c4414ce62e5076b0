// Where and when something was measured.
#pragma once

#include "tools/options.h"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ganmm::tools {

// The time in UTC, version, commit, build, processor and threads, and of a GPU its name and
// libraries.
nlohmann::ordered_json environment_json(const DeviceArguments& arguments);

// Of the checkout at the last build, "-dirty" behind it with changes that are in no commit; empty
// when it was no git checkout.
std::string build_commit();

}  // namespace ganmm::tools
