#include "tools/history.h"

#include "ganmm/metrics.h"

namespace ganmm::tools {

History::History(const Settings& settings, std::span<const std::int32_t> labels) : labels_(labels) {
  text_.precision(9);
  const auto add_sizes = [&] {
    for (Index cluster = 0; cluster < settings.clusters; ++cluster) text_ << ",size_" << cluster;
  };
  if (settings.method == Method::dec) {
    text_ << "iteration,changed,divergence,confidence";
    add_sizes();
    text_ << (labels_.empty() ? "" : ",purity,ari,nmi") << '\n';
    return;
  }
  if (!trains_gans(settings.method)) {
    text_ << "iteration," << (settings.method == Method::kmeans ? "inertia" : "lower_bound")
          << '\n';
    return;
  }
  text_ << "iteration,seconds,restart,changed,confidence,classifier_loss,critic_loss,penalty,"
           "generator_loss";
  add_sizes();
  text_ << ",restarted" << (labels_.empty() ? "" : ",purity,ari,nmi") << '\n';
}

void History::add(const FitResult& result) {
  Index iteration = 0;
  const auto add_trace = [&](std::span<const double> trace) {
    for (const double value : trace) text_ << ++iteration << ',' << value << '\n';
  };
  if (result.kmeans) add_trace(result.kmeans->best.trace);
  if (result.gaussians) add_trace(result.gaussians->best.trace);
}

void History::add(const DecRefresh& refresh) {
  text_ << refresh.iteration << ',' << refresh.changed << ',' << refresh.divergence << ','
        << refresh.confidence;
  for (const Index size : refresh.sizes) text_ << ',' << size;
  add_scores(refresh.labels);
  text_ << '\n';
}

void History::add_scores(std::span<const std::int32_t> assignments, std::span<const Index> rows) {
  if (labels_.empty()) return;
  std::vector<std::int32_t> own;
  for (const Index row : rows) own.push_back(labels_[static_cast<std::size_t>(row)]);
  const Scores scores = score(assignments, rows.empty() ? labels_ : own);
  text_ << ',' << scores.purity << ',' << scores.ari << ',' << scores.nmi;
}

void History::add(const Report& report) {
  const std::size_t rows = report.assignments.size() / report.mixtures.size();
  for (std::size_t r = 0; r < report.mixtures.size(); ++r) {
    const Report::Mixture& m = report.mixtures[r];
    text_ << report.iteration << ',' << report.seconds << ','
          << report.first_restart + static_cast<Index>(r) << ',' << m.changed << ',' << m.confidence
          << ',' << m.classifier_loss << ',' << m.critic_loss << ',' << m.penalty << ','
          << m.generator_loss;
    for (const Index size : m.sizes) text_ << ',' << size;
    text_ << ',';
    // Blanks between them, so that the column count does not depend on how many there are.
    for (std::size_t i = 0; i < m.restarted.size(); ++i) {
      text_ << (i == 0 ? "" : " ") << m.restarted[i];
    }
    add_scores(report.assignments.subspan(r * rows, rows), report.rows);
    text_ << '\n';
  }
}

}  // namespace ganmm::tools
