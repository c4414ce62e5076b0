// R mixtures of N components as one set of grouped networks: R*N generators and critics, R
// classifiers. Component i of mixture r is group r*N + i. Generators and critics keep their
// activations as T; the classifiers, whose posteriors decide, are single precision always.
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
        classifier_params(arena, "classifiers", classifier.layout(mixtures), use) {
    if (use == nn::StoreUse::training && s.objective == Objective::wgan_gp) {
      critic.require_penalty();
    }
  }

  Index mixtures, components;
  nn::Sequential<T> generator, critic;
  nn::Sequential<float> classifier;
  nn::ParamStore<T> generator_params, critic_params;
  nn::ParamStore<float> classifier_params;

  Index groups() const { return mixtures * components; }
};

}  // namespace ganmm
