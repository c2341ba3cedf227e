// EXPECT that a statement throws a lithe::Error of a kind and with words in its message.
#pragma once

#include <gtest/gtest.h>

#include "lithe/base/error.h"

#define EXPECT_ERROR(statement, error_kind, words)                                                              \
    try {                                                                                                       \
        statement;                                                                                              \
        ADD_FAILURE() << "no error was thrown";                                                                 \
    } catch (const lithe::Error& error) {                                                                       \
        EXPECT_EQ(int(error.kind()), int(error_kind)) << error.what();                                          \
        EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << "message was: " << error.what(); \
    }
