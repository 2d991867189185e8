/* SPDX-License-Identifier: MIT */
/* main.c - the service as a program: settings, signals, exit status.
 *
 * All signals are blocked before the first thread starts, and taken here, one after the other. So
 * what they ask for is ordinary code on the main thread. */
#include "log.h"
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

/* When the files that can be changed were changed last. */
struct files {
    struct timespec config, tokens;
};

static void look(const char *path, struct timespec *ret)
{
    struct stat about;
    if (path[0] == '\0' || stat(path, &about) != 0)
        return; /* it is just being replaced, say: the next look will tell */
    *ret = about.st_mtim;
}

static int was_changed(const struct settings *settings, struct files *files)
{
    struct files now = *files;
    look(settings->config, &now.config);
    look(settings->tokens, &now.tokens);
    int changed = memcmp(&now, files, sizeof now) != 0;
    *files = now;
    return changed;
}

static void read_again(struct service *service, int argc, char **argv, struct settings *settings)
{
    struct settings to;
    char why[512];
    if (settings_read(&to, argc, argv, why, sizeof why) != 0)
        log_error(NULL, "nothing is changed: %s", why);
    else if (service_change(service, &to) == 0)
        *settings = to;
}

static void serve(struct service *service, int argc, char **argv, struct settings *settings,
                  struct files files, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    for (;;) {
        int number = sigtimedwait(signals, NULL, &second);
        if (number == SIGTERM || number == SIGINT)
            return;
        if (number == SIGQUIT)
            service_dump(service);
        bool changed = was_changed(settings, &files);
        if (number == SIGHUP || changed)
            read_again(service, argc, argv, settings);
        service_tick(service);
    }
}

/* Each connection needs a descriptor. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static struct settings settings;
    char why[512];
    /* The times come between two readings: so no change gets lost. */
    struct files files = {{0}, {0}};
    if (settings_read(&settings, argc, argv, why, sizeof why) == 0)
        (void)was_changed(&settings, &files);
    if (settings_read(&settings, argc, argv, why, sizeof why) != 0) {
        fprintf(stderr, "weir-service: %s\n", why);
        return 2;
    }
    if (settings.help) {
        settings_usage();
        return 0;
    }
    if (settings.check) {
        puts("the settings are fine");
        return 0;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGQUIT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_limit();
    struct service *service = service_start(&settings);
    if (service == NULL)
        return 1;
    serve(service, argc, argv, &settings, files, &signals);
    return service_stop(service);
}
