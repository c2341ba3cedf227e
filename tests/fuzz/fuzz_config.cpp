#include <cstdlib>

#include "fuzz.h"
#include "lithe/spec/config_io.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] {
        lithe::Config config = lithe::parse_config(text_of(data, size), "fuzz");
        try {
            if (!lithe::differences(config, lithe::parse_config(lithe::to_toml(config), "again")).empty()) std::abort();
        } catch (const lithe::Error&) {
            std::abort();  // what it prints must read back
        }
    });
}
