/* `sluice --explain`: which rule of the policy decides on a connection, and why. */
#ifndef APPLIANCE_EXPLAIN_H
#define APPLIANCE_EXPLAIN_H

/* `arguments` are key=value: listener, source, sni, alpn, tls-version. Prints to standard output,
 * what is wrong to standard error. Returns the process's exit status. */
int explain_run(const char *path, char *const *arguments, unsigned count);

#endif
