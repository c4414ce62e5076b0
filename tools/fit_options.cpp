#include "tools/fit_options.h"

#include "ganmm/metrics.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

namespace ganmm::tools {
namespace {

std::vector<std::int32_t> load_initial(const std::string& path, Index rows, Index clusters) {
  std::vector<std::int32_t> initial = io::load_assignments(path);
  require<InputError>(static_cast<Index>(initial.size()) == rows, "initial partition ", path,
                      ": expected a cluster for each of ", rows, " rows, found ", initial.size());
  const auto outside = std::find_if(initial.begin(), initial.end(),
                                    [&](std::int32_t cluster) { return cluster >= clusters; });
  require<InputError>(outside == initial.end(), "initial partition ", path,
                      ": expected clusters 0 to ", clusters - 1, ", found ",
                      outside == initial.end() ? 0 : *outside, " for row ",
                      outside - initial.begin() + 1);
  return initial;
}

// The generators of conv nets end in a sigmoid.
void require_pixels(const io::Dataset& data, io::ScaleKind scale) {
  const auto [low, high] = std::minmax_element(data.values.begin(), data.values.end());
  const bool fits = scale == io::ScaleKind::minmax || (scale == io::ScaleKind::unit && *low >= 0) ||
                    (scale == io::ScaleKind::none && *low >= 0 && *high <= 1);
  require<ConfigError>(fits, "net conv with scale ", io::to_string(scale),
                       ": expected values that this scale brings into 0 to 1, all that its "
                       "generators can make, found ",
                       *low, " to ", *high, " in ", data.source,
                       "; use --scale minmax, for values from 0 on also unit");
}

}  // namespace

template <class T>
void FitArguments::add(CLI::App& app, const std::string& name, T Settings::*member,
                       const std::string& help) {
  const CLI::Option* option = app.add_option(name, given_.*member, help)->capture_default_str();
  apply_.push_back([this, option, member](Settings& settings) {
    if (option->count() > 0) settings.*member = given_.*member;
  });
}

template <class T>
void FitArguments::add_spelled(CLI::App& app, const std::string& name, T Settings::*member,
                               T (*parse)(const std::string&), const std::string& help) {
  const auto text = std::make_shared<std::string>(to_string(given_.*member));
  const CLI::Option* option = app.add_option(name, *text, help)->capture_default_str();
  apply_.push_back([text, option, member, parse](Settings& settings) {
    if (option->count() > 0) settings.*member = parse(*text);
  });
}

FitArguments::FitArguments(CLI::App& app) {
  app.footer(
      "Every option can also stand in a file, without its dashes: --config FILE, for\n"
      "example with the lines clusters=7 and sigma=\"0.5:500,0.04\".\n\n"
      "Files in the run folder: assignments.npy, posteriors.npy, model.safetensors,\n"
      "metrics.json, history.csv, report.html (all of it on a page to look at), for images\n"
      "samples.png (not kmeans, dec), with --select all also assignments-all.npy (with\n"
      "--net codes of the mixtures on the refined codes).\n"
      "samples_per_second in metrics.json counts the rows that the critics were trained on:\n"
      "iterations with pre-training x restarts x clusters x critic steps x batch / seconds,\n"
      "those of an autoencoder too; of the other methods all rows, once in every iteration.\n"
      "log_likelihood of gmm is the sum over the rows, lower_bound the mean.");
  add_problem(app);
  add_networks(app);
  add_training(app);
  add_gaussians(app);
  add_autoencoder(app);
  add_output(app);
}

void FitArguments::add_problem(CLI::App& app) {
  data.add_to(app);
  app.add_option("--method", method_,
                 "ganmm (the mixture of GANs), ganmm-em (GANMM(EM): critics in place of the "
                 "classifier, no foreign rows), kmeans (greedy k-means++, Lloyd, the restart of "
                 "the smallest inertia), gmm (Gaussian mixture from a k-means partition, the "
                 "restart of the largest lower bound) or dec (an autoencoder, k-means on its "
                 "codes, both refined)")
      ->capture_default_str();
  add(app, "-k,--clusters", &Settings::clusters, "number of clusters, 1 to the number of rows");
  app.get_option("--clusters")->required()->default_str("");
  app.add_option("--scale", scale_,
                 "auto (maxabs for tables, unit for images), none, standard, maxabs, minmax or "
                 "unit")
      ->capture_default_str();
  init_option_ =
      app.add_option("--init", init_,
                     "first partition: random equal parts, kmeans, gmm (a Gaussian mixture), mixed "
                     "(gmm, half of the restarts with generators at the critics' rate, half "
                     "with slow ones), or a file with one cluster per row; ganmm: mixed, "
                     "with one restart gmm, for conv nets random; ganmm-em and --compat: random")
          ->type_name("random|kmeans|gmm|mixed|FILE");
  add(app, "--restarts", &Settings::restarts,
      "mixtures; 0: 32 with init mixed, otherwise 8, for conv nets 1, ganmm-em 1, kmeans 10, gmm "
      "1, dec 20 runs of k-means on the codes");
  add_spelled(app, "--select", &Settings::select, parse_select,
              "what becomes of them: the one of most confidence (ganmm-em's default, which says "
              "little there), their consensus, or all: as confidence, and every partition is kept");
  add(app, "--seed", &Settings::seed, "seed of all random numbers; same seed, same result");
  app.add_option("--compat", compat_,
                 "reference: start from the settings of the published code, its faults included")
      ->check(CLI::IsMember({"reference"}).description(""));
  of_gans_.push_back(app.get_option("--init"));
  of_gans_.push_back(app.get_option("--select"));
  of_ganmm_.push_back(app.get_option("--compat"));
}

void FitArguments::add_networks(CLI::App& app) {
  const std::string group = "Networks";
  const auto first = app.get_options().size();
  add_spelled(
      app, "--net", &Settings::net, parse_net,
      "auto (codes for images from 8x8 on, with ganmm-em or wgan-clip conv, otherwise mlp), "
      "mlp, small (mlp of 32 units), codes (mlp on the codes of an autoencoder that is "
      "trained first) or conv");
  add_spelled(app, "--start", &Settings::start, parse_start,
              "generators begin with random weights, or as the gaussian of their rows of the first "
              "partition (dense nets); auto: gaussian unless the partition is random");
  add(app, "--width", &Settings::width, "conv: channels of the first convolution");
  add(app, "--hidden", &Settings::hidden, "mlp: units of the hidden layer");
  hidden_ = app.get_option("--hidden");
  add(app, "--noise", &Settings::noise, "inputs of a generator; 0: 64, with conv 128");
  add_spelled(
      app, "--objective", &Settings::objective, parse_objective,
      "wgan-gp (gradient penalty, Adam), wgan-clip (clipped weights, RMSProp) or gan (sigmoid "
      "cross-entropy, Adam)");
  add(app, "--penalty", &Settings::penalty, "wgan-gp: weight of the gradient penalty");
  add(app, "--clip", &Settings::clip, "wgan-clip: largest absolute value of a critic's weights");
  const auto options = app.get_options();
  std::for_each(options.begin() + static_cast<std::ptrdiff_t>(first), options.end(),
                [&](CLI::Option* option) {
                  option->group(group);
                  of_gans_.push_back(option);
                });
}

void FitArguments::add_training(CLI::App& app) {
  const std::string group = "Training";
  const auto first = app.get_options().size();
  add(app, "--iterations", &Settings::iterations,
      "EM iterations at most, half of them for the slow restarts of init mixed; ganmm-em and "
      "--compat: 5000, kmeans: 300, gmm: "
      "100 of a restart; dec: 8000 steps after the autoencoder's");
  add(app, "--tolerance", &Settings::tolerance,
      "stop when a smaller share of the points changes cluster from check to check ...; kmeans: "
      "when the squared shifts of the centres sum up to at most this x the features' mean "
      "variance (1e-4); gmm: when the mean log-likelihood per row changes by less (1e-3); dec: "
      "from "
      "refresh to refresh");
  const auto of_all_methods = app.get_options().size();
  add(app, "--batch", &Settings::batch, "rows per critic step; dec: per step, 256");
  add(app, "--learning-rate", &Settings::learning_rate,
      "of critics and generators; 0: 2e-4, with wgan-clip 5e-5; dec: of encoder and centres, 0: "
      "1e-4");
  const auto of_all_nets = app.get_options().size();
  add(app, "--pretrain", &Settings::pretrain,
      "iterations on the first partition before the first EM iteration; unless it is random "
      "as many steps of the classifiers follow");
  add(app, "--patience", &Settings::patience, "... in this many checks in a row");
  add(app, "--check-every", &Settings::check_every, "EM iterations between checks");
  add(app, "--critic-steps", &Settings::critic_steps, "critic steps per generator step");
  add(app, "--generator-learning-rate", &Settings::generator_learning_rate,
      "of generators; 0: as --learning-rate, a fortieth for dense nets unless the partition is "
      "random, with init mixed both");
  add_spelled(app, "--sigma", &Settings::sigma, parse_sigma,
              "share of a batch from other clusters, until which EM iteration: SHARE:UNTIL,...,"
              "SHARE; without: 0.5, 0.2 and 0.1 until a tenth, a fifth and two fifths of the "
              "iterations, then 0.04; for dense nets 0.04 unless the "
              "partition is random, ganmm-em 0");
  add(app, "--sample", &Settings::sample,
      "rows that are trained on, evenly spaced; the finished model assigns all; 0: all, at most "
      "524288 unless --select all");
  add(app, "--pool", &Settings::pool,
      "rows classified per EM iteration; 0: all, at most the larger of 500 per cluster and 5000");
  const auto of_all_gans = app.get_options().size();
  add_spelled(app, "--critic-score", &Settings::critic_score, parse_critic_score,
              "ganmm-em: what assigns rows, a critic's raw score, the same centred by the mean "
              "score of its generator's samples, or standardized by their mean and deviation; gan: "
              "share adds the log of the cluster's share of the rows");
  of_ganmm_em_.push_back(app.get_option("--critic-score"));
  const auto of_ganmm_em = app.get_options().size();
  add(app, "--classifier-steps", &Settings::classifier_steps, "classifier steps per EM iteration");
  add(app, "--classifier-learning-rate", &Settings::classifier_learning_rate,
      "0: 1e-3; wgan-clip and conv: as --learning-rate");
  add(app, "--label-smoothing", &Settings::label_smoothing,
      "share of the classifier's targets spread over all clusters, below 1");
  add(app, "--temperature", &Settings::temperature,
      "divides the classifier's outputs where rows of other clusters are chosen");
  const auto options = app.get_options();
  const auto from = [&](std::size_t number) {
    return options.begin() + static_cast<std::ptrdiff_t>(number);
  };
  of_nets_.insert(of_nets_.end(), from(of_all_methods), from(of_all_nets));
  of_gans_.insert(of_gans_.end(), from(of_all_nets), from(of_all_gans));
  of_ganmm_.insert(of_ganmm_.end(), from(of_ganmm_em), options.end());
  std::for_each(from(first), options.end(), [&](CLI::Option* option) { option->group(group); });
}

void FitArguments::add_gaussians(CLI::App& app) {
  add_spelled(app, "--covariance", &Settings::covariance, parse_covariance,
              "full, tied (one matrix for all), diag or spherical");
  add(app, "--regularization", &Settings::regularization,
      "added to every variance, also that of --init gmm");
  for (const char* name : {"--covariance", "--regularization"}) {
    app.get_option(name)->group("Gaussian mixture (--method gmm)");
  }
  of_gmm_.push_back(app.get_option("--covariance"));
  of_mixtures_.push_back(app.get_option("--regularization"));
}

void FitArguments::add_autoencoder(CLI::App& app) {
  const auto first = app.get_options().size();
  const auto take = [&](std::vector<const CLI::Option*>& owned, const char* group) {
    const auto options = app.get_options();
    for (std::size_t i = first + of_autoencoder_.size(); i < options.size(); ++i) {
      options[i]->group(group);
      owned.push_back(options[i]);
    }
  };
  add_spelled(app, "--encoder", &Settings::encoder, parse_widths,
              "widths of the encoder's hidden layers; the decoder mirrors them");
  add(app, "--codes", &Settings::codes, "width of the code layer");
  add(app, "--epochs", &Settings::epochs,
      "the autoencoder's passes over the rows; 0: 100, for small data more, 2000 steps");
  add(app, "--corruption", &Settings::corruption,
      "deviation of the noise added to the autoencoder's scaled inputs");
  add(app, "--warp", &Settings::warp, kWarpHelp);
  add(app, "--refine", &Settings::refine,
      "net codes: steps in which the clusters that were found refine the codes, before mixtures "
      "are "
      "trained on these again; 0: none");
  of_gans_.push_back(app.get_option("--refine"));
  take(of_autoencoder_, "Autoencoder (--net codes, --method dec)");
  add(app, "--refresh", &Settings::refresh,
      "steps between the passes over all rows that renew the target and may end the training; 0: "
      "half a pass, 30 to 140");
  take(of_dec_, "Clustering of codes (--method dec)");
}

void FitArguments::add_output(CLI::App& app) {
  device.add_to(app);
  app.add_option("--out", out, "run folder, created if need be")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_flag("--quiet", quiet, "no progress line, no summary");
  app.add_flag("--json", json, "print metrics.json as one line and nothing else");
  app.add_flag("--verbose", verbose, "resolved settings and memory plan to stderr");
}

void FitArguments::require_options_of(Method method) const {
  const auto only_for = [&](const std::vector<Method>& owners,
                            const std::vector<const CLI::Option*>& options) {
    if (std::ranges::find(owners, method) != owners.end()) return;
    std::string names;
    for (const Method owner : owners) names += (names.empty() ? "" : " or ") + to_string(owner);
    for (const CLI::Option* option : options) {
      require<ConfigError>(option->count() == 0, "option ", option->get_name(),
                           ": expected it with --method ", names, " alone, found method ",
                           to_string(method), "; leave it out");
    }
  };
  only_for({Method::ganmm, Method::ganmm_em, Method::dec}, of_nets_);
  only_for({Method::ganmm, Method::ganmm_em}, of_gans_);
  only_for({Method::ganmm}, of_ganmm_);
  only_for({Method::ganmm_em}, of_ganmm_em_);
  only_for({Method::gmm}, of_gmm_);
  only_for({Method::dec}, of_dec_);
  only_for({Method::ganmm, Method::ganmm_em, Method::dec}, of_autoencoder_);
  only_for({Method::ganmm, Method::ganmm_em, Method::gmm}, of_mixtures_);
}

FitOptions FitArguments::options(const io::Dataset& dataset) const {
  const Method method = parse_method(method_);
  require_options_of(method);
  FitOptions options;
  options.settings = compat_.empty() ? Settings::of(method) : Settings::reference();
  for (const auto& apply : apply_) apply(options.settings);
  Settings& settings = options.settings;
  if (init_option_->count() > 0) {
    settings.init = InitialPartition::given;
    for (const auto init : {InitialPartition::random, InitialPartition::kmeans,
                            InitialPartition::gmm, InitialPartition::mixed}) {
      if (init_ == to_string(init)) settings.init = init;
    }
  }
  options.scale = io::resolve_scale(dataset, io::parse_scale(scale_));
  options.device = device.device();
  options.math = device.math_mode();
  options.threads = device.threads;
  options.conv_path = device.convolution_path();

  require<ConfigError>(settings.net != NetKind::small || hidden_->count() == 0,
                       "net small: expected no --hidden, found ", settings.hidden,
                       "; small is the mlp with 32 hidden units; use --net mlp --hidden ",
                       settings.hidden);
  const Settings resolved = settings.resolved(dataset.rows, dataset.item);
  for (const CLI::Option* option : of_autoencoder_) {
    require<ConfigError>(!trains_gans(method) || resolved.net == NetKind::codes ||
                             option->count() == 0,
                         "option ", option->get_name(),
                         ": expected it with --net codes or --method dec, "
                         "found net ",
                         to_string(resolved.net), "; leave it out");
  }
  if (resolved.net == NetKind::conv) require_pixels(dataset, options.scale);
  if (settings.init == InitialPartition::given) {
    options.initial = load_initial(init_, dataset.rows, resolved.clusters);
  }
  const auto labels = static_cast<Index>(dataset.label_names.size());
  require<InputError>(labels <= kMaxConfusionCells / resolved.clusters, "labels of ",
                      dataset.source, ": expected classes, at most ",
                      kMaxConfusionCells / resolved.clusters, " with ", resolved.clusters,
                      " clusters, found ", labels, " different ones; name another column or file");
  return options;
}

}  // namespace ganmm::tools
