#include "lithe/objectives/fill_middle.h"

#include <algorithm>

#include "lithe/base/rng.h"
#include "lithe/tokenize/unicode.h"

namespace lithe {
namespace {

using Ids = FillMiddle::Ids;

// Two places from 0 to `last`, in order.
std::pair<size_t, size_t> two_places(size_t last, uint64_t key, uint64_t number) {
    const auto place = [&](uint64_t which) {
        return size_t(random_unit(combine_key(key, "cut"), 2 * number + which) * double(last + 1));
    };
    return std::minmax(place(0), place(1));
}

// Takes tokens away where a document is farthest from its middle: at its end, then at its beginning.
void shorten(FillMiddle::Parts& parts, size_t excess) {
    const size_t behind = std::min(excess, parts.suffix.size());
    parts.suffix.resize(parts.suffix.size() - behind);
    const size_t before = std::min(excess - behind, parts.prefix.size());
    parts.prefix.erase(parts.prefix.begin(), parts.prefix.begin() + int64_t(before));
}

void append(Ids& to, const Ids& ids) { to.insert(to.end(), ids.begin(), ids.end()); }

}  // namespace

FillMiddle::Parts FillMiddle::cut(const Ids& document, uint64_t key, uint64_t number) const {
    const auto speaks = [&](int64_t id) { return id < tokenizer->vocabulary_size(); };
    if (!tokenizer || !std::all_of(document.begin(), document.end(), speaks)) {
        const auto [from, to] = two_places(document.size(), key, number);
        return {{document.begin(), document.begin() + int64_t(from)},
                {document.begin() + int64_t(from), document.begin() + int64_t(to)},
                {document.begin() + int64_t(to), document.end()}};
    }
    const std::string text = tokenizer->decode(document);
    std::vector<size_t> places;  // where characters begin, and the end
    for (size_t at = 0; at < text.size(); at += tokenize::length_at(text, at)) places.push_back(at);
    places.push_back(text.size());
    const auto [from, to] = two_places(places.size() - 1, key, number);
    const auto ids = [&](size_t begin, size_t end) { return tokenizer->encode(text.substr(begin, end - begin)); };
    return {ids(0, places[from]), ids(places[from], places[to]), ids(places[to], text.size())};
}

Ids FillMiddle::prompt(const Ids& prefix, const Ids& suffix, bool suffix_comes_first) const {
    Ids ids = {prefix_id};
    if (!suffix_comes_first) append(ids, prefix);
    ids.push_back(suffix_id);
    append(ids, suffix);
    ids.push_back(middle_id);
    if (suffix_comes_first) append(ids, prefix);
    return ids;
}

Ids FillMiddle::arrange(const Ids& ids, size_t most, uint64_t key, std::vector<uint8_t>* middles) const {
    constexpr size_t kAdded = 4;  // ids
    Ids out;
    std::vector<uint8_t> of_middle;
    auto at = ids.begin();
    for (uint64_t number = 0; at != ids.end() && out.size() < most; ++number) {
        const auto end = std::find(at, ids.end(), end_id);
        const Ids document(at, end);
        const bool ends = end != ids.end();
        at = ends ? end + 1 : end;
        const bool arranged = !document.empty() && random_unit(combine_key(key, "arranged"), number) < rate;
        Parts parts;
        if (arranged) {
            parts = cut(document, key, number);
            const size_t needs = out.size() + parts.prefix.size() + parts.middle.size() + parts.suffix.size() + kAdded;
            if (needs > most) shorten(parts, needs - most);
        }
        const size_t before = parts.prefix.size() + parts.suffix.size() + kAdded - 1;
        if (!arranged || out.size() + before + parts.middle.size() + 1 > most) {  // a middle that is cut off has no end
            append(out, document);
            if (ends) out.push_back(end_id);
            of_middle.resize(out.size(), 0);
            continue;
        }
        const bool spm = random_unit(combine_key(key, "order"), number) < suffix_first;
        append(out, prompt(parts.prefix, parts.suffix, spm));
        of_middle.resize(out.size(), 0);
        append(out, parts.middle);
        out.push_back(end_id);
        of_middle.resize(out.size(), 1);
    }
    out.resize(std::min(out.size(), most));
    of_middle.resize(out.size());
    if (middles) *middles = std::move(of_middle);
    return out;
}

}  // namespace lithe
