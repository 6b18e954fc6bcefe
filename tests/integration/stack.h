/*
 * stack: the running service as its processes, to be hurt. $CONVOY_RUN is its
 * run folder; deploy/supervise starts a part again that has died.
 *
 *     int main(int argc, char **argv) {
 *         stack_enter(argv);
 *         ...
 *     stack_signal("worker", SIGSTOP);       its whole tree
 *     ...
 *     stack_signal("worker", SIGCONT);
 */
#ifndef CONVOY_TEST_STACK_H
#define CONVOY_TEST_STACK_H

#include <sys/types.h>

/* Runs the program again under tests/integration/stack, unless it does. From
 * the repository's root. */
void stack_enter(char **argv);

/* "redis", "worker", "front" or "nginx"; 0: it does not run. */
pid_t stack_pid(const char *part);

/* Signals a part and all that descends from it. */
void stack_signal(const char *part, int signal);

/* Kills a part (its own process alone) and waits until it is gone. */
void stack_kill(const char *part);

/* The worker's hands: what its nurseries have forked. Returns how many. */
int stack_hands(pid_t *hands, int max);

/* Waits until a process has ended, whether its parent has noticed or not; -1
 * after 10 s. */
int stack_await_end(pid_t pid);

/* Waits until the service is ready: all parts run; fails the test after 30 s.
 */
void stack_await_ready(void);

/* How many lines of a part's log hold all of these texts (NULL: any). */
int stack_log_lines(const char *part, const char *one, const char *other);

/* Waits until there is such a line; the test fails without one after 5 s. */
void stack_await_log(const char *part, const char *text);

/* Lets the part's program be found or not, for a Redis that stays away. */
void stack_hide_redis(int hidden);

#endif
