#include "proxy/proxy_server.h"

COUNTER_TABLE(proxy_server_counter_table, PROXY_SERVER_COUNTERS);
