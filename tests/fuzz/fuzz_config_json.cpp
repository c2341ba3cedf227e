#include "fuzz.h"
#include "lithe/spec/config_io.h"

// config.json of a checkpoint.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] { lithe::config_from_json(text_of(data, size), "fuzz"); });
}
