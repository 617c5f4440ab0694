/* Sends every UDP packet back to where it came from, and keeps its own record of how long it held each.
 *
 * usage: reflector PORT PORTS SECONDS
 *
 * Listens on PORT, PORT+2, … for SECONDS, then prints one line of JSON. Each packet of at least 44 bytes goes back with
 * the record in it, as two 64-bit integers in host byte order behind RTP header and probe (offset 28): when the kernel
 * received it, and when it was handed back to the kernel (ns since the Unix epoch). The sender can so tell, packet by
 * packet, the reflector's share of a round trip from its own error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 256, PACKET = 512, CONTROL = 64, RECORD_OFFSET = 28, MOST_PORTS = 512 };

static struct mmsghdr headers[BATCH];
static struct iovec parts[BATCH];
static struct sockaddr_in sources[BATCH];
static unsigned char packets[BATCH][PACKET];
static unsigned char controls[BATCH][CONTROL];

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int listen_on(int port)
{
    int udp = socket(AF_INET, SOCK_DGRAM, 0), size = 16 << 20, on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(udp, (void *)&address, sizeof address)) {
        perror("bind");
        exit(1);
    }
    setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(udp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    return udp;
}

static int64_t arrival_of(struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            return t.tv_sec * 1000000000LL + t.tv_nsec;
        }
    return 0;
}

static void prepare(void)
{
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){packets[i], PACKET};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_iov = &parts[i], .msg_iovlen = 1};
    }
}

static int receive(int udp)
{
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_len = PACKET;
        headers[i].msg_hdr.msg_namelen = sizeof sources[i];
        headers[i].msg_hdr.msg_control = controls[i];
        headers[i].msg_hdr.msg_controllen = CONTROL;
    }
    return recvmmsg(udp, headers, BATCH, MSG_DONTWAIT, NULL);
}

static long reflect(int udp, int count)
{
    int64_t sent_ns = now_ns();
    for (int i = 0; i < count; i++) {
        int64_t record[2] = {arrival_of(&headers[i].msg_hdr), sent_ns};
        if (headers[i].msg_len >= RECORD_OFFSET + sizeof record)
            memcpy(packets[i] + RECORD_OFFSET, record, sizeof record);
        parts[i].iov_len = headers[i].msg_len;
        headers[i].msg_hdr.msg_control = NULL;
        headers[i].msg_hdr.msg_controllen = 0;
    }
    long sent = 0;
    while (sent < count) {
        int taken = sendmmsg(udp, headers + sent, count - sent, 0);
        if (taken <= 0 && errno != ECONNREFUSED)
            break;
        sent += taken > 0 ? taken : 0;
    }
    return sent;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: reflector PORT PORTS SECONDS\n");
        return 2;
    }
    int first = atoi(argv[1]), ports = atoi(argv[2]), ready = epoll_create1(0), udp[MOST_PORTS];
    for (int i = 0; i < ports && i < MOST_PORTS; i++) {
        udp[i] = listen_on(first + 2 * i);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = udp[i]};
        epoll_ctl(ready, EPOLL_CTL_ADD, udp[i], &event);
    }
    prepare();
    puts("ready");
    fflush(stdout);
    long received = 0, reflected = 0;
    int64_t end_ns = now_ns() + (int64_t)(atof(argv[3]) * 1e9);
    while (now_ns() < end_ns) {
        struct epoll_event events[MOST_PORTS];
        int count = epoll_wait(ready, events, MOST_PORTS, 100);
        for (int e = 0; e < count; e++) {
            int taken = receive(events[e].data.fd);
            if (taken > 0) {
                received += taken;
                reflected += reflect(events[e].data.fd, taken);
            }
        }
    }
    printf("{\"received\": %ld, \"reflected\": %ld}\n", received, reflected);
    return 0;
}
