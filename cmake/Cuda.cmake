# CUDA kernels are a shared object of their own, loaded at run time where a driver is; compiled wherever nvcc is.
find_program(NVCC nvcc HINTS /usr/local/cuda/bin $ENV{CUDA_HOME}/bin)
option(LITHE_CUDA "compile the CUDA kernels" ON)
if(NOT NVCC OR LITHE_SANITIZE OR LITHE_FUZZ OR LITHE_COVERAGE)
  set(LITHE_CUDA OFF)
endif()
