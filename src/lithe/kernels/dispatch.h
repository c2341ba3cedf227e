// Declares one function per instruction set and calls the selected one.
#pragma once

#include "lithe/kernels/isa.h"

// LITHE_DECLARE_ISAS(declaration) declares the same function in every instruction set's namespace.
#if defined(__x86_64__) && !LITHE_PORTABLE
#define LITHE_DECLARE_ISAS(...) \
    namespace portable {        \
    __VA_ARGS__;                \
    }                           \
    namespace avx2 {            \
    __VA_ARGS__;                \
    }                           \
    namespace avx512 {          \
    __VA_ARGS__;                \
    }                           \
    namespace avx512_bf16 {     \
    __VA_ARGS__;                \
    }
#define LITHE_CALL_ISA(function, ...)                                     \
    switch (selected_isa()) {                                             \
        case Isa::avx512_bf16: return avx512_bf16::function(__VA_ARGS__); \
        case Isa::avx512: return avx512::function(__VA_ARGS__);           \
        case Isa::avx2: return avx2::function(__VA_ARGS__);               \
        default: return portable::function(__VA_ARGS__);                  \
    }
#else
#define LITHE_DECLARE_ISAS(...) \
    namespace portable {        \
    __VA_ARGS__;                \
    }
#define LITHE_CALL_ISA(function, ...) return portable::function(__VA_ARGS__);
#endif
