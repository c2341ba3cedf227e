#include "fuzz.h"
#include "lithe/formats/foreign_tokens.h"

// The first byte says where the index ends and the data begins.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const size_t cut = std::min<size_t>(size, 1 + data[0]);
    const std::span<const std::byte> all(reinterpret_cast<const std::byte*>(data), size);
    for (auto kind : {lithe::ForeignKind::raw, lithe::ForeignKind::llmc, lithe::ForeignKind::megatron})
        fuzz_one([&] {
            lithe::ForeignTokens file(all.subspan(cut), all.subspan(1, cut - 1), kind, "fuzz");
            std::vector<int32_t> ids(file.size());
            file.read(0, ids.size(), ids.data());
        });
    return 0;
}
