/* Sets of prefixes: their form and their files. */
#ifndef POLICY_POLICY_SET_H
#define POLICY_POLICY_SET_H

#include "base/error.h"
#include "policy/policy.h"

/* Puts prefixes into canonical order and takes duplicates out. Returns how many are left. */
unsigned policy_set_canonical(struct ip_prefix *prefixes, unsigned count);

/*
 * As policy_set_load(), but that the file as a whole cannot be read is left for the caller to
 * report: NULL is returned with the cause, to follow the file's name. With bad lines, all reported,
 * NULL is returned without.
 */
struct ip_prefix *policy_set_read(const char *path, unsigned *count, struct policy_report *report,
                                  struct error *e);

#endif
