// Reads segments ahead on a thread of its own, so that page faults, checksums and look-ups do not stop the trainer.
// Wraps any feeder; its position is that behind the last batch that was taken.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "lithe/data/feeder.h"

namespace lithe {

class Prefetcher : public Feeder {
 public:
    explicit Prefetcher(std::unique_ptr<Feeder> feeder, size_t ahead = 4);
    ~Prefetcher() override;
    void next(Batch& batch) override;
    FeedPosition position() const override { return position_; }
    void seek(const FeedPosition& position) override;
    bool uses_flags() const override { return feeder_->uses_flags(); }
    // Seconds that next() has waited since the last call of this.
    double take_wait();

 private:
    struct Ready {
        Batch batch;
        FeedPosition behind;
    };
    void start();
    void stop();
    void work();
    std::unique_ptr<Feeder> feeder_;
    size_t ahead_;
    FeedPosition position_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Ready> ready_;
    std::vector<Batch> spare_;  // memory to use again
    std::exception_ptr error_;
    bool stopping_ = false;
    double waited_ = 0;
    std::thread thread_;
};

}  // namespace lithe
