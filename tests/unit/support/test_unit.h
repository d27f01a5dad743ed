/* cmocka wants these before its own header. */
#ifndef TESTS_UNIT_SUPPORT_TEST_UNIT_H
#define TESTS_UNIT_SUPPORT_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
