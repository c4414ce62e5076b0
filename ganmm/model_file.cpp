// Model files: tensors and scaling as safetensors, settings as metadata.
#include "ganmm/mixture.h"
#include "ganmm/model.h"
#include "io/safetensors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace ganmm {
namespace {

constexpr const char* kFormat = "ganmm-2";

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
  std::string string_or(const std::string& key, const std::string& otherwise) const {
    const auto found = file_.metadata.find(key);
    return found == file_.metadata.end() ? otherwise : found->second;
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

// What every reader of a file has at hand.
struct Source {
  const io::TensorFile& file;
  const std::string& path;
  Metadata meta{file, path};

  void expect(const std::string& name, const std::vector<Index>& shape) const {
    require<InputError>(file.tensor(name).shape == shape, "model '", path, "': tensor '", name,
                        "' does not have the shape that the metadata imply; the file is damaged");
  }
};

// Tensors NAME.offset and NAME.factor: of the rows, and of their codes.
constexpr const char* kScale = "scale";
constexpr const char* kCodesScale = "codes.scale";

void add_scaling(io::TensorFile& file, const std::string& name, const io::Scaling& scaling) {
  file.add(name + ".offset", {static_cast<Index>(scaling.offset.size())}, scaling.offset);
  file.add(name + ".factor", {static_cast<Index>(scaling.factor.size())}, scaling.factor);
}

io::Scaling load_scaling(const Source& source, const std::string& name, const Shape& item) {
  io::Scaling scaling{source.file.get<double>(name + ".offset"),
                      source.file.get<double>(name + ".factor")};
  const auto entries = static_cast<Index>(scaling.offset.size());
  require<InputError>(
      scaling.factor.size() == scaling.offset.size() && (entries == 1 || entries == item.count()),
      "model '", source.path, "': scaling of ", entries, " entries: expected 1 or ", item.count());
  const auto finite = [](double value) { return std::isfinite(value); };
  require<InputError>(
      std::ranges::all_of(scaling.offset, finite) && std::ranges::all_of(scaling.factor, finite) &&
          std::ranges::count(scaling.factor, 0.0) == 0,
      "model '", source.path, "': scaling: expected finite offsets and factors other than 0");
  return scaling;
}

void add_encoder(io::TensorFile& file, const Encoder& encoder) {
  file.metadata["encoder"] = to_string(encoder.hidden);
  file.metadata["codes"] = text(encoder.codes);
  const nn::Sequential<float> net(encoder_spec(encoder.item, encoder.hidden, encoder.codes));
  const auto specs = net.layout(1).specs();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    file.add(specs[i].name, expected_shape(specs[i], 1), encoder.tensors[i]);
  }
}

void load_encoder(Encoder& encoder, const Source& source, const Shape& item) {
  encoder.item = item;
  encoder.codes = source.meta.number<Index>("codes");
  try {
    encoder.hidden = parse_widths(source.meta.string("encoder"));
    const AutoencoderSettings settings{.hidden = encoder.hidden, .codes = encoder.codes};
    (void)settings.resolved(1);  // checks
    const nn::Sequential<float> net(encoder_spec(item, encoder.hidden, encoder.codes));
    const nn::ParamLayout layout = net.layout(1);
    for (const nn::ParamSpec& spec : layout.specs()) {
      source.expect(spec.name, expected_shape(spec, 1));
      encoder.tensors.push_back(source.file.get<float>(spec.name));
    }
  } catch (const ConfigError& error) {
    throw InputError(message("model '", source.path, "': ", error.what()));
  }
}

void save_embedding(io::TensorFile& file, const Embedding& embedding) {
  const Encoder& encoder = embedding.encoder;
  add_encoder(file, encoder);
  const nn::Sequential<float> net(decoder_spec(encoder.item, encoder.hidden, encoder.codes));
  const auto specs = net.layout(1).specs();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    file.add(specs[i].name, expected_shape(specs[i], 1), embedding.decoder[i]);
  }
  add_scaling(file, kCodesScale, embedding.scaling);
}

void load_embedding(Embedding& embedding, const Source& source, const Shape& item) {
  Encoder& encoder = embedding.encoder;
  load_encoder(encoder, source, item);
  const nn::Sequential<float> net(decoder_spec(encoder.item, encoder.hidden, encoder.codes));
  const nn::ParamLayout layout = net.layout(1);
  for (const nn::ParamSpec& spec : layout.specs()) {
    source.expect(spec.name, expected_shape(spec, 1));
    embedding.decoder.push_back(source.file.get<float>(spec.name));
  }
  embedding.scaling = load_scaling(source, kCodesScale, {encoder.codes});
}

void save_networks(io::TensorFile& file, const Model& model) {
  const Settings& s = model.settings;
  file.metadata["mixtures"] = text(s.restarts);
  file.metadata["net"] = to_string(s.net);
  file.metadata["objective"] = to_string(s.objective);
  file.metadata["hidden"] = text(s.hidden);
  file.metadata["width"] = text(s.width);
  file.metadata["noise"] = text(s.noise);
  file.metadata["batch"] = text(s.batch);
  if (model.embedding) save_embedding(file, model.embedding);
  if (s.critics_assign()) file.metadata["critic_score"] = to_string(s.critic_score);
  for (const auto& [name, tensor] : model.tensors) file.add(name, tensor.shape, tensor.values);
  file.add("joint", {s.restarts, s.clusters, s.clusters}, model.joint);
}

void load_networks(Model& model, const Source& source) {
  const auto& [file, path, meta] = source;
  Settings& s = model.settings;
  s.restarts = meta.number<Index>("mixtures");
  s.hidden = meta.number<Index>("hidden");
  s.width = meta.number<Index>("width");
  s.noise = meta.number<Index>("noise");
  s.batch = meta.number<Index>("batch");
  // The tensors are those of the networks that the metadata describe, no more and no less.
  Arena plan;
  std::optional<Mixture<>> mixture;
  try {
    s.net = parse_net(meta.string("net"));
    s.objective = parse_objective(meta.string("objective"));
    if (s.critics_assign()) s.critic_score = parse_critic_score(meta.string("critic_score"));
    if (s.net == NetKind::codes) load_embedding(model.embedding, source, model.item);
    s = s.resolved(s.clusters, model.item);
    mixture.emplace(plan, s, model.seen(), nn::StoreUse::inference);
  } catch (const InputError&) {  // of the embedding: it names the file
    throw;
  } catch (const Error& error) {
    throw InputError(message("model '", path, "': ", error.what()));
  }
  const auto read = [&, &file = file](const nn::ParamStore<float>& store) {
    for (const nn::ParamSpec& spec : store.layout().specs()) {
      const auto shape = expected_shape(spec, store.layout().groups());
      source.expect(spec.name, shape);
      model.tensors[spec.name] = {shape, file.get<float>(spec.name)};
    }
  };
  read(mixture->generator_params);
  read(mixture->critic_params);
  if (s.critics_assign()) {
    for (const char* name : {kScoreCentre, kScoreScale}) {
      source.expect(name, {mixture->groups()});
      model.tensors[name] = {{mixture->groups()}, file.get<float>(name)};
      const auto& values = model.tensors[name].values;
      require<InputError>(std::ranges::all_of(values, [](float v) { return std::isfinite(v); }),
                          "model '", path, "': tensor '", name, "': expected finite numbers");
    }
  } else {
    read(mixture->classifier_params);
  }
  source.expect("joint", {s.restarts, s.clusters, s.clusters});
  model.joint = file.get<float>("joint");
  std::vector<double> sum(static_cast<std::size_t>(s.restarts), 0.0);
  for (std::size_t i = 0; i < model.joint.size(); ++i) {
    const float value = model.joint[i];
    require<InputError>(value >= 0 && value <= 1, "model '", path,
                        "': tensor 'joint': expected shares from 0 to 1, found ", value);
    sum[i / static_cast<std::size_t>(s.clusters * s.clusters)] += static_cast<double>(value);
  }
  for (const double all : sum) {
    require<InputError>(std::abs(all - 1) < 1e-3, "model '", path,
                        "': tensor 'joint': expected shares of a mixture that sum to 1, found ",
                        all);
  }
}

void save_centres(io::TensorFile& file, const Model& model) {
  file.add("centres", {model.clusters(), model.item.count()}, model.centres);
}

void load_centres(Model& model, const Source& source) {
  source.expect("centres", {model.clusters(), model.item.count()});
  model.centres = source.file.get<float>("centres");
}

std::vector<Index> covariance_shape(const GaussianMixture& g) {
  switch (g.kind) {
  case Covariance::full: return {g.components, g.features, g.features};
  case Covariance::tied: return {g.features, g.features};
  case Covariance::diag: return {g.components, g.features};
  case Covariance::spherical: break;
  }
  return {g.components};
}

void save_gaussians(io::TensorFile& file, const Model& model) {
  const GaussianMixture& g = model.gaussians;
  file.metadata["covariance"] = to_string(g.kind);
  file.add("weights", {g.components}, g.weight);
  file.add("means", {g.components, g.features}, g.mean);
  file.add("covariances", covariance_shape(g), g.covariance);
}

void load_gaussians(Model& model, const Source& source) {
  GaussianMixture& g = model.gaussians;
  try {
    g.kind = parse_covariance(source.meta.string("covariance"));
  } catch (const ConfigError& error) {
    throw InputError(message("model '", source.path, "': ", error.what()));
  }
  model.settings.covariance = g.kind;
  g.components = model.clusters();
  g.features = model.item.count();
  source.expect("weights", {g.components});
  source.expect("means", {g.components, g.features});
  source.expect("covariances", covariance_shape(g));
  g.weight = source.file.get<double>("weights");
  g.mean = source.file.get<double>("means");
  g.covariance = source.file.get<double>("covariances");
  for (const auto* values : {&g.weight, &g.mean, &g.covariance}) {
    require<InputError>(std::ranges::all_of(*values, [](double v) { return std::isfinite(v); }),
                        "model '", source.path,
                        "': expected finite weights, means and covariances");
  }
}

Shape load_item(const Source& source) {
  const std::string& spelled = source.meta.string("item");
  constexpr Index kMostFeatures = Index{1} << 40;  // far from where counts overflow
  Index features = 1;
  std::vector<Index> extents;
  std::istringstream item(spelled);
  for (std::string part; std::getline(item, part, 'x');) {
    Index extent = 0;
    const auto [at, error] = std::from_chars(part.data(), part.data() + part.size(), extent);
    require<InputError>(error == std::errc{} && extent >= 1 && extents.size() < 3, "model '",
                        source.path, "': metadata 'item': expected F or HxWxC, found '", spelled,
                        "'");
    require<InputError>(extent <= kMostFeatures / features, "model '", source.path,
                        "': metadata 'item': expected rows of at most ", kMostFeatures,
                        " numbers, found '", spelled, "'");
    features *= extent;
    extents.push_back(extent);
  }
  require<InputError>(extents.size() == 1 || extents.size() == 3, "model '", source.path,
                      "': metadata 'item': expected F or HxWxC, found '", spelled, "'");
  return extents.size() == 1 ? Shape{extents[0]} : Shape{extents[0], extents[1], extents[2]};
}

// What every model has.
io::TensorFile file_of(const std::string& method, std::uint64_t seed, const Shape& item,
                       const io::Scaling& scaling, const std::vector<std::string>& columns) {
  io::TensorFile file;
  file.metadata = {
      {"format", kFormat}, {"method", method}, {"seed", text(seed)}, {"item", to_string(item)}};
  std::string names;
  for (const auto& column : columns) names += column + "\n";
  file.metadata["columns"] = names;
  add_scaling(file, kScale, scaling);
  return file;
}

}  // namespace

void save_model(const Model& model, const std::string& path) {
  io::TensorFile file = file_of(to_string(model.settings.method), model.settings.seed, model.item,
                                model.scaling, model.columns);
  file.metadata["clusters"] = text(model.clusters());
  switch (model.settings.method) {
  case Method::ganmm:
  case Method::ganmm_em: save_networks(file, model); break;
  case Method::kmeans: save_centres(file, model); break;
  case Method::gmm: save_gaussians(file, model); break;
  case Method::dec:
    add_encoder(file, model.encoder);
    file.add("centres", {model.clusters(), model.encoder.codes}, model.centres);
    break;
  }
  file.write(path);
}

void save_encoder(const Encoder& encoder, const io::Scaling& scaling,
                  const std::vector<std::string>& columns, std::uint64_t seed,
                  const std::string& path) {
  io::TensorFile file = file_of("encoder", seed, encoder.item, scaling, columns);
  add_encoder(file, encoder);
  file.write(path);
}

Model load_model(const std::string& path) {
  const io::TensorFile file = io::TensorFile::read(path);
  const Source source{file, path};
  const Metadata& meta = source.meta;
  require<InputError>(meta.string("format") == kFormat, "model '", path, "': expected format ",
                      kFormat, ", found '", meta.string("format"),
                      "'; it was written by another version");
  Model model;
  Settings& s = model.settings;
  try {
    s = Settings::of(parse_method(meta.string_or("method", "ganmm")));
  } catch (const ConfigError& error) {
    throw InputError(message("model '", path, "': ", error.what()));
  }
  s.clusters = meta.number<Index>("clusters");
  s.restarts = 1;
  s.seed = meta.number<std::uint64_t>("seed");
  require<InputError>(s.clusters >= 1, "model '", path,
                      "': metadata 'clusters': expected at least 1, found ", s.clusters);
  model.item = load_item(source);
  std::istringstream columns(meta.string("columns"));
  for (std::string column; std::getline(columns, column);) model.columns.push_back(column);
  switch (s.method) {
  case Method::ganmm:
  case Method::ganmm_em: load_networks(model, source); break;
  case Method::kmeans: load_centres(model, source); break;
  case Method::gmm: load_gaussians(model, source); break;
  case Method::dec:
    load_encoder(model.encoder, source, model.item);
    source.expect("centres", {model.clusters(), model.encoder.codes});
    model.centres = file.get<float>("centres");
    break;
  }
  model.scaling = load_scaling(source, kScale, model.item);
  return model;
}

}  // namespace ganmm
