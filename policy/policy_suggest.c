/*
 * Nearness is the optimal string alignment distance: insertions, deletions, substitutions and
 * swaps of neighbours count one each. Case, and '_' for '-', count nothing: nearly every such
 * difference is a slip. A candidate is near when fewer than about a third of the letters differ,
 * or when one word is the start of the other ("cert", "listeners-https").
 */
#include "policy/policy_suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 64 /* longer words get no suggestion */

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Copies a word in the form in which it is compared. Returns its length, or 0 when it is too long.
 */
static unsigned fold(const char *word, char out[WORD_MAX])
{
    size_t len = strlen(word);

    if (len > WORD_MAX)
        return 0;
    for (size_t i = 0; i < len; i++)
        out[i] = word[i] == '_' ? '-' : (char)tolower((unsigned char)word[i]);
    return (unsigned)len;
}

static unsigned distance(const char *a, unsigned a_len, const char *b, unsigned b_len)
{
    unsigned rows[3][WORD_MAX + 1]; /* rows i - 2, i - 1 and i of the matrix, in turn */

    for (unsigned j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min(row[j], min(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min(row[j], second[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

void policy_suggest_offer(struct policy_suggest *s, const char *candidate)
{
    char a[WORD_MAX], b[WORD_MAX];
    unsigned a_len = fold(s->text, a), b_len = fold(candidate, b);
    unsigned shorter = min(a_len, b_len), longer = a_len + b_len - shorter;
    unsigned limit = longer / 3 > 0 ? longer / 3 : 1;
    unsigned d;

    if (shorter == 0)
        return;
    if (shorter >= 3 && memcmp(a, b, shorter) == 0)
        d = min(longer - shorter, limit);
    else if (longer - shorter > limit)
        return;
    else
        d = distance(a, a_len, b, b_len);
    if (d > limit || d >= longer || (s->best != NULL && d >= s->distance))
        return;
    s->best = candidate;
    s->distance = d;
}
