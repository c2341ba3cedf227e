#include "fuzz.h"
#include "lithe/formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] { lithe::parse_safetensors({reinterpret_cast<const std::byte*>(data), size}, "fuzz"); });
}
