// What a model makes of files: score MODEL FILE...
#include <lithe/lithe.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

static std::string content_of(const char* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(std::string("cannot read ") + path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: score MODEL FILE...\n");
        return 2;
    }
    try {
        const lithe::Model model = lithe::Model::open(argv[1]);
        for (int i = 2; i < argc; ++i) {
            const lithe::TextScore score = model.score(content_of(argv[i]));
            std::printf("%s: %.6f bits per byte, %lu tokens\n", argv[i], score.bits_per_byte,
                        static_cast<unsigned long>(score.tokens));
        }
    } catch (const lithe::Error& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return error.kind() == lithe::ErrorKind::bad_file ? 3 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
