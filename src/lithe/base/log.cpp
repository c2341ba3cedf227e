#include "lithe/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "lithe/base/text.h"
#include "lithe/base/timer.h"

namespace lithe {
namespace {

struct Loggers {
    std::atomic<LogLevel> level = LogLevel::quiet;
    std::shared_ptr<spdlog::logger> file;
    std::shared_ptr<spdlog::logger> screen;
    std::mutex mutex;
    bool progress_shown = false;
    std::set<std::string, std::less<>> said_once;
    Timer since_plain;  // the last progress line that is no terminal's

    Loggers() {
        screen = std::make_shared<spdlog::logger>("screen", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        screen->set_pattern("%v");
        screen->set_error_handler([](const std::string&) {});
    }
};

Loggers& loggers() {
    static Loggers instance;
    return instance;
}

void end_progress(Loggers& all) {
    if (all.progress_shown) std::fputs("\r\033[K", stderr);
    all.progress_shown = false;
}

void write(spdlog::level::level_enum level, std::string_view prefix, std::string_view text, bool on_screen) {
    Loggers& all = loggers();
    std::lock_guard lock(all.mutex);
    const std::string line = std::string(prefix) + for_terminal(text);
    if (on_screen) {
        end_progress(all);
        all.screen->log(level, line);
        all.screen->flush();
    }
    if (all.file) {
        all.file->log(level, line);
        all.file->flush();
    }
}

}  // namespace

void set_log_level(LogLevel level) { loggers().level = level; }

void set_log_file(const std::string& path) {
    Loggers& all = loggers();
    std::lock_guard lock(all.mutex);
    all.file.reset();
    all.said_once.clear();
    if (path.empty()) return;
    try {
        auto file = std::make_shared<spdlog::logger>("file", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
        file->set_pattern("%Y-%m-%dT%H:%M:%S%z %v");
        file->set_error_handler([](const std::string&) {});  // a full disk must not stop a run
        all.file = file;
    } catch (const spdlog::spdlog_ex& error) {
        std::fprintf(stderr, "warning: no log file: %s\n", for_terminal(error.what()).c_str());
    }
}

void log_info(std::string_view text) { write(spdlog::level::info, "", text, loggers().level != LogLevel::quiet); }

void log_info_once(std::string_view text) {
    Loggers& all = loggers();
    {
        std::lock_guard lock(all.mutex);
        if (!all.said_once.emplace(text).second) return;
    }
    log_info(text);
}

void log_verbose(std::string_view text) { write(spdlog::level::info, "", text, loggers().level == LogLevel::verbose); }

void log_warning(std::string_view text) { write(spdlog::level::warn, "warning: ", text, true); }

// Where lines cannot be replaced, one comes every 15 seconds.
static void log_plain_progress(Loggers& all, std::string_view text) {
    constexpr double kEvery = 15;
    {
        std::lock_guard lock(all.mutex);
        if (text.empty() || all.since_plain.seconds() < kEvery) return;
        all.since_plain.restart();
    }
    log_info(text);
}

void log_progress(std::string_view text) {
    Loggers& all = loggers();
    if (all.level == LogLevel::quiet) return;
    if (!stderr_is_terminal()) return log_plain_progress(all, text);
    std::lock_guard lock(all.mutex);
    end_progress(all);
    if (text.empty()) return;
    std::fprintf(stderr, "\r%s\033[K", for_terminal(text).c_str());
    std::fflush(stderr);
    all.progress_shown = true;
}

bool stderr_is_terminal() { return isatty(STDERR_FILENO); }

}  // namespace lithe
