// Between the thread that reads a corpus and those that encode it: parts in batches, batches in rounds, cut at places
// that depend on the text alone.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lithe/data/documents.h"

namespace lithe {

inline constexpr uint64_t kBatchBytes = 16 << 20;  // of text

// Parts of text that are encoded side by side.
struct TextBatch {
    struct Item {
        std::string text, label;
        bool begins = false, ends = false;
        int split = 0;
        uint64_t bytes = 0;   // of text
        uint64_t offset = 0;  // in all text
        std::vector<int32_t> ids;
    };
    std::vector<Item> items;
    uint64_t bytes = 0, input_bytes = 0;
    bool round_ends = false;  // a durable point follows
};

// A queue of one batch between the thread that reads and the one that encodes; carries the reader's error, too.
class BatchQueue {
 public:
    // False when the other side has gone.
    bool push(TextBatch batch) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !batch_ || closed_; });
        if (closed_) return false;
        batch_ = std::make_unique<TextBatch>(std::move(batch));
        changed_.notify_all();
        return true;
    }
    void finish(std::exception_ptr error) {
        std::lock_guard lock(mutex_);
        finished_ = true;
        error_ = error;
        changed_.notify_all();
    }
    std::unique_ptr<TextBatch> pop() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return batch_ || finished_; });
        auto batch = std::move(batch_);
        changed_.notify_all();
        if (!batch && error_) std::rethrow_exception(error_);
        return batch;
    }
    void close() {
        std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::unique_ptr<TextBatch> batch_;
    std::exception_ptr error_;
    bool finished_ = false, closed_ = false;
};

// Thrown through the reading thread when nobody takes its batches any more.
struct ReaderGone {};

// Cuts the stream of parts into batches and rounds, always at the same places; the first `skip` parts are passed over
// (they end a round).
class PartBatcher {
 public:
    PartBatcher(BatchQueue& queue, uint64_t round_bytes, uint64_t skip)
        : queue_(queue),
          round_bytes_(round_bytes),
          skip_(skip) {}
    void take(const DocumentPart& part) {
        ++parts_;
        const uint64_t offset = text_;
        text_ += part.text.size();
        if (parts_ <= skip_) return;
        batch_.items.push_back({std::string(part.text),
                                std::string(part.label),
                                part.begins,
                                part.ends,
                                part.split,
                                part.text.size(),
                                offset,
                                {}});
        batch_.bytes += part.text.size();
        batch_.input_bytes = part.input_bytes;
        round_ += part.text.size();
        if (batch_.bytes >= kBatchBytes || round_ >= round_bytes_) send(round_ >= round_bytes_);
    }
    void finish() {
        if (!batch_.items.empty()) send(true);
    }

 private:
    void send(bool round_ends) {
        batch_.round_ends = round_ends;
        if (round_ends) round_ = 0;
        if (!queue_.push(std::move(batch_))) throw ReaderGone();
        batch_ = TextBatch();
    }
    BatchQueue& queue_;
    uint64_t round_bytes_, skip_, parts_ = 0, round_ = 0, text_ = 0;
    TextBatch batch_;
};

}  // namespace lithe
