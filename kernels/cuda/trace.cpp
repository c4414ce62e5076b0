#include "kernels/core/trace.h"

#if GANMM_NVTX
#include <nvtx3/nvToolsExt.h>

namespace ganmm {

TraceRange::TraceRange(const char* name) { nvtxRangePushA(name); }
TraceRange::~TraceRange() { nvtxRangePop(); }

}  // namespace ganmm
#endif
