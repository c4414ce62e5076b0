#include "tools/history_table.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <sstream>

namespace ganmm::tools {
namespace {

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> all;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) all.push_back(cell);
  return all;
}

double number(const std::string& cell) {
  char* end = nullptr;
  const double value = std::strtod(cell.c_str(), &end);
  const bool whole = !cell.empty() && *end == '\0';
  return whole ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::optional<std::size_t> HistoryTable::column(const std::string& name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns.begin());
}

HistoryTable read_history(const std::string& text) {
  HistoryTable table;
  std::istringstream stream(text);
  std::string line;
  std::getline(stream, line);
  table.columns = cells(line);
  while (std::getline(stream, line)) {
    std::vector<double> row;
    for (const std::string& cell : cells(line)) row.push_back(number(cell));
    row.resize(table.columns.size(), std::numeric_limits<double>::quiet_NaN());
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace ganmm::tools
