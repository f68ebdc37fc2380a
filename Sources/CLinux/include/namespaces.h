// Network namespaces. The C library's declarations of unshare(2) and setns(2) are hidden behind _GNU_SOURCE,
// which cannot be set any more once the C library's module is built; so the calls are made by number.
#pragma once

#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Gives the calling thread a new, empty network namespace (`unshare --net`). 0, or -1 with errno.
static inline int clinux_unshare_network(void) {
    return (int)syscall(SYS_unshare, CLONE_NEWNET);
}

/// Moves the calling thread into the network namespace that `fd` names (`nsenter --net=FILE`). 0, or -1 with errno.
static inline int clinux_enter_network(int fd) {
    return (int)syscall(SYS_setns, fd, CLONE_NEWNET);
}
