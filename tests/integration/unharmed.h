/*
 * unharmed: a test after which everything must run on as before.
 *
 *     UNHARMED(http_lengths),         in the list of tests
 *
 * Before it, the processes of all parts are remembered; after it they must be
 * the same, and serve.
 */
#ifndef CONVOY_TEST_UNHARMED_H
#define CONVOY_TEST_UNHARMED_H

int unharmed_before(void **state);
int unharmed_after(void **state);

#define UNHARMED(name)                                                         \
    cmocka_unit_test_setup_teardown(name, unharmed_before, unharmed_after)

#endif
