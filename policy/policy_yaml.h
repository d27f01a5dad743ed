/* YAML text to a tree of nodes. */
#ifndef POLICY_POLICY_YAML_H
#define POLICY_POLICY_YAML_H

#include <stddef.h>

#include "policy/policy_reader.h"

#define POLICY_YAML_SIZE_MAX  (4u << 20) /* bytes of a file */
#define POLICY_YAML_DEPTH_MAX 32         /* collections within each other */

/*
 * Parses one document into r->nodes and sets r->root (NULL: the text holds no value). Returns 0, or
 * -1 with the errors reported. Duplicate keys are reported and their later values left out, which
 * is no failure here.
 */
int policy_yaml_parse(struct policy_reader *r, const char *text, size_t len);

#endif
