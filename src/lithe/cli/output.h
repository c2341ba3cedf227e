// Standard output whose failures are failures: what the program prints is often its result.
#pragma once

#include <string>
#include <string_view>

namespace lithe {

// Opens /dev/null in place of standard streams that are closed, so that no file of the program gets their numbers;
// reading and writing them fails as before.
void keep_standard_streams();

// While it lives, std::cout throws std::ios_base::failure where it cannot write.
class StandardOutput {
 public:
    StandardOutput();
    ~StandardOutput();
    // Writes what is held back; throws likewise.
    void finish();
};

// Tells the reason of the last failed write and returns the exit code: `resources` for a full disk, else `failed`. A
// reader that went away (`lithe ... | head`) needs no words.
int tell_output_failure();

// A result as it is, for programs; where standard output is a terminal, for_terminal() of it.
std::string on_terminal(const std::string& text);

// replace_file() for a place that the user named: a file that is there and has no `mark` among its first bytes
// as lithe's own have, is somebody else's and refused.
void write_result(const std::string& path, std::string_view content, std::string_view mark);

}  // namespace lithe
