#include "fuzz.h"
#include "lithe/formats/token_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] {
        std::string aligned(text_of(data, size));  // as a mapping would be
        lithe::TokenFile file({reinterpret_cast<const std::byte*>(aligned.data()), aligned.size()}, "fuzz");
        file.verify();
    });
}
