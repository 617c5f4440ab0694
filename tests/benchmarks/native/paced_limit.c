/* The limit: paced RTP streams out and back, with as little work as the kernel's interface allows, and no measuring.
 *
 * usage: paced_limit CALLS SECONDS PORT PORTS
 *
 * The same shape of work as our media loop: a timer of 1 ms, 20 slots, each call in one slot, sockets of about 128 calls,
 * one sendmmsg per slot and socket, every socket drained once in 20 slots with the kernel's time stamps on. Prints one
 * line of JSON: packets sent and received, packets more than 5 ms late, and the processor time per call and second.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 20, PACKET = 172, ROW = 256, CONTROL = 32, DRAIN = 256, CALLS_PER_SOCKET = 128, LINGER = 300 };

struct group {
    int udp, count;
    struct mmsghdr *headers;
    unsigned char (*packets)[PACKET];
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int open_socket(void)
{
    int udp = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20, on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(udp, (void *)&address, sizeof address)) {
        perror("bind");
        exit(1);
    }
    setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(udp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    return udp;
}

static struct group make_group(int udp, int count, int first, int port, int ports)
{
    struct group g = {udp, count, calloc(count, sizeof *g.headers), calloc(count, PACKET)};
    struct iovec *parts = calloc(count, sizeof *parts);
    struct sockaddr_in *to = calloc(count, sizeof *to);
    for (int i = 0; i < count; i++) {
        to[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port + 2 * ((first + i) % ports))};
        to[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        parts[i] = (struct iovec){g.packets[i], PACKET};
        g.headers[i].msg_hdr =
            (struct msghdr){.msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &parts[i], .msg_iovlen = 1};
        g.packets[i][0] = 0x80;
        memset(g.packets[i] + 12, 0xd5, PACKET - 12);
    }
    return g;
}

static long send_group(struct group *g, uint32_t turn)
{
    uint16_t sequence = htons(turn);
    uint32_t timestamp = htonl(turn * 160);
    for (int i = 0; i < g->count; i++) {
        memcpy(g->packets[i] + 2, &sequence, 2);
        memcpy(g->packets[i] + 4, &timestamp, 4);
    }
    int sent = 0;
    while (sent < g->count) {
        int taken = sendmmsg(g->udp, g->headers + sent, g->count - sent, 0);
        if (taken <= 0)
            break;
        sent += taken;
    }
    return sent;
}

static struct mmsghdr rx[DRAIN];
static struct iovec rx_parts[DRAIN];
static struct sockaddr_in rx_from[DRAIN];
static unsigned char rx_packets[DRAIN][ROW], rx_controls[DRAIN][CONTROL];

static long drain(int udp)
{
    long received = 0;
    for (;;) {
        for (int i = 0; i < DRAIN; i++) {
            rx_parts[i] = (struct iovec){rx_packets[i], ROW};
            rx[i].msg_hdr = (struct msghdr){.msg_name = &rx_from[i], .msg_namelen = sizeof rx_from[i],
                .msg_iov = &rx_parts[i], .msg_iovlen = 1, .msg_control = rx_controls[i], .msg_controllen = CONTROL};
        }
        int taken = recvmmsg(udp, rx, DRAIN, MSG_DONTWAIT, NULL);
        if (taken > 0)
            received += taken;
        if (taken < DRAIN)
            return received;
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: paced_limit CALLS SECONDS PORT PORTS\n");
        return 2;
    }
    int calls = atoi(argv[1]), port = atoi(argv[3]), ports = atoi(argv[4]);
    int sockets = (calls + CALLS_PER_SOCKET - 1) / CALLS_PER_SOCKET;
    int *udp = calloc(sockets, sizeof *udp);
    struct group groups[SLOTS];
    for (int s = 0; s < sockets; s++)
        udp[s] = open_socket();
    for (int slot = 0; slot < SLOTS; slot++)
        groups[slot] = make_group(
            udp[slot % sockets], calls / SLOTS + (slot < calls % SLOTS), slot / sockets * (calls / SLOTS + 1), port, ports);

    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int64_t origin = clock_ns(CLOCK_MONOTONIC) / 1000000 * 1000000 + 50000000;
    struct itimerspec every = {{0, 1000000}, {origin / 1000000000, origin % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &every, NULL);
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10}); /* where it may, as our loop does */
    int64_t cpu_before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    double cpu_s = 0;
    long slots = atof(argv[2]) * 1000, slot = 0, sent = 0, received = 0, late = 0;
    while (slot < slots + LINGER) {
        uint64_t expiries;
        if (read(timer, &expiries, sizeof expiries) != sizeof expiries)
            return 1;
        for (uint64_t i = 0; i < expiries && slot < slots + LINGER; i++, slot++) {
            if (slot == slots)
                cpu_s = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before) / 1e9;
            struct group *g = &groups[slot % SLOTS];
            if (slot < slots && g->count) {
                if (clock_ns(CLOCK_MONOTONIC) - (origin + slot * 1000000) > 5000000)
                    late += g->count;
                sent += send_group(g, slot / SLOTS);
            }
            for (int s = 0; s < sockets; s++)
                if ((s * 7 + 10) % SLOTS == slot % SLOTS)
                    received += drain(udp[s]);
        }
    }
    printf("{\"sent\": %ld, \"received\": %ld, \"late\": %ld, \"cpu_us_per_call_second\": %.2f}\n", sent, received, late,
        cpu_s * 1e6 / calls / atof(argv[2]));
    return 0;
}
