// TensorBoard event files: TFRecord frames (length, masked CRC-32C, data, masked CRC-32C) around Event messages in
// protocol buffer encoding. Field numbers: tensorboard/compat/proto/{event,summary,tensor}.proto.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lithe/base/file.h"

namespace lithe {

uint32_t crc32c(std::string_view data);  // Castagnoli, reflected polynomial 0x82F63B78
uint32_t masked_crc32c(std::string_view data);
std::string tfrecord(std::string_view data);  // one framed record

std::string version_event(double wall_time);
std::string scalar_event(double wall_time, int64_t step, std::string_view tag, float value);
// SessionLog START: of the events before this one, readers drop those of this step and later ones.
std::string start_event(double wall_time, int64_t step);
std::string text_event(double wall_time, int64_t step, std::string_view tag, std::string_view text);

// Appends scalars and texts to a new event file in `folder`, which begins at `first_step`: what earlier files have from
// there on was cut away. What cannot be written is left out whole and told once: a log must not end a run. Steps of one
// tag must increase.
class EventWriter {
 public:
    explicit EventWriter(const std::string& folder, int64_t first_step = 0);
    void scalar(int64_t step, std::string_view tag, double value);
    void text(int64_t step, std::string_view tag, std::string_view text);

 private:
    void append(const std::string& event);
    std::unique_ptr<FileWriter> writer_;
    bool told_ = false;
};

}  // namespace lithe
