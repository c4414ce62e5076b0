// R mixtures of N components as one set of grouped networks: R*N generators and critics, R
// classifiers; where critics assign the rows (Method::ganmm_em), no classifiers but two numbers per
// critic that make a logit of its score. Component i of mixture r is group r*N + i. Generators and
// critics keep their activations as T; the classifiers, whose posteriors decide, are single
// precision always.
#pragma once

#include "ganmm/networks.h"
#include "ganmm/settings.h"
#include "nn/param_store.h"
#include "nn/sequential.h"

namespace ganmm {

template <class T = float>
struct Mixture {
  // Plans its memory in `arena`. `settings` must be resolved.
  Mixture(Arena& arena, const Settings& settings, Shape item, nn::StoreUse use)
      : Mixture(arena, settings, make_networks(settings, item), settings.restarts, use) {}
  // With networks other than those of the settings.
  Mixture(Arena& arena, const Settings& s, const Networks& nets, Index mixtures_, nn::StoreUse use)
      : mixtures(mixtures_), components(s.clusters), generator(nets.generator), critic(nets.critic),
        classifier(nets.classifier),
        generator_params(arena, "generators", generator.layout(groups()), use),
        critic_params(arena, "critics", critic.layout(groups()), use),
        classifier_params(arena, "classifiers",
                          classifier.layout(s.critics_assign() ? 0 : mixtures), use),
        score_centre(
            arena.request<float>("critic score statistics", s.critics_assign() ? groups() : 0)),
        score_scale(arena.request<float>("critic score statistics", score_centre.count())) {
    if (use == nn::StoreUse::training && s.objective == Objective::wgan_gp) {
      critic.require_penalty();
    }
  }

  Index mixtures, components;
  nn::Sequential<T> generator, critic;
  nn::Sequential<float> classifier;
  nn::ParamStore<T> generator_params, critic_params;
  nn::ParamStore<float> classifier_params;  // of no groups where critics assign
  Buffer<float> score_centre, score_scale;  // [R*N] logit = (score - centre) * scale, or none

  Index groups() const { return mixtures * components; }
  bool critics_assign() const { return score_centre.count() > 0; }
  ParamView<float> score_centre_of(Index first, Index critics) const {
    return {score_centre.data() + first, critics, {1}};
  }
  ParamView<float> score_scale_of(Index first, Index critics) const {
    return {score_scale.data() + first, critics, {1}};
  }
};

}  // namespace ganmm
