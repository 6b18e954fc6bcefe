/* store_private: what the files of the store share; nobody else includes it. */
#ifndef CONVOY_STORE_PRIVATE_H
#define CONVOY_STORE_PRIVATE_H

struct store {
    struct redis *redis;
};

#endif
