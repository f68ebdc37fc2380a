#include "CLinux.h"

#include <sys/resource.h>

static rlim_t original_files = 0;

int swiftlet_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -errno;
    if (limit.rlim_cur >= limit.rlim_max) return 0;
    original_files = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) != 0 ? -errno : 0;
}

void swiftlet_restore_file_limit(int pid)
{
    // The kernel's own form of struct rlimit; prlimit(2) hides behind _GNU_SOURCE.
    struct { unsigned long long current, maximum; } limit;
    if (original_files == 0 || syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &limit) != 0) return;
    if (limit.current <= original_files) return;
    limit.current = original_files;
    syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &limit, NULL);
}
