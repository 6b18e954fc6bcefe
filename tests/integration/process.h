/* process: what /proc says of processes, and trees of them. */
#ifndef CONVOY_TEST_PROCESS_H
#define CONVOY_TEST_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

bool process_lives(pid_t pid); /* and is no zombie */

/* The living children; returns how many were put down. */
int process_children(pid_t pid, pid_t *children, int max);

/* The process and all that descends from it, parents first. */
void process_signal_tree(pid_t pid, int signal);

long process_rss_kib(pid_t pid); /* 0: there is no such process */
int process_files(pid_t pid);    /* the highest open descriptor, and one */

#endif
