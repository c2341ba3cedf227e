// Signals as requests: SIGTERM and SIGINT ask to save and stop, SIGUSR1 asks to save and go on, a second SIGINT ends
// the process at once with ExitCode::interrupted.
#pragma once

#include <stop_token>

namespace lithe {

// Before any other thread starts: they inherit the mask. A thread waits for the signals, and no handler interrupts one
// that computes, for oneDNN's fp32 product keeps its stack pointer in heap memory, where a handler's frame would
// overwrite what lies there.
void watch_signals();

// From now on a mapped file that is cut off ends the process with ExitCode::bad_file, in words.
void watch_mappings();

// Of what is asked from now on: for everything that can be stopped.
std::stop_token stop_by_signal();
// True once per SIGUSR1.
bool take_save_request();

// For tests: as if nothing had been asked for.
void clear_requests();

}  // namespace lithe
