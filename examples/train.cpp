// Trains a model on a text: train CONFIG TEXT RUN STEPS. Ctrl-C saves it, and the same command goes on.
#include <lithe/lithe.h>

#include <signal.h>
#include <cstdio>
#include <exception>
#include <stop_token>
#include <string>
#include <thread>

// In a thread of its own, for a handler must not run on one that computes.
static std::stop_token stop_at_interrupt() {
    static sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);  // before any other thread is started
    std::stop_source stop;
    std::thread([stop]() mutable {
        int signal = 0;
        if (sigwait(&interrupt, &signal) == 0) stop.request_stop();
    }).detach();
    return stop.get_token();
}

int main(int argc, char** argv) {
    if (argc != 5) return std::fprintf(stderr, "usage: train CONFIG TEXT RUN STEPS\n"), 2;
    try {
        lithe::Training training = lithe::Training::open({.config = argv[1],
                                                          .settings = {std::string("train.max_steps=") + argv[4]},
                                                          .text = argv[2],
                                                          .run = argv[3],
                                                          .stop = stop_at_interrupt()});
        while (training.step()) {}
        std::printf("step %ld, %s\n", long(training.progress().step), training.stopped_by().c_str());
        if (const auto valid = training.evaluate()) std::printf("%.6f bits per byte\n", valid->bits_per_byte);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
