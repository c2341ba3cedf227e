# LibTorch as an imported target. find_package(Torch) is not used: with a CUDA wheel it stops where no CUDA toolkit is found.
if(DEFINED ENV{LITHE_TORCH} AND NOT "$ENV{LITHE_TORCH}" STREQUAL "")
  set(LITHE_TORCH_ROOT $ENV{LITHE_TORCH})
else()
  set(LITHE_TORCH_ROOT ${CMAKE_SOURCE_DIR}/.deps/site/torch)
endif()
if(NOT EXISTS ${LITHE_TORCH_ROOT}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "no LibTorch in ${LITHE_TORCH_ROOT}: run ./dev setup, or set LITHE_TORCH to an installed torch 2.x")
endif()
message(STATUS "LibTorch: ${LITHE_TORCH_ROOT}")

add_library(libtorch INTERFACE)
# -idirafter: torch ships a copy of fmt, which must not hide Debian's
target_compile_options(libtorch INTERFACE
  "SHELL:-idirafter ${LITHE_TORCH_ROOT}/include" "SHELL:-idirafter ${LITHE_TORCH_ROOT}/include/torch/csrc/api/include"
  -Wno-unused-parameter -Wno-deprecated-declarations)
# LibTorch is built with NDEBUG, and some of its classes (at::RecordFunction) have more members without it
target_compile_definitions(libtorch INTERFACE NDEBUG)
target_link_options(libtorch INTERFACE -Wl,--no-as-needed -Wl,-rpath,${LITHE_TORCH_ROOT}/lib)
# LibTorch's own OpenMP runtime where it ships one: two runtimes in a process would be two thread pools
file(GLOB LITHE_GOMP ${LITHE_TORCH_ROOT}/lib/libgomp*.so.1)
if(NOT LITHE_GOMP)
  set(LITHE_GOMP gomp)
endif()
target_link_libraries(libtorch INTERFACE ${LITHE_TORCH_ROOT}/lib/libtorch_cpu.so ${LITHE_TORCH_ROOT}/lib/libc10.so ${LITHE_GOMP})
