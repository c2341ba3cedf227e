// Talk for people: goes to stderr and, once set, to the run's log file. Results go to stdout and never through here.
#pragma once

#include <string>
#include <string_view>

namespace lithe {

enum class LogLevel { quiet, normal, verbose };

// Quiet at first: warnings alone.
void set_log_level(LogLevel level);
// Also write every line, with the time, to this file (appended). An unwritable or full file never stops the program.
void set_log_file(const std::string& path);
void log_info(std::string_view text);
// What an evaluation has to say, but not at each one: the same text comes once until another log file is set.
void log_info_once(std::string_view text);
void log_verbose(std::string_view text);
void log_warning(std::string_view text);
// A line that replaces the one before on a terminal (progress); elsewhere one comes every 15 seconds. Empty text ends
// it.
void log_progress(std::string_view text);
bool stderr_is_terminal();

}  // namespace lithe
