#include "lithe/data/labelled_texts.h"

#include <algorithm>
#include <numeric>

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {

TextMarks marks_of(const Tokenizer& tokenizer) {
    const auto one = [](std::optional<int64_t> id) { return id ? std::vector{*id} : std::vector<int64_t>(); };
    if (const auto separator = find_token(tokenizer, "[SEP]"))
        return {one(find_token(tokenizer, "[CLS]")), {*separator}, {*separator}};
    if (const auto begin = find_token(tokenizer, "<s>"), end = find_token(tokenizer, "</s>"); begin && end)
        return {{*begin}, {*end, *end}, {*end}};
    if (const auto end = tokenizer.document_end()) return {{}, {*end}, {*end}};
    return {{}, tokenizer.encode(neutral_prompt(tokenizer)), {}};
}

LabelledTexts::LabelledTexts(const TokenView& tokens, Options options)
    : tokens_(&tokens),
      options_(std::move(options)) {
    if (pairs() && tokens.documents() % 2 != 0)
        fail_file("the text does not consist of pairs: it has " + std::to_string(tokens.documents()) + " documents",
                  "data", "data.second names the field of the second text");
    if (marks() + (in_one() ? 2 : 1) > options_.length)
        fail_usage("a row has no room for a text beside its " + std::to_string(marks()) + " marks", "train.length",
                   "raise it above " + std::to_string(options_.length));
}

int64_t LabelledTexts::marks() const {
    const TextMarks& marks = options_.marks;
    return int64_t(marks.before.size() + (in_one() ? marks.between.size() : 0) + marks.after.size());
}

// Documents may hold the mark behind them already.
std::vector<int64_t> LabelledTexts::side(uint64_t document) const {
    std::vector<int64_t> ids = read_document(*tokens_, document);
    const std::vector<int64_t>& after = options_.marks.after;
    if (after.size() == 1 && !ids.empty() && ids.back() == after[0]) ids.pop_back();
    return ids;
}

int64_t LabelledTexts::whole_length(uint64_t number) const {
    if (!pairs()) return int64_t(side(number).size()) + marks();
    const size_t first = side(2 * number).size(), second = side(2 * number + 1).size();
    return int64_t(in_one() ? first + second : std::max(first, second)) + marks();
}

LabelledTexts::Sides LabelledTexts::cut_sides(uint64_t number) const {
    const auto room = size_t(options_.length - marks());
    Sides sides{side(pairs() ? 2 * number : number), pairs() ? side(2 * number + 1) : std::vector<int64_t>()};
    if (!in_one()) {
        sides.first.resize(std::min(room, sides.first.size()));
        sides.second.resize(std::min(room, sides.second.size()));
        return sides;
    }
    const size_t all = sides.first.size() + sides.second.size();
    for (size_t over = all > room ? all - room : 0; over > 0; --over)
        (sides.first.size() > sides.second.size() ? sides.first : sides.second).pop_back();
    return sides;
}

const std::string& LabelledTexts::label(uint64_t number) const {
    static const std::string none;
    const int32_t label = tokens_->document_label(pairs() ? 2 * number : number);
    const std::vector<std::string>& names = tokens_->label_names();
    if (label < 0 || names.empty()) return none;
    if (size_t(label) >= names.size())
        fail_file("document " + std::to_string(number) + " has label number " + std::to_string(label) + " of " +
                      std::to_string(names.size()),
                  "token set", "prepare the data again");
    return names[size_t(label)];
}

namespace {

// Writes one row of ids and flags [length][rows], piece by piece.
class RowWriter {
 public:
    RowWriter(std::vector<int64_t>& ids, std::vector<uint8_t>& flags, int64_t rows, int64_t row)
        : ids_(ids),
          flags_(flags),
          rows_(size_t(rows)),
          place_(size_t(row)) {}
    void put(const std::vector<int64_t>& ids, uint8_t flags = 0) {
        for (const int64_t id : ids) {
            ids_[place_] = id;
            flags_[place_] = flags;
            place_ += rows_;
        }
        written_ += int64_t(ids.size());
    }
    // The rest is padding. Returns the number of tokens before it.
    int64_t finish() {
        for (; place_ < flags_.size(); place_ += rows_) flags_[place_] = kPadding;
        return written_;
    }

 private:
    std::vector<int64_t>& ids_;
    std::vector<uint8_t>& flags_;
    size_t rows_, place_;
    int64_t written_ = 0;
};

}  // namespace

void LabelledTexts::fill_row(Batch& batch, int64_t row, uint64_t number) const {
    const Sides sides = cut_sides(number);
    const TextMarks& marks = options_.marks;
    RowWriter main(batch.inputs, batch.flags, batch.rows, row);
    main.put(marks.before);
    main.put(sides.first);
    if (in_one()) {
        main.put(marks.between);
        main.put(sides.second, kSecondText);
    }
    main.put(marks.after, in_one() ? kSecondText : 0);
    batch.tokens += main.finish();
    if (!pairs() || in_one()) return;
    RowWriter beside(batch.source.ids, batch.source.flags, batch.rows, row);
    for (const auto* ids : {&marks.before, &sides.second, &marks.after}) beside.put(*ids);
    batch.tokens += beside.finish();
}

void LabelledTexts::fill(const std::vector<uint64_t>& numbers, Batch& batch) const {
    batch = Batch();
    batch.rows = int64_t(numbers.size());
    batch.begins = true;
    batch.length = 1;
    for (const uint64_t number : numbers) batch.length = std::max(batch.length, length(number));
    const auto positions = size_t(batch.length * batch.rows);
    batch.inputs.assign(positions, 0);
    batch.targets.assign(positions, -1);
    batch.flags.assign(positions, 0);
    if (pairs() && !in_one()) {
        batch.source.length = batch.length;
        batch.source.ids.assign(positions, 0);
        batch.source.flags.assign(positions, 0);
    }
    for (int64_t row = 0; row < batch.rows; ++row) fill_row(batch, row, numbers[size_t(row)]);
}

std::vector<uint64_t> by_length(const LabelledTexts& texts, uint64_t count) {
    std::vector<uint64_t> order(count);
    std::iota(order.begin(), order.end(), uint64_t(0));
    std::vector<int64_t> lengths;
    for (const uint64_t number : order) lengths.push_back(texts.length(number));
    std::stable_sort(order.begin(), order.end(), [&](uint64_t a, uint64_t b) { return lengths[a] < lengths[b]; });
    return order;
}

}  // namespace lithe
