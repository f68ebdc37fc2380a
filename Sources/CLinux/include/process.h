// Child processes: posix_spawn with the options we need, pidfd, prctl, mounts.
//
// Static inline functions, so that Swift sees plain calls; each returns 0 (or a descriptor, or a process id)
// and a negative errno on failure.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef POSIX_SPAWN_SETSID
#define POSIX_SPAWN_SETSID 0x80
#endif

// glibc 2.34 and later; declared here because it hides behind _GNU_SOURCE.
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

// Lets this process open as many files as it ever may (shell: `ulimit -Sn $(ulimit -Hn)`). Returns 0 or a negative
// errno.
int swiftlet_raise_file_limit(void);

// Gives a child the limit that this process had before: programs that use select(2), or that close every
// descriptor there could be, expect the usual one.
void swiftlet_restore_file_limit(int pid);

// Starts `path` with standard input, output and error from the given descriptors (or /dev/null for -1), every
// other descriptor closed, default signal dispositions and an empty signal mask; `new_session` detaches it
// from our session (shell: `setsid path … >out 2>err <in &`). Returns the process id.
static inline int swiftlet_spawn(
    const char *path, char *const argv[], char *const environment[], int input, int output, int error,
    int new_session)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    pid_t pid = -1;
    int result = posix_spawnattr_init(&attributes);
    if (result != 0) return -result;
    result = posix_spawn_file_actions_init(&actions);
    if (result != 0) {
        posix_spawnattr_destroy(&attributes);
        return -result;
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (new_session) flags |= POSIX_SPAWN_SETSID;
    posix_spawnattr_setflags(&attributes, flags);

    const int descriptors[3] = { input, output, error };
    for (int target = 0; target < 3 && result == 0; target++) {
        result = descriptors[target] < 0
            ? posix_spawn_file_actions_addopen(&actions, target, "/dev/null", target == 0 ? O_RDONLY : O_WRONLY, 0)
            : posix_spawn_file_actions_adddup2(&actions, descriptors[target], target);
    }
    if (result == 0) result = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (result == 0) result = posix_spawn(&pid, path, &actions, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (result == 0) swiftlet_restore_file_limit(pid);
    return result == 0 ? (int)pid : -result;
}

// A descriptor that becomes readable when the process ends, be it our child or not.
static inline int swiftlet_pidfd_open(int pid)
{
    int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
    return descriptor < 0 ? -errno : descriptor;
}

// Signals exactly the process behind the descriptor; a recycled process id cannot be hit.
static inline int swiftlet_pidfd_send_signal(int pidfd, int signal_number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) < 0 ? -errno : 0;
}

// Waits until `first` or `second` (-1: none) is readable; 1, 2, or 0 after `milliseconds` (-1: no limit).
static inline int swiftlet_poll_either(int first, int second, int milliseconds)
{
    struct pollfd both[2] = { { first, POLLIN, 0 }, { second, POLLIN, 0 } };
    int ready;
    do ready = poll(both, 2, milliseconds); while (ready < 0 && errno == EINTR);
    if (ready < 0) return -errno;
    if (both[0].revents != 0) return 1;
    return both[1].revents != 0 ? 2 : 0;
}

// A counter in the kernel that `poll` can wait on: set it to wake a waiting thread, clear it afterwards.
static inline int swiftlet_eventfd(void)
{
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}
static inline void swiftlet_eventfd_set(int descriptor)
{
    eventfd_write(descriptor, 1);
}
static inline void swiftlet_eventfd_clear(int descriptor)
{
    eventfd_t count;
    eventfd_read(descriptor, &count);
}

// Collects a child that has ended without waiting for it. Returns 1 and fills `code` (exit status, or 128 +
// the signal that ended it), or 0 when it still runs.
static inline int swiftlet_reap(int pid, int *code)
{
    int status = 0;
    pid_t result = waitpid(pid, &status, WNOHANG);
    if (result < 0) return -errno;
    if (result == 0) return 0;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 1;
}

// Makes orphaned descendants our children, for those who must see them end.
static inline int swiftlet_set_child_subreaper(int enabled)
{
    return prctl(PR_SET_CHILD_SUBREAPER, enabled, 0, 0, 0) < 0 ? -errno : 0;
}

// mount(2), with a negative errno (shell: `mount -t type -o data source target`).
static inline int swiftlet_mount(
    const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
    return mount(source, target, type, flags, data) < 0 ? -errno : 0;
}

// Detaches a mount at once, users or not (shell: `umount -l target`).
static inline int swiftlet_unmount_lazily(const char *target)
{
    return umount2(target, MNT_DETACH) < 0 ? -errno : 0;
}
