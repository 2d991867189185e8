/* SPDX-License-Identifier: MIT */
/* login_attempts.c - at most three attempts in any minute, with a sliding window.
 *
 * A counter that starts again each minute would let six through around the turn of one. The times
 * are made up, so that the output is the same each time. */
#include <stdio.h>

#include <weir.h>

static void attempt(weir_window *window, int seconds)
{
    int err = weir_window_allow_at(window, 1, WEIR_S(seconds)); /* or weir_window_allow: now */
    printf("%3d s  %s\n", seconds, err == 0 ? "may try" : "has to wait");
}

int main(void)
{
    static const int times[] = {50, 52, 58, 61, 109, 110, 111, 112, 118};
    weir_window *window;
    int err = weir_window_new(&window, 3, WEIR_S(60));
    if (err != 0) {
        fprintf(stderr, "login_attempts: %s\n", weir_strerror(err));
        return 1;
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        attempt(window, times[i]);
    weir_window_free(window);
    return 0;
}
