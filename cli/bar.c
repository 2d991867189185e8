/* SPDX-License-Identifier: MIT */
/* bar.c - draws the bar: done of total, failed, jobs a second, time to go, and what runs longest.
 * It fits the terminal, and holds no byte that a terminal takes for more than a letter.
 */
#include "bar.h"

#include "complain.h"
#include "status.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_SIZE 256

bool bar_is_wanted(const struct settings *settings)
{
    if (settings->bar || settings->no_bar)
        return settings->bar;
    return !settings->quiet && isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
}

/* How long, as people say it. */
static void put_time(char *text, size_t size, double seconds)
{
    if (seconds < 60)
        snprintf(text, size, "%.0fs", seconds);
    else if (seconds < 3600)
        snprintf(text, size, "%dm%02ds", (int)seconds / 60, (int)seconds % 60);
    else if (seconds < 360000)
        snprintf(text, size, "%dh%02dm", (int)seconds / 3600, (int)seconds / 60 % 60);
    else
        snprintf(text, size, "%.0fd", seconds / 86400);
}

static size_t width(void)
{
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
        return 80;
    return window.ws_col > LINE_SIZE - 8 ? LINE_SIZE - 8 : window.ws_col;
}

/* Cuts the line behind so many characters; whatever could move the cursor becomes a point. */
static void tame(char *line, size_t columns)
{
    size_t seen = 0;
    size_t i = 0;
    for (; line[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)line[i];
        /* C1 controls are a second byte below 0xa0 behind 0xc2. */
        if (byte < 0x20 || byte == 0x7f)
            line[i] = '.';
        else if (byte == 0xc2 && (unsigned char)line[i + 1] < 0xa0 && line[i + 1] != '\0')
            line[i] = line[i + 1] = '.';
        if ((byte & 0xc0) != 0x80 && seen++ == columns)
            break;
    }
    line[i] = '\0';
}

void bar_draw(struct run *run)
{
    char line[LINE_SIZE + 128];
    char total[32] = "?";
    char eta[48] = "";
    char time[32];
    char label[LABEL_SIZE];
    struct counts counts = tally_read(&run->tally);
    int64_t since;
    uint64_t ended = counts.ok + counts.failed + counts.timed_out;
    double seconds = (double)(weir_now() - run->begun) / 1e9;
    double rate = seconds > 0 ? (double)ended / seconds : 0;
    (void)status_running(run, label, &since);
    if (counts.total >= 0)
        snprintf(total, sizeof(total), "%lld", (long long)counts.total);
    double left = (double)counts.total - (double)(ended + counts.skipped);
    if (counts.total >= 0 && rate > 0 && left > 0) {
        put_time(time, sizeof(time), left / rate);
        snprintf(eta, sizeof(eta), ", %s to go", time);
    }
    int size = snprintf(line, sizeof(line), "%llu/%s, %llu failed, %.1f/s%s",
                        (unsigned long long)(ended + counts.skipped), total,
                        (unsigned long long)(counts.failed + counts.timed_out), rate, eta);
    if (*label != '\0' && size > 0) {
        put_time(time, sizeof(time), (double)(weir_now() - since) / 1e9);
        snprintf(line + size, sizeof(line) - (size_t)size, " | %s %s", time, label);
    }
    tame(line, width() - 1);
    if (pthread_mutex_trylock(&run->output.lock) != 0)
        return;
    complain_draw_bar(line);
    pthread_mutex_unlock(&run->output.lock);
}
