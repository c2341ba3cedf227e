#include "lithe/kernels/coded/coded.h"

#include "lithe/base/parallel.h"
#include "lithe/kernels/coded/coded_range.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kGrain = 256;  // rows

void encode_part(const EncodeRows& args, int64_t begin, int64_t end) { LITHE_CALL_ISA(encode_range, args, begin, end) }

void lookup_part(const LookupRows& args, int64_t begin, int64_t end) { LITHE_CALL_ISA(lookup_range, args, begin, end) }

}  // namespace

void encode_rows(const EncodeRows& args) {
    parallel_for(args.count, kGrain, [&](int64_t begin, int64_t end) { encode_part(args, begin, end); });
}

void lookup_rows(const LookupRows& args) {
    parallel_for(args.count, kGrain, [&](int64_t begin, int64_t end) { lookup_part(args, begin, end); });
}

}  // namespace lithe::kernels
