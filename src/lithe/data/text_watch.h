// Notices that the files of a text change while something is made of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lithe/spec/config.h"

namespace lithe {

class TextWatch {
 public:
    // Notes size and time of every file that the configuration reads: listed ones, or those of a token set.
    explicit TextWatch(const DataConfig& config);
    // The first file that is not what it was, for people; empty when all are. `mapped`: the text is read in place, so
    // that what is written into such a file is told where it is read (MappedFile), and only another file in its place
    // is told here.
    std::string changed(bool mapped) const;

 private:
    struct Stamp {
        uint64_t size = 0, device = 0, inode = 0;
        int64_t seconds = 0, nanoseconds = 0;  // of the last write
    };
    struct File {
        std::string path;
        Stamp stamp;
    };
    static Stamp stamp_of(const std::string& path);
    void add(const DataConfig& config);
    std::vector<File> files_;
};

}  // namespace lithe
