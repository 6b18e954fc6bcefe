/*
 * classify: names what is on pictures.
 */
#include "common/document.h"
#include "common/file.h"
#include "common/heatmap.h"
#include "models/classifier/classifier.h"
#include "models/tool/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPLAIN_BATCH 8 /* covered pictures that go through at once */
#define PICTURE_MAX ((size_t)1 << 30)

/* explain: with maps, also where they cost much. */
static void classify_file(struct classifier_run *run, const char *path,
                          int top_k, bool explain, struct classification *out) {
    struct classifier_image image = {0};
    char *bytes = file_read(path, PICTURE_MAX, &image.size, &out->err);
    out->failed = true;
    if (!bytes)
        return;
    image.bytes = bytes;
    if (explain)
        classifier_run_explain(run, &image, top_k, out);
    else
        classifier_run(run, &image, 1, top_k, out);
    if (out->failed)
        err_prefix(&out->err, "%s", path);
    free(bytes);
}

static void print_text(const struct classifier *c, const char *path,
                       const struct classification *r) {
    if (r->failed) {
        fprintf(stderr, "convoy-model classify: %s\n", r->err.text);
        return;
    }
    printf("%s (%s, %d x %d, decoded in %.1f ms, inferred in %.1f ms)\n", path,
           r->format, r->width, r->height, r->decode_ms, r->infer_ms);
    if (classifier_confidence(c, r) == CONFIDENCE_LOW)
        printf("  not sure: the best score is below %g\n",
               (double)classifier_threshold(c));
    for (int i = 0; i < r->top_count; i++)
        printf("  %6.2f %%  %s\n", 100 * (double)r->top[i].score,
               classifier_label(c, r->top[i].index));
}

static json_t *to_json(const struct classifier *c, const char *path,
                       const struct classification *r) {
    if (r->failed)
        return json_pack("{s:o,s:{s:s*,s:o}}", "file", document_text(path),
                         "error", "type", r->err.problem, "detail",
                         document_text(r->err.text));
    json_t *top = json_array();
    for (int i = 0; i < r->top_count; i++)
        json_array_append_new(
            top, json_pack("{s:s,s:i,s:f}", "label",
                           classifier_label(c, r->top[i].index), "index",
                           r->top[i].index, "score", (double)r->top[i].score));
    json_t *root = json_pack(
        "{s:o,s:s,s:i,s:i,s:f,s:f,s:o}", "file", document_text(path), "format",
        r->format, "width", r->width, "height", r->height, "decode_ms",
        r->decode_ms, "infer_ms", r->infer_ms, "predictions", top);
    const enum prediction_confidence confidence = classifier_confidence(c, r);
    if (confidence != CONFIDENCE_UNKNOWN)
        json_object_set_new(root, "confident",
                            json_boolean(confidence == CONFIDENCE_HIGH));
    return root;
}

static int write_heatmap(const char *path, const struct classification *r,
                         struct err *err) {
    size_t size;
    uint8_t *png = heatmap_png(r->maps[0], r->map_width, r->map_height,
                               r->map_region, r->width, r->height, &size, err);
    if (!png)
        return -1;
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(png, 1, size, file) == size;
    if (!file || fclose(file) != 0 || !written)
        err_set(err, "cannot write %s: %s", path, strerror(errno));
    free(png);
    return written ? 0 : -1;
}

struct wish {
    int top_k, json;
    const char *heatmap;
};

/* words: MODEL IMAGE... */
static int classify(const struct option_list *words, const struct wish *wish,
                    struct err *err) {
    int rc = -1;
    json_t *images = json_array();
    struct classification *result = calloc(1, sizeof *result);
    struct classifier_run *run = NULL;
    struct classifier *c = classifier_load(words->items[0], err);
    int batch = wish->heatmap ? EXPLAIN_BATCH : 1;
    if (!c || !result || !(run = classifier_run_open(c, batch, err)))
        goto fail;
    int failures = 0;
    for (int i = 1; i < words->count; i++) {
        const char *path = words->items[i];
        classify_file(run, path, wish->top_k, wish->heatmap != NULL, result);
        failures += result->failed;
        if (wish->json)
            json_array_append_new(images, to_json(c, path, result));
        else
            print_text(c, path, result);
        if (wish->heatmap && !result->failed &&
            write_heatmap(wish->heatmap, result, err) < 0)
            goto fail;
    }
    rc = failures > 0;
    if (wish->json &&
        command_json(json_pack("{s:o,s:s,s:O}", "model",
                               document_text(classifier_name(c)), "version",
                               classifier_version(c), "images", images)) != 0)
        rc = 1;
fail:
    json_decref(images);
    classifier_run_close(run);
    classifier_free(c);
    free(result);
    return rc;
}

int classify_main(int argc, char **argv) {
    struct wish wish = {.top_k = 5};
    struct option_list words = {0};
    struct err err = {0};
    int status;
    const struct option_row rows[] = {
        {"top-k", "K", OPTION_INT, &wish.top_k, 1, CLASSIFIER_TOP_MAX,
         "how many labels"},
        {"heatmap", "FILE.png", OPTION_TEXT, &wish.heatmap, 0, 0,
         "where the network looks for the best label, to lay over the "
         "picture: its activation map, or by occlusion where it has none"},
        {"json", NULL, OPTION_FLAG, &wish.json, 0, 0,
         "one JSON object on one line"},
    };
    const struct options options = {.program = "convoy-model classify",
                                    .summary = "names what is on pictures",
                                    .rows = rows,
                                    .row_count = sizeof rows / sizeof *rows,
                                    .synopsis = "MODEL IMAGE...",
                                    .words = &words,
                                    .words_least = 2,
                                    .words_most = INT_MAX,
                                    .flags_only = true};
    if (command_options(&options, argc, argv, &status)) {
        if (wish.heatmap && words.count > 2)
            status = command_failed(
                &options,
                (err_set(&err, "--heatmap takes one picture at a time"), &err));
        else if ((status = classify(&words, &wish, &err)) < 0)
            status = command_failed(&options, &err);
    }
    option_list_free(&words);
    return status;
}
