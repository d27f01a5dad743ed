#include "stack/counters.h"

COUNTER_TABLE(stack_counter_table, STACK_COUNTERS);
