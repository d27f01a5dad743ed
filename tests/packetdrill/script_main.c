/* Runs scripts, each with a stack of its own: tests/packetdrill/script.h. */
#include "tests/packetdrill/script.h"

int main(int argc, char **argv)
{
    struct error e = {0};
    int failed = 0;

    if (door_setup(&e) < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], e.text);
        return 2;
    }
    for (int i = 1; i < argc; i++)
        failed += script_run(argv[i]) < 0;
    door_teardown();
    printf("%d scripts, %d failed\n", argc - 1, failed);
    return failed > 0 || argc < 2;
}
