// EXPECT that a statement throws a lithe::Error with an exit code and words in its message.
#pragma once

#include <gtest/gtest.h>

#include "lithe/base/error.h"

#define EXPECT_ERROR(statement, exit_code, words)                                                               \
    try {                                                                                                       \
        statement;                                                                                              \
        ADD_FAILURE() << "no error was thrown";                                                                 \
    } catch (const lithe::Error& error) {                                                                       \
        EXPECT_EQ(int(error.code()), int(exit_code)) << error.what();                                           \
        EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << "message was: " << error.what(); \
    }
