// Mapped files and SIGBUS. A file that is cut off while it is mapped ends the process where it is read next; for files
// that are registered here, that end comes in words.
#pragma once

#include <cstddef>

namespace lithe {

// What to do about a file that changed under its reader.
inline constexpr const char* kRestoreFile =
    "put the file back as it was and start again; a run goes on from its newest checkpoint. "
    "To change a text that is trained on, change a copy";

// From now on; before any file is read. The process ends with `exit_code`.
void watch_mappings(int exit_code);

// `path` must live until the mapping is forgotten. Returns its number for forget_mapping; -1: there is no room, and the
// words will not name the file.
int register_mapping(const void* data, size_t size, const char* path);
void forget_mapping(int number);

}  // namespace lithe
