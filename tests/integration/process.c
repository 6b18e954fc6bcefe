#include "tests/integration/process.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 0 where it has ended (zombies have). */
static pid_t parent_of(pid_t pid) {
    char path[64], line[512], state = 'Z';
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2)
        state = 'Z';
    fclose(file);
    return state == 'Z' ? 0 : parent;
}

bool process_lives(pid_t pid) {
    return parent_of(pid) != 0;
}

int process_children(pid_t pid, pid_t *children, int max) {
    int count = 0;
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        pid_t child = atoi(entry->d_name); /* 0 for what is no process */
        if (child > 0 && count < max && parent_of(child) == pid)
            children[count++] = child;
    }
    if (folder)
        closedir(folder);
    return count;
}

void process_signal_tree(pid_t pid, int signal) {
    pid_t children[64]; /* of a dead parent there are none to be found */
    int count = process_children(pid, children, 64);
    kill(pid, signal);
    for (int i = 0; i < count; i++)
        process_signal_tree(children[i], signal);
}

long process_rss_kib(pid_t pid) {
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = pid ? fopen(path, "r") : NULL;
    if (!file)
        return 0;
    if (fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int process_files(pid_t pid) {
    char path[64];
    int most = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (atoi(entry->d_name) >= most)
            most = atoi(entry->d_name) + 1;
    if (folder)
        closedir(folder);
    return most;
}
