# Shared by the scripts behind ./dev; sourced from the repository's root.

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros  # what it needs to keep objects of precompiled headers
# clang compiles instrumented code in about half of GCC's time; GCC builds what is shipped.
clang_options=(-DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DWHERRY_BENCH=OFF -DWHERRY_PRECOMPILE=ON)
# With the fuzz targets, which ./dev test runs for seconds only: a tree of their own takes far longer to compile.
asan_options=("${clang_options[@]}" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DWHERRY_FUZZ=ON "-DWHERRY_SANITIZE=address,undefined")
tsan_options=("${clang_options[@]}" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DWHERRY_SANITIZE=thread)
# The fuzz targets to run for long; optimised, as speed is what finds things.
fuzz_options=("${clang_options[@]}" -DWHERRY_FUZZ=ON "-DWHERRY_SANITIZE=address,undefined")

# build_tree DIR [cmake options...] [-- targets...]: configures and builds, quiet unless it fails.
build_tree() {
  local dir=$1 options=() log
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  [ $# -eq 0 ] || shift
  mkdir -p "$dir"
  log=$dir/configure.log
  cmake -G Ninja -S . -B "$dir" "${options[@]}" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
  echo "building $dir"
  ninja -C "$dir" --quiet "$@"
}

need_root() {
  [ "$(id -u)" -eq 0 ] && return
  echo "dev: $1 needs root (containers, namespaces); run it with sudo" >&2
  exit 1
}
