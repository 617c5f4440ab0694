/* The limit for streams: paced frames out and back by a connection each, with as little work as the kernel's interface
 * allows, and no measuring.
 *
 * usage: paced_streams KIND CALLS SECONDS PORT
 *
 * KIND is audiosocket or websocket. Has the reflector at PORT make the connections, and then does the same shape of work
 * as our loop: a timer of 1 ms, 20 slots, each call in one slot, one send a frame, and in every slot one read of what is
 * ready, with the kernel's time stamps on. Prints one line of JSON: frames sent and received, frames more than 5 ms late,
 * and the processor time per call and second.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 20, ROOM = 8192, EVENTS = 1024, LINGER = 300, MOST = 8192 };

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int tcp_socket(void)
{
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (tcp < 0 || tcp >= MOST)
        fail("socket");
    return tcp;
}

/* Has so many connections made; those of WebSockets are upgraded, to whatever they ask for. */
static int *connect_all(int calls, int is_websocket, int port)
{
    int listener = tcp_socket(), orders = tcp_socket(), on = 1, *tcp = calloc(calls, sizeof *tcp);
    struct sockaddr_in own = loopback(0), reflector = loopback(port);
    socklen_t size = sizeof own;
    if (bind(listener, (void *)&own, sizeof own) || listen(listener, calls) ||
        getsockname(listener, (void *)&own, &size) || connect(orders, (void *)&reflector, sizeof reflector))
        fail("connect");
    char line[128], hello[1024];
    for (int i = 0; i < calls; i++) {
        int length = is_websocket ? snprintf(line, sizeof line, "websocket %d /media\n", ntohs(own.sin_port))
                                  : snprintf(line, sizeof line, "audiosocket %d %032d\n", ntohs(own.sin_port), i);
        if (write(orders, line, length) != length)
            fail("order");
    }
    if (write(orders, "\n", 1) != 1)
        fail("order");
    for (int i = 0; i < calls; i++) {
        if ((tcp[i] = accept(listener, NULL, NULL)) < 0)
            fail("accept");
        setsockopt(tcp[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(tcp[i], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        if (read(tcp[i], hello, sizeof hello) <= 0)
            fail("hello");
        static const char upgraded[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        if (is_websocket && write(tcp[i], upgraded, sizeof upgraded - 1) != sizeof upgraded - 1)
            fail("upgrade");
    }
    return tcp;
}

static long receive(int ready, int frame)
{
    static struct epoll_event events[EVENTS];
    static unsigned char data[ROOM];
    char control[64];
    long bytes = 0;
    int count = epoll_wait(ready, events, EVENTS, 0);
    for (int e = 0; e < count; e++) {
        struct iovec part = {data, ROOM};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(events[e].data.fd, &message, MSG_DONTWAIT);
        bytes += got > 0 ? got : 0;
    }
    return bytes / frame;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: paced_streams KIND CALLS SECONDS PORT\n");
        return 2;
    }
    int is_websocket = argv[1][0] == 'w', calls = atoi(argv[2]), ready = epoll_create1(0);
    int *tcp = connect_all(calls, is_websocket, atoi(argv[4]));
    for (int i = 0; i < calls; i++)
        epoll_ctl(ready, EPOLL_CTL_ADD, tcp[i], &(struct epoll_event){.events = EPOLLIN, .data.fd = tcp[i]});
    /* L16 takes two bytes a sample, G.711 one; a frame that comes back from a WebSocket's client has a mask besides. */
    unsigned char frame[323] = {0x10, 320 >> 8, 320 & 255};
    int size = 323, back = 323;
    if (is_websocket) {
        memcpy(frame, "\x82\x7e\x00\xa0", 4);
        size = 164;
        back = 168;
    }

    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int64_t origin = clock_ns(CLOCK_MONOTONIC) / 1000000 * 1000000 + 50000000;
    struct itimerspec every = {{0, 1000000}, {origin / 1000000000, origin % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &every, NULL);
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10}); /* where it may, as our loop does */
    int64_t cpu_before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    double cpu_s = 0;
    long slots = atof(argv[3]) * 1000, slot = 0, sent = 0, received = 0, late = 0;
    while (slot < slots + LINGER) {
        uint64_t expiries;
        if (read(timer, &expiries, sizeof expiries) != sizeof expiries)
            return 1;
        for (uint64_t i = 0; i < expiries && slot < slots + LINGER; i++, slot++) {
            if (slot == slots)
                cpu_s = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before) / 1e9;
            int is_late = clock_ns(CLOCK_MONOTONIC) - (origin + slot * 1000000) > 5000000;
            for (int call = slot % SLOTS; slot < slots && call < calls; call += SLOTS, late += is_late)
                sent += send(tcp[call], frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) == size;
            received += receive(ready, back);
        }
    }
    printf("{\"sent\": %ld, \"received\": %ld, \"late\": %ld, \"cpu_us_per_call_second\": %.2f}\n", sent, received, late,
        cpu_s * 1e6 / calls / atof(argv[3]));
    return 0;
}
