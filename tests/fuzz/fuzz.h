// A parser may refuse its input with a lithe::Error and must do nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lithe/base/error.h"

template <class F> int fuzz_one(const F& parse) {
    try {
        parse();
    } catch (const lithe::Error&) {}
    return 0;
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}
