// Model files: tensors, scaling and match as safetensors, settings as metadata.
#include "ganmm/mixture.h"
#include "ganmm/model.h"
#include "io/safetensors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace ganmm {
namespace {

constexpr const char* kFormat = "ganmm-1";

template <class T>
std::string text(T value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

// The metadata of a file, read with errors that name file and key.
class Metadata {
 public:
  Metadata(const io::TensorFile& file, const std::string& path) : file_(file), path_(path) {}

  const std::string& string(const std::string& key) const {
    const auto found = file_.metadata.find(key);
    require<InputError>(found != file_.metadata.end(), "model '", path_, "': expected metadata '",
                        key, "', found none; the file is not a ganmm model or was cut");
    return found->second;
  }
  template <class T>
  T number(const std::string& key) const {
    const std::string& value = string(key);
    T result{};
    const char* end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data(), end, result);
    require<InputError>(error == std::errc{} && at == end, "model '", path_, "': metadata '", key,
                        "': expected a number, found '", value, "'");
    return result;
  }

 private:
  const io::TensorFile& file_;
  const std::string& path_;
};

std::vector<Index> expected_shape(const nn::ParamSpec& spec, Index groups) {
  std::vector<Index> shape{groups};
  for (int axis = 0; axis < spec.shape.rank(); ++axis) shape.push_back(spec.shape[axis]);
  return shape;
}

}  // namespace

void save_model(const Model& model, const std::string& path) {
  const Settings& s = model.settings;
  io::TensorFile file;
  file.metadata = {{"format", kFormat},
                   {"clusters", text(s.clusters)},
                   {"mixtures", text(s.restarts)},
                   {"net", to_string(s.net)},
                   {"objective", to_string(s.objective)},
                   {"hidden", text(s.hidden)},
                   {"width", text(s.width)},
                   {"noise", text(s.noise)},
                   {"batch", text(s.batch)},
                   {"seed", text(s.seed)},
                   {"item", to_string(model.item)}};
  std::string columns;
  for (const auto& column : model.columns) columns += column + "\n";
  file.metadata["columns"] = columns;
  for (const auto& [name, tensor] : model.tensors) file.add(name, tensor.shape, tensor.values);
  file.add("scale.offset", {static_cast<Index>(model.scaling.offset.size())}, model.scaling.offset);
  file.add("scale.factor", {static_cast<Index>(model.scaling.factor.size())}, model.scaling.factor);
  file.add("match", {s.restarts, s.clusters}, model.match);
  file.add("weight", {s.restarts, s.clusters}, model.weight);
  file.write(path);
}

Model load_model(const std::string& path) {
  const io::TensorFile file = io::TensorFile::read(path);
  const Metadata meta(file, path);
  require<InputError>(meta.string("format") == kFormat, "model '", path, "': expected format ",
                      kFormat, ", found '", meta.string("format"),
                      "'; it was written by another version");
  Model model;
  Settings& s = model.settings;
  s.clusters = meta.number<Index>("clusters");
  s.restarts = meta.number<Index>("mixtures");
  s.hidden = meta.number<Index>("hidden");
  s.width = meta.number<Index>("width");
  s.noise = meta.number<Index>("noise");
  s.batch = meta.number<Index>("batch");
  s.seed = meta.number<std::uint64_t>("seed");

  std::vector<Index> extents;
  std::istringstream item(meta.string("item"));
  for (std::string part; std::getline(item, part, 'x');) {
    Index extent = 0;
    const auto [at, error] = std::from_chars(part.data(), part.data() + part.size(), extent);
    require<InputError>(error == std::errc{} && extent >= 1 && extents.size() < 3, "model '", path,
                        "': metadata 'item': expected F or HxWxC, found '", meta.string("item"),
                        "'");
    extents.push_back(extent);
  }
  require<InputError>(extents.size() == 1 || extents.size() == 3, "model '", path,
                      "': metadata 'item': expected F or HxWxC, found '", meta.string("item"), "'");
  model.item = extents.size() == 1 ? Shape{extents[0]} : Shape{extents[0], extents[1], extents[2]};

  std::istringstream columns(meta.string("columns"));
  for (std::string column; std::getline(columns, column);) model.columns.push_back(column);
  // The tensors are those of the networks that the metadata describe, no more and no less.
  Arena plan;
  std::optional<Mixture<>> mixture;
  try {
    s.net = parse_net(meta.string("net"));
    s.objective = parse_objective(meta.string("objective"));
    s = s.resolved(s.clusters, model.item);
    mixture.emplace(plan, s, model.item, nn::StoreUse::inference);
  } catch (const Error& error) {
    throw InputError(message("model '", path, "': ", error.what()));
  }

  const auto expect = [&](const std::string& name, const std::vector<Index>& shape) {
    require<InputError>(file.tensor(name).shape == shape, "model '", path, "': tensor '", name,
                        "' does not have the shape that the metadata imply; the file is damaged");
  };
  const auto read = [&](const nn::ParamStore<float>& store) {
    for (const nn::ParamSpec& spec : store.layout().specs()) {
      const auto shape = expected_shape(spec, store.layout().groups());
      expect(spec.name, shape);
      model.tensors[spec.name] = {shape, file.get<float>(spec.name)};
    }
  };
  read(mixture->generator_params);
  read(mixture->critic_params);
  read(mixture->classifier_params);
  expect("match", {s.restarts, s.clusters});
  expect("weight", {s.restarts, s.clusters});
  model.match = file.get<std::int32_t>("match");
  for (Index r = 0; r < s.restarts; ++r) {
    std::vector<bool> taken(static_cast<std::size_t>(s.clusters), false);
    for (Index i = 0; i < s.clusters; ++i) {
      const std::int32_t cluster = model.match[static_cast<std::size_t>(r * s.clusters + i)];
      const bool valid =
          cluster >= 0 && cluster < s.clusters && !taken[static_cast<std::size_t>(cluster)];
      require<InputError>(valid, "model '", path, "': tensor 'match': expected a permutation of ",
                          s.clusters, " clusters per mixture, found ", cluster, " in mixture ", r);
      taken[static_cast<std::size_t>(cluster)] = true;
    }
  }
  model.weight = file.get<float>("weight");
  for (const float weight : model.weight) {
    require<InputError>(weight >= 0 && weight <= 1, "model '", path,
                        "': tensor 'weight': expected shares from 0 to 1, found ", weight);
  }
  model.scaling.offset = file.get<double>("scale.offset");
  model.scaling.factor = file.get<double>("scale.factor");
  const auto entries = static_cast<Index>(model.scaling.offset.size());
  require<InputError>(model.scaling.factor.size() == model.scaling.offset.size() &&
                          (entries == 1 || entries == model.item.count()),
                      "model '", path, "': scaling of ", entries, " entries: expected 1 or ",
                      model.item.count());
  const auto finite = [](double value) { return std::isfinite(value); };
  require<InputError>(std::ranges::all_of(model.scaling.offset, finite) &&
                          std::ranges::all_of(model.scaling.factor, finite) &&
                          std::ranges::count(model.scaling.factor, 0.0) == 0,
                      "model '", path,
                      "': scaling: expected finite offsets and factors other than 0");
  return model;
}

}  // namespace ganmm
