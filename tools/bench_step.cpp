#include "tools/bench_step.h"

#include "ganmm/networks.h"
#include "ganmm/trainer.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/mlp_step.h"
#include "kernels/random.h"
#include "nn/sequential.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace ganmm::tools {
namespace {

constexpr Index kRows = 4000;  // of the random data set
constexpr int kRepetitions = 5;
constexpr Index kShortRun = 4;  // iterations; a graph is recorded in the second

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Seconds of one call of `work`, the median of several, each of about 0.1 s.
double seconds_of(Context& ctx, const std::function<void()>& work) {
  const auto timed = [&](int calls) {
    ctx.synchronize();
    const double start = now();
    for (int i = 0; i < calls; ++i) work();
    ctx.synchronize();
    return (now() - start) / calls;
  };
  work();
  const int calls = std::clamp(static_cast<int>(0.1 / std::max(timed(1), 1e-9)), 1, 1000);
  std::vector<double> samples;
  for (int i = 0; i < kRepetitions; ++i) samples.push_back(timed(calls));
  return median(samples);
}

template <class T>
double product_rate(Context& ctx, Index size) {
  Arena arena(ctx.device());
  const auto a = arena.request<T>("a", size * size), b = arena.request<T>("b", size * size);
  const auto c = arena.request<T>("c", size * size);
  arena.reserve();
  for (const auto& buffer : {a, b}) {  // zeros would draw less power and run at higher clocks
    kernels::fill_uniform<T>(ctx, {buffer.data(), 1, size, {size}}, -1, 1,
                             {1, Purpose::noise, 0, 0});
  }
  const auto view = [&](const Buffer<T>& buffer) {
    return kernels::MatrixView<T>{buffer.data(), 1, size, size, 0, size};
  };
  const double seconds = seconds_of(ctx, [&] {
    kernels::gemm<T>(ctx, view(c), view(a), kernels::Transpose::no, view(b), kernels::Transpose::no,
                     Write::overwrite);
  });
  const auto n = static_cast<double>(size);
  return 2 * n * n * n / seconds;
}

// Multiply-adds of one row, taken from the layers themselves.
template <class T>
kernels::NetworkMacs macs_of(const nn::NetworkSpec& spec) {
  kernels::NetworkMacs macs;
  const nn::Sequential<T> net(spec);
  const nn::ParamLayout layout = net.layout(1);
  bool first = true;
  for (const nn::ParamSpec& tensor : layout.specs()) {
    if (tensor.name.find(".weight") == std::string::npos) continue;
    const auto layer =
        static_cast<std::size_t>(std::stoi(tensor.name.substr(tensor.name.find('.') + 1)));
    const nn::LayerSpec& kind = spec.layers[layer];
    const auto& built = *net.layers()[layer];
    double positions = 1;  // where the weight tensor is applied
    if (kind.kind == nn::LayerKind::conv) {
      positions = static_cast<double>(built.output()[0] * built.output()[1]);
    } else if (kind.kind == nn::LayerKind::deconv) {
      positions = static_cast<double>(built.input()[0] * built.input()[1]);
    }
    const double layer_macs = positions * static_cast<double>(tensor.shape.count());
    macs.all += layer_macs;
    if (first) macs.first = layer_macs;
    first = false;
  }
  return macs;
}

struct Timing {
  double seconds = 0;
  Index memory_bytes = 0;
  std::size_t graph_nodes = 0;
};

Timing train(const Settings& settings, std::span<float> values, Shape item, Lanes& lanes) {
  Trainer trainer(settings, values, kRows, item, {}, lanes);
  Timing timing;
  timing.seconds = trainer.run({}).seconds;
  timing.memory_bytes = trainer.memory_bytes();
  timing.graph_nodes = trainer.graph_nodes();
  return timing;
}

// Seconds per iteration from runs of two lengths, which differ in nothing else: set-up, the first
// iterations (run directly and recorded) and the final assignment cancel. Where few iterations
// already fill the time, lengths and repetitions shrink to what it takes to see a spread.
struct Slope {
  double seconds = 0, spread = 0;
  Timing last;
};
Slope per_iteration(const std::function<Timing(Index)>& run, double seconds) {
  const bool slow = run(kShortRun).seconds > seconds;  // also warms up memory, libraries, clocks
  const int repetitions = slow ? 2 : kRepetitions;
  Index length = kShortRun + (slow ? 2 : kShortRun);
  while (!slow && run(length).seconds < seconds / kRepetitions) length *= 2;
  const Index base_length = slow ? kShortRun : std::max(kShortRun, length / 8);
  std::vector<double> slopes;
  Slope slope;
  for (int i = 0; i < repetitions; ++i) {
    const double base = run(base_length).seconds;
    slope.last = run(length);
    slopes.push_back((slope.last.seconds - base) / static_cast<double>(length - base_length));
  }
  slope.seconds = median(slopes);
  const auto [least, most] = std::ranges::minmax(slopes);
  slope.spread = (most - least) / slope.seconds;
  return slope;
}

}  // namespace

Ceilings measure_ceilings(const DeviceArguments& arguments) {
  const Device device = arguments.device();
  const MathMode math = arguments.math_mode();
  Ceilings ceilings;
  if (device.kind == DeviceKind::cpu) {
    // One core's rate times the cores that the lanes use: lanes do not share a product.
    Context ctx(device, math);
    ceilings.flops_per_second = arguments.lanes().count() * product_rate<float>(ctx, 512);
  } else {
    Context ctx(device, math);
    ceilings.flops_per_second =
        math == MathMode::bf16 ? product_rate<BFloat16>(ctx, 8192) : product_rate<float>(ctx, 8192);
  }
  Context ctx(device, MathMode::fp32);
  const Index bytes = Index{device.kind == DeviceKind::cpu ? 256 : 2048} << 20;
  Slab from(device, bytes), to(device, bytes);
  const GroupView<float> target(reinterpret_cast<float*>(to.data()), 1, 1, {bytes / 4});
  kernels::fill<float>(ctx, {reinterpret_cast<float*>(from.data()), 1, 1, {bytes / 4}}, 1.5);
  const double seconds =
      seconds_of(ctx, [&] { ctx.copy(target.data, from.data(), static_cast<std::size_t>(bytes)); });
  ceilings.bytes_per_second = 2.0 * static_cast<double>(bytes) / seconds;
  return ceilings;
}

StepResult measure_step(const StepCase& step, const DeviceArguments& device, double seconds,
                        const Ceilings& ceilings, bool meter) {
  const Shape item = step.item;
  std::vector<float> values(static_cast<std::size_t>(kRows * item.count()));
  Context host;
  kernels::fill_uniform<float>(host, {values.data(), 1, kRows, item}, 0, 1,
                               {7, Purpose::noise, 0, 0});
  Settings base = step.settings;
  base.restart_empty = false;
  base.pool = kRows;
  base.sigma = {{0, 0.04}};
  const Settings s = base.resolved(kRows, item);

  Lanes lanes = device.lanes();
  StepResult result;
  const Slope m = per_iteration(
      [&](Index iterations) {
        Settings run = s;
        run.pretrain = iterations;
        run.iterations = 0;
        return train(run, values, item, lanes);
      },
      seconds);
  const Slope em = per_iteration(
      [&](Index iterations) {
        Settings run = s;
        run.pretrain = 0;
        run.iterations = iterations;
        run.check_every = iterations;
        run.patience = iterations + 1;
        return train(run, values, item, lanes);
      },
      seconds);
  result.milliseconds = 1e3 * m.seconds;
  result.spread = m.spread;
  result.em_milliseconds = 1e3 * em.seconds;
  result.memory_bytes = em.last.memory_bytes;
  result.graph_nodes = em.last.graph_nodes;

  const Networks nets = make_networks(s, item);
  kernels::MlpStepSettings count;
  count.with_penalty = s.objective == Objective::wgan_gp;
  count.batch = s.batch;
  count.critic_steps = s.critic_steps;
  result.flops =
      static_cast<double>(s.restarts * s.clusters) *
      kernels::m_step_flops(macs_of<float>(nets.generator), macs_of<float>(nets.critic), count);
  result.floor_milliseconds = 1e3 * result.flops / ceilings.flops_per_second;

  if (meter) {
    // One lane, or times of different threads would add up; the first iterations warm up.
    DeviceArguments alone = device;
    alone.threads = 1;
    Lanes one = alone.lanes();
    Meter ops;
    Settings run = s;
    run.pretrain = 0;
    run.iterations = 5;
    run.check_every = 4;  // after it the last iteration is handed over by itself
    run.patience = 10;
    Trainer trainer(run, values, kRows, item, {}, one);
    TrainerCallbacks callbacks;
    callbacks.report = [&](const Report& report) {
      if (report.iteration != 4) return;
      one.context(0).synchronize();
      trainer.set_meter(&ops);
    };
    callbacks.progress = [&](Index iteration) {
      if (iteration == 4) trainer.set_meter(nullptr);
    };
    (void)trainer.run(callbacks);
    result.ops = ops.rows();
  }
  return result;
}

std::vector<StepCase> published_steps(const StepRequest& request, DeviceKind kind) {
  struct Published {
    NetKind kind;
    Index width, noise;
    Shape item;
    Index clusters;
  };
  const Published published[] = {{NetKind::mlp, 64, 64, {6}, 10},
                                 {NetKind::mlp, 64, 64, {19}, 7},
                                 {NetKind::mlp, 32, 64, {10}, 10},
                                 {NetKind::conv, 16, 128, {28, 28, 1}, 10},
                                 {NetKind::conv, 64, 128, {28, 28, 1}, 10}};
  static_assert(std::size(published) == std::size(kStepNames));
  std::vector<StepCase> steps;
  for (std::size_t i = 0; i < std::size(published); ++i) {
    const Published& p = published[i];
    const std::string name = kStepNames[i];
    const bool long_run = kind == DeviceKind::cpu && name == "conv 64";
    const bool wanted = request.net == name || request.net == "all" ||
                        (request.net == "auto" && !long_run) ||
                        request.net == (p.kind == NetKind::conv ? "conv" : "mlp");
    if (!wanted) continue;
    StepCase step{name, {}, p.item};
    step.settings.net = p.kind;
    step.settings.objective = request.objective;
    step.settings.clusters = request.clusters == 0 ? p.clusters : request.clusters;
    step.settings.restarts = request.restarts;
    step.settings.noise = p.noise;
    if (request.batch > 0) step.settings.batch = request.batch;
    (p.kind == NetKind::conv ? step.settings.width : step.settings.hidden) =
        request.width == 0 ? p.width : request.width;
    steps.push_back(step);
  }
  return steps;
}

}  // namespace ganmm::tools
