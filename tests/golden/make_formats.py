#!/usr/bin/env python3
"""The byte vectors of tests/formats: events of TensorBoard and a file of safetensors, put together field by field.

TensorBoard's event files (tests/formats/tfevents_test.cpp) are TFRecords: length, masked CRC-32C of it, data, masked CRC-32C of that
(tensorflow/core/lib/io/record_writer.h); CRC-32C is that of RFC 3720, whose check value over "123456789" is e3069283. The data is a
protobuf Event (tensorflow/core/util/event.proto: wall_time 1, step 2, file_version 3, summary 5; summary.proto: value 1 with tag 1,
tensor 8, metadata 9 with plugin_data 1 and data_class 4; tensor.proto: dtype 1, shape 2, float_val 5).
A file of safetensors (tests/formats/safetensors_test.cpp; the format's description stands in its README) is the length of a JSON
header, the header, the tensors. With the package `safetensors` installed it is also read by that.
"""
import hashlib
import json
import struct
import sys

from golden import TESTS


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def nested(field, data):  # wire type 2; lengths here are below 128
    return bytes([field << 3 | 2, len(data)]) + data


def number(field, value):
    return bytes([field << 3, value])


def wall_time(seconds):
    return bytes([1 << 3 | 1]) + struct.pack("<d", seconds)


def version_event(seconds):
    return wall_time(seconds) + nested(3, b"brain.Event:2")


def scalar_event(seconds, step, tag, value):
    tensor = number(1, 1) + nested(2, b"") + nested(5, struct.pack("<f", value))
    metadata = nested(1, nested(1, b"scalars")) + number(4, 1)
    return wall_time(seconds) + number(2, step) + nested(5, nested(1, nested(1, tag) + nested(9, metadata) + nested(8, tensor)))


def safetensors_file():
    header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
              "e": {"dtype": "F32", "shape": [0, 4], "data_offsets": [16, 16]},
              "s": {"dtype": "F32", "shape": [], "data_offsets": [16, 20]},
              "b": {"dtype": "BF16", "shape": [3], "data_offsets": [20, 26]}}
    text = json.dumps(header, separators=(",", ":"))
    data = struct.pack("<5f", 1, 2, 3, 4, 0.5) + struct.pack("<3H", 0x3F80, 0x4000, 0x40C0)
    return text, struct.pack("<Q", 256) + text.ljust(256).encode() + data


if __name__ == "__main__":
    header, file = safetensors_file()
    events = (TESTS / "formats/tfevents_test.cpp").read_text().replace('"\n              "', "")
    tensors = (TESTS / "formats/safetensors_test.cpp").read_text()
    wanted = [("crc32c of 123456789", f"{crc32c(b'123456789'):08x}", events), ("masked", f"{masked(b'123456789'):08x}", events),
              ("version", record(version_event(1700000000)).hex(), events),
              ("scalar", record(scalar_event(1700000001, 1, b"train/loss", 2.5)).hex(), events),
              ("header of safetensors", header, tensors)]
    missing = [name for name, text, _ in wanted]
    for name, text, test in wanted:
        print(f"{'' if text in test else 'NOT IN THE TEST  '}{name}: {text}")
        if text in test:
            missing.remove(name)
    print(f"safetensors file of {len(file)} bytes, sha256 {hashlib.sha256(file).hexdigest()}")
    try:
        import safetensors
        print({name: (each["dtype"], each["shape"], each["data"].hex()) for name, each in safetensors.deserialize(file)})
    except ImportError:
        print("(not read by the package `safetensors`, which is not installed)")
    sys.exit(bool(missing))
