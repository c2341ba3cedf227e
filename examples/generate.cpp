// Goes on with a text, token by token: generate MODEL PROMPT [TOKENS [SEED]]
#include <lithe/lithe.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string_view>

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: generate MODEL PROMPT [TOKENS [SEED]]\n");
        return 2;
    }
    try {
        const lithe::Model model = lithe::Model::open(argv[1], {.threads = 1});
        lithe::GenerateOptions options;
        options.tokens = argc > 3 ? std::atol(argv[3]) : 200;
        options.seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
        options.on_token = [](int64_t, std::string_view text) {
            std::cout << text << std::flush;
            return true;
        };
        std::cout << model.generate(argv[2], options).held_back << std::endl;
    } catch (const lithe::Error& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
