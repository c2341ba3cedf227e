#include "lithe/formats/tfevents.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "support/files.h"

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

// Event(wall_time=1700000002, step=31, session_log=SessionLog(status=START)) of tensorboard.compat.proto.event_pb2,
// serialized: TensorBoard drops what earlier files have of step 31 and later ones.
TEST(TfEvents, AStartHasItsStep) {
    EXPECT_EQ(hex(start_event(1700000002, 31)), "0900008040fc54d941101f3a020801");
    EXPECT_EQ(hex(start_event(1700000002, 0)), "0900008040fc54d9413a020801");
}

std::vector<std::string> files_of(const std::string& folder) {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    return files;
}

// The data of each record, without wall times; "damaged" where there is no whole record.
std::vector<std::string> records(const std::string& path) {
    std::vector<std::string> all;
    const std::string text = testing::read_all(path);
    for (size_t at = 0; at < text.size();) {
        uint64_t length = 0;
        std::memcpy(&length, text.data() + at, sizeof length);
        if (at + 16 + length > text.size()) return {"damaged"};
        all.push_back(text.substr(at + 12 + 9, length - 9));  // field 1, the wall time, is of 9 bytes
        at += 16 + length;
    }
    return all;
}

TEST(EventWriter, AFileThatGoesOnIsTheLastAndSaysFromWhere) {
    testing::TemporaryFolder folder;
    EventWriter first(folder.path());
    first.scalar(30, "loss", 1);
    for (int64_t step : {21, 11}) EventWriter(folder.path(), step).scalar(step, "loss", 2);
    const auto files = files_of(folder.path());
    ASSERT_EQ(files.size(), 3u);
    const int64_t steps[] = {0, 21, 11};
    for (size_t i = 0; i < 3; ++i) {
        const auto found = records(files[i]);
        ASSERT_EQ(found.size(), 3u);
        EXPECT_EQ(found[1], start_event(0, steps[i]).substr(9)) << "in the order in which they were made";
    }
}

TEST(EventWriter, WhatAFullDiskRefusesIsLeftOutWhole) {
    testing::TemporaryFolder folder;
    EventWriter events(folder.path());
    events.scalar(1, "loss", 3);
    const std::string file = files_of(folder.path())[0];
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    const rlimit full{testing::read_all(file).size() + 20, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &full);
    events.scalar(2, "loss", 2);
    setrlimit(RLIMIT_FSIZE, &before);
    events.scalar(3, "loss", 1);
    const auto found = records(file);
    ASSERT_EQ(found.size(), 4u);
    EXPECT_EQ(found[3], scalar_event(0, 3, "loss", 1).substr(9));
}

}  // namespace
}  // namespace lithe
