#include "lithe/tokenize/decoder.h"

#include <algorithm>

#include "lithe/tokenize/byte_alphabet.h"
#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/model.h"
#include "lithe/tokenize/pattern.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

using Tokens = std::vector<std::string>;

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    if (from.empty()) return;
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

// Spaces that English tokenizers put where none belong.
void clean_up(std::string& text) {
    static const std::pair<const char*, const char*> kRules[] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

class Spaces : public Decoder {
 public:
    Tokens apply(Tokens tokens) const override {
        for (size_t i = 1; i < tokens.size(); ++i) tokens[i].insert(0, " ");
        return tokens;
    }
};

class ByteLevel : public Decoder {
 public:
    Tokens apply(Tokens tokens) const override {
        for (std::string& token : tokens)
            if (auto bytes = bytes_of_alphabet(token)) token = std::move(*bytes);
        return tokens;
    }
};

class WordPiece : public Decoder {
 public:
    WordPiece(const Json& json, const std::string& source)
        : prefix_(field<std::string>(json, "prefix", "##", source)),
          cleanup_(field(json, "cleanup", true, source)) {}
    Tokens apply(Tokens tokens) const override {
        for (size_t i = 0; i < tokens.size(); ++i) {
            if (i > 0) {
                if (tokens[i].starts_with(prefix_)) tokens[i].erase(0, prefix_.size());
                else tokens[i].insert(0, " ");
            }
            if (cleanup_) clean_up(tokens[i]);
        }
        return tokens;
    }

 private:
    std::string prefix_;
    bool cleanup_;
};

class Suffix : public Decoder {
 public:
    explicit Suffix(std::string suffix) : suffix_(std::move(suffix)) {}
    Tokens apply(Tokens tokens) const override {
        for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
        return tokens;
    }

 private:
    std::string suffix_;
};

class Metaspace : public Decoder {
 public:
    Metaspace(const Json& json, const std::string& source)
        : replacement_(field<std::string>(json, "replacement", "\xE2\x96\x81", source)),
          prepended_(field<std::string>(json, "prepend_scheme",
                                        field(json, "add_prefix_space", true, source) ? "always" : "never",
                                        source) != "never") {}
    Tokens apply(Tokens tokens) const override {
        for (size_t i = 0; i < tokens.size(); ++i)
            replace_all(tokens[i], replacement_, i == 0 && prepended_ ? "" : " ");
        return tokens;
    }

 private:
    std::string replacement_;
    bool prepended_;
};

class Fuse : public Decoder {
 public:
    Tokens apply(Tokens tokens) const override {
        std::string all;
        for (const std::string& token : tokens) all += token;
        return {all};
    }
};

// Up to `start` times the content from the left of each token, up to `stop` times from the right.
class Strip : public Decoder {
 public:
    Strip(const Json& json, const std::string& source)
        : content_(field<std::string>(json, "content", " ", source)),
          start_(field<int64_t>(json, "start", 0, source)),
          stop_(field<int64_t>(json, "stop", 0, source)) {
        if (content_.empty()) fail_file("a Strip decoder without content", source);
    }
    Tokens apply(Tokens tokens) const override {
        for (std::string& token : tokens) {
            for (int64_t i = 0; i < start_ && token.starts_with(content_); ++i) token.erase(0, content_.size());
            for (int64_t i = 0; i < stop_ && token.ends_with(content_); ++i)
                token.resize(token.size() - content_.size());
        }
        return tokens;
    }

 private:
    std::string content_;
    int64_t start_, stop_;
};

class Replace : public Decoder {
 public:
    Replace(const Json& json, const std::string& source)
        : pattern_(make_pattern(need(json, "pattern", source), source)),
          content_(field<std::string>(json, "content", "", source)) {}
    Tokens apply(Tokens tokens) const override {
        std::vector<Span> spans;
        for (std::string& token : tokens) {
            std::string out;
            pattern_->spans(token, spans);
            for (const Span& span : spans)
                out += span.match ? std::string_view(content_)
                                  : std::string_view(token).substr(span.begin, span.end - span.begin);
            token = std::move(out);
        }
        return tokens;
    }

 private:
    std::unique_ptr<Pattern> pattern_;
    std::string content_;
};

// "<0x0A>" is the byte 10.
class ByteFallback : public Decoder {
 public:
    Tokens apply(Tokens tokens) const override {
        for (std::string& token : tokens) {
            if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') continue;
            for (int byte = 0; byte < 256; ++byte)
                if (token == byte_token(byte)) {
                    token = std::string(1, char(byte));
                    break;
                }
        }
        return tokens;
    }
};

// Connectionist temporal classification: repeats are one token, the pad token is none.
class Ctc : public Decoder {
 public:
    Ctc(const Json& json, const std::string& source)
        : pad_(field<std::string>(json, "pad_token", "<pad>", source)),
          delimiter_(field<std::string>(json, "word_delimiter_token", "|", source)),
          cleanup_(field(json, "cleanup", true, source)) {}
    Tokens apply(Tokens tokens) const override {
        tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
        for (std::string& token : tokens) {
            replace_all(token, pad_, "");
            if (!cleanup_) continue;
            clean_up(token);
            replace_all(token, delimiter_, " ");
        }
        std::erase(tokens, "");
        return tokens;
    }

 private:
    std::string pad_, delimiter_;
    bool cleanup_;
};

class Sequence : public Decoder {
 public:
    Sequence(const Json& list, const std::string& source) {
        for (const Json& each : list) parts_.push_back(make_decoder(each, source));
    }
    Tokens apply(Tokens tokens) const override {
        for (const auto& part : parts_) tokens = part->apply(std::move(tokens));
        return tokens;
    }

 private:
    std::vector<std::unique_ptr<Decoder>> parts_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const Json& json, const std::string& source) {
    if (json.is_null()) return std::make_unique<Spaces>();
    const std::string type = type_of(json, "decoder", source);
    if (type == "ByteLevel") return std::make_unique<ByteLevel>();
    if (type == "WordPiece") return std::make_unique<WordPiece>(json, source);
    if (type == "BPEDecoder") return std::make_unique<Suffix>(field<std::string>(json, "suffix", "</w>", source));
    if (type == "Metaspace") return std::make_unique<Metaspace>(json, source);
    if (type == "Fuse") return std::make_unique<Fuse>();
    if (type == "Strip") return std::make_unique<Strip>(json, source);
    if (type == "Replace") return std::make_unique<Replace>(json, source);
    if (type == "ByteFallback") return std::make_unique<ByteFallback>();
    if (type == "CTC") return std::make_unique<Ctc>(json, source);
    if (type == "Sequence") return std::make_unique<Sequence>(need_parts(json, "decoders", source), source);
    unsupported("decoder", type, source);
}

}  // namespace lithe::tokenize
