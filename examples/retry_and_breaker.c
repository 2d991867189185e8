/* SPDX-License-Identifier: MIT */
/* retry_and_breaker.c - an unreliable service: retries help with short failures, and the breaker
 * keeps calls away from a service that is down.
 *
 * The breaker is inside the retries: each attempt asks it, and a refusal is not retried. The forms
 * without _at take the time from the clock. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir.h>

/* The other side. Its answers are fixed beforehand. */
struct service {
    const char *answers; /* one for each call, '.' for a success */
    int calls;
    int64_t now; /* for the breaker, so that the output is the same each time */
    weir_breaker breaker;
};

static int call(struct service *service)
{
    return service->answers[service->calls++] == '.' ? 0 : -EIO;
}

static int attempt(weir_context *ctx, void *arg)
{
    struct service *service = arg;
    uint64_t ticket;
    int err = weir_breaker_allow_at(&service->breaker, &ticket, service->now);
    if (err != 0)
        return err;
    (void)ctx; /* a real call would end with it */
    err = call(service);
    weir_breaker_record_at(&service->breaker, ticket, err, service->now);
    return err;
}

static int worth_another(int code, void *user)
{
    (void)user;
    return code != -EAGAIN; /* not while the breaker is open */
}

static void request(struct service *service, const char *what)
{
    int before = service->calls;
    int err = weir_retry_until(WEIR_RETRY_OPTIONS(.max_attempts = 3, .initial_interval = WEIR_MS(2),
                                                  .retryable = worth_another),
                               attempt, service, NULL, weir_after(WEIR_S(60)));
    printf("%-24s %d calls: %s\n", what, service->calls - before,
           err == -EAGAIN ? "refused, the breaker is open" : strerror(-err));
}

static void changed(weir_breaker_state from, weir_breaker_state to, void *user)
{
    static const char *const names[] = {"closed", "open", "half open"};
    (void)user;
    printf("  breaker: %s -> %s\n", names[from], names[to]);
}

int main(void)
{
    struct service service = {.answers = ".xx..xxxx."};
    int err = weir_breaker_init(&service.breaker,
                                WEIR_BREAKER_OPTIONS(.window = 5, .minimum_calls = 5,
                                                     .failure_ratio = 0.8, .open_for = WEIR_S(1),
                                                     .on_change = changed));
    if (err != 0) {
        fprintf(stderr, "retry_and_breaker: %s\n", weir_strerror(err));
        return 1;
    }
    request(&service, "all is well");
    request(&service, "a hiccup");
    request(&service, "all is well again");
    request(&service, "it dies");
    request(&service, "it is dead");
    request(&service, "nobody waits for it");
    service.now += WEIR_S(1);
    request(&service, "it is back");
    return 0;
}
