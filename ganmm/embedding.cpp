#include "ganmm/embedding.h"

#include "ganmm/device_rows.h"

#include <utility>

namespace ganmm {

Embedding train_embedding(const io::Dataset& data, const AutoencoderSettings& settings,
                          Lanes& lanes, const IterationCallbacks& callbacks) {
  const DeviceRows rows(data.values, data.rows, data.item, lanes);
  AutoencoderResult trained = train_autoencoder(rows.view(), settings, lanes, callbacks);
  io::Dataset codes;
  codes.rows = data.rows;
  codes.item = {settings.codes};
  codes.values = encode(trained.encoder, rows.view(), lanes);
  return {std::move(trained.encoder), std::move(trained.decoder),
          io::fit_scaling(codes, io::ScaleKind::maxabs)};
}

std::vector<float> embed(const Embedding& embedding, std::span<const float> values, Index rows,
                         Lanes& lanes) {
  const Encoder& encoder = embedding.encoder;
  std::vector<float> codes =
      encode(encoder, DeviceRows(values, rows, encoder.item, lanes).view(), lanes);
  io::apply(embedding.scaling, codes, encoder.codes);
  return codes;
}

std::vector<float> unembed(const Embedding& embedding, std::vector<float> codes, Index rows,
                           Lanes& lanes) {
  const Encoder& encoder = embedding.encoder;
  io::invert(embedding.scaling, codes, encoder.codes);
  return decode(encoder, embedding.decoder, DeviceRows(codes, rows, {encoder.codes}, lanes).view(),
                lanes);
}

}  // namespace ganmm
