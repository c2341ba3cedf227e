#include "lithe/data/window_feeder.h"

#include <tuple>

#include "lithe/base/error.h"
#include "lithe/base/rng.h"

namespace lithe {
namespace {

// Some rows, sorted by length and cut into batches.
class Window {
 public:
    Window() = default;
    Window(std::vector<SizedRow> rows, const WindowOptions& options, uint64_t key) : rows_(std::move(rows)), key_(key) {
        std::sort(rows_.begin(), rows_.end(), [](const SizedRow& a, const SizedRow& b) {
            return std::make_tuple(a.longer(), a.first, a.second, a.number) <
                   std::make_tuple(b.longer(), b.first, b.second, b.number);
        });
        const auto full = [&](int64_t count, const SizedRow& longest) {
            return (options.most_tokens > 0 && count * longest.longer() > options.most_tokens) ||
                   (options.most_rows > 0 && count > options.most_rows);
        };
        for (size_t i = 0, begin = 0; i < rows_.size(); ++i) {
            if (i > begin && full(int64_t(i + 1 - begin), rows_[i])) {
                begin = i;
                ends_.push_back(begin);
            }
            if (i + 1 == rows_.size()) ends_.push_back(i + 1);
        }
    }
    uint64_t batches() const { return ends_.size(); }
    std::vector<uint64_t> batch(uint64_t number) const {
        const auto taken = size_t(permuted(number, batches(), key_));
        std::vector<uint64_t> numbers;
        for (size_t i = taken == 0 ? 0 : ends_[taken - 1]; i < ends_[taken]; ++i) numbers.push_back(rows_[i].number);
        return numbers;
    }

 private:
    std::vector<SizedRow> rows_;
    std::vector<size_t> ends_;  // of batches
    uint64_t key_ = 0;
};

class WindowFeeder : public Feeder {
 public:
    WindowFeeder(std::vector<SizedRow> rows, const WindowOptions& options,
                 std::function<void(const std::vector<uint64_t>&, Batch&)> fill)
        : rows_(std::move(rows)),
          options_(options),
          fill_(std::move(fill)) {
        open(0, 0);
    }

    void next(Batch& batch) override {
        step_over_ends();
        fill_(window_.batch(in_window_), batch);
        ++in_window_;
        ++at_.at;
    }
    FeedPosition position() const override { return at_; }
    void seek(const FeedPosition& position) override {
        uint64_t number = 0, left = position.at;
        open(position.epoch, 0);
        while (left > window_.batches() && number + 1 < windows()) {
            left -= window_.batches();
            open(position.epoch, ++number);
        }
        if (left > window_.batches() || !position.rows.empty())
            fail_file("data position " + std::to_string(position.at) + " is none of these rows", "checkpoint",
                      "resume with the settings that the run was started with");
        in_window_ = left;
        at_ = position;
    }
    bool uses_flags() const override { return true; }

 private:
    uint64_t window_size() const { return uint64_t(options_.window); }
    uint64_t windows() const { return (rows_.size() + window_size() - 1) / window_size(); }

    void step_over_ends() {
        if (in_window_ < window_.batches()) return;
        if (number_ + 1 < windows()) return open(at_.epoch, number_ + 1);
        ++at_.epoch;
        at_.at = 0;
        open(at_.epoch, 0);
    }

    void open(uint64_t epoch, uint64_t number) {
        const uint64_t order = combine_key(combine_key(options_.seed, "pairs"), epoch), size = window_size();
        std::vector<SizedRow> rows;
        for (uint64_t i = number * size; i < std::min<uint64_t>(rows_.size(), (number + 1) * size); ++i)
            rows.push_back(rows_[permuted(i, rows_.size(), order)]);
        window_ = Window(std::move(rows), options_, combine_key(combine_key(options_.seed, epoch), number));
        number_ = number;
        in_window_ = 0;
    }

    std::vector<SizedRow> rows_;
    WindowOptions options_;
    std::function<void(const std::vector<uint64_t>&, Batch&)> fill_;
    FeedPosition at_;
    Window window_;
    uint64_t number_ = 0, in_window_ = 0;  // the window's number in the epoch, and the next batch's in the window
};

}  // namespace

std::unique_ptr<Feeder> make_window_feeder(std::vector<SizedRow> rows, const WindowOptions& options,
                                           std::function<void(const std::vector<uint64_t>&, Batch&)> fill) {
    return std::make_unique<WindowFeeder>(std::move(rows), options, std::move(fill));
}

}  // namespace lithe
