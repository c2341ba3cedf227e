#include "fuzz.h"
#include "lithe/data/tokenizer.h"
#include "lithe/formats/token_file.h"

// Two parsers: the file, and the tokenizer JSON it carries. Checksums would stop nearly every mutation of the first.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz_one([&] { lithe::Tokenizer::from_json(text_of(data, size), "fuzz"); });
    return fuzz_one([&] {
        std::string aligned(text_of(data, size));  // as a mapping would be
        lithe::TokenFile file({reinterpret_cast<const std::byte*>(aligned.data()), aligned.size()}, "fuzz");
        file.verify();
    });
}
