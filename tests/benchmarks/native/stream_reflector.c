/* Plays Asterisk for streams: connects as it is told, sends every frame back, and keeps its own record of each.
 *
 * usage: stream_reflector PORT SECONDS
 *
 * Takes orders at TCP port PORT, one a line: "audiosocket PORT UUID" (32 hex digits) or "websocket PORT TARGET", and
 * makes one connection on the loopback for each. Every frame goes back with the record in it, as two 64-bit integers in
 * host byte order at offset 16: when the kernel received it, and when it was handed back (ns since the Unix epoch).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8192, ROOM = 8192, RECORD_OFFSET = 16, EVENTS = 512 };

struct connection {
    int is_websocket, is_open, used;
    unsigned char data[ROOM];
};

static struct connection *connections[MOST];
static int ready;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(int port)
{
    int tcp = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (tcp < 0 || tcp >= MOST || connect(tcp, (void *)&address, sizeof address))
        fail("connect");
    setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(tcp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    return tcp;
}

static void obey(char *order)
{
    char kind[16], target[256];
    int port;
    if (sscanf(order, "%15s %d %255s", kind, &port, target) != 3)
        return;
    int tcp = dial(port);
    struct connection *c = connections[tcp] = calloc(1, sizeof *c);
    c->is_websocket = kind[0] == 'w';
    char hello[512];
    int size;
    if (c->is_websocket)
        size = snprintf(hello, sizeof hello, "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: media\r\n\r\n", target);
    else {
        memcpy(hello, "\x01\x00\x10", 3);
        for (int i = 0; i < 16; i++)
            sscanf(target + 2 * i, "%2hhx", (unsigned char *)hello + 3 + i);
        size = 19;
        c->is_open = 1;
    }
    if (write(tcp, hello, size) != size)
        fail("write");
    fcntl(tcp, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = tcp};
    epoll_ctl(ready, EPOLL_CTL_ADD, tcp, &event);
}

/* Sends a frame back; a client's frames are masked, here with a key of zeros. */
static void reflect(int tcp, struct connection *c, unsigned char *payload, int size, unsigned char kind, int64_t came_ns)
{
    unsigned char out[ROOM];
    int at = 0;
    if (c->is_websocket) {
        out[at++] = 0x82;
        out[at++] = 0x80 | (size < 126 ? size : 126);
        if (size >= 126) {
            out[at++] = size >> 8;
            out[at++] = size & 255;
        }
        memset(out + at, 0, 4);
        at += 4;
    } else {
        out[at++] = kind;
        out[at++] = size >> 8;
        out[at++] = size & 255;
    }
    int64_t record[2] = {came_ns, now_ns()};
    if (size >= RECORD_OFFSET + (int)sizeof record)
        memcpy(payload + RECORD_OFFSET, record, sizeof record);
    memcpy(out + at, payload, size);
    if (write(tcp, out, at + size) < 0 && errno != EAGAIN && errno != EPIPE && errno != ECONNRESET)
        fail("write back");
}

/* Takes one frame apart; returns its bytes, 0 where it is not whole. */
static int take(int tcp, struct connection *c, unsigned char *data, int left, int64_t came_ns)
{
    if (!c->is_open) {
        unsigned char *end = memmem(data, left, "\r\n\r\n", 4);
        c->is_open = end != NULL;
        return end ? end + 4 - data : 0;
    }
    int head, size;
    if (c->is_websocket) {
        if (left < 2 || (data[1] == 126 && left < 4))
            return 0;
        head = data[1] == 126 ? 4 : 2;
        size = data[1] == 126 ? data[2] << 8 | data[3] : data[1];
    } else {
        if (left < 3)
            return 0;
        head = 3;
        size = data[1] << 8 | data[2];
    }
    if (left < head + size)
        return 0;
    if (c->is_websocket ? data[0] == 0x82 : data[0] >= 0x10 && data[0] <= 0x18)
        reflect(tcp, c, data + head, size, data[0], came_ns);
    return head + size;
}

static void hear(int tcp)
{
    struct connection *c = connections[tcp];
    char control[64];
    struct iovec part = {c->data + c->used, ROOM - c->used};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int got = recvmsg(tcp, &message, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            close(tcp);
        return;
    }
    int64_t came_ns = now_ns();
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h))
        if (h->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(h), sizeof t);
            came_ns = t.tv_sec * 1000000000LL + t.tv_nsec;
        }
    c->used += got;
    int at = 0, taken;
    while ((taken = take(tcp, c, c->data + at, c->used - at, came_ns)))
        at += taken;
    memmove(c->data, c->data + at, c->used - at);
    c->used -= at;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: stream_reflector PORT SECONDS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 8))
        fail("bind");
    ready = epoll_create1(0);
    puts("ready");
    fflush(stdout);
    FILE *orders = fdopen(accept(listener, NULL, NULL), "r");
    char order[512];
    while (orders && fgets(order, sizeof order, orders) && order[0] != '\n')
        obey(order);
    int64_t end_ns = now_ns() + (int64_t)(atof(argv[2]) * 1e9);
    while (now_ns() < end_ns) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(ready, events, EVENTS, 100);
        for (int e = 0; e < count; e++)
            hear(events[e].data.fd);
    }
    return 0;
}
