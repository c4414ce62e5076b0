# Shared by tools/demo and tools/test: source it, do not run it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache
fi

# Looks where cmake/GanmmFindCuda.cmake does.
have_nvcc() {
  [[ -n ${CUDACXX:-} ]] && return
  command -v nvcc >/dev/null && return
  local toolkit
  for toolkit in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda* /opt/cuda; do
    [[ -n $toolkit && -x $toolkit/bin/nvcc ]] && return
  done
  return 1
}

# logged FILE COMMAND...: keeps the output in FILE and shows its end only if the command fails.
logged() {
  local log=$1 status=0
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 || status=$?
  if ((status)); then
    tail -n 60 "$log" >&2
    echo "failed (exit $status): $*; all of its output is in $log" >&2
  fi
  return $status
}

# link_binary PRESET: makes build/ganmm the program of that build.
link_binary() {
  ln -sfn "$1/ganmm" build/ganmm
}
