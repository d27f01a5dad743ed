/*
 * The first cause of a failure, as text for a person.
 *
 * Functions that can fail for a reason worth telling take a `struct error *` and return 0 or -1.
 * The first cause is kept: setting an error that is already set does nothing, so an unwinding
 * caller may add its own without hiding the root. Passing NULL is allowed and discards the text.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_MAX 512

struct error {
    bool set;
    char text[ERROR_TEXT_MAX];
};

/* Records a message unless one is recorded already. Always returns -1, for `return error_set(…)`.
 */
int error_set(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before a recorded message (truncating at the end). Always returns -1. */
int error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
