#include "lithe/cli/standard_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lithe/base/error.h"

namespace lithe {

std::string read_standard_input() {
    std::string text;
    char part[1 << 16];
    for (;;) {
        const ssize_t count = read(STDIN_FILENO, part, sizeof part);
        if (count == 0) return text;
        if (count > 0) text.append(part, size_t(count));
        else if (errno != EINTR)
            fail({.kind = ErrorKind::bad_file,
                  .what = "standard input cannot be read",
                  .where = "-",
                  .expected = "a text",
                  .got = std::strerror(errno)});
    }
}

}  // namespace lithe
