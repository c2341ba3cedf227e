#include "lithe/formats/tfevents.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/log.h"

namespace lithe {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0u);
        table[i] = crc;
    }
    return table;
}

constexpr auto kCrcTable = make_crc_table();

// Protocol buffer encoding: the three wire types that events need.
class Message {
 public:
    Message& varint(int number, uint64_t value) {
        raw_varint(uint64_t(number) << 3);
        raw_varint(value);
        return *this;
    }
    Message& fixed64(int number, double value) {
        raw_varint(uint64_t(number) << 3 | 1);
        text_.append(reinterpret_cast<const char*>(&value), 8);
        return *this;
    }
    Message& bytes(int number, std::string_view value) {
        raw_varint(uint64_t(number) << 3 | 2);
        raw_varint(value.size());
        text_.append(value);
        return *this;
    }
    const std::string& str() const { return text_; }

 private:
    void raw_varint(uint64_t value) {
        while (value >= 0x80) {
            text_ += char(value | 0x80);
            value >>= 7;
        }
        text_ += char(value);
    }
    std::string text_;
};

std::string value_event(double wall_time, int64_t step, std::string_view tag, std::string_view plugin, int data_class,
                        const std::string& tensor) {
    std::string metadata = Message().bytes(1, Message().bytes(1, plugin).str()).varint(4, uint64_t(data_class)).str();
    std::string value = Message().bytes(1, tag).bytes(9, metadata).bytes(8, tensor).str();
    Message event;
    event.fixed64(1, wall_time);
    if (step != 0) event.varint(2, uint64_t(step));
    return event.bytes(5, Message().bytes(1, value).str()).str();
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

uint32_t crc32c(std::string_view data) {
    uint32_t crc = 0xFFFFFFFFu;
    for (char c : data) crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

uint32_t masked_crc32c(std::string_view data) {
    uint32_t crc = crc32c(data);
    return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

std::string tfrecord(std::string_view data) {
    uint64_t length = data.size();
    std::string head(reinterpret_cast<const char*>(&length), 8);
    uint32_t head_crc = masked_crc32c(head), data_crc = masked_crc32c(data);
    std::string record = head;
    record.append(reinterpret_cast<const char*>(&head_crc), 4);
    record.append(data);
    record.append(reinterpret_cast<const char*>(&data_crc), 4);
    return record;
}

std::string version_event(double wall_time) { return Message().fixed64(1, wall_time).bytes(3, "brain.Event:2").str(); }

std::string start_event(double wall_time, int64_t step) {
    Message event;
    event.fixed64(1, wall_time);
    if (step != 0) event.varint(2, uint64_t(step));
    return event.bytes(7, Message().varint(1, 1).str()).str();  // session_log.status = START
}

std::string scalar_event(double wall_time, int64_t step, std::string_view tag, float value) {
    std::string content(reinterpret_cast<const char*>(&value), 4);
    std::string tensor = Message().varint(1, 1).bytes(2, "").bytes(5, content).str();  // DT_FLOAT, rank 0
    return value_event(wall_time, step, tag, "scalars", 1, tensor);
}

std::string text_event(double wall_time, int64_t step, std::string_view tag, std::string_view text) {
    std::string tensor = Message().varint(1, 7).bytes(2, "").bytes(8, text).str();  // DT_STRING, rank 0
    return value_event(wall_time, step, tag, "text", 2, tensor);
}

// TensorBoard reads the files of a folder in the order of their names: the time in a new one is above all others.
static int64_t time_in_name(const std::string& folder) {
    constexpr std::string_view kBegin = "events.out.tfevents.";
    auto time = int64_t(now());
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        if (name.rfind(kBegin, 0) == 0) time = std::max(time, int64_t(std::atoll(name.c_str() + kBegin.size())) + 1);
    }
    return time;
}

EventWriter::EventWriter(const std::string& folder, int64_t first_step) {
    char host[65] = "host";
    gethostname(host, 64);
    char name[200];
    static int unique = 0;
    std::snprintf(name, sizeof name, "/events.out.tfevents.%010lld.%s.%d.%d",
                  static_cast<long long>(time_in_name(folder)), host, int(getpid()), unique++);
    try {
        writer_ = std::make_unique<FileWriter>(folder + name, true);
        writer_->write(tfrecord(version_event(now())) + tfrecord(start_event(now(), first_step)));
    } catch (const Error& error) {
        log_warning(std::string("no TensorBoard events: ") + error.what());
        writer_.reset();  // without its beginning the file says nothing
    }
}

void EventWriter::append(const std::string& event) {
    if (!writer_) return;
    try {
        writer_->write(tfrecord(event));
    } catch (const Error& error) {
        if (!told_) log_warning(std::string("TensorBoard events are lost: ") + error.what());
        told_ = true;
    }
}

void EventWriter::scalar(int64_t step, std::string_view tag, double value) {
    append(scalar_event(now(), step, tag, float(value)));
}

void EventWriter::text(int64_t step, std::string_view tag, std::string_view text) {
    append(text_event(now(), step, tag, text));
}

}  // namespace lithe
