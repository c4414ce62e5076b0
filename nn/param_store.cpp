#include "nn/param_store.h"

#include "kernels/random.h"

#include <algorithm>

namespace ganmm::nn {
namespace {

// FNV-1a: a stable number for a tensor's name, so that its initial weights depend on nothing else.
std::uint32_t name_hash(const std::string& name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace

template <class T>
ParamView<const T> ParamRange<T>::value(int tensor) const {
  if constexpr (std::is_same_v<T, BFloat16>) {
    const auto i = static_cast<std::size_t>(tensor);
    const auto& slot = store_->layout_.slots()[i];
    return {store_->rounded_.data() + slot.offset + first_ * slot.count, groups_,
            store_->layout_.specs()[i].shape};
  } else {
    return master(tensor);
  }
}

template <class T>
ParamView<const Master<T>> ParamRange<T>::master(int tensor) const {
  const auto i = static_cast<std::size_t>(tensor);
  const auto& slot = store_->layout_.slots()[i];
  return {store_->value_.data() + slot.offset + first_ * slot.count, groups_,
          store_->layout_.specs()[i].shape};
}

template <class T>
ParamView<Master<T>> ParamRange<T>::grad(int tensor) const {
  const auto i = static_cast<std::size_t>(tensor);
  const auto& slot = store_->layout_.slots()[i];
  require<ShapeError>(store_->grad_.data() != nullptr, "gradient of '",
                      store_->layout_.specs()[i].name,
                      "': this store holds values only; plan it for training");
  return {store_->grad_.data() + slot.offset + first_ * slot.count, groups_,
          store_->layout_.specs()[i].shape};
}

template <class T>
kernels::ParamSlabs<Master<T>> ParamRange<T>::slabs() const {
  return {store_->value_.data(),
          store_->grad_.data(),
          store_->state1_.data(),
          store_->state2_.data(),
          store_->step_.data(),
          &store_->layout_.slots(),
          first_,
          groups_,
          store_->rounded_.data()};
}

template <class T>
ParamStore<T>::ParamStore(Arena& arena, const std::string& name, ParamLayout layout, StoreUse use)
    : layout_(std::move(layout)) {
  const Index count = layout_.elements();
  value_ = arena.request<Master<T>>(name + " values", count);
  if constexpr (std::is_same_v<T, BFloat16>) {
    rounded_ = arena.request<BFloat16>(name + " rounded values", count);
  }
  if (use == StoreUse::training) {
    grad_ = arena.request<Master<T>>(name + " gradients", count);
    state1_ = arena.request<Master<T>>(name + " optimiser state 1", count);
    state2_ = arena.request<Master<T>>(name + " optimiser state 2", count);
    step_ = arena.request<std::int32_t>(name + " optimiser steps", layout_.groups());
  }
}

template <class T>
ParamRange<T> ParamStore<T>::range(Index first, Index groups) const {
  require<ShapeError>(first >= 0 && groups >= 0 && first + groups <= layout_.groups(), "groups [",
                      first, ", ", first + groups, ") of a parameter store with ",
                      layout_.groups());
  return {*this, first, groups};
}

template <class T>
void ParamStore<T>::initialize(Context& ctx, std::uint64_t seed, std::uint32_t generation,
                               Index first, Index groups) {
  (void)range(first, groups);  // checks
  Context host;
  std::vector<Master<T>> values;
  for (std::size_t i = 0; i < layout_.specs().size(); ++i) {
    const ParamSpec& spec = layout_.specs()[i];
    const kernels::TensorSlot& slot = layout_.slots()[i];
    values.assign(static_cast<std::size_t>(slot.count * groups),
                  spec.init.kind == Init::Kind::one ? Master<T>{1} : Master<T>{0});
    if (spec.init.kind == Init::Kind::uniform) {
      const RandomKey key{seed, Purpose::initial_weights,
                          name_hash(spec.name) + generation * 0x9E3779B9u,
                          static_cast<std::uint32_t>(first)};
      kernels::fill_uniform(host, GroupView<Master<T>>(values.data(), groups, 1, {slot.count}),
                            -spec.init.bound, spec.init.bound, key);
    }
    ctx.copy_to_device(value_.data() + slot.offset + first * slot.count, values.data(),
                       values.size() * sizeof(Master<T>));
  }
  kernels::round_values<Master<T>>(ctx, range(first, groups).slabs());
}

template <class T>
std::vector<Master<T>> ParamStore<T>::download(Context& ctx, int tensor) const {
  const auto& slot = layout_.slots()[static_cast<std::size_t>(tensor)];
  std::vector<Master<T>> values(static_cast<std::size_t>(slot.count * layout_.groups()));
  ctx.copy_to_host(values.data(), value_.data() + slot.offset, values.size() * sizeof(Master<T>));
  return values;
}

template <class T>
void ParamStore<T>::upload(Context& ctx, int tensor, const std::vector<Master<T>>& values) {
  const auto i = static_cast<std::size_t>(tensor);
  const auto& slot = layout_.slots()[i];
  require<ShapeError>(static_cast<Index>(values.size()) == slot.count * layout_.groups(),
                      "values of '", layout_.specs()[i].name, "': expected ",
                      slot.count * layout_.groups(), " elements, found ", values.size());
  ctx.copy_to_device(value_.data() + slot.offset, values.data(), values.size() * sizeof(Master<T>));
  kernels::round_values<Master<T>>(ctx, all().slabs());
}

template class ParamRange<float>;
template class ParamRange<double>;
template class ParamRange<BFloat16>;
template class ParamStore<float>;
template class ParamStore<double>;
template class ParamStore<BFloat16>;

}  // namespace ganmm::nn
