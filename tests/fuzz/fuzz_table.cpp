#include "fuzz.h"
#include "lithe/formats/csv.h"

// The same rows whatever pieces the bytes come in.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz_one([&] {
        const std::string_view text = text_of(data, size);
        for (char delimiter : {',', '\t'}) {
            std::string whole, split;
            auto collect = [](std::string& into) {
                return [&into](std::vector<std::string>& fields) {
                    for (const std::string& field : fields) into += std::to_string(field.size()) + ":" + field;
                    into += ";";
                };
            };
            lithe::CsvParser one(delimiter, "fuzz", collect(whole)), two(delimiter, "fuzz", collect(split));
            for (size_t i = 0; i < text.size(); ++i) two.feed(text.substr(i, 1));
            one.feed(text);
            one.finish();
            two.finish();
            if (whole != split) __builtin_trap();
        }
    });
}
