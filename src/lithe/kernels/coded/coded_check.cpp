// Parity and speed of coded rows.
#include <cstring>
#include <limits>
#include <memory>

#include "lithe/base/rng.h"
#include "lithe/kernels/coded/coded.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kRows = 131;

// A table of kRows rows of all sizes: zeros, numbers that have no scale, the smallest and the largest that have one.
TestBuffer<float> table_of(int64_t width) {
    TestBuffer<float> table(kRows * width, 0.37, 0.1, 0.02);
    const float factors[] = {1, 0, 1e-36f, 1e-33f, 1e30f, 127};
    for (int64_t i = 0; i < kRows * width; ++i) table.data()[i] *= factors[i / width % 6];
    return table;
}

// Whether row `row` is kept: none, all, some.
bool is_kept(int which, int64_t row) { return which == 1 || (which == 2 && random_unit(3, uint64_t(row)) < 0.6); }

struct Coded {
    std::vector<int8_t> codes;
    TestBuffer<bfloat16> scales;
    Coded(int64_t count, int64_t width) : codes(size_t(count * width), int8_t(99)), scales(count) {}
};

void encode_case(ParityResult& result, int64_t width, const std::vector<int64_t>& rows) {
    const auto count = int64_t(rows.size());
    TestBuffer<float> table = table_of(width);
    Coded got(count, width), expected(count, width);
    const EncodeRows args{table.data(), rows.data(), count, width, got.codes.data(), got.scales.data()};
    encode_rows(args);
    EncodeRows ref = args;
    ref.codes = expected.codes.data();
    ref.scales = expected.scales.data();
    encode_rows_ref(ref);
    for (int64_t k = 0; k < count; ++k) {
        result.add(got.scales.data()[k].bits != expected.scales.data()[k].bits, 0.5, "coded rows, scale");
        for (int64_t j = 0; j < width; ++j) {  // a number between two codes may become either
            const auto at = size_t(k * width + j);
            const double scale = got.scales.at(k), x = double(table.data()[rows[size_t(k)] * width + j]);
            result.add(std::abs(got.codes[at] - expected.codes[at]), 1, "coded rows, code");
            result.add(std::abs(scale * got.codes[at] - x), 0.5001 * scale + 1e-35, "coded rows, number");
        }
    }
}

void lookup_case(ParityResult& result, int64_t width, int which, int64_t count) {
    std::vector<uint8_t> flags;
    for (int64_t row = 0; row < kRows; ++row) flags.push_back(is_kept(which, row));
    const RowSet kept = RowSet::of_flags(flags.data(), kRows);
    TestBuffer<float> table = table_of(width), got(count * width), expected(count * width);
    const std::vector<int64_t> list = kept.list();
    Coded coded(kept.count(), width);
    encode_rows_ref({table.data(), list.data(), kept.count(), width, coded.codes.data(), coded.scales.data()});
    std::vector<char> scales(size_t(kept.count()) * 2 + 1);  // at an odd address
    for (int64_t k = 0; k < kept.count(); ++k) std::memcpy(scales.data() + 1 + 2 * k, coded.scales.data() + k, 2);
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < count; ++i) rows.push_back(int64_t(random_unit(7, uint64_t(i)) * double(kRows)));
    LookupRows args{{kept.blocks(), coded.codes.data(), scales.data() + 1, width}, rows.data(), count, got.data()};
    lookup_rows(args);
    args.to = expected.data();
    lookup_rows_ref(args);
    for (int64_t i = 0; i < got.size(); ++i)  // not a bit apart
        result.add(got.at(i) == expected.at(i) ? 0 : 1, 0.5, "coded rows, lookup " + std::to_string(which));
}

void not_finite_case(ParityResult& result, int64_t width) {
    for (const float wrong : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        TestBuffer<float> table = table_of(width);
        table.data()[width - 1] = wrong;
        const int64_t row = 0;
        for (const auto encode : {encode_rows, encode_rows_ref}) {
            Coded coded(1, width);
            encode({table.data(), &row, 1, width, coded.codes.data(), coded.scales.data()});
            result.add(std::isnan(coded.scales.at(0)) ? 0 : 1, 0.5, "coded rows, not finite");
            for (const int8_t code : coded.codes) result.add(code, 0.5, "coded rows, codes of not finite");
        }
    }
}

ParityResult coded_parity(int64_t size) {
    ParityResult result;
    encode_case(result, size, {});
    encode_case(result, size, {0, 1, 2, 3, 4, 5, 77, 8, kRows - 1});
    for (const int which : {0, 1, 2})
        for (const int64_t count : {0, 1, 500}) lookup_case(result, size, which, count);
    if (size > 0) not_finite_case(result, size);
    return result;
}

std::vector<BenchmarkCase> coded_benchmarks() {
    // as many rows as a ten-minute plan has, two thirds of them kept; lookups of a segment of 16 x 128 tokens
    const int64_t rows = 8 * 524288, width = 64, count = 8 * 16 * 128;
    auto flags = std::make_shared<std::vector<uint8_t>>();
    for (int64_t row = 0; row < rows; ++row) flags->push_back(random_unit(3, uint64_t(row)) < 2.0 / 3);
    auto kept = std::make_shared<RowSet>(RowSet::of_flags(flags->data(), rows));
    auto codes = std::make_shared<std::vector<int8_t>>(size_t(kept->count() * width), int8_t(3));
    auto scales = std::make_shared<TestBuffer<bfloat16>>(kept->count(), 0, 1.57, 0.01);
    auto looked_up = std::make_shared<std::vector<int64_t>>();
    for (int64_t i = 0; i < count; ++i) looked_up->push_back(int64_t(random_unit(7, uint64_t(i)) * double(rows)));
    auto to = std::make_shared<TestBuffer<float>>(count * width);
    return {{"lookup in coded rows, 16k rows of 64", double(count * width) * 5, [=] {
                 const CodedRows table{kept->blocks(), codes->data(), scales->data(), width};
                 lookup_rows({table, looked_up->data(), count, to->data()});
             }}};
}

}  // namespace

KernelRow coded_row() {
    return {"coded", "rows as int8 codes: c = x / s, s = max|x| / 127 in bf16; lookup y = s c, 0 for rows not kept",
            coded_parity, coded_benchmarks};
}

}  // namespace lithe::kernels
