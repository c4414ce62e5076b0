// What the GANMM paper reports, to stand beside our own numbers.
//
// Source: Y. Yu and W.-J. Zhou, "Mixture of GANs for Clustering", IJCAI 2018, Tables 1 to 5.
// Purity, ARI and NMI are means over ten runs; its ARI is the adjusted index (its formula prints
// the plain one, its code calls scikit-learn's), its NMI has the geometric norm. It has no k-means
// and no one-to-one accuracy. Table 2 is one run: the sum of its cluster sizes and the purity
// weighted by size are computed from its rows and agree with Table 1 neither in points nor in
// purity.
#pragma once

#include "kernels/core/shape.h"

#include <string_view>

namespace ganmm::tools {

struct PaperScores {
  std::string_view table;   // table1, table3, table4 or table5
  std::string_view method;  // as the paper calls it
  double purity = 0;
  double ari = 0;
  double nmi = 0;
};

struct PaperRun {  // Table 2
  std::string_view method;
  Index points = 0;
  double purity = 0;
};

// nullptr where the paper has none.
const PaperScores* paper_scores(std::string_view table, std::string_view method);
const PaperRun* paper_run(std::string_view method);

}  // namespace ganmm::tools
