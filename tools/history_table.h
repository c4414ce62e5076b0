// history.csv as numbers.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ganmm::tools {

struct HistoryTable {
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rows;  // as many values as columns; NaN where there is no number

  std::optional<std::size_t> column(const std::string& name) const;
};

// Reads what History::text() wrote.
HistoryTable read_history(const std::string& text);

}  // namespace ganmm::tools
