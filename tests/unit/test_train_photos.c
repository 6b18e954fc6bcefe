/* Folders of photos as people have them: what is taken, what is told. */
#include "models/train/photos.h"
#include "tests/unit/train_photos.h"

#include "common/file.h"
#include "models/classifier/preprocess.h"

struct fixture {
    struct photo_folder folder;
    struct team *team;
    struct photos photos;
};

static int open_folder(void **state) {
    static struct fixture f;
    struct err err = {0};
    f = (struct fixture){0};
    photo_folder_open(&f.folder);
    f.team = team_open(2, &err);
    *state = &f;
    return f.team ? 0 : -1;
}

static int close_folder(void **state) {
    struct fixture *f = *state;
    photos_free(&f->photos);
    team_close(f->team);
    photo_folder_close(&f->folder);
    return 0;
}

static const struct photos_options *options_of(const struct fixture *f) {
    static struct photos_options o;
    o = (struct photos_options){
        .folder = f->folder.photos, .side = 32, .held_out = -1, .seed = 3};
    return &o;
}

static void read_all(struct fixture *f) {
    struct err err = {0};
    photos_free(&f->photos);
    if (photos_read(&f->photos, options_of(f), f->team, &err) < 0)
        fail_msg("%s", err.text);
}

static void refuse(struct fixture *f, const char *why) {
    struct err err = {0};
    photos_free(&f->photos);
    assert_int_equal(photos_read(&f->photos, options_of(f), f->team, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void expect_finding(const struct fixture *f, enum finding_kind kind,
                           const char *text) {
    for (int i = 0; i < f->photos.found.count; i++)
        if (f->photos.found.items[i].kind == kind &&
            strstr(f->photos.found.items[i].text, text))
            return;
    fail_msg("nothing is told of \"%s\"", text);
}

static void train_photos_are_split_by_class(void **state) {
    struct fixture *f = *state;
    photo_folder_add(&f->folder, "10", 0, 20);
    photo_folder_add(&f->folder, "9", 0, 40);
    read_all(f);
    const struct photos *p = &f->photos;
    int held[2] = {0};
    assert_int_equal(p->set.count, 60);
    assert_int_equal(p->set.classes, 2);
    assert_string_equal(p->set.names[0], "9"); /* by number, not by letter */
    assert_string_equal(p->set.names[1], "10");
    assert_int_equal(p->held_out, 12);
    for (int i = 48; i < 60; i++)
        held[p->set.labels[i]]++;
    assert_int_equal(held[0], 8);
    assert_int_equal(held[1], 4);
    for (int i = 0; i < 60; i++) {
        const char *class = p->set.names[p->set.labels[i]];
        assert_memory_equal(p->list.files[i].path, class, strlen(class));
    }
}

/* What the classifier makes of the file by preprocessor_config.json. */
static void train_photos_are_the_bytes_that_are_served(void **state) {
    static const char json[] =
        "{\"do_resize\": true, \"size\": {\"height\": 32, \"width\": 32}, "
        "\"resample\": 3, \"do_rescale\": false, \"do_normalize\": false}";
    struct fixture *f = *state;
    struct err err = {0};
    struct preprocess p;
    struct preprocess_work work = {0};
    struct image image = {0};
    static float served[3 * 32 * 32];
    photo_folder_add(&f->folder, "a", 0, 5);
    photo_folder_add(&f->folder, "b", 0, 5);
    read_all(f);
    assert_int_equal(
        preprocess_read(&p, json, sizeof json - 1, "it", 32, 32, &err), 0);
    for (int i = 0; i < 10; i++) {
        size_t size;
        const uint8_t *pixels = f->photos.set.pixels + i * 3072;
        void *bytes = photo_list_bytes(&f->photos.list, i, &size, &err);
        assert_non_null(bytes);
        assert_int_equal(
            image_decode(&image, bytes, size, preprocess_least(&p), &err), 0);
        assert_int_equal(preprocess_apply(&p, &work, &image, served, &err), 0);
        free(bytes);
        for (int k = 0; k < 3072; k++)
            assert_int_equal(pixels[k], (int)served[k % 3 * 1024 + k / 3]);
    }
    image_free(&image);
    preprocess_work_free(&work);
}

static void train_photos_name_what_they_leave_out(void **state) {
    struct fixture *f = *state;
    photo_folder_add(&f->folder, "ash", 0, 30);
    photo_folder_add(&f->folder, "birch", 0, 6);
    photo_folder_add(&f->folder, "elm", 0, 0);
    photo_folder_text(&f->folder, "README", "beside the classes");
    photo_folder_text(&f->folder, "ash/notes.txt", "no picture");
    photo_folder_text(&f->folder, "ash/cut.gif", "GIF89a, and then not");
    photo_folder_add(&f->folder, "ash/more", 0, 1);
    photo_write(photo_folder_path(&f->folder, "ash/copy.bmp"), 'a', 7);
    photo_write(photo_folder_path(&f->folder, "birch/wrong.bmp"), 'a', 9);
    read_all(f);
    expect_finding(f, FINDING_FOREIGN, "README: lies beside the classes");
    expect_finding(f, FINDING_FOREIGN, "ash/notes.txt: is none of JPEG");
    expect_finding(f, FINDING_BROKEN, "ash/cut.gif: the ");
    expect_finding(f, FINDING_NESTED, "ash/more");
    expect_finding(f, FINDING_DUPLICATE, "is the same file as ash/7.bmp");
    expect_finding(f, FINDING_CONTRADICTION, "birch/wrong.bmp");
    expect_finding(f, FINDING_EMPTY, "elm");
    expect_finding(f, FINDING_SMALL, "birch: 6");
    expect_finding(f, FINDING_IMBALANCE, "ash has 29 photos, birch only 6");
    assert_int_equal(f->photos.set.classes, 2);
    assert_int_equal(f->photos.set.count, 29 + 6);
    for (int i = 0; i < f->photos.set.count; i++) {
        const char *path = f->photos.list.files[i].path;
        assert_null(strstr(path, "wrong"));
        assert_string_not_equal(path, "ash/9.bmp"); /* its twin too */
    }
}

/* A file's name is told without what would move a terminal's cursor; one of a
 * class goes into labels.txt, a line each. */
static void train_photos_tell_names_without_control_characters(void **state) {
    struct fixture *f = *state;
    photo_folder_add(&f->folder, "a", 0, 5);
    photo_folder_add(&f->folder, "b", 0, 5);
    photo_folder_text(&f->folder, "a/x\033[2J.txt", "no picture");
    read_all(f);
    expect_finding(f, FINDING_FOREIGN, "a/x?[2J.txt");
    photo_folder_add(&f->folder, "c\nd", 0, 5);
    refuse(f, "has a control character");
}

/* Not a class: what an archive left behind, what may not be opened. */
static void train_photos_leave_out_what_is_no_class(void **state) {
    struct fixture *f = *state;
    photo_folder_add(&f->folder, "ash", 0, 5);
    photo_folder_add(&f->folder, "birch", 0, 5);
    photo_folder_add(&f->folder, "__MACOSX", 0, 0);
    photo_folder_add(&f->folder, "__MACOSX/ash", 9, 1);
    photo_folder_text(&f->folder, "ash/no.jpg", "");
    photo_folder_text(&f->folder, "ash/phone.heic", "1234ftypheic....");
    assert_int_equal(
        mkfifo(photo_folder_path(&f->folder, "ash/fifo.jpg"), 0600), 0);
    photo_folder_add(&f->folder, "closed", 0, 1);
    chmod(photo_folder_path(&f->folder, "closed"), 0);
    read_all(f);
    chmod(photo_folder_path(&f->folder, "closed"), 0700);
    expect_finding(f, FINDING_NESTED, "__MACOSX/ash");
    expect_finding(f, FINDING_EMPTY, "__MACOSX");
    expect_finding(f, FINDING_FOREIGN, "ash/no.jpg: is empty");
    expect_finding(f, FINDING_FOREIGN, "ash/phone.heic: is HEIC");
    expect_finding(f, FINDING_BROKEN, "ash/fifo.jpg: is not a regular file");
    assert_string_equal(f->photos.set.names[0], "ash");
    if (geteuid() != 0) { /* whom nothing is closed to */
        expect_finding(f, FINDING_CLOSED, "closed: Permission denied");
        assert_int_equal(f->photos.set.classes, 2);
    }
}

static void train_photos_refuse_folders_of_another_shape(void **state) {
    struct fixture *f = *state;
    refuse(f, "has no folders in it. Make one for each class");
    photo_write(photo_folder_path(&f->folder, "1.bmp"), 1, 1);
    refuse(f, "only files, and nothing says what they show");
    photo_folder_add(&f->folder, "cat", 0, 4);
    refuse(f, "only one folder holds photos");
    photo_folder_add(&f->folder, "train", 0, 0);
    photo_folder_add(&f->folder, "train/dog", 0, 4);
    refuse(f, "photos/train holds folders, not photos");
    assert_int_equal(rmdir(f->folder.photos), -1);
}

static void copy_picture(struct fixture *f, const char *from,
                         const char *name) {
    struct err err = {0};
    char path[128];
    size_t size;
    snprintf(path, sizeof path, "tests/data/images/%s", from);
    void *bytes = file_read(path, 1 << 20, &size, &err);
    if (!bytes)
        fail_msg("%s", err.text);
    assert_int_equal(
        file_write(photo_folder_path(&f->folder, name), bytes, size, &err), 0);
    free(bytes);
}

/* The pixels of the photo called `path`. */
static const uint8_t *pixels_of(const struct fixture *f, const char *path) {
    for (int i = 0; i < f->photos.set.count; i++)
        if (strcmp(f->photos.list.files[i].path, path) == 0)
            return f->photos.set.pixels + i * 3072;
    fail_msg("%s is missing", path);
    return NULL;
}

/* The same stored picture, which EXIF says to be upright and upside down. */
static void train_photos_are_turned_as_a_viewer_does(void **state) {
    struct fixture *f = *state;
    photo_folder_add(&f->folder, "other", 0, 2);
    mkdir(photo_folder_path(&f->folder, "same"), 0700);
    copy_picture(f, "turned-1.jpg", "same/up.jpg");
    copy_picture(f, "turned-3.jpg", "same/down.jpg");
    read_all(f);
    const uint8_t *up = pixels_of(f, "same/up.jpg");
    const uint8_t *down = pixels_of(f, "same/down.jpg");
    int different = 0;
    for (int p = 0; p < 1024; p++)
        for (int c = 0; c < 3; c++) {
            int turned = down[(1023 - p) * 3 + c];
            assert_true(abs(up[p * 3 + c] - turned) <= 2);
            different += up[p * 3 + c] != down[p * 3 + c];
        }
    assert_true(different > 1000);
}

static void train_photos_repeat_a_seed_and_differ_by_it(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct photos other;
    struct photos_options o;
    photo_folder_add(&f->folder, "a", 0, 30);
    photo_folder_add(&f->folder, "b", 0, 30);
    read_all(f);
    o = *options_of(f);
    assert_int_equal(photos_read(&other, &o, f->team, &err), 0);
    assert_true(dataset_fingerprint(&other.set) ==
                dataset_fingerprint(&f->photos.set));
    photos_free(&other);
    assert_int_equal(photos_read(&other, &o, f->team, &err), 0);
    free(other.list.names[1]); /* a class that was called otherwise */
    other.list.names[1] = strdup("c");
    assert_true(dataset_fingerprint(&other.set) !=
                dataset_fingerprint(&f->photos.set));
    photos_free(&other);
    o.seed++;
    assert_int_equal(photos_read(&other, &o, f->team, &err), 0);
    assert_true(dataset_fingerprint(&other.set) !=
                dataset_fingerprint(&f->photos.set));
    photos_free(&other);
}

static void train_photos_share_leaves_some_of_each_to_train_on(void **state) {
    const int counts[4] = {100, 10, 1, 2};
    int shares[4];
    (void)state;
    assert_int_equal(photos_share(counts, 4, 23, shares), 23);
    assert_int_equal(shares[2], 0);
    assert_int_equal(shares[3], 1);
    assert_true(shares[0] > shares[1]);
    assert_int_equal(photos_share(counts, 4, 0, shares), 0);
    assert_int_equal(photos_share(counts, 4, 113, shares), 109);
}

/* A checkpoint keeps how many were held out, and is resumed by asking for as
 * many: the shares must not change by that. */
static void train_photos_share_the_same_when_asked_again(void **state) {
    const int counts[6] = {100, 2, 2, 2, 3, 1};
    int shares[6], again[6];
    (void)state;
    for (int asked = 0; asked < 120; asked++) {
        int given = photos_share(counts, 6, asked, shares);
        assert_true(given <= asked);
        assert_int_equal(photos_share(counts, 6, given, again), given);
        assert_memory_equal(again, shares, sizeof shares);
    }
}

static void train_photos_hold_out_what_is_possible_by_default(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    char class[2] = "a";
    for (int i = 0; i < 6; i++, class[0]++)
        photo_folder_add(&f->folder, class, 0, 1);
    read_all(f);
    assert_int_equal(f->photos.held_out, 0);
    struct photos_options o = *options_of(f);
    o.held_out = 1;
    photos_free(&f->photos);
    assert_int_equal(photos_read(&f->photos, &o, f->team, &err), -1);
    assert_non_null(strstr(err.text, "cannot hold out 1 of 6 photos"));
}

static void train_photos_show_the_picture_as_it_is(void **state) {
    struct fixture *f = *state;
    int width, height;
    photo_folder_add(&f->folder, "a", 0, 2);
    photo_folder_add(&f->folder, "b", 0, 2);
    read_all(f);
    uint8_t *rgb = photos_picture(&f->photos, 0, 26, &width, &height);
    assert_non_null(rgb);
    assert_int_equal(width, 26);
    assert_int_equal(height, 20);
    free(rgb);
    rgb = photos_picture(&f->photos, 1, 500, &width, &height);
    assert_int_equal(width, PHOTO_WIDTH); /* not made larger */
    free(rgb);
    assert_int_equal(
        unlink(photo_folder_path(&f->folder, f->photos.list.files[0].path)), 0);
    assert_null(photos_picture(&f->photos, 0, 26, &width, &height));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define PHOTOS_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, open_folder, close_folder)
        PHOTOS_TEST(train_photos_are_split_by_class),
        PHOTOS_TEST(train_photos_are_the_bytes_that_are_served),
        PHOTOS_TEST(train_photos_name_what_they_leave_out),
        PHOTOS_TEST(train_photos_tell_names_without_control_characters),
        PHOTOS_TEST(train_photos_leave_out_what_is_no_class),
        PHOTOS_TEST(train_photos_refuse_folders_of_another_shape),
        PHOTOS_TEST(train_photos_are_turned_as_a_viewer_does),
        PHOTOS_TEST(train_photos_repeat_a_seed_and_differ_by_it),
        PHOTOS_TEST(train_photos_share_leaves_some_of_each_to_train_on),
        PHOTOS_TEST(train_photos_share_the_same_when_asked_again),
        PHOTOS_TEST(train_photos_hold_out_what_is_possible_by_default),
        PHOTOS_TEST(train_photos_show_the_picture_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
