#include "tools/experiment_plan.h"

#include "ganmm/model.h"
#include "kernels/core/error.h"

#include <algorithm>
#include <array>

namespace ganmm::tools {
namespace {

constexpr std::string_view kImages = "MNIST digits, such as train-images-idx3-ubyte.gz";
constexpr std::string_view kCodes = "10-d codes of MNIST by a stacked autoencoder, a row per digit";
constexpr std::string_view kSegmentation = "UCI Image Segmentation, 2310 rows of 19 features";
constexpr std::string_view kCharacters = "UCI Artificial Characters, 30654 rows of 6 features";
constexpr std::string_view kBundled = "tests/data/image-segmentation.csv";

constexpr std::array kExperiments{
    Experiment{"table1", "MNIST, raw pixels", View::scores, 10, "table1", NetKind::automatic,
               kImages, ""},
    Experiment{"table2", "MNIST, raw pixels, the clusters of one run", View::clusters, 10, "table1",
               NetKind::automatic, kImages, "", 1},
    Experiment{"table3", "MNIST, 10-d autoencoder codes", View::scores, 10, "table3",
               NetKind::small, kCodes, ""},
    Experiment{"table4", "Image Segmentation", View::scores, 7, "table4", NetKind::mlp,
               kSegmentation, kBundled},
    Experiment{"table5", "Artificial Characters", View::scores, 10, "table5", NetKind::mlp,
               kCharacters, ""},
    Experiment{"fig2", "MNIST, samples of the generators", View::samples, 10, "table1",
               NetKind::automatic, kImages, "", 1},
    Experiment{"fig3", "MNIST, 10-d autoencoder codes, shares of the data", View::shares, 10,
               "table3", NetKind::small, kCodes, ""},
    Experiment{"fig4", "Image Segmentation, shares of the data", View::shares, 7, "table4",
               NetKind::mlp, kSegmentation, kBundled},
    Experiment{"fig5", "Artificial Characters, shares of the data", View::shares, 10, "table5",
               NetKind::mlp, kCharacters, ""},
    Experiment{"ablation", "Faults of the published code on Image Segmentation", View::scores, 7,
               "table4", NetKind::mlp, kSegmentation, kBundled},
};

using E = Experiment;

template <Method method>
Settings defaults(const E&) {
  return Settings::of(method);
}

Settings reference(const E& experiment) {
  Settings s = Settings::reference();
  s.net = experiment.published;
  return s;
}

// One of the mixtures that `fit` trains by default.
Settings repaired(const E&) {
  Settings s;
  s.restarts = 1;
  s.select = Select::confidence;
  return s;
}

constexpr std::array kMethods{
    MethodRow{"ganmm", "GANMM", "GANMM", defaults<Method::ganmm>},
    MethodRow{"ganmm-reference", "GANMM as published", "GANMM", reference},
    MethodRow{"ganmm-em", "GANMM(EM)", "GANMM(EM)", defaults<Method::ganmm_em>},
    MethodRow{"kmeans", "k-means", "", defaults<Method::kmeans>},
    MethodRow{"gmm", "Gaussian mixture", "GMM", defaults<Method::gmm>,
              [](Settings& s, const E&) { s.regularization = 1e-3; }},
    MethodRow{"dec", "DEC", "DEC", defaults<Method::dec>},
};

// Of fig2, as long as no methods are named.
constexpr std::array kSamplers{std::string_view{"ganmm"}, std::string_view{"ganmm-em"}};

// Every fault of the published code repaired by itself, then put back by itself.
constexpr std::array kAblation{
    MethodRow{"reference", "as published", "GANMM", reference},
    MethodRow{"single-softmax", "softmax once", "", reference,
              [](Settings& s, const E&) { s.double_softmax = false; }, "reference"},
    MethodRow{"mixed-batches", "classifier batches of all classes", "", reference,
              [](Settings& s, const E&) { s.single_class_batches = false; }, "reference"},
    MethodRow{"mixed-steps", "the same, N classifier steps as published", "", reference,
              [](Settings& s, const E& e) {
                s.single_class_batches = false;
                s.classifier_steps = e.clusters;
              },
              "reference"},
    MethodRow{"trained-readout", "trained read-out", "", reference,
              [](Settings& s, const E&) { s.freeze_readout = false; }, "reference"},
    MethodRow{"classifier-rate", "classifier rate 1e-3", "", reference,
              [](Settings& s, const E&) { s.classifier_learning_rate = 1e-3; }, "reference"},
    MethodRow{"clipped-pretraining", "clipping in pre-training too", "", reference,
              [](Settings& s, const E&) { s.clip_in_pretraining = true; }, "reference"},
    MethodRow{"penalty", "penalty, Adam (not clipping, RMSProp)", "", reference,
              [](Settings& s, const E&) {
                s.objective = Objective::wgan_gp;
                s.classifier_learning_rate = s.learning_rate;  // as it was
                s.learning_rate = 0;
              },
              "reference"},
    MethodRow{"sigma-to-zero", "augmentation falls to 0", "", reference,
              [](Settings& s, const E&) { s.sigma.back().foreign = 0; }, "reference"},
    MethodRow{"no-augmentation", "no augmentation", "", reference,
              [](Settings& s, const E&) {
                s.sigma = {{0, 0.0}};
              },
              "reference"},
    MethodRow{"small-pool", "assignment of N batches, not of all rows", "", reference,
              [](Settings& s, const E& e) { s.pool = s.batch * e.clusters; }, "reference"},
    MethodRow{"restart-empty", "empty components start again", "", reference,
              [](Settings& s, const E&) { s.restart_empty = true; }, "reference"},
    MethodRow{"repaired", "all repaired, one restart", "", repaired, nullptr, "reference"},
    MethodRow{"back-double-softmax", "repaired, softmax twice", "", repaired,
              [](Settings& s, const E&) { s.double_softmax = true; }, "repaired"},
    MethodRow{"back-single-class", "repaired, batches of one class", "", repaired,
              [](Settings& s, const E&) { s.single_class_batches = true; }, "repaired"},
    MethodRow{"back-frozen-readout", "repaired, frozen read-out", "", repaired,
              [](Settings& s, const E&) { s.freeze_readout = true; }, "repaired"},
    MethodRow{"back-clipping", "repaired, clipping, RMSProp", "", repaired,
              [](Settings& s, const E&) {
                s.objective = Objective::wgan_clip;
                s.classifier_learning_rate = 1e-3;  // as it was
              },
              "repaired"},
    MethodRow{"ganmm", "defaults: repaired, consensus of restarts", "GANMM",
              defaults<Method::ganmm>, nullptr, "repaired"},
};

template <class Rows, class Name>
std::string names_of(const Rows& rows, Name name) {
  std::string text;
  for (const auto& row : rows) text += (text.empty() ? "" : ", ") + std::string(name(row));
  return text;
}

}  // namespace

std::span<const Experiment> experiments() { return kExperiments; }

const Experiment& find_experiment(std::string_view name) {
  const auto found =
      std::find_if(kExperiments.begin(), kExperiments.end(),
                   [&](const Experiment& experiment) { return experiment.name == name; });
  require<ConfigError>(found != kExperiments.end(), "experiment '", name, "': expected one of ",
                       names_of(kExperiments, [](const auto& e) { return e.name; }));
  return *found;
}

std::span<const MethodRow> method_rows(const Experiment& experiment) {
  if (experiment.name == "ablation") return kAblation;
  return kMethods;
}

std::vector<MethodRow> chosen_rows(const Experiment& experiment,
                                   const std::vector<std::string>& names) {
  const std::span<const MethodRow> all = method_rows(experiment);
  std::vector<MethodRow> rows;
  if (names.empty()) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(rows), [&](const MethodRow& row) {
      return experiment.view != View::samples ||
             std::find(kSamplers.begin(), kSamplers.end(), row.name) != kSamplers.end();
    });
    return rows;
  }
  for (const std::string& name : names) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const MethodRow& row) { return row.name == name; });
    require<ConfigError>(found != all.end(), "method '", name, "' of experiment ", experiment.name,
                         ": expected one of ",
                         names_of(all, [](const MethodRow& row) { return row.name; }));
    require<ConfigError>(std::none_of(rows.begin(), rows.end(),
                                      [&](const MethodRow& row) { return row.name == name; }),
                         "method '", name, "': expected every method once, found it again");
    Model untrained;
    untrained.settings = found->settings(experiment);
    require<ConfigError>(experiment.view != View::samples || can_sample(untrained), "experiment ",
                         experiment.name, ": expected methods that draw samples, found ", name,
                         "; leave it out");
    rows.push_back(*found);
  }
  return rows;
}

std::vector<double> shares(const Experiment& experiment) {
  if (experiment.view == View::shares) return {1, 0.5, 0.1};
  return {1};
}

Settings resolved_settings(const MethodRow& row, const Experiment& experiment, std::uint64_t seed,
                           Index rows, Shape item, Index scale_down) {
  Settings settings = row.settings(experiment);
  settings.clusters = experiment.clusters;
  settings.seed = seed;
  // Resolved first: what is automatic can be divided too.
  return scaled_down(settings.resolved(rows, item), scale_down).resolved(rows, item);
}

Settings scaled_down(Settings s, Index factor) {
  const auto divide = [factor](Index count) {
    return count == 0 ? 0 : std::max<Index>(count / factor, 1);
  };
  s.iterations = divide(s.iterations);
  s.pretrain = divide(s.pretrain);
  s.epochs = divide(s.epochs);
  s.refine = divide(s.refine);
  std::vector<SigmaStep> sigma;
  for (const SigmaStep& step : s.sigma) {
    const SigmaStep shorter{divide(step.until), step.foreign};
    if (!sigma.empty() && shorter.until != 0 && shorter.until <= sigma.back().until) continue;
    sigma.push_back(shorter);
  }
  s.sigma = sigma;
  return s;
}

}  // namespace ganmm::tools
