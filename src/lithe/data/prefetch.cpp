#include "lithe/data/prefetch.h"

#include <utility>

#include "lithe/base/timer.h"

namespace lithe {

Prefetcher::Prefetcher(std::unique_ptr<Feeder> feeder, size_t ahead)
    : feeder_(std::move(feeder)),
      ahead_(ahead),
      position_(feeder_->position()) {}

Prefetcher::~Prefetcher() { stop(); }

void Prefetcher::start() {
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
}

void Prefetcher::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    stopping_ = false;
    ready_.clear();
    error_ = nullptr;
}

void Prefetcher::work() {
    try {
        for (;;) {
            Ready next;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return stopping_ || ready_.size() < ahead_; });
                if (stopping_) return;
                if (!spare_.empty()) {
                    next.batch = std::move(spare_.back());
                    spare_.pop_back();
                }
            }
            feeder_->next(next.batch);
            next.behind = feeder_->position();
            std::lock_guard lock(mutex_);
            ready_.push_back(std::move(next));
            changed_.notify_all();
        }
    } catch (...) {
        std::lock_guard lock(mutex_);
        error_ = std::current_exception();
        changed_.notify_all();
    }
}

void Prefetcher::next(Batch& batch) {
    start();
    Timer timer;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || error_; });
    if (ready_.empty()) std::rethrow_exception(error_);
    std::swap(batch, ready_.front().batch);
    position_ = std::move(ready_.front().behind);
    spare_.push_back(std::move(ready_.front().batch));
    ready_.pop_front();
    waited_ += timer.seconds();
    changed_.notify_all();
}

void Prefetcher::seek(const FeedPosition& position) {
    stop();
    feeder_->seek(position);
    position_ = position;
}

double Prefetcher::take_wait() { return std::exchange(waited_, 0); }

}  // namespace lithe
