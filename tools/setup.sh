#!/usr/bin/env bash
# Installs what the build needs and nothing else: Debian/Ubuntu packages, and LibTorch from its PyPI wheel into .deps/.
# A second run finds everything and returns at once. LITHE_TORCH=path/to/torch uses an installed torch 2.x instead.
#
#   tools/setup.sh [--cuda] [--browser] [--fuzz] [--lint]
#     --cuda     LibTorch's CUDA libraries too (2 GB)      --browser  what tests of pages need; without it they are skipped
#     --fuzz     clang and its sanitizers                  --lint     clang-format 14
# What cannot be installed here (no root, no network) is told with the commands to give by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ cmake ninja-build pkg-config ccache mold git ca-certificates python3 python3-pip unzip
          libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libspdlog-dev libxxhash-dev
          libarchive-dev libutf8proc-dev libpcre2-dev libsentencepiece-dev libcurl4-openssl-dev libssl-dev libgtest-dev libgoogle-perftools-dev)
fuzz_packages=(clang libclang-rt-dev)
lint_packages=(clang-format-14)
browser_packages=(chromium-headless-shell)

# Wheels: name, version, sha256. The versions are those that LibTorch's own wheel asks for.
torch="torch 2.11.0 0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756"
torch_wheels=(
  "$torch"
  "nvidia-cuda-runtime 13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"
  "nvidia-cuda-cupti 13.0.85 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8")
# what libtorch_cuda.so needs beside these on a machine with a GPU
cuda_wheels=(
  "nvidia-cublas 13.1.0.3 ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171"
  "nvidia-cuda-nvrtc 13.0.88 ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"
  "nvidia-cufft 12.0.0.61 6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"
  "nvidia-cufile 1.15.1.6 08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44"
  "nvidia-curand 10.4.0.35 1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"
  "nvidia-cusolver 12.0.4.66 0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"
  "nvidia-cusparse 12.6.3.3 2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"
  "nvidia-nvjitlink 13.0.88 13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b"
  "nvidia-nvtx 13.0.85 4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4"
  "nvidia-cudnn-cu13 9.19.0.56 d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf"
  "nvidia-cusparselt-cu13 0.8.0 25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd"
  "nvidia-nccl-cu13 2.28.9 e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42"
  "nvidia-nvshmem-cu13 3.4.5 290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80")

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

missing_packages() {  # package...
  { dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } | awk '$1 == "installed" {print $2}' |
    sort -u > .deps/installed
  printf '%s\n' "$@" | sort -u | comm -23 - .deps/installed
}

# Returns 1 where they cannot be installed, after saying what to do.
install_packages() {  # package...
  local missing as_root=() log=.deps/apt.log
  command -v dpkg-query >/dev/null || { say "not Debian or Ubuntu: packages are not looked at; needed are what Debian calls $*"; return 0; }
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  local by_hand="as root: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; then
      say "missing packages, and no way to become root here; $by_hand"; return 1
    fi
    as_root=(sudo)
  fi
  say "installing packages: ${missing[*]}"
  if ! { "${as_root[@]}" apt-get update -qq &&
         "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
    tail -20 "$log" >&2
    say "apt-get failed (no network? the whole log is $log); by hand, $by_hand"; return 1
  fi
  say "installed packages: ${missing[*]}"
}

# One wheel into .deps/wheels, checked. One that lies there already, e.g. carried by hand, is used if its hash is right.
fetch() {  # name version sha256
  local name=$1 version=$2 hash=$3 file
  for file in .deps/wheels/"${name//-/_}-$version"-*.whl; do
    [ -e "$file" ] || continue
    if echo "$hash  $file" | sha256sum --check --status; then return; fi
    say "$file does not have the sha256 that is expected ($hash): it is fetched again"
    rm -f "$file"
  done
  echo "$name==$version --hash=sha256:$hash" > .deps/wheels/requirements.txt
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --python-version 3.12 --implementation cp --abi cp312 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 \
    --platform manylinux_2_18_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    -d .deps/wheels -r .deps/wheels/requirements.txt ||
    fail "cannot fetch $name $version from PyPI; why stands above (no network?). By hand: put its wheel for x86-64 (of torch: cp312), sha256 $hash," \
         "into $PWD/.deps/wheels and run this again; or set LITHE_TORCH=path/to/torch to an installed torch 2.x"
}

fetch_all() {  # "name version sha256"...
  local each
  mkdir -p .deps/wheels
  for each in "$@"; do
    # shellcheck disable=SC2086  # three words
    fetch $each
  done
}

unpack() {  # folder "name version sha256"...: the newest times, so that what was built from older files is built again
  local folder=$1 name version hash each parts
  shift
  for each in "$@"; do
    read -r name version hash <<< "$each"
    parts=()
    if [ "$name" = torch ]; then parts=('torch/lib/*' 'torch/include/*' 'torch/version.py'); fi
    unzip -qo -DD .deps/wheels/"${name//-/_}-$version"-*.whl "${parts[@]}" -d "$folder"
  done
}

torch_version() {  # folder of a torch: its version without the build's label, or nothing
  sed -nE "s/^__version__ = '([^'+]*).*/\1/p" "$1/version.py" 2>/dev/null || true
}

check_own_torch() {
  local version
  [ -e "$LITHE_TORCH/lib/libtorch_cpu.so" ] || fail "LITHE_TORCH=$LITHE_TORCH holds no lib/libtorch_cpu.so"
  [ -d "$LITHE_TORCH/include" ] || fail "LITHE_TORCH=$LITHE_TORCH holds no include/"
  version=$(torch_version "$LITHE_TORCH")
  case $version in "" | 2.*) ;; *) fail "LITHE_TORCH=$LITHE_TORCH is torch $version; 2.x is needed" ;; esac
}

install_torch() {
  [ -z "${LITHE_TORCH:-}" ] || { check_own_torch; return; }
  local wanted old had_cuda=""
  read -r _ wanted _ <<< "$torch"
  [ ! -e ".deps/site/.torch-$wanted" ] || return 0
  [ "$(uname -m)" = x86_64 ] || fail "the pinned LibTorch is for x86-64; install torch 2.x yourself and set LITHE_TORCH=path/to/torch"
  old=$(torch_version .deps/site/torch)
  compgen -G '.deps/site/.cuda*' >/dev/null && had_cuda=yes
  say "fetching LibTorch $wanted (530 MB)${old:+, to replace $old}"
  fetch_all "${torch_wheels[@]}"
  rm -rf .deps/site.new
  unpack .deps/site.new "${torch_wheels[@]}"
  touch ".deps/site.new/.torch-$wanted"
  rm -rf .deps/site
  mv .deps/site.new .deps/site
  rm -rf .deps/wheels
  if [ -n "$old" ]; then say "replaced LibTorch $old by $wanted in .deps/site; the next build starts anew"; else say "installed LibTorch $wanted in .deps/site"; fi
  if [ -n "$had_cuda" ] && [ -z "$cuda" ]; then say "the CUDA libraries were those of LibTorch $old and are gone; ./dev setup --cuda fetches today's"; fi
}

install_cuda() {
  [ -z "${LITHE_TORCH:-}" ] || fail "--cuda is for the LibTorch in .deps; that of LITHE_TORCH=$LITHE_TORCH has CUDA libraries of its own"
  local wanted
  read -r _ wanted _ <<< "$torch"
  [ ! -e ".deps/site/.cuda-$wanted" ] || return 0
  say "fetching the CUDA libraries of LibTorch $wanted (2 GB)"
  fetch_all "${cuda_wheels[@]}"
  unpack .deps/site "${cuda_wheels[@]}"
  touch ".deps/site/.cuda-$wanted"
  rm -rf .deps/wheels .deps/site/.cuda
  say "installed the CUDA libraries of LibTorch $wanted in .deps/site"
}

# A distribution without this package, or a user who is not root, goes without it.
install_browser() {
  local name
  for name in chromium-headless-shell chromium google-chrome; do
    if command -v "$name" >/dev/null; then return; fi
  done
  apt-cache policy "${browser_packages[@]}" 2>/dev/null | grep -q 'Candidate: [0-9]' ||
    { say "no ${browser_packages[*]} among this system's packages: tests of pages in a browser are skipped"; return; }
  install_packages "${browser_packages[@]}" || say "tests of pages in a browser are skipped"
}

browser="" cuda=""
for option in "$@"; do
  case $option in
    --cuda) cuda=yes ;;
    --browser) browser=yes ;;
    --fuzz) packages+=("${fuzz_packages[@]}") ;;
    --lint) packages+=("${lint_packages[@]}") ;;
    *) sed -n "s/^#   //p" tools/setup.sh >&2; say "unknown option '$option'"; exit 2 ;;
  esac
done
mkdir -p .deps
install_packages "${packages[@]}" || exit 1
install_torch
if [ -n "$cuda" ]; then install_cuda; fi
if [ -n "$browser" ]; then install_browser; fi
