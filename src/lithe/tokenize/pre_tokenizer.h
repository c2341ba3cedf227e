// Pre-tokenizers of a tokenizer.json: how normalized text is split into the pieces that the model then works on. One
// class per "type" of the file, made by one table; what is not in it is refused by name.
#pragma once

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

// A piece of text on its way to the model. `first`: how many of its leading bytes come from the first character of the
// whole text (normalizers may make several bytes of it, or none); above 0, the piece begins where the text begins.
struct Piece {
    std::string_view text;
    size_t first = 0;
    Piece part(size_t begin, size_t end) const {
        return {text.substr(begin, end - begin), first - std::min(first, begin)};
    }
};

// A reference to what takes the pieces; the callable must outlive the call.
class PieceSink {
 public:
    template <class F>
    PieceSink(const F& f)
        : object_(&f),
          call_([](const void* object, const Piece& piece) { (*static_cast<const F*>(object))(piece); }) {}
    void operator()(const Piece& piece) const {
        if (!piece.text.empty()) call_(object_, piece);
    }

 private:
    const void* object_;
    void (*call_)(const void*, const Piece&);
};

class PreTokenizer {
 public:
    virtual ~PreTokenizer() = default;
    virtual void split(const Piece& piece, PieceSink sink) const = 0;
};

// `byte_words`: a ByteLevel that comes last leaves bytes as they are (the model's vocabulary is then in bytes too).
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json, bool byte_words, const std::string& source);
// Whether a ByteLevel comes last, so that `byte_words` may be asked for.
bool ends_in_byte_level(const Json& json);

}  // namespace lithe::tokenize
