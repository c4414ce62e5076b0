// Every setting of a fit with default, unit and range.
#pragma once

#include "ganmm/autoencoder.h"
#include "ganmm/dec.h"
#include "kernels/core/shape.h"
#include "kernels/optim.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ganmm {

inline constexpr Index kMaxRows = (Index{1} << 31) - 1;  // row numbers are 32-bit on the device

enum class Method {
  ganmm,     // the mixture of GANs
  ganmm_em,  // GANMM(EM): the same without classifiers and without foreign rows; every row goes to
             // the component whose critic scores it highest
  kmeans,    // ganmm/kmeans.h
  gmm,       // ganmm/gaussian_mixture.h
  dec,       // ganmm/dec.h
};
inline bool trains_gans(Method method) {
  return method == Method::ganmm || method == Method::ganmm_em;
}
// Which score decides in GANMM(EM). The paper says that the critics assign and no more: raw is the
// reading that adds nothing. A Wasserstein critic is defined up to an additive constant, and across
// components up to scale, so raw scores of two critics have no common zero; the others are ours.
enum class CriticScore {
  raw,           // f_i(x)
  centred,       // f_i(x) - mean of f_i on samples of generator i
  standardized,  // the same in standard deviations of f_i on these samples
  share,         // objective gan: f_i(x) + log of the component's share of the rows. The score of a
                 // GAN's critic is log p_i(x) / g_i(x), g_i the density of generator i; with equal
                 // g_i this is Bayes' rule.
};
// What the Gaussians of a mixture have of their own: a matrix each, one for all, variances along
// the axes, one variance.
enum class Covariance { full, tied, diag, spherical };
enum class NetKind {
  automatic,  // for images of at least 8 x 8 codes, or conv where a critic assigns or is clipped;
              // otherwise mlp
  mlp,        // one hidden layer of `hidden` units (published nets for tables)
  small,      // the same with 32 hidden units (published nets for 10-d embeddings)
  codes,      // mlp on the codes of an autoencoder, which is trained first (ganmm/embedding.h)
  conv,       // 5x5 stride-2 convolutions, `width` channels in the first (published nets for MNIST)
};
enum class Objective {
  wgan_gp,    // Wasserstein with gradient penalty, Adam
  wgan_clip,  // Wasserstein with weight clipping, RMSProp, batch norm in conv nets (published code)
  gan,        // sigmoid cross-entropy, generators by -log sigmoid(f(G(z))), Adam (kernels/loss.h)
};
enum class Select {
  confidence,  // the restart with the highest mean posterior of its labels
  consensus,   // what the restarts agree on (ganmm/consensus.h)
  all,         // as confidence, and every restart's assignments are kept
};
// What generators are before they are trained.
enum class GeneratorStart {
  automatic,  // random with random partitions, otherwise gaussian
  random,     // weights as of Glorot & Bengio
  gaussian,   // the Gaussian of the component's rows (ganmm/gaussian_start.h); conv nets: random
};
enum class InitialPartition {
  random,  // equal parts
  kmeans,
  gmm,    // of a Gaussian mixture with full covariances, from a k-means partition
  mixed,  // gmm at two speeds (ganmm/restarts.h); with one restart gmm, for conv nets random
  given,
};

Method parse_method(const std::string& name);
Covariance parse_covariance(const std::string& name);
NetKind parse_net(const std::string& name);
Objective parse_objective(const std::string& name);
CriticScore parse_critic_score(const std::string& name);
Select parse_select(const std::string& name);
GeneratorStart parse_start(const std::string& name);
std::string to_string(Method method);
std::string to_string(Covariance covariance);
std::string to_string(NetKind kind);
std::string to_string(Objective objective);
std::string to_string(CriticScore score);
std::string to_string(Select select);
std::string to_string(InitialPartition init);
std::string to_string(GeneratorStart start);

// The epsilon of the E-step: until EM iteration `until` (exclusive), a share `foreign` of every
// critic batch comes from other clusters. The last step holds for ever.
struct SigmaStep {
  Index until = 0;
  double foreign = 0;  // in [0, 1)
};
// "0.5:500,0.2:1000,0.04" -> {500, .5}, {1000, .2}, {for ever, .04}. Throws ConfigError.
std::vector<SigmaStep> parse_sigma(const std::string& text);
std::string to_string(const std::vector<SigmaStep>& sigma);

// "500,500,2000" and back. Throws ConfigError.
std::vector<Index> parse_widths(const std::string& text);
std::string to_string(const std::vector<Index>& widths);

// Defaults are GANMM's; Settings::of has those of the other methods. kmeans, gmm and dec look at
// what is marked with their name alone; ganmm_em at all but the classifier's and theirs.
struct Settings {
  Method method = Method::ganmm;
  Index clusters = 0;  // all: N >= 1
  Index restarts = 0;  // all: R mixtures, trained side by side; 0: 8, with init mixed 32, for conv
                       // nets 1, ganmm_em 1, kmeans 10, gmm 1, dec 20 runs of k-means
  Select select = Select::consensus;
  InitialPartition init = InitialPartition::random;
  GeneratorStart start = GeneratorStart::automatic;
  std::uint64_t seed = 0;  // all

  NetKind net = NetKind::automatic;
  Index hidden = 64;  // units of the mlp's hidden layer
  Index width = 64;   // channels of the first convolution
  Index noise = 0;    // generator inputs; 0: 64, 128 for conv

  Objective objective = Objective::wgan_gp;
  double learning_rate = 0;  // of critics (and generators); 0: 2e-4, with wgan-clip 5e-5
                             // dec: of the clustering; 0: 1e-4
  // 0: the same; a fortieth for dense nets unless the partition is random: a good start should not
  // be lost in the cycles that generators and critics of equal rates run through. With init mixed
  // both.
  double generator_learning_rate = 0;
  double penalty = 10;     // lambda of the gradient penalty
  double clip = 0.01;      // bound of the critic's weights (wgan-clip)
  Index critic_steps = 5;  // per generator step
  Index batch = 50;        // rows per critic batch; dec: per step

  CriticScore critic_score = CriticScore::raw;  // ganmm_em

  Index classifier_steps = 1;           // cross-entropy steps per EM iteration
  double classifier_learning_rate = 0;  // 0: 1e-3; clip and conv: as learning_rate
  double label_smoothing = 0;           // in [0, 1)
  double temperature = 1;               // of the posterior that draws foreign rows
  bool double_softmax = false;          // as published: softmax once more inside the loss
  bool single_class_batches = false;    // as published: N classifier steps of one class each
  bool freeze_readout = false;      // as published: the mlp classifier's last layer stays random
  bool restart_empty = true;        // components without points start again; published: no
  bool clip_in_pretraining = true;  // false as published (wgan-clip)

  // Empty: .5, .2 and .1 until a tenth, a fifth and two fifths of the iterations, then .04; for
  // dense nets .04 unless the partition is random; ganmm_em 0.
  std::vector<SigmaStep> sigma;
  Index pretrain = 500;      // iterations on the initial partition, then steps of the classifiers
                             // unless it is random; dec: follows from epochs
  Index iterations = 5000;   // all: EM iterations at most, ganmm: 2500 by Settings::of; kmeans and
                             // gmm: of a restart, dec: steps
  Index sample = 0;          // rows that mixtures are trained on, evenly spaced; 0: all, at most
                             // 2^19 unless every restart's assignments are kept. No component draws
                             // as many by default, and checks of all would take most of the time.
  Index pool = 0;            // rows classified per EM iteration; 0: all, at most max(500 N, 5000)
  Index check_every = 100;   // EM iterations between assignments of the whole data set
  double tolerance = 0.001;  // stop when fewer points (share) changed cluster between checks ...
  Index patience = 5;        // ... this many checks in a row, after sigma reached its floor
                             // kmeans: KMeansSettings::tolerance
                             // gmm: of the mean log-likelihood per row
                             // dec: DecSettings::tolerance

  Covariance covariance = Covariance::full;  // gmm
  double regularization = 1e-6;              // gmm, init gmm: added to every variance

  // dec, net codes: as in AutoencoderSettings
  std::vector<Index> encoder = {500, 500, 2000};
  Index codes = 10;
  Index epochs = 0;
  double corruption = 0;  // AutoencoderSettings::noise
  double warp = 1;
  Index refine = 2500;  // net codes: steps that codes are refined by the clusters found; 0: none
  Index refresh = 0;    // dec: DecSettings::refresh

  // Fills the values that are 0 = automatic for data items of this shape, and reports all problems
  // at once as one ConfigError.
  Settings resolved(Index rows, Shape item) const;

  // The defaults of a method.
  static Settings of(Method method);

  // Whether the critics assign rows, in place of classifiers, ...
  bool critics_assign() const { return method == Method::ganmm_em; }
  // ... by scores relative to those of generated samples.
  bool scores_samples() const {
    return critics_assign() &&
           (critic_score == CriticScore::centred || critic_score == CriticScore::standardized);
  }

  // The published code's behaviour, faults included (docs/architecture.md lists them).
  static Settings reference();

  AutoencoderSettings autoencoder() const;  // dec, net codes
  DecSettings dec() const;

  kernels::OptimizerSettings optimizer() const;         // generator
  kernels::OptimizerSettings critic_optimizer() const;  // with clipping, if any
  kernels::OptimizerSettings classifier_optimizer() const;
};

}  // namespace ganmm
