/*
 * zoo: a root of model folders to be changed under a running service. The
 * models are copies of a bundled one whose labels begin with a word of their
 * own, so that an answer shows which of them gave it.
 *
 *     zoo_enter();                          first in main(), then stack_enter()
 *     zoo_put("pets", "v2");                v2 dog, v2 cat, ... from now on
 *     zoo_close();
 *
 * The service started with "pets", "v1", looks at its folders often and forgets
 * what was replaced soon.
 */
#ifndef CONVOY_TEST_ZOO_H
#define CONVOY_TEST_ZOO_H

/* Makes the root, once, and has the service serve it; 0: there is no bundled
 * model to copy. */
int zoo_enter(void);
void zoo_close(void);

/* Puts a model in place of that of the name, if any, as people should: made
 * beside and renamed. The former one is kept aside under its word. */
void zoo_put(const char *name, const char *word);

/* Renames the folder kept aside back. */
void zoo_put_back(const char *name, const char *word);

/* Takes a model's folder away. */
void zoo_take_away(const char *name);

/* Puts a network in place that is cut off. */
void zoo_put_broken(const char *name);

/* Copies a model into place file by file, slowly, the network in pieces. */
void zoo_copy_slowly(const char *name, const char *word);

#endif
