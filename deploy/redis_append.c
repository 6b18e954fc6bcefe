/* redis_append: has Redis open every file of its log for appending.
 *
 * Redis (7.0.15, and others of that time) opens the file of its log that is
 * there when it starts for appending, but not those that it begins while it
 * runs, as every rewrite does. Where a full disk cuts a write short, Redis
 * shortens the file to what was there before, and the next write lands where
 * the short one ended, behind a hole of zeros: the next start refuses the file
 * ("Bad file format"). And from then on Redis takes the file for shorter than
 * it is, so that a second full disk makes it cut off what was accepted
 * meanwhile. In a file opened for appending neither can happen.
 *
 * redis-start has it loaded before Redis's own libraries (LD_PRELOAD, see
 * ld.so(8)), so that it stands before the C library's open.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

/* "appendonly.aof.7.incr.aof", or "temp-appendonly.aof.incr" until it counts.
 */
static int is_of_the_log(const char *path) {
    const char *name = strrchr(path, '/');
    return strstr(name ? name : path, ".aof.") && strstr(path, ".incr");
}

/* As open(2). By this name programs that know large files call it. */
int open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if ((flags & O_ACCMODE) == O_WRONLY && is_of_the_log(path))
        flags |= O_APPEND;
    return openat(AT_FDCWD, path, flags, mode);
}
