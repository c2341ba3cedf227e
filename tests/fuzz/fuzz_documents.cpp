#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz.h"
#include "lithe/data/documents.h"

// The first byte chooses the format, the rest is the file: text, JSON lines, tables, and whatever packs them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) return 0;
    using lithe::TextFormat;
    const TextFormat formats[] = {TextFormat::automatic, TextFormat::jsonl, TextFormat::csv, TextFormat::tsv,
                                  TextFormat::text};
    const int descriptor = memfd_create("fuzz", 0);
    if (write(descriptor, data + 1, size - 1) != ssize_t(size - 1)) return close(descriptor);
    fuzz_one([&] {
        lithe::DataConfig config;
        config.path = "/proc/self/fd/" + std::to_string(descriptor);
        config.format = formats[data[0] % 5];
        if (data[0] & 64) config.documents = "blank_line";
        if (data[0] & 32) config.second = "second";
        if (data[0] & 128) config.label = "label";
        lithe::read_documents(config, {{config.path, -1}}, [](const lithe::DocumentPart& part) {
            if (part.text.empty() || part.text.size() > lithe::kLargestPart) __builtin_trap();
        });
    });
    return close(descriptor);
}
