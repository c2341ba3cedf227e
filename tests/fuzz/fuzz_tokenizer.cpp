#include <csignal>

#include "fuzz.h"
#include "lithe/tokenize/tokenizer.h"

// A tokenizer file up to the first line break, then a text to encode and decode with it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] {
        const std::string_view all = text_of(data, size);
        const size_t end = std::min(all.find('\n'), all.size());
        const auto tokenizer = lithe::tokenizer_from_json(all.substr(0, end), "fuzz");
        const auto ids = tokenizer->encode(all.substr(end).substr(0, 2000));
        tokenizer->decode(ids);
        tokenizer->encode(all.substr(0, 200), lithe::SpecialText::parsed);
    });
}
