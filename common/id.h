/*
 * id: the name of a prediction, made of what it is an answer to.
 *
 *     <SHA-256 of the image, 64 hex digits>-<model version, 12 hex digits>
 *
 * or, where the front has a secret for that, HMAC-SHA-256(secret, image) in the
 * place of the hash: then nobody else can tell the name of an image.
 *
 *     struct id id;
 *     if (id_parse("9f86...0a08-3f2a9c1b7d4e", &id) < 0) ... 400
 *     id_make(image_sha256_hex, model_version, &id);
 *
 * Lower-case hex only: one image and model have one name.
 */
#ifndef CONVOY_ID_H
#define CONVOY_ID_H

#define ID_IMAGE_LEN 64
#define ID_VERSION_LEN 12
#define ID_LEN (ID_IMAGE_LEN + 1 + ID_VERSION_LEN)

struct id {
    char text[ID_LEN + 1];
};

/* -1 where the text is no id; `id` is then empty. */
int id_parse(const char *text, struct id *id);

/* Both parts as NUL-terminated hex; -1 where one is malformed. */
int id_make(const char *image_sha256, const char *version, struct id *id);

/* Pointers into the id: the version is NUL-terminated, the image is not. */
const char *id_image(const struct id *id);
const char *id_version(const struct id *id);

#endif
