// history.csv: one row per check and restart, per refresh, or per iteration of the chosen restart.
#pragma once

#include "ganmm/fit.h"

#include <span>
#include <sstream>
#include <string>

namespace ganmm::tools {

class History {
 public:
  // labels: [n], or empty; with them every row has purity, ari and nmi of its restart's components.
  // They are read whenever a report is added.
  History(const Settings& settings, std::span<const std::int32_t> labels);

  void add(const Report& report);
  void add(const DecRefresh& refresh);
  void add(const FitResult& result);  // methods that make no reports
  std::string text() const { return text_.str(); }

 private:
  void add_scores(std::span<const std::int32_t> assignments, std::span<const Index> rows = {});

  std::span<const std::int32_t> labels_;
  std::ostringstream text_;
};

}  // namespace ganmm::tools
