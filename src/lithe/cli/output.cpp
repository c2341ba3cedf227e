#include "lithe/cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/exit_code.h"

namespace lithe {

void keep_standard_streams() {
    for (int descriptor = 0; descriptor < 3; ++descriptor) {
        if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
        // the lowest free number is this one, as those below are open
        if (open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY) != descriptor) return;
    }
}

StandardOutput::StandardOutput() {
    std::cout.clear();
    std::cout.exceptions(std::ios::badbit);
}

StandardOutput::~StandardOutput() { std::cout.exceptions(std::ios::goodbit); }

void StandardOutput::finish() { std::cout.flush(); }

int tell_output_failure() {
    const int reason = errno;
    if (reason == EPIPE) return int(ExitCode::failed);
    log_progress("");
    std::fprintf(stderr, "error: cannot write to standard output: %s\n", std::strerror(reason));
    const bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    return int(full ? ExitCode::resources : ExitCode::failed);
}

std::string on_terminal(const std::string& text) { return isatty(STDOUT_FILENO) ? for_terminal(text) : text; }

void write_result(const std::string& path, std::string_view content, std::string_view mark) {
    if (std::filesystem::exists(std::filesystem::symlink_status(path))) {
        std::string head(4096, '\0');
        std::ifstream file(path, std::ios::binary);
        file.read(head.data(), std::streamsize(head.size()));
        if (head.find(mark) == std::string::npos)
            fail_usage("the file is there already, and is not such a file of lithe", path, "choose another name");
    }
    replace_file(path, content);
}

}  // namespace lithe
