// Scores as JSON and as text.
#pragma once

#include "ganmm/metrics.h"

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace ganmm::tools {

// Adds purity, ari, nmi, nmi_arithmetic, accuracy, per_cluster and confusion. Labels appear as
// label_names spells them.
void add_scores(nlohmann::ordered_json& target, const Scores& scores,
                const std::vector<std::string>& label_names);

void print_scores(std::ostream& out, const Scores& scores);  // one line

// Clusters x labels with sizes and purities; a line that says so when it is too large to be read.
void print_confusion(std::ostream& out, const Scores& scores,
                     const std::vector<std::string>& label_names);

}  // namespace ganmm::tools
