// The options of `ganmm fit`. Defaults are those of Settings; --compat replaces them before the
// options that were given are put on top.
#pragma once

#include "ganmm/fit.h"
#include "tools/options.h"

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class Option;
}

namespace ganmm::tools {

class FitArguments {
 public:
  explicit FitArguments(CLI::App& app);
  FitArguments(const FitArguments&) = delete;  // the command line holds references to it
  FitArguments& operator=(const FitArguments&) = delete;

  // What `fit` is to do with this data, the scale resolved. Everything that can be checked before
  // training is checked: throws ConfigError and InputError.
  FitOptions options(const io::Dataset& data) const;

  DataArguments data;
  DeviceArguments device;
  std::string out = "ganmm-run";
  bool quiet = false;
  bool json = false;
  bool verbose = false;

 private:
  template <class T>
  void add(CLI::App& app, const std::string& name, T Settings::*member, const std::string& help);
  template <class T>
  void add_spelled(CLI::App& app, const std::string& name, T Settings::*member,
                   T (*parse)(const std::string&), const std::string& help);
  void add_problem(CLI::App& app);
  void add_networks(CLI::App& app);
  void add_training(CLI::App& app);
  void add_gaussians(CLI::App& app);
  void add_autoencoder(CLI::App& app);
  void add_output(CLI::App& app);
  void require_options_of(Method method) const;

  Settings given_ = Settings::of(Method::ganmm);
  std::vector<std::function<void(Settings&)>> apply_;  // options that were given
  std::string scale_ = "auto";
  std::string init_;
  const CLI::Option* init_option_ = nullptr;
  std::string compat_;
  std::string method_ = to_string(Method::ganmm);
  const CLI::Option* hidden_ = nullptr;
  // Which other methods do not have; of_gans_: of ganmm and ganmm-em, of_nets_: of these and dec,
  // of_mixtures_: of these and gmm; of_autoencoder_: of all that may train one.
  std::vector<const CLI::Option*> of_nets_, of_gans_, of_ganmm_, of_ganmm_em_, of_gmm_, of_dec_,
      of_mixtures_, of_autoencoder_;
};

}  // namespace ganmm::tools
