/* SPDX-License-Identifier: MIT */
/* load.c - puts load on an HTTP server, and counts what becomes of each request.
 *
 * Usage: load PORT PATH [-c CONNECTIONS] [-s SECONDS] [-r REQUESTS_A_SECOND] [-w WARMUP_SECONDS]
 *             [-b BODY_BYTES] [-l FILE] [-n]
 *
 * Without a rate each connection sends its next request when it has the answer to the one before.
 * With one, requests come at their times whatever the answers do; one whose time comes while all
 * connections are busy waits for one, and its time counts from when it was due. -b: POST so many
 * bytes. -l: a line for each answer: when it came, its status, how long it took, in microseconds.
 * -n: do not connect anew. Ends when nobody listens any more, too. Prints one line of JSON:
 * requests sent, answers by status, requests that were sent and got none (with their ids), and of
 * the answers after the warm-up the times in microseconds; rate: those with 2xx a second, up to the
 * end of the load. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_LOST = 100, EVENTS = 256, TEXT = 16384 };

struct samples {
    int64_t *us;
    size_t n, room;
};

struct connection {
    int fd;
    bool busy, fresh; /* fresh: no answer came on it yet */
    int64_t due;
    uint64_t id;
    char *to_send;
    size_t length, sent;
    char text[TEXT];
    size_t got, wanted; /* wanted: of head and body together; 0: not known yet */
    int status;
    bool closes;
};

static struct {
    unsigned port, connections;
    const char *path;
    double seconds, rate, warmup;
    size_t body;
    bool keep;
    FILE *lines;
} set = {.connections = 10, .seconds = 1};

static struct {
    uint64_t sent, statuses[600], lost_old, lost_fresh, refused, fine_in_time;
    uint64_t lost_ids[MOST_LOST];
    size_t n_lost;
    struct samples fine, refusals;
} count;

static int epoll, idle_n;
static struct connection **idle;
static int64_t began, ends;
static char *body;
static bool stop;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void add_sample(struct samples *samples, int64_t us)
{
    if (samples->n == samples->room) {
        samples->room = 2 * samples->room + 1024;
        samples->us = realloc(samples->us, samples->room * sizeof *samples->us);
        if (samples->us == NULL)
            abort();
    }
    samples->us[samples->n++] = us;
}

static void open_connection(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)set.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->busy = false;
    c->fresh = true;
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (c->fd >= 0)
            close(c->fd);
        c->fd = -1;
        count.refused++;
        return;
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        abort();
    idle[idle_n++] = c;
}

static void give_up(struct connection *c)
{
    if (c->busy) {
        ++*(c->fresh ? &count.lost_fresh : &count.lost_old);
        if (count.n_lost < MOST_LOST)
            count.lost_ids[count.n_lost++] = c->id;
    }
    for (int i = 0; i < idle_n; i++)
        if (idle[i] == c)
            idle[i--] = idle[--idle_n];
    close(c->fd);
    c->fd = -1;
    if (!set.keep && !stop)
        open_connection(c);
}

static void flush_out(struct connection *c)
{
    while (c->sent < c->length) {
        ssize_t n = send(c->fd, c->to_send + c->sent, c->length - c->sent, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the next event tells what it is */
        c->sent += (size_t)n;
    }
}

static void send_request(struct connection *c, int64_t due)
{
    c->busy = true;
    c->due = due;
    c->id = count.sent++;
    c->got = c->wanted = c->sent = 0;
    int n = snprintf(c->to_send, 512, "%s %s HTTP/1.1\r\nHost: x\r\nX-Request-Id: load-%llu\r\n",
                     set.body > 0 ? "POST" : "GET", set.path, (unsigned long long)c->id);
    if (set.body > 0)
        n += snprintf(c->to_send + n, 128, "Content-Length: %zu\r\n\r\n", set.body);
    else
        n += snprintf(c->to_send + n, 128, "\r\n");
    memcpy(c->to_send + n, body, set.body);
    c->length = (size_t)n + set.body;
    flush_out(c);
}

static void note_answer(struct connection *c)
{
    int64_t now = now_us();
    count.statuses[c->status]++;
    if (now - began >= (int64_t)(set.warmup * 1e6))
        add_sample(c->status < 300 ? &count.fine : &count.refusals, now - c->due);
    if (c->status < 300 && now - began >= (int64_t)(set.warmup * 1e6) && now < ends)
        count.fine_in_time++;
    if (set.lines != NULL)
        fprintf(set.lines, "%lld %d %lld\n", (long long)(now - began), c->status,
                (long long)(now - c->due));
    c->busy = c->fresh = false;
    if (c->closes)
        give_up(c);
    else
        idle[idle_n++] = c;
}

/* Reads what the head says once all of it is there. */
static void read_head(struct connection *c)
{
    c->text[c->got < TEXT ? c->got : TEXT - 1] = '\0';
    char *end = strstr(c->text, "\r\n\r\n");
    if (end == NULL)
        return;
    char *length = strcasestr(c->text, "\r\nContent-Length:");
    c->closes = strcasestr(c->text, "\r\nConnection: close") != NULL;
    c->status = atoi(c->text + 9);
    if (c->status < 100 || c->status > 599)
        abort();
    c->wanted = (size_t)(end + 4 - c->text) +
                (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void read_in(struct connection *c)
{
    static char beyond[TEXT];
    for (;;) {
        bool fits = c->got < TEXT - 1;
        ssize_t n =
            recv(c->fd, fits ? c->text + c->got : beyond, fits ? TEXT - 1 - c->got : TEXT, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            give_up(c);
            return;
        }
        c->got += (size_t)n;
        if (c->busy && c->wanted == 0)
            read_head(c);
        if (c->busy && c->wanted != 0 && c->got >= c->wanted) {
            note_answer(c);
            return;
        }
    }
}

/* Starts what is due. Returns for how long to wait for events, in microseconds. */
static int64_t start_due(void)
{
    int64_t now = now_us();
    static uint64_t started;
    while (idle_n > 0 && now < ends) {
        int64_t due = now;
        if (set.rate > 0) {
            due = began + (int64_t)((double)started * 1e6 / set.rate);
            if (due > now)
                return due - now;
        }
        started++;
        send_request(idle[--idle_n], due);
    }
    return 10000;
}

static void run(struct connection *all)
{
    struct epoll_event events[EVENTS];
    began = now_us();
    ends = began + (int64_t)(set.seconds * 1e6);
    for (;;) {
        int64_t wait = start_due();
        const struct timespec timeout = {0, (wait < 10000 ? wait : 10000) * 1000};
        int64_t now = now_us();
        bool any = false;
        for (unsigned i = 0; i < set.connections && !any; i++)
            any = all[i].fd >= 0 && (all[i].busy || now < ends);
        if (!any || now > ends + 60000000)
            return;
        int n = epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->fd >= 0 && c->busy)
                flush_out(c);
            if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
                read_in(c);
        }
    }
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static void print_samples(const char *name, struct samples *s)
{
    if (s->n > 0)
        qsort(s->us, s->n, sizeof *s->us, compare);
    printf(",\"%s\":{\"n\":%zu", name, s->n);
    static const struct {
        const char *name;
        double at;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};
    for (size_t i = 0; i < 4; i++)
        printf(",\"%s\":%lld", points[i].name,
               s->n == 0 ? 0LL : (long long)s->us[(size_t)((double)(s->n - 1) * points[i].at)]);
    printf("}");
}

static void report(void)
{
    bool first = true;
    printf("{\"sent\":%llu,\"seconds\":%.3f,\"refused\":%llu,\"lost_old\":%llu,\"lost_fresh\":%llu,"
           "\"rate\":%.1f,\"lost\":[",
           (unsigned long long)count.sent, (double)(now_us() - began) / 1e6,
           (unsigned long long)count.refused, (unsigned long long)count.lost_old,
           (unsigned long long)count.lost_fresh,
           (double)count.fine_in_time / (set.seconds - set.warmup));
    for (size_t i = 0; i < count.n_lost; i++)
        printf("%s\"load-%llu\"", i > 0 ? "," : "", (unsigned long long)count.lost_ids[i]);
    printf("],\"statuses\":{");
    for (int status = 100; status < 600; status++)
        if (count.statuses[status] > 0) {
            printf("%s\"%d\":%llu", first ? "" : ",", status,
                   (unsigned long long)count.statuses[status]);
            first = false;
        }
    printf("}");
    print_samples("fine", &count.fine);
    print_samples("others", &count.refusals);
    printf("}\n");
}

static void read_options(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "c:s:r:w:b:l:n")) != -1;) {
        if (c == 'c')
            set.connections = (unsigned)atoi(optarg);
        else if (c == 's')
            set.seconds = atof(optarg);
        else if (c == 'r')
            set.rate = atof(optarg);
        else if (c == 'w')
            set.warmup = atof(optarg);
        else if (c == 'b')
            set.body = strtoul(optarg, NULL, 10);
        else if (c == 'l' && (set.lines = fopen(optarg, "we")) == NULL)
            exit(2);
        else if (c == 'l')
            continue;
        else if (c == 'n')
            set.keep = true;
        else
            exit(2);
    }
    if (argc - optind != 2 || set.seconds <= set.warmup)
        exit(2);
    set.port = (unsigned)atoi(argv[optind]);
    set.path = argv[optind + 1];
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    read_options(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc(set.connections, sizeof *all);
    idle = calloc(2 * (size_t)set.connections, sizeof(struct connection *));
    body = malloc(set.body + 1);
    if (epoll < 0 || all == NULL || idle == NULL || body == NULL)
        return 1;
    memset(body, 'b', set.body);
    for (unsigned i = 0; i < set.connections; i++) {
        all[i].to_send = malloc(1024 + set.body);
        if (all[i].to_send == NULL)
            return 1;
        open_connection(&all[i]);
    }
    run(all);
    stop = true;
    report();
    return set.lines != NULL && fclose(set.lines) != 0;
}
