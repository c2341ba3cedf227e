#!/usr/bin/env bash
# Installs what the build needs and nothing else: Debian/Ubuntu packages, and LibTorch from its PyPI wheel into .deps/.
# A second run finds everything and returns at once. LITHE_TORCH=path/to/torch uses an installed torch 2.x instead.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ cmake ninja-build pkg-config ccache mold git ca-certificates python3 python3-pip unzip
          libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libspdlog-dev libxxhash-dev
          libarchive-dev libutf8proc-dev libpcre2-dev libsentencepiece-dev libcurl4-openssl-dev libssl-dev libgtest-dev libgoogle-perftools-dev)

# name, version, sha256
torch=(torch 2.11.0 0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756)
runtime=(nvidia-cuda-runtime 13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548)
cupti=(nvidia-cuda-cupti 13.0.85 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8)
# what libtorch_cuda.so needs beside these on a machine with a GPU
cuda_wheels=(nvidia-cublas nvidia-cuda-nvrtc nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse
             nvidia-nvjitlink nvidia-nvtx nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13)

say() { printf 'setup: %s\n' "$*" >&2; }

missing_packages() {
  command -v dpkg-query >/dev/null || { say "this script installs Debian packages; on another system install: ${packages[*]}"; return; }
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | awk '$1 == "installed" {print $2}' |
    sort -u > .deps/installed
  printf '%s\n' "${packages[@]}" | sort -u | comm -23 - .deps/installed
}

install_packages() {
  local missing sudo=""
  missing=$(missing_packages | tr '\n' ' ')
  [ -z "${missing// /}" ] && return
  if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    if ! command -v sudo >/dev/null || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; then
      say "missing packages; as root: apt-get install -y $missing"; exit 1
    fi
  fi
  say "installing $missing"
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >.deps/apt.log 2>&1 ||
    { tail -20 .deps/apt.log >&2; say "apt-get failed; the whole log is .deps/apt.log"; exit 1; }
}

fetch() {  # name version sha256: one wheel into .deps/wheels, checked
  local name=$1 version=$2 hash=$3
  echo "$name==$version --hash=sha256:$hash" > .deps/wheels/requirements.txt
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --python-version 3.12 --implementation cp --abi cp312 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    -d .deps/wheels -r .deps/wheels/requirements.txt
}

install_torch() {
  [ -n "${LITHE_TORCH:-}" ] && { [ -e "$LITHE_TORCH/lib/libtorch_cpu.so" ] || { say "LITHE_TORCH=$LITHE_TORCH holds no lib/libtorch_cpu.so"; exit 1; }; return; }
  local stamp=".deps/site/.torch-${torch[1]}"
  [ -e "$stamp" ] && return
  [ "$(uname -m)" = x86_64 ] || { say "the pinned LibTorch is for x86-64; install torch 2.x yourself and set LITHE_TORCH=path/to/torch"; exit 1; }
  say "fetching LibTorch ${torch[1]} (530 MB)"
  rm -rf .deps/site .deps/wheels && mkdir -p .deps/site .deps/wheels
  fetch "${torch[@]}"; fetch "${runtime[@]}"; fetch "${cupti[@]}"
  unzip -q .deps/wheels/torch-*.whl 'torch/lib/*' 'torch/include/*' 'torch/version.py' -d .deps/site
  for wheel in .deps/wheels/nvidia_*.whl; do unzip -qo "$wheel" -d .deps/site; done
  rm -rf .deps/wheels
  touch "$stamp"
}

install_cuda() {
  [ -e .deps/site/.cuda ] && return
  say "fetching the CUDA libraries of LibTorch (2 GB)"
  mkdir -p .deps/wheels
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_18_x86_64 \
    -d .deps/wheels "${cuda_wheels[@]}"
  for wheel in .deps/wheels/*.whl; do unzip -qo "$wheel" -d .deps/site; done
  rm -rf .deps/wheels
  touch .deps/site/.cuda
}

# For the tests of pages; a distribution without this package goes without, and those tests are skipped.
install_browser() {
  command -v chromium-headless-shell chromium google-chrome >/dev/null && return
  [ -n "$(apt-cache policy chromium-headless-shell 2>/dev/null | grep 'Candidate: [0-9]')" ] || { say "no chromium-headless-shell here: tests of pages in a browser are skipped"; return; }
  packages=(chromium-headless-shell)
  install_packages
}

mkdir -p .deps
install_packages
install_torch
if [ "${1:-}" = --cuda ]; then install_cuda; fi
if [ "${1:-}" = --browser ]; then install_browser; fi
