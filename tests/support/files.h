// A folder of its own for a test, removed at the end.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace lithe::testing {

class TemporaryFolder {
 public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "lithe-test-XXXXXX").string();
        path_ = mkdtemp(pattern.data());
    }
    ~TemporaryFolder() {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, const std::string& content) const {
        std::filesystem::create_directories(std::filesystem::path(file(name)).parent_path());
        std::ofstream(file(name), std::ios::binary) << content;
        return file(name);
    }
    const std::string& path() const { return path_; }

 private:
    std::string path_;
};

inline std::string read_all(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

// Text with structure that a small model can learn.
inline std::string sample_text(size_t size) {
    const char* words[] = {"the ", "river ", "runs ", "past ", "an ", "old ", "mill ", "and ", "turns ", "slowly.\n"};
    std::string text;
    uint32_t state = 12345;
    while (text.size() < size) {
        state = state * 1664525u + 1013904223u;
        text += words[(state >> 24) % 10];
    }
    text.resize(size);
    return text;
}

}  // namespace lithe::testing
