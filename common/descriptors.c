#include "common/descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

int descriptors_allow(int least, struct err *err) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, "getrlimit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < (rlim_t)least)
        return err_set(err,
                       "%llu open files are allowed, but %d are needed: raise "
                       "the limit (ulimit -n, LimitNOFILE)",
                       (unsigned long long)limit.rlim_max, least);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, "setrlimit: %s", strerror(errno));
    return 0;
}
