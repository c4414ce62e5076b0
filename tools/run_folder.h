// The files of a finished fit.
#pragma once

#include "io/npy.h"
#include "tools/history.h"
#include "tools/metrics_json.h"
#include "tools/samples.h"

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ganmm::tools {

// Writes assignments.npy, posteriors.npy, model.safetensors, history.csv, for images samples.png
// where the method can make them, with Select::all assignments-all.npy, report.html, and
// metrics.json last, so that it stands for a complete folder. `posteriors` is posteriors.npy,
// written but for its commit. Optional files of an older run in the same folder are removed.
// `range`: of the data. Returns the names of the files. Throws IoError.
std::vector<std::string> write_run_folder(const std::string& folder, const FitRecord& record,
                                          const nlohmann::ordered_json& metrics,
                                          const History& history, const ValueRange& range,
                                          io::NpyWriter& posteriors);

}  // namespace ganmm::tools
