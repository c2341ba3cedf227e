// The one reader of JSON that comes from outside. Its limit of depth holds in the parse itself: what is nested deeper
// is never built, so that nothing that walks, copies, prints or destroys a value recursively can run out of stack.
#pragma once

#include <concepts>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {

struct JsonLimits {
    size_t depth = 256;         // objects and arrays inside one another
    bool unique_names = false;  // a name that stands twice in an object is an error; else the last one counts
};

// Builds a value from the parser's events.
template <class Json> class JsonBuilder : public nlohmann::json_sax<Json> {
 public:
    explicit JsonBuilder(JsonLimits limits) : limits_(limits) {}
    Json take() { return std::move(root_); }
    const std::string& fault() const { return fault_; }

    bool null() override { return add(Json(nullptr)); }
    bool boolean(bool value) override { return add(Json(value)); }
    bool number_integer(typename Json::number_integer_t value) override { return add(Json(value)); }
    bool number_unsigned(typename Json::number_unsigned_t value) override { return add(Json(value)); }
    bool number_float(typename Json::number_float_t value, const std::string&) override { return add(Json(value)); }
    bool string(std::string& value) override { return add(Json(std::move(value))); }
    bool binary(typename Json::binary_t&) override { return refuse("it holds binary values"); }
    bool start_object(size_t) override { return open(Json::object()); }
    bool start_array(size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(std::string& name) override {
        Open& object = open_.back();
        const auto [place, added] = place_of(object, name);
        if (!added && limits_.unique_names)
            return refuse("the name '" + printable(name).substr(0, 80) + "' stands twice in it");
        slot_ = place;
        return true;
    }
    bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
        constexpr int kNumberOverflow = 406;
        return refuse(
            (error.id == kNumberOverflow ? "a number is too large at byte " : "it is not valid JSON at byte ") +
            std::to_string(position));
    }

 private:
    static constexpr size_t kFew = 8;  // names that are sought one by one
    using Object = typename Json::object_t;
    static constexpr bool kOrdered = std::is_base_of_v<std::vector<typename Object::value_type>, Object>;
    struct Open {
        Json* value;
        std::unordered_map<std::string, size_t> names;  // of a large ordered object, which would seek one by one
    };

    bool refuse(std::string what) {
        if (fault_.empty()) fault_ = std::move(what);
        return false;
    }
    Json* put(Json value) {
        if (open_.empty()) {
            root_ = std::move(value);
            return &root_;
        }
        Json& parent = *open_.back().value;
        if (parent.is_array()) {
            parent.push_back(std::move(value));
            return &parent.back();
        }
        *slot_ = std::move(value);
        return slot_;
    }
    bool add(Json value) {
        put(std::move(value));
        return true;
    }
    bool open(Json value) {
        if (open_.size() >= limits_.depth)
            return refuse("it is nested deeper than " + std::to_string(limits_.depth) + " levels");
        open_.push_back({put(std::move(value)), {}});
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }
    // The value of a name, and whether it is a new one.
    std::pair<Json*, bool> place_of(Open& open, const std::string& name) {
        auto& object = open.value->template get_ref<Object&>();
        if constexpr (!kOrdered) {
            const auto [place, added] = object.try_emplace(name);
            return {&place->second, added};
        } else {
            if (object.size() < kFew) {
                for (auto& [known, value] : object)
                    if (known == name) return {&value, false};
                object.emplace_back(name, Json());
                return {&object.back().second, true};
            }
            if (open.names.empty())
                for (const auto& [known, value] : object) open.names.emplace(known, open.names.size());
            const auto [place, added] = open.names.try_emplace(name, object.size());
            if (!added) return {&object.begin()[std::ptrdiff_t(place->second)].second, false};
            object.emplace_back(name, Json());
            return {&object.back().second, true};
        }
    }

    JsonLimits limits_;
    Json root_;
    std::vector<Open> open_;
    Json* slot_ = nullptr;
    std::string fault_;
};

// nullopt when the text is not one JSON value; `fault`, where given, says why ("it is ...", "a number ...").
template <class Json = nlohmann::ordered_json>
std::optional<Json> try_parse_json(std::string_view text, std::string* fault = nullptr, JsonLimits limits = {}) {
    JsonBuilder<Json> builder(limits);
    if (Json::sax_parse(text, &builder)) return builder.take();
    if (fault) *fault = builder.fault();
    return std::nullopt;
}

// Throws bad_file where the text is not one JSON value, with the place.
template <class Json = nlohmann::ordered_json>
Json parse_json(std::string_view text, const std::string& source, JsonLimits limits = {}) {
    std::string fault;
    auto json = try_parse_json<Json>(text, &fault, limits);
    if (!json) fail_file("cannot be read as JSON: " + fault, source);
    return std::move(*json);
}

// A whole number that the integer type it is given to holds. Anything else is Json::type_error; nlohmann's own
// conversions cast a fraction or a number that does not fit in silence.
template <class Json> class WholeNumber {
 public:
    explicit WholeNumber(const Json& json) : json_(json) {}
    template <std::integral T>
    requires(!std::same_as<T, bool>) operator T() const {
        if (json_.is_number_unsigned()) {
            const auto value = json_.template get_ref<const typename Json::number_unsigned_t&>();
            if (std::in_range<T>(value)) return T(value);
        } else if (json_.is_number_integer()) {
            const auto value = json_.template get_ref<const typename Json::number_integer_t&>();
            if (std::in_range<T>(value)) return T(value);
        }
        throw Json::type_error::create(302, "expected a whole number of this size, got " + json_.dump().substr(0, 40),
                                       &json_);
    }

 private:
    const Json& json_;
};
template <class Json> WholeNumber<Json> whole(const Json& json) { return WholeNumber<Json>(json); }

// What an exception of the library says, without its own number.
inline std::string fault_text(const nlohmann::json::exception& error) {
    const std::string text = error.what();
    const size_t end = text.find("] ");
    return text.rfind("[json.exception.", 0) == 0 && end != std::string::npos ? text.substr(end + 2) : text;
}

// A list of whole numbers, which T holds each.
template <class T, class Json> std::vector<T> whole_numbers(const Json& json) {
    if (!json.is_array()) throw Json::type_error::create(302, "expected a list of whole numbers", &json);
    std::vector<T> numbers;
    numbers.reserve(json.size());
    for (const Json& each : json) numbers.push_back(whole(each));
    return numbers;
}

}  // namespace lithe
