#!/usr/bin/env python3
"""Checks who includes whom: the arrows of docs/architecture.md.

    kernels/core <- kernels/*.h <- nn <- ganmm <- tools, bench;  kernels/core <- io <- ganmm

Only kernels/cuda sees CUDA headers; nn and ganmm hold no conditional compilation (but a C header
may ask for __cplusplus); no header asks how the library was configured, since its users are not
compiled with those definitions.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOP = ("kernels", "nn", "ganmm", "io", "bench", "tests", "tools")
SUFFIXES = {".h", ".cuh", ".inc", ".cpp", ".cu"}

# Layer of a file -> layers it may include, beside its own.
ALLOWED = {
    "kernels/core": set(),
    "kernels": {"kernels/core"},
    "kernels/dispatch": {"kernels", "kernels/core"},
    "kernels/cpu": {"kernels", "kernels/core"},
    "kernels/cuda": {"kernels", "kernels/core"},
    "kernels/no_cuda": {"kernels", "kernels/core"},
    "kernels/no_cudnn": {"kernels", "kernels/core", "kernels/cuda"},
    "nn": {"kernels", "kernels/core"},
    "io": {"kernels/core"},
    "ganmm": {"nn", "io", "kernels", "kernels/core"},
    "tools": {"ganmm", "nn", "io", "kernels", "kernels/core"},
    "bench": {"ganmm", "nn", "io", "kernels", "kernels/core"},
    "tests": None,  # may include anything
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
CONDITIONAL = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b(.*)")
CUDA = re.compile(
    r"^(cuda\w*|cudnn\w*|cublas\w*|device_launch_parameters|mma|nccl|curand\w*)(\.h|\.hpp)$"
    r"|^(cub|cuda|thrust|cooperative_groups|nv|cutlass)(/|\.h)")


def layer(path: Path) -> str:
    """The entry of ALLOWED that a path relative to the root belongs to."""
    parts = path.parts
    if parts[0] == "kernels":
        return "kernels" if len(parts) == 2 else f"kernels/{parts[1]}"
    return parts[0]


def check(path: Path, problems: list[str]) -> None:
    own = layer(path)
    allowed = ALLOWED[own]
    for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1):
        where = f"{path}:{number}"

        if include := INCLUDE.match(line):
            form, name = include.groups()
            if CUDA.search(name) and own != "kernels/cuda":
                problems.append(f"{where}: includes {name}; only kernels/cuda may see CUDA headers")
            elif form == '"':
                if not (ROOT / name).is_file():
                    problems.append(f"{where}: \"{name}\" is no path from the repository root")
                    continue
                target = layer(Path(name))
                if allowed is not None and target != own and target not in allowed:
                    problems.append(f"{where}: {own} must not include {name}")

        if condition := CONDITIONAL.match(line):
            text = condition.group(2)
            if own in ("nn", "ganmm") and "__cplusplus" not in text:
                problems.append(f"{where}: conditional compilation in {own}")
            if path.suffix == ".h" and "GANMM_HAVE_" in text:
                problems.append(f"{where}: a header must not depend on build options")


def main() -> int:
    problems: list[str] = []
    count = 0
    for top in TOP:
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in SUFFIXES:
                relative = path.relative_to(ROOT)
                if layer(relative) not in ALLOWED:
                    problems.append(f"{relative}: unknown folder; add it to {Path(__file__).name}")
                    continue
                check(relative, problems)
                count += 1
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
