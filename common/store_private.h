/* store_private: what the files of the store share; nobody else includes it. */
#ifndef CONVOY_STORE_PRIVATE_H
#define CONVOY_STORE_PRIVATE_H

struct store {
    struct redis *redis;
};

/* What takes several keys, in Lua; common/store_scripts.c. */
enum script {
    SCRIPT_LOOKUP,
    SCRIPT_ACCEPT,
    SCRIPT_ADOPT,
    SCRIPT_CLAIM,
    SCRIPT_RENEW,
    SCRIPT_EXPIRED,
    SCRIPT_FINISH,
    SCRIPT_FORGET,
    SCRIPT_COUNT,
};
extern const char *const store_scripts[SCRIPT_COUNT];

#endif
