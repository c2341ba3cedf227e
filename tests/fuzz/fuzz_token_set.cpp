#include "fuzz.h"
#include "lithe/formats/token_set.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] { lithe::token_set_from_json(std::string(text_of(data, size)), "fuzz"); });
}
