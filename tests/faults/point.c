/*
 * The fault points of the programs in build/faults, see common/fault.h. The
 * board is mapped before main() runs: hands inherit it through their nursery,
 * and find no file once they are in their sandbox. What is called here is what
 * the sandbox lets pass.
 */
#include "tests/faults/board.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Set once, before there are threads; NULL: nothing is armed. */
static struct board *board;

__attribute__((constructor)) static void map_board(void) {
    const char *path = getenv("CONVOY_FAULT_BOARD");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    board = mapped == MAP_FAILED ? NULL : mapped;
}

static uint64_t number_of(const char *id) {
    char digits[17] = "";
    if (!id)
        return 0;
    strncpy(digits, id, 16);
    return strtoull(digits, NULL, 16);
}

static void record(enum fault_point point, const char *id, int killed) {
    struct timespec now;
    unsigned place = atomic_fetch_add(&board->count, 1);
    if (place >= BOARD_TRACE_MAX)
        return;
    struct board_event *event = &board->events[place];
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->pid = getpid();
    event->point = (int16_t)point;
    event->killed = (int16_t)killed;
    event->image = number_of(id);
    event->us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void fault_point(enum fault_point point, const char *id) {
    if (!board)
        return;
    int killed = atomic_load(&board->armed[point]) > 0 &&
                 atomic_fetch_sub(&board->armed[point], 1) == 1;
    record(point, id, killed);
    if (killed)
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
}

void fault_image(const void *bytes, size_t size) {
    const char *tail = (const char *)bytes + size - FAULT_TAIL;
    if (!board || size < FAULT_TAIL)
        return;
    if (memcmp(tail, FAULT_TAIL_POISON, FAULT_TAIL) == 0)
        abort();
    while (memcmp(tail, FAULT_TAIL_STUCK, FAULT_TAIL) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}
