// Signals as a request that loops poll: SIGTERM and SIGINT ask to save and stop, SIGUSR1 asks to save and go on, a
// second SIGINT ends the process at once with exit code 130.
#pragma once

namespace lithe {

// Before any other thread starts: they inherit the mask. A thread waits for the signals, and no handler interrupts one
// that computes, for oneDNN's fp32 product keeps its stack pointer in heap memory, where a handler's frame would
// overwrite what lies there.
void watch_signals();
bool stop_requested();
// True once per SIGUSR1.
bool take_save_request();
// For tests: as if the signal had come, and back.
void request_stop();
void request_save();
void clear_requests();

}  // namespace lithe
