/* Real hands in their sandbox: every kind of image through decoder, network and
 * map, and files that are none. */
#include "tests/unit/quarter_model.h"
#include "tests/unit/worker_bench.h"

#include "common/file.h"

#include <dirent.h>

static char version[ID_VERSION_LEN + 1];

/* $CONVOY_DATA/models/NAME, which need not be there. */
static int open_model(const char *name) {
    const char *data = getenv("CONVOY_DATA");
    if (!data)
        return -1;
    snprintf(bench.models, sizeof bench.models, "%s/models/%s", data, name);
    return file_is_folder(bench.models) ? 0 : -1;
}

static void serve(const char *name) {
    struct job_advert advert;
    struct err err;
    if (open_model(name) < 0) {
        print_message("needs $CONVOY_DATA/models/%s\n", name);
        skip();
    }
    bench_start("--hands=2");
    assert_int_equal(
        job_advert_decode(bench.body, strlen(bench.body), &advert, &err), 0);
    strcpy(version, advert.models[0].version);
    job_advert_free(&advert);
}

static struct prediction classify(const void *bytes, size_t size) {
    struct id id = bench_send_bytes(version, bytes, size, 0);
    bench_expect(JOB_DONE, &id);
    return bench_result(&id);
}

static struct prediction classify_file(const char *folder, const char *name) {
    char path[512];
    size_t size;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    void *bytes = file_read(path, 1 << 24, &size, &err);
    assert_non_null(bytes);
    struct prediction p = classify(bytes, size);
    free(bytes);
    return p;
}

static int is_image(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return *entry->d_name != '.' && dot && strcmp(dot, ".rgb") != 0;
}

static void hand_takes_every_kind_of_image(void **state) {
    (void)state;
    struct dirent **entries;
    serve("cifar10-resnet20");
    int count = scandir("tests/data/images", &entries, is_image, alphasort);
    assert_true(count > 20);
    for (int i = 0; i < count; i++) {
        struct prediction p =
            classify_file("tests/data/images", entries[i]->d_name);
        if (!p.succeeded)
            fail_msg("%s: %s", entries[i]->d_name, p.detail);
        assert_int_equal(p.top_count, 10);
        assert_int_equal(p.map_count, PREDICTION_MAPS_MAX);
        assert_true(p.top[0].score >= p.top[9].score && p.top[0].score <= 1);
        prediction_free(&p);
        free(entries[i]);
    }
    free(entries);
}

static void hand_says_what_is_wrong_with_a_file(void **state) {
    (void)state;
    size_t size;
    struct err err;
    serve("cifar10-resnet20");
    char *bytes = file_read("tests/data/images/rgb.png", 1 << 20, &size, &err);
    assert_non_null(bytes);
    struct prediction p = classify(bytes, size / 2);
    free(bytes);
    assert_false(p.succeeded);
    assert_true(p.permanent);
    assert_string_equal(p.problem, "corrupt-image");
    prediction_free(&p);
    p = classify("this is no image", 16);
    assert_string_equal(p.problem, "unsupported-image");
    prediction_free(&p);
    p = classify("", 0);
    assert_false(p.succeeded);
    assert_true(p.permanent);
    prediction_free(&p);
    assert_false(bench_logged("event=hand-died"));
}

static void hand_knows_a_cat(void **state) {
    (void)state;
    char photos[300];
    serve("mobilenet-v2-1.0-224");
    snprintf(photos, sizeof photos, "%s/photos", getenv("CONVOY_DATA"));
    struct prediction p = classify_file(photos, "cat.bmp");
    assert_non_null(strstr(p.top[0].label, "Egyptian cat"));
    assert_string_equal(p.image.format, "bmp");
    prediction_free(&p);
    p = classify_file(photos, "parrot.jpg");
    assert_non_null(strstr(p.top[0].label, "macaw"));
    prediction_free(&p);
}

/* It is there twice, and explained under the second version alone. */
static void hand_explains_a_network_without_maps(void **state) {
    (void)state;
    char folder[] = "/tmp/convoy-test-XXXXXX";
    unsigned char bmp[QUARTER_BMP_SIZE];
    struct job_advert advert;
    struct err err;
    assert_non_null(mkdtemp(folder));
    quarter_model_write(folder);
    quarter_bmp(bmp);
    snprintf(bench.models, sizeof bench.models, "%s", folder);
    bench_start("--hands=1");
    assert_int_equal(
        job_advert_decode(bench.body, strlen(bench.body), &advert, &err), 0);
    assert_int_equal(advert.model_count, 2);
    assert_string_equal(advert.models[0].name, strrchr(folder, '/') + 1);
    assert_string_equal(advert.models[1].explains, advert.models[0].name);
    assert_false(advert.models[0].explainable);
    assert_true(advert.models[1].explainable);
    for (int i = 0; i < 2; i++) {
        strcpy(version, advert.models[i].version);
        struct prediction p = classify(bmp, sizeof bmp);
        assert_true(p.succeeded);
        assert_string_equal(p.model_name, advert.models[i].name);
        assert_int_equal(p.top[0].index, 0);
        assert_int_equal(p.map_count, i == 0 ? 0 : 2);
        if (i == 1) {
            int last = p.map_width * p.map_height - 1;
            assert_int_equal(p.maps[0], 0);
            assert_int_equal(p.maps[last], 255);
        }
        prediction_free(&p);
    }
    job_advert_free(&advert);
    quarter_model_remove(folder);
}

int main(int argc, char **argv) {
    bench_main(argc, argv);
    const struct CMUnitTest tests[] = {
        BENCH(hand_takes_every_kind_of_image),
        BENCH(hand_says_what_is_wrong_with_a_file),
        BENCH(hand_knows_a_cat),
        BENCH(hand_explains_a_network_without_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
