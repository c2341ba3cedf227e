#include "fuzz.h"
#include "lithe/tokenize/sentencepiece.h"

// A model file, with which a text is encoded and decoded.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] {
        const auto tokenizer = lithe::tokenize::sentencepiece_from_model(std::string(text_of(data, size)), "fuzz");
        tokenizer->decode(tokenizer->encode("An old mill turns slowly. \xff\xe4\xb8\x96"));
    });
}
