#include <cstdlib>

#include "fuzz.h"
#include "lithe/spec/layout.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] {
        lithe::LayoutNode tree = lithe::parse_layout(text_of(data, size));
        std::string text = lithe::to_string(tree);
        if (text.size() < 10000 && lithe::to_string(lithe::parse_layout(text)) != text)
            std::abort();  // what it prints reads back the same
    });
}
