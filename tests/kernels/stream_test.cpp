#include "kernels/core/context.h"
#include "kernels/gemm.h"
#include "tests/support/devices.h"

#include <chrono>
#include <thread>
#include <vector>

namespace ganmm {
namespace {

constexpr Device kCuda{DeviceKind::cuda, 0};

// Keeps a context busy: products of one square matrix.
class Load {
 public:
  explicit Load(Context& ctx) : ctx_(ctx), slab_(ctx.device(), 3 * kSize * kSize * 4) {
    ctx.clear(slab_.data(), 3 * kSize * kSize * 4);
  }
  void run(int products) {
    for (int i = 0; i < products; ++i) {
      kernels::gemm<float>(ctx_, view(2), view(0), kernels::Transpose::no, view(1),
                           kernels::Transpose::no, Write::overwrite);
    }
  }

 private:
  static constexpr Index kSize = 2048;
  kernels::MatrixView<float> view(Index which) const {
    auto* data = reinterpret_cast<float*>(slab_.data()) + which * kSize * kSize;
    return {data, 1, kSize, kSize, 0, kSize};
  }
  Context& ctx_;
  Slab slab_;
};

}  // namespace

TEST_CASE("stream: events on the CPU measure the time between them") {
  Context ctx;
  Event start, end;
  start.record(ctx);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  end.record(ctx);
  const double elapsed = end.elapsed_ms_since(start);
  CHECK(elapsed >= 5.0);
  CHECK(elapsed < 5000.0);
  CHECK(start.elapsed_ms_since(end) == -elapsed);
  CHECK(end.elapsed_ms_since(end) == 0.0);
  start.record(ctx);  // again: now the later one
  CHECK(start.elapsed_ms_since(end) >= 0.0);
}

TEST_CASE("stream: work on the CPU is done, so waiting for it returns") {
  Context first, second;
  Event event;
  event.record(first);
  CHECK_NOTHROW(event.synchronize());
  CHECK_NOTHROW(second.stream().wait(event));
  CHECK_NOTHROW(second.stream().synchronize());
}

TEST_CASE("stream: an event that was never recorded is refused") {
  Context ctx;
  Event recorded;
  const Event never;
  recorded.record(ctx);
  CHECK_THROWS_AS(never.synchronize(), ShapeError);
  CHECK_THROWS_AS(ctx.stream().wait(never), ShapeError);
  CHECK_THROWS_AS(recorded.elapsed_ms_since(never), ShapeError);
  CHECK_THROWS_AS(never.elapsed_ms_since(recorded), ShapeError);
}

TEST_SUITE("gpu") {
  TEST_CASE("stream: events on a CUDA device bracket the work between them") {
    Context ctx(kCuda);
    Load load(ctx);
    load.run(1);  // the library prepares itself
    Event start, middle, end;
    start.record(ctx);
    load.run(1);
    middle.record(ctx);
    load.run(20);
    end.record(ctx);
    const double one = middle.elapsed_ms_since(start);
    const double twenty = end.elapsed_ms_since(middle);
    CHECK(one > 0.0);
    CHECK(twenty > 2 * one);
    CHECK(end.elapsed_ms_since(start) < 5000.0);
  }

  TEST_CASE("stream: a stream that waits for an event sees the work before it") {
    Context first(kCuda), second(kCuda);
    Load load(first);
    constexpr std::size_t kCount = 1 << 20;
    Slab source(kCuda, kCount * 4), copy(kCuda, kCount * 4);
    const std::vector<float> before(kCount, 1.0f), after(kCount, 2.0f);
    first.copy_to_device(source.data(), before.data(), kCount * 4);
    first.copy_to_device(copy.data(), after.data(), kCount * 4);
    Event done;
    load.run(20);
    first.copy(source.data(), copy.data(), kCount * 4);
    done.record(first);
    second.stream().wait(done);
    std::vector<float> seen(kCount);
    second.copy_to_host(seen.data(), source.data(), kCount * 4);
    CHECK(seen == after);
    Event later;
    later.record(second);
    CHECK(later.elapsed_ms_since(done) >= 0.0);
  }

  TEST_CASE("stream: an event of one device is no start for the time of another") {
    Context cpu, cuda(kCuda);
    Event on_cpu, on_cuda;
    on_cpu.record(cpu);
    on_cuda.record(cuda);
    CHECK_THROWS_AS(on_cuda.elapsed_ms_since(on_cpu), ShapeError);
    CHECK_NOTHROW(cuda.stream().wait(on_cpu));
    CHECK_NOTHROW(cpu.stream().wait(on_cuda));
    on_cuda.record(cpu);  // an event may move
    CHECK(on_cuda.elapsed_ms_since(on_cpu) >= 0.0);
  }
}

}  // namespace ganmm
