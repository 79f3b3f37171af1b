// Stage E: the collector reads this process's memory by messages; no ptrace, no privilege. sendmsg(2) takes the bytes
// from the address itself: a bad one is EFAULT. One absolute deadline covers the waits for requests and for room to
// answer.

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "core.h"
#include "system.h"

enum { page_bytes = 4096 };

/// How the service ended.
enum ending { ending_done, ending_absent, ending_late };

/// Async-signal-safe: poll (signal-safety(7)). Whether the socket is ready before the deadline.
static bool wait_until_ready(short events, uint64_t deadline_ns) {
    for (;;) {
        uint64_t now = granite_clock_ns(CLOCK_MONOTONIC);
        if (now >= deadline_ns) return false;
        struct pollfd descriptor = {.fd = granite_core.memory_socket, .events = events};
        int ready = poll(&descriptor, 1, (int)((deadline_ns - now + 999999) / 1000000));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR && errno != EAGAIN) return false;
    }
}

/// Async-signal-safe: sendmsg (signal-safety(7)). One message of one or two parts. Returns 0 or an errno value.
static int send_message(const void *head, size_t head_length, const void *body, size_t body_length,
                        uint64_t deadline_ns) {
    struct iovec parts[2] = {{(void *)head, head_length}, {(void *)body, body_length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body_length ? 2 : 1};
    for (;;) {
        if (sendmsg(granite_core.memory_socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return 0;
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return errno;
        if (!wait_until_ready(POLLOUT, deadline_ns)) return ETIMEDOUT;
    }
}

/// Async-signal-safe. Answers one read with one message. A message is sent whole or not at all: on EFAULT it is cut at
/// page borders, from the end, until the readable prefix is found.
static int answer_read(const struct granite_memory_request *request, uint64_t deadline_ns) {
    struct granite_memory_reply reply = {.address = request->address};
    uint64_t length = request->length < GRANITE_MEMORY_MAX_READ ? request->length : GRANITE_MEMORY_MAX_READ;
    while (length > 0) {
        reply.result = (int32_t)length;
        reply.length = (uint32_t)length;
        int error = send_message(&reply, sizeof reply, (const void *)(uintptr_t)request->address, length, deadline_ns);
        if (error != EFAULT) return error;
        uint64_t into_last_page = (request->address + length) % page_bytes;
        if (into_last_page == 0) into_last_page = page_bytes;
        length = length > into_last_page ? length - into_last_page : 0;
    }
    reply.result = request->length == 0 ? 0 : -EFAULT;
    reply.length = 0;
    return send_message(&reply, sizeof reply, NULL, 0, deadline_ns);
}

/// Async-signal-safe: recv. Requests that a former collector, or one of a former capture, left unread are not ours.
static void discard_old_requests(void) {
    struct granite_memory_request old;
    while (recv(granite_core.memory_socket, &old, sizeof old, MSG_DONTWAIT) > 0) {
    }
}

/// Async-signal-safe: recv, poll, sendmsg.
static enum ending serve(void) {
    static struct granite_memory_request requests[GRANITE_MEMORY_BATCH];
    uint64_t deadline_ns = granite_clock_ns(CLOCK_MONOTONIC) + granite_core.serve_deadline_ns;
    if (!granite_core.socket_is_usable) return ending_absent;
    discard_old_requests();
    struct granite_memory_hello hello = {.magic = GRANITE_PAGE_MAGIC,
                                         .pid = (uint32_t)granite_core.pid,
                                         .capture_sequence = granite_core.page->capture.sequence};
    int error = send_message(&hello, sizeof hello, NULL, 0, deadline_ns);
    if (error != 0) return error == ETIMEDOUT ? ending_late : ending_absent;
    for (;;) {
        ssize_t size = recv(granite_core.memory_socket, requests, sizeof requests, MSG_DONTWAIT);
        if (size == 0) return ending_absent;  // the collector's end is closed
        if (size < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return ending_absent;
            if (!wait_until_ready(POLLIN, deadline_ns)) return ending_late;
            continue;
        }
        size_t count = (size_t)size / sizeof requests[0];
        for (size_t i = 0; i < count; i++) {
            if (requests[i].operation == GRANITE_MEMORY_DONE) return ending_done;
            if (requests[i].operation != GRANITE_MEMORY_READ) continue;
            error = answer_read(&requests[i], deadline_ns);
            if (error != 0) return error == ETIMEDOUT ? ending_late : ending_absent;
        }
        // A collector that asks without end is late as well.
        if (granite_clock_ns(CLOCK_MONOTONIC) >= deadline_ns) return ending_late;
    }
}

/// Async-signal-safe.
void granite_memory_serve(void) {
    switch (serve()) {
        case ending_done:
            break;
        case ending_absent:
            granite_core.page->capture.flags |= GRANITE_CAPTURE_COLLECTOR_ABSENT;
            break;
        case ending_late:
            granite_core.page->capture.flags |= GRANITE_CAPTURE_COLLECTOR_TIMEOUT;
            break;
    }
}
