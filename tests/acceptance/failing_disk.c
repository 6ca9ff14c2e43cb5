/* A disk that once fails to make a file durable; preloaded by tests through disks.py.
 *
 * FAIL_AT says which call fails, counted from 1 over fsync and fdatasync of files whose path ends
 * as FAIL_OF says. It says so on the standard error. Every other call is let through, so asking
 * again after the failure succeeds, as it does on Linux. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int descriptor)
{
    static int calls = 0;
    const char *at = getenv("FAIL_AT"), *of = getenv("FAIL_OF");
    char link[64], path[4096];
    ssize_t length;
    size_t end;

    if (!at || !of)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    end = strlen(of);
    if ((size_t)length < end || strcmp(path + length - end, of) || ++calls != atoi(at))
        return 0;
    dprintf(2, "the disk fails to sync %s\n", of);
    errno = EIO;
    return 1;
}

int fsync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return fails(descriptor) ? -1 : real(descriptor);
}

int fdatasync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails(descriptor) ? -1 : real(descriptor);
}
