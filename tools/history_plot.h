// The course of a training as a picture.
#pragma once

#include "kernels/core/shape.h"
#include "tools/history_table.h"

#include <span>
#include <string>

namespace ganmm::tools {

// A panel per column of the history, a line per restart: those of `kept` (all when empty) in
// colour, the others behind them in grey; and a panel of the cluster sizes of the first that was
// kept. Empty for a history without rows.
std::string history_plot(const HistoryTable& history, std::span<const Index> kept);

}  // namespace ganmm::tools
