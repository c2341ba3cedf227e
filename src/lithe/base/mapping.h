// Which files are mapped where. A file that is cut off while it is mapped gives a SIGBUS where it is read next, and a
// handler of it may ask here for the file.
#pragma once

#include <cstddef>

namespace lithe {

// What to do about a file that changed under its reader.
inline constexpr const char* kRestoreFile =
    "put the file back as it was and start again; a run goes on from its newest checkpoint. "
    "To change a text that is trained on, change a copy";

// `path` must live until the mapping is forgotten. Returns its number for forget_mapping; -1: there is no room.
int register_mapping(const void* data, size_t size, const char* path);
void forget_mapping(int number);
// The path of the mapping that the address is in; null: of none that is registered. For signal handlers: it takes no
// lock.
const char* mapped_path(const void* address);

}  // namespace lithe
