#include "lithe/formats/tfevents.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace lithe {
namespace {

std::string hex(const std::string& bytes) {
    std::string text;
    for (unsigned char c : bytes) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", c);
        text += digits;
    }
    return text;
}

// The check value of RFC 3720, and records put together field by field from TensorFlow's .proto files (make_formats.py
// in tests/golden).
TEST(TfEvents, Crc) {
    EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
    EXPECT_EQ(masked_crc32c("123456789"), 0xc78ab0e5u);
}

TEST(TfEvents, BytesEqualTheReference) {
    EXPECT_EQ(hex(tfrecord(version_event(1700000000))),
              "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d");
    EXPECT_EQ(hex(tfrecord(scalar_event(1700000001, 1, "train/loss", 2.5f))),
              "36000000000000004f578cef0900004040fc54d94110012a290a270a0a747261696e2f6c6f73734a0d0a090a077363616c617273"
              "2001420a080112002a0400002040d29e0a62");
}

}  // namespace
}  // namespace lithe
