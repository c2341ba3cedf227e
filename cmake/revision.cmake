# Run at every build: writes the git revision that is built into OUTPUT, if it changed. "-dirty": with changes on top;
# "unknown" outside a checkout.
execute_process(COMMAND git -C ${SOURCE} describe --always --exclude=* --dirty --abbrev=12 OUTPUT_VARIABLE LITHE_REVISION
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  set(LITHE_REVISION unknown)
endif()
configure_file(${SOURCE}/src/lithe/base/version.cpp.in ${OUTPUT} @ONLY)
