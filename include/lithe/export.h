// What liblithe.so shows of itself.
#pragma once

#define LITHE_API __attribute__((visibility("default")))
