/*
 * The tree is built from libyaml's events, not from its document interface: only the events tell of
 * anchors, aliases and tags. All three are refused. The file needs none of them, an alias makes one
 * value appear at two places of which a finding can name only one, and nested aliases grow without
 * bound ("billion laughs"). Depth is limited as the events come, size before the first.
 *
 * A syntax error ends the parse, since what follows it cannot be trusted.
 */
#include "policy/policy_yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct loader {
    struct policy_reader *r;
    yaml_parser_t yaml;
    const char *text;
    size_t len;
    struct policy_node *open[POLICY_YAML_DEPTH_MAX + 1]; /* the innermost at `depth`; at 0: NULL */
    unsigned depth;
    struct policy_node *key; /* in a map: the key that waits for its value */
    unsigned documents;
};

static struct policy_mark mark_of(const yaml_mark_t *m)
{
    return (struct policy_mark){(unsigned)m->line + 1, (unsigned)m->column + 1};
}

static int refuse(struct loader *l, const yaml_mark_t *at, const char *what)
{
    struct policy_mark m = mark_of(at);

    policy_report_add(l->r->report, false, l->r->path, m.line, m.column, NULL, "%s", what);
    return -1;
}

/* ---- errors of libyaml ---- */

/* libyaml gives a byte's offset for what it cannot decode; everything before that is valid UTF-8.
 */
static struct policy_mark mark_of_offset(const struct loader *l, size_t offset)
{
    struct policy_mark m = {1, 1};

    for (size_t i = 0; i < offset && i < l->len; i++) {
        if (l->text[i] == '\n')
            m = (struct policy_mark){m.line + 1, 1};
        else if (((unsigned char)l->text[i] & 0xc0) != 0x80)
            m.column++;
    }
    return m;
}

/* Is a line indented by spaces up to the column, and by a tab there? */
static bool tab_at(const struct loader *l, const yaml_mark_t *m)
{
    const char *at = l->text, *end = l->text + l->len;
    size_t spaces = 0;

    for (size_t line = m->line; line > 0 && at != NULL; line--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL)
        return false;
    while (at + spaces < end && at[spaces] == ' ')
        spaces++;
    return spaces == m->column && at + spaces < end && at[spaces] == '\t';
}

/* What is probably meant, where libyaml's words do not tell. */
static const char *syntax_hint(const struct loader *l)
{
    const char *context = l->yaml.context != NULL ? l->yaml.context : "";

    if (tab_at(l, &l->yaml.problem_mark))
        return " (a tab, where YAML is indented by spaces)";
    if (strstr(context, "an alias") != NULL)
        return " (a value that begins with \"*\" needs quotation marks)";
    if (strstr(context, "an anchor") != NULL)
        return " (a value that begins with \"&\" needs quotation marks)";
    if (strstr(context, "a tag") != NULL)
        return " (a value that begins with \"!\" needs quotation marks)";
    return "";
}

static int report_syntax(const struct loader *l)
{
    const yaml_parser_t *y = &l->yaml;
    struct policy_mark m = mark_of(&y->problem_mark);
    char context[128] = "";

    if (y->context != NULL && y->context_mark.line != y->problem_mark.line)
        snprintf(context, sizeof context, ", %s that began in line %zu", y->context,
                 y->context_mark.line + 1);
    else if (y->context != NULL)
        snprintf(context, sizeof context, ", %s", y->context);
    policy_report_add(l->r->report, false, l->r->path, m.line, m.column, NULL, "not YAML: %s%s%s",
                      y->problem, context, syntax_hint(l));
    return -1;
}

static int report_parser_error(struct loader *l)
{
    struct policy_mark m = {0};

    switch (l->yaml.error) {
    case YAML_MEMORY_ERROR:
        l->r->no_memory = true;
        return -1;
    case YAML_READER_ERROR:
        m = mark_of_offset(l, l->yaml.problem_offset);
        policy_report_add(l->r->report, false, l->r->path, m.line, m.column, NULL,
                          "not a text in UTF-8: %s", l->yaml.problem);
        return -1;
    default:
        return report_syntax(l);
    }
}

/* ---- building the tree ---- */

static struct policy_node *node_create(struct loader *l, enum policy_node_kind kind,
                                       const yaml_mark_t *at)
{
    struct policy_node *n = policy_arena_alloc(&l->r->nodes, 1, sizeof *n);

    if (n == NULL) {
        l->r->no_memory = true;
        return NULL;
    }
    n->kind = kind;
    n->mark = mark_of(at);
    n->parent = l->open[l->depth];
    return n;
}

/* Puts a node where the parse stands: as a map's key, as a child, or as the document. */
static void attach(struct loader *l, struct policy_node *n)
{
    struct policy_node *in = l->open[l->depth];

    if (in == NULL) {
        l->r->root = n;
        return;
    }
    if (in->kind == POLICY_NODE_MAP && l->key == NULL) {
        n->key = n;
        l->key = n;
        return;
    }
    n->key = l->key;
    l->key = NULL;
    n->index = in->count++;
    *(in->first == NULL ? &in->first : &in->last->next) = n;
    in->last = n;
}

/* In YAML's core schema an empty plain scalar, "~" and "null" are all null. */
static bool stands_for_nothing(const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;

    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int add_scalar(struct loader *l, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    struct policy_node *n;

    if (memchr(text, '\0', len) != NULL)
        return refuse(l, &e->start_mark, "a NUL character in a text");
    n = node_create(l, POLICY_NODE_SCALAR, &e->start_mark);
    if (n == NULL)
        return -1;
    n->text = policy_reader_text(l->r, text);
    if (n->text == NULL)
        return -1;
    n->absent = stands_for_nothing(e);
    attach(l, n);
    return 0;
}

static int open_collection(struct loader *l, enum policy_node_kind kind, const yaml_mark_t *at)
{
    const struct policy_node *in = l->open[l->depth];
    struct policy_node *n;

    if (in != NULL && in->kind == POLICY_NODE_MAP && l->key == NULL)
        return refuse(l, at, "expected a key, found a list or mapping in its place");
    if (l->depth == POLICY_YAML_DEPTH_MAX)
        return refuse(l, at, "lists and mappings are nested too deep");
    n = node_create(l, kind, at);
    if (n == NULL)
        return -1;
    attach(l, n);
    l->open[++l->depth] = n;
    return 0;
}

/* Reports the keys that a map has twice, and takes their later values out. */
static int drop_duplicates(struct loader *l, struct policy_node *map)
{
    struct policy_table seen = {0};
    struct policy_node **link = &map->first, *n;

    if (policy_table_init(&seen, &l->r->nodes, map->count) < 0) {
        l->r->no_memory = true;
        return -1;
    }
    map->last = NULL;
    map->count = 0;
    while ((n = *link) != NULL) {
        const struct policy_node *former = policy_table_add(&seen, n->key->text, n);

        if (former != NULL) {
            policy_reader_error(l->r, n->key, "given twice, first in line %u",
                                former->key->mark.line);
            *link = n->next;
            continue;
        }
        n->index = map->count++;
        map->last = n;
        link = &n->next;
    }
    return 0;
}

static int close_collection(struct loader *l)
{
    struct policy_node *n = l->open[l->depth--];

    return n->kind == POLICY_NODE_MAP ? drop_duplicates(l, n) : 0;
}

static int refuse_decoration(struct loader *l, const yaml_event_t *e, const yaml_char_t *anchor,
                             const yaml_char_t *tag)
{
    if (anchor != NULL)
        return refuse(l, &e->start_mark, "anchors (&name) are not supported: write the value out");
    if (tag != NULL)
        return refuse(l, &e->start_mark,
                      "tags (!name) are not supported: a text that begins with \"!\" needs "
                      "quotation marks");
    return 0;
}

/* Returns 0, or -1 when the parse must end. */
static int handle(struct loader *l, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (l->documents++ > 0)
            return refuse(l, &e->start_mark, "a second document: the file must hold one");
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(
            l, &e->start_mark,
            "aliases (*name) are not supported: write the value out; a text that begins with \"*\" "
            "needs quotation marks");
    case YAML_SCALAR_EVENT:
        if (refuse_decoration(l, e, e->data.scalar.anchor, e->data.scalar.tag) < 0)
            return -1;
        return add_scalar(l, e);
    case YAML_SEQUENCE_START_EVENT:
        if (refuse_decoration(l, e, e->data.sequence_start.anchor, e->data.sequence_start.tag) < 0)
            return -1;
        return open_collection(l, POLICY_NODE_LIST, &e->start_mark);
    case YAML_MAPPING_START_EVENT:
        if (refuse_decoration(l, e, e->data.mapping_start.anchor, e->data.mapping_start.tag) < 0)
            return -1;
        return open_collection(l, POLICY_NODE_MAP, &e->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(l);
    default:
        return 0;
    }
}

static int parse_events(struct loader *l)
{
    for (bool end = false; !end;) {
        yaml_event_t event;
        int result;

        if (!yaml_parser_parse(&l->yaml, &event))
            return report_parser_error(l);
        end = event.type == YAML_STREAM_END_EVENT;
        result = handle(l, &event);
        yaml_event_delete(&event);
        if (result < 0)
            return -1;
    }
    return 0;
}

int policy_yaml_parse(struct policy_reader *r, const char *text, size_t len)
{
    static const char bom[] = "\xef\xbb\xbf";
    struct loader l = {.r = r};
    int result;

    /* libyaml counts a byte order mark as the first line's indentation once the encoding is set. */
    if (len >= 3 && memcmp(text, bom, 3) == 0) {
        text += 3;
        len -= 3;
    }
    l.text = text;
    l.len = len;
    if (len > POLICY_YAML_SIZE_MAX) {
        policy_report_add(r->report, false, r->path, 0, 0, NULL, "the file is larger than %u MiB",
                          POLICY_YAML_SIZE_MAX >> 20);
        return -1;
    }
    if (!yaml_parser_initialize(&l.yaml)) {
        r->no_memory = true;
        return -1;
    }
    yaml_parser_set_encoding(&l.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.yaml, (const unsigned char *)text, len);
    result = parse_events(&l);
    yaml_parser_delete(&l.yaml);
    if (r->root != NULL && r->root->kind == POLICY_NODE_SCALAR && r->root->absent)
        r->root = NULL;
    return result;
}
