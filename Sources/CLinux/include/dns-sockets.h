// Datagrams received and sent many at a time. recvmmsg(2) and sendmmsg(2) hide behind _GNU_SOURCE in the C
// library, so the calls are made by number, with the kernel's own form of their argument.
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SWIFTLET_DATAGRAMS 32

/// A datagram and who it came from or goes to.
struct swiftlet_datagram {
    void *bytes;
    size_t capacity;
    size_t length;
    struct sockaddr_storage peer;
    socklen_t peer_length;
};

struct swiftlet_mmsghdr {
    struct msghdr header;
    unsigned int length;
};

/// Waits for a datagram and takes all that are there, at most SWIFTLET_DATAGRAMS. Their number, or a negative
/// errno.
static inline int swiftlet_receive_datagrams(int fd, struct swiftlet_datagram *datagrams, int count) {
    struct swiftlet_mmsghdr messages[SWIFTLET_DATAGRAMS];
    struct iovec parts[SWIFTLET_DATAGRAMS];
    if (count > SWIFTLET_DATAGRAMS) count = SWIFTLET_DATAGRAMS;
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < count; i++) {
        parts[i].iov_base = datagrams[i].bytes;
        parts[i].iov_len = datagrams[i].capacity;
        messages[i].header.msg_iov = &parts[i];
        messages[i].header.msg_iovlen = 1;
        messages[i].header.msg_name = &datagrams[i].peer;
        messages[i].header.msg_namelen = sizeof datagrams[i].peer;
    }
    // 0x10000 is MSG_WAITFORONE: wait for the first one only.
    long got = syscall(SYS_recvmmsg, fd, messages, (unsigned)count, 0x10000, (void *)0);
    if (got < 0) return -errno;
    for (long i = 0; i < got; i++) {
        datagrams[i].length = messages[i].length;
        datagrams[i].peer_length = messages[i].header.msg_namelen;
    }
    return (int)got;
}

/// Sends datagrams. How many were sent, or a negative errno if the first one could not be.
static inline int swiftlet_send_datagrams(int fd, struct swiftlet_datagram *datagrams, int count) {
    struct swiftlet_mmsghdr messages[SWIFTLET_DATAGRAMS];
    struct iovec parts[SWIFTLET_DATAGRAMS];
    if (count > SWIFTLET_DATAGRAMS) count = SWIFTLET_DATAGRAMS;
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < count; i++) {
        parts[i].iov_base = datagrams[i].bytes;
        parts[i].iov_len = datagrams[i].length;
        messages[i].header.msg_iov = &parts[i];
        messages[i].header.msg_iovlen = 1;
        messages[i].header.msg_name = &datagrams[i].peer;
        messages[i].header.msg_namelen = datagrams[i].peer_length;
    }
    long sent = syscall(SYS_sendmmsg, fd, messages, (unsigned)count, MSG_NOSIGNAL);
    return sent < 0 ? -errno : (int)sent;
}

/// A UDP socket bound to an address, which several sockets may share (SO_REUSEPORT: the kernel spreads the
/// datagrams among them) and which need not be assigned to an interface yet (IP_FREEBIND). A descriptor, or a
/// negative errno.
static inline int swiftlet_datagram_socket(const struct sockaddr *address, socklen_t length) {
    int one = 1, buffer = 4 << 20;
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) goto fail;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    (void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof one);
    if (address->sa_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, address, length) != 0) goto fail;
    return fd;
fail:;
    int failure = errno;
    close(fd);
    return -failure;
}

/// Names the calling thread, for `top -H`. At most 15 bytes are shown.
static inline void swiftlet_name_thread(const char *name) {
    (void)syscall(SYS_prctl, 15 /* PR_SET_NAME */, name, 0, 0, 0);
}
