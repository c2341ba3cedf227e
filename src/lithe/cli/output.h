// Standard output whose failures are failures: what the program prints is often its result.
#pragma once

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

}  // namespace lithe
