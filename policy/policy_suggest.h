/* "did you mean …": the known word nearest to one that is not known. */
#ifndef POLICY_POLICY_SUGGEST_H
#define POLICY_POLICY_SUGGEST_H

/* Set `text`, zero the rest, offer every candidate, read `best`. */
struct policy_suggest {
    const char *text;
    const char *best; /* NULL: none is near enough to be meant */
    unsigned distance;
};

/* The first of equally near candidates stays. */
void policy_suggest_offer(struct policy_suggest *s, const char *candidate);

#endif
