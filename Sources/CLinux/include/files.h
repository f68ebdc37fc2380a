// File system events (inotify). Each returns a descriptor, or a negative errno.
#pragma once

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

// A descriptor that becomes readable when the file or folder changes: written to, renamed, removed, or a
// name in it made, renamed or removed (shell: `inotifywait PATH`).
static inline int swiftlet_watch_path(const char *path)
{
    int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (descriptor < 0) return -errno;
    const uint32_t events = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE | IN_MOVE_SELF | IN_CREATE | IN_DELETE | IN_DELETE_SELF;
    if (inotify_add_watch(descriptor, path, events) < 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
}

// Forgets the changes so far, so that the next wait waits for new ones.
static inline void swiftlet_watch_clear(int descriptor)
{
    char buffer[4096];
    while (read(descriptor, buffer, sizeof buffer) > 0) { }
}
