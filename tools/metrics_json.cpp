#include "tools/metrics_json.h"

#include "ganmm/diagnosis.h"
#include "ganmm/restarts.h"
#include "tools/score_report.h"

#include <nlohmann/json.hpp>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

double samples_per_second(const FitRecord& record) {
  const Settings& s = record.settings;
  // Trainings one after the other (ganmm/restarts.h) share the restarts.
  const Index restarts = s.restarts / static_cast<Index>(trainings_of(s, record.data.item).size());
  const Index rows = trains_gans(s.method)     ? restarts * s.clusters * s.critic_steps * s.batch
                     : s.method == Method::dec ? s.batch
                                               : record.data.rows;
  const double all = static_cast<double>(record.steps) * static_cast<double>(rows);
  return record.result.training.seconds > 0 ? all / record.result.training.seconds : 0;
}

// What tells how sure or how good a partition is, and how it was chosen.
void add_quality(Json& json, const FitRecord& record) {
  const FitResult& result = record.result;
  json["confidence"] = result.kmeans ? Json() : Json(result.prediction.confidence);
  if (result.kmeans) json["inertia"] = result.kmeans->best.inertia;
  if (result.gaussians) {
    const GaussianMixture& mixture = result.model.gaussians;
    const double likelihood = result.prediction.log_likelihood;
    json["log_likelihood"] = likelihood;
    json["lower_bound"] = result.gaussians->best.lower_bound;
    json["bic"] = bayes_criterion(mixture, likelihood, record.data.rows);
    json["aic"] = akaike_criterion(mixture, likelihood);
  }
  json["sizes"] = cluster_sizes(record);
  const bool gans = trains_gans(record.settings.method);
  if (gans) json["select"] = to_string(record.settings.select);
  json["chosen_restart"] = result.chosen_restart < 0 ? Json() : Json(result.chosen_restart);
  if (gans) {
    json["restart_confidence"] = result.training.confidence;
    json["agreement"] = result.agreement;
    json["kept_restarts"] = result.kept_restarts;
  }
  if (result.kmeans) json["restart_inertia"] = result.kmeans->inertia;
  if (result.gaussians) json["restart_lower_bound"] = result.gaussians->lower_bound;
}

}  // namespace

std::vector<Index> cluster_sizes(const FitRecord& record) {
  std::vector<Index> sizes(static_cast<std::size_t>(record.settings.clusters));
  for (const std::int32_t cluster : record.result.prediction.assignments) {
    ++sizes[static_cast<std::size_t>(cluster)];
  }
  return sizes;
}

Json settings_json(const Settings& s, io::ScaleKind scale) {
  if (s.method == Method::dec) {
    return {{"scale", io::to_string(scale)},
            {"encoder", to_string(s.encoder)},
            {"codes", s.codes},
            {"epochs", s.epochs},
            {"corruption", s.corruption},
            {"warp", s.warp},
            {"batch", s.batch},
            {"iterations", s.iterations},
            {"learning_rate", s.learning_rate},
            {"refresh", s.refresh},
            {"tolerance", s.tolerance}};
  }
  if (s.method == Method::gmm) {
    return {{"scale", io::to_string(scale)},
            {"covariance", to_string(s.covariance)},
            {"regularization", s.regularization},
            {"iterations", s.iterations},
            {"tolerance", s.tolerance}};
  }
  if (s.method == Method::kmeans) {
    return {
        {"scale", io::to_string(scale)}, {"iterations", s.iterations}, {"tolerance", s.tolerance}};
  }
  Json json = {
      {"scale", io::to_string(scale)},
      {"init", to_string(s.init)},
      {"regularization", s.regularization},
      {"start", to_string(s.start)},
      {"net", to_string(s.net)},
      {"width", s.width},
      {"hidden", s.hidden},
      {"noise", s.noise},
      {"objective", to_string(s.objective)},
      {"penalty", s.penalty},
      {"clip", s.clip},
      {"iterations", s.iterations},
      {"pretrain", s.pretrain},
      {"tolerance", s.tolerance},
      {"patience", s.patience},
      {"check_every", s.check_every},
      {"batch", s.batch},
      {"critic_steps", s.critic_steps},
      {"learning_rate", s.learning_rate},
      {"generator_learning_rate", s.generator_learning_rate},
      {"sigma", to_string(s.sigma)},
      {"sample", s.sample},
      {"pool", s.pool},
      {"restart_empty", s.restart_empty},
      {"clip_in_pretraining", s.clip_in_pretraining},
  };
  if (s.net == NetKind::codes) {
    json["encoder"] = to_string(s.encoder);
    json["codes"] = s.codes;
    json["epochs"] = s.epochs;
    json["corruption"] = s.corruption;
    json["warp"] = s.warp;
    json["refine"] = s.refine;
  }
  if (s.critics_assign()) {
    json["critic_score"] = to_string(s.critic_score);
    return json;
  }
  json["classifier_steps"] = s.classifier_steps;
  json["classifier_learning_rate"] = s.classifier_learning_rate;
  json["label_smoothing"] = s.label_smoothing;
  json["temperature"] = s.temperature;
  json["double_softmax"] = s.double_softmax;
  json["single_class_batches"] = s.single_class_batches;
  json["freeze_readout"] = s.freeze_readout;
  return json;
}

Json metrics_json(const FitRecord& record) {
  const Settings& s = record.settings;
  const FitResult& result = record.result;
  Json json = {
      {"method", to_string(s.method)},
      {"version", GANMM_VERSION},
      {"backend", record.options.device.kind == DeviceKind::cpu ? "cpu" : "cuda"},
      {"device", to_string(record.options.device)},
      {"math", to_string(record.options.math)},
      {"seed", s.seed},
      {"data", record.data.source},
      {"n", record.data.rows},
      {"features", record.data.item.count()},
      {"item", to_string(record.data.item)},
      {"clusters", s.clusters},
      {"restarts", s.restarts},
      {"iterations", result.training.iterations},
      {"converged", result.training.converged},
      {"interrupted", result.training.cancelled},
      {"seconds", result.training.seconds},
      {"samples_per_second", samples_per_second(record)},
  };
  add_quality(json, record);
  const std::string warning = diagnose(result);
  json["warning"] = warning.empty() ? Json() : Json(warning);
  json["settings"] = settings_json(s, record.options.scale);
  if (record.scores) add_scores(json, *record.scores, record.data.label_names);
  return json;
}

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace ganmm::tools
