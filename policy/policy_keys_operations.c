/* How the appliance is operated and watched: tickets, control socket, metrics, session log. */
#include <string.h>
#include <sys/un.h>

#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

/* The place of a key's value, or of the mapping where the key is missing. */
static struct policy_mark mark_of(const struct policy_node *n, const char *key)
{
    const struct policy_node *value = policy_node_get(n, key);

    return policy_node_place(value != NULL ? value : n);
}

/* ---- session tickets ---- */

/* RFC 8446, 4.6.1: no ticket lives longer than seven days. */
static const struct policy_type type_rotation = {
    .name = "duration",
    .expected = "a duration such as 12h or 1d",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .min = 60 * CLOCK_SEC,
    .max = 7 * 86400 * CLOCK_SEC,
    .range = "from 1m to 7d",
};

static const struct policy_key tickets_keys[] = {
    {.name = "secret-file",
     .type = &policy_keys_path,
     .offset = AT(tickets, secret_file),
     .help = "32 to 4,096 secret bytes from which ticket keys are derived. Machines with the same "
             "file and clock resume each other's sessions; by default a secret is drawn at the "
             "start."},
    {.name = "rotation",
     .type = &type_rotation,
     .offset = AT(tickets, rotation),
     .fallback = "12h",
     .help = "How often a new key takes over; tickets under the former ones are still good."},
    {.name = NULL},
};

static void tickets_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_tickets *tickets = out;

    (void)r;
    tickets->secret_mark = mark_of(n, "secret-file");
}

const struct policy_type policy_keys_tickets = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the keys secret-file and rotation",
    .finish = tickets_finish,
    .keys = tickets_keys,
};

/* ---- control socket ---- */

static const struct policy_type type_group = {
    .name = "name of a group",
    .expected = "the name of a group of users",
    .size = sizeof(char *),
    .read = policy_name_group,
};

static const struct policy_type type_mode = {
    .name = "octal permissions",
    .expected = "permissions in octal such as \"0660\"",
    .size = sizeof(uint32_t),
    .read = policy_scalar_mode,
};

static const struct policy_key control_keys[] = {
    {.name = "socket",
     .type = &policy_keys_path,
     .offset = AT(control, socket),
     .required = true,
     .help = "Path of the Unix socket that sluicectl(1) talks to."},
    {.name = "group",
     .type = &type_group,
     .offset = AT(control, group),
     .help = "The group that owns it; by default the process's."},
    {.name = "mode",
     .type = &type_mode,
     .offset = AT(control, mode),
     .fallback = "0660",
     .help = "Its permissions. Who may write to it controls the appliance."},
    {.name = "captures",
     .type = &policy_keys_path,
     .offset = AT(control, captures),
     .fallback = "/var/lib/sluice",
     .help = "The directory in which `sluicectl capture` makes its files. They hold what passed in "
             "the clear."},
    {.name = NULL},
};

static void control_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_control *control = out;
    const size_t longest = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;

    control->mark = mark_of(n, "socket");
    if (control->socket != NULL && strlen(control->socket) > longest)
        policy_reader_error(r, policy_node_get(n, "socket"),
                            "the path of a socket of %zu bytes, expected at most %zu",
                            strlen(control->socket), longest);
}

const struct policy_type policy_keys_control = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key socket",
    .finish = control_finish,
    .keys = control_keys,
};

/* ---- metrics ---- */

static const struct policy_type type_loopback = {
    .name = "address:port",
    .expected = "a loopback address and a port from 1 to 65535, such as 127.0.0.1:9180",
    .size = sizeof(struct ip_endpoint),
    .read = policy_addr_loopback,
};

static const struct policy_key metrics_keys[] = {
    {.name = "listen",
     .type = &type_loopback,
     .offset = AT(metrics, listen),
     .required = true,
     .help = "Where metrics are served to Prometheus over HTTP: a loopback address of the kernel's "
             "network."},
    {.name = NULL},
};

static void metrics_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_metrics *metrics = out;

    (void)r;
    metrics->mark = mark_of(n, "listen");
}

const struct policy_type policy_keys_metrics = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key listen",
    .finish = metrics_finish,
    .keys = metrics_keys,
};

/* ---- session log ---- */

static const struct policy_type type_log_file = {
    .name = "path or `stderr`",
    .expected = "the path of a file, or stderr",
    .size = sizeof(char *),
    .read = policy_scalar_log,
};

static const struct policy_choice format_choices[] = {
    {"text", POLICY_LOG_TEXT},
    {"json", POLICY_LOG_JSON},
    {NULL, 0},
};

static const struct policy_type type_format = {
    .name = "`text` or `json`",
    .expected = "text or json",
    .size = sizeof(enum policy_log_format),
    .read = policy_scalar_choice,
    .choices = format_choices,
};

static const struct policy_key session_log_keys[] = {
    {.name = "file",
     .type = &type_log_file,
     .offset = AT(session_log, file),
     .required = true,
     .help = "Where a line is written when a session ends."},
    {.name = "format",
     .type = &type_format,
     .offset = AT(session_log, format),
     .fallback = "text",
     .help = "`text`: words and key=value; `json`: one object a line."},
    {.name = NULL},
};

static void session_log_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_session_log *log = out;

    (void)r;
    log->mark = mark_of(n, "file");
}

const struct policy_type policy_keys_session_log = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping with the key file",
    .finish = session_log_finish,
    .keys = session_log_keys,
};
