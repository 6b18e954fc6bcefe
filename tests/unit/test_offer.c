#include "worker/offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V1 "111111111111"
#define V2 "222222222222"
#define V3 "333333333333"

static char *labels[] = {"cat"};
#define MODEL(name_, version_, is_default_)                                    \
    {                                                                          \
        .name = name_, .version = version_, .labels = labels,                  \
        .label_count = 1, .width = 8, .height = 8, .is_default = is_default_   \
    }
static struct job_model cats1[] = {MODEL("cats", V1, 1)};
static struct job_model cats2[] = {MODEL("cats", V2, 1)};
static struct job_model cats1_dogs3[] = {MODEL("cats", V1, 1),
                                         MODEL("dogs", V3, 0)};
static struct job_model dogs3[] = {MODEL("dogs", V3, 1)};
static struct job_refusal refused_cats[] = {{"cats", "is broken"}};
static struct offer offer;

#define ADVERT(models_)                                                        \
    (&(struct job_advert){.models = (models_),                                 \
                          .model_count = sizeof(models_) / sizeof *(models_)})

static void assert_model(int i, const char *name, const char *version,
                         int source, bool retiring) {
    assert_true(i < offer.count);
    assert_string_equal(offer.models[i].model.name, name);
    assert_string_equal(offer.models[i].model.version, version);
    assert_int_equal(offer.models[i].source, source);
    assert_int_equal(offer.models[i].model.retiring, retiring);
}

static void compose(const struct job_advert *newest,
                    const struct job_advert *older,
                    const struct job_refusal *refused, int refused_count) {
    const struct job_advert *adverts[] = {newest, older};
    offer_compose(adverts, older ? 2 : 1, refused, refused_count, "cats",
                  &offer);
}

static void offer_has_the_newest_and_finishes_the_older(void **state) {
    (void)state;
    compose(ADVERT(cats2), ADVERT(cats1), NULL, 0);
    assert_int_equal(offer.count, 2);
    assert_model(0, "cats", V2, 0, false);
    assert_model(1, "cats", V1, 1, true);
    assert_int_equal(offer_find(&offer, V1), 1);
    assert_int_equal(offer_find(&offer, V3), -1);
    assert_ptr_equal(offer_current(&offer, "cats"), &offer.models[0]);
}

static void offer_takes_the_same_version_from_the_newest(void **state) {
    (void)state;
    compose(ADVERT(cats1_dogs3), ADVERT(cats1), NULL, 0);
    assert_int_equal(offer.count, 2);
    assert_model(0, "cats", V1, 0, false);
    assert_model(1, "dogs", V3, 0, false);
}

static void offer_keeps_what_was_refused(void **state) {
    (void)state;
    compose(ADVERT(dogs3), ADVERT(cats1), refused_cats, 1);
    assert_model(0, "dogs", V3, 0, false);
    assert_model(1, "cats", V1, 1, false);
    /* The default stays what it was. */
    assert_false(offer.models[0].model.is_default);
    assert_true(offer.models[1].model.is_default);
}

/* The slow variant is of the same folder. */
static void offer_keeps_what_explains_a_refused_model(void **state) {
    (void)state;
    struct job_model both[] = {MODEL("cats", V1, 1),
                               MODEL("cats-explained", V2, 0)};
    strcpy(both[1].explains, "cats");
    compose(ADVERT(dogs3), ADVERT(both), refused_cats, 1);
    assert_model(1, "cats", V1, 1, false);
    assert_model(2, "cats-explained", V2, 1, false);
    assert_false(offer_changes(&offer, ADVERT(dogs3), refused_cats, 1));
}

static void offer_retires_what_was_taken_away(void **state) {
    (void)state;
    compose(ADVERT(dogs3), ADVERT(cats1), NULL, 0);
    assert_model(1, "cats", V1, 1, true);
    assert_true(offer.models[0].model.is_default);
    assert_null(offer_current(&offer, "cats"));
}

static void offer_changes_where_something_is_new_or_gone(void **state) {
    (void)state;
    compose(ADVERT(cats1_dogs3), NULL, NULL, 0);
    assert_false(offer_changes(&offer, ADVERT(cats1_dogs3), NULL, 0));
    assert_true(offer_changes(&offer, ADVERT(cats2), NULL, 0));
    assert_true(offer_changes(&offer, ADVERT(dogs3), NULL, 0));
    assert_false(offer_changes(&offer, ADVERT(dogs3), refused_cats, 1));
    compose(ADVERT(cats1), NULL, NULL, 0);
    assert_true(offer_changes(&offer, ADVERT(cats1_dogs3), NULL, 0));
    /* Back to what is being retired is a change, too. */
    compose(ADVERT(cats2), ADVERT(cats1), NULL, 0);
    assert_true(offer_changes(&offer, ADVERT(cats1), NULL, 0));
}

static void offer_says_what_ready_says(void **state) {
    (void)state;
    struct job_advert head = {.name = "w",
                              .hands = 2,
                              .batch = 8,
                              .refused = refused_cats,
                              .refused_count = 1};
    struct job_advert back;
    compose(ADVERT(cats2), ADVERT(cats1), NULL, 0);
    char *json = offer_encode(&offer, &head);
    assert_int_equal(job_advert_decode(json, strlen(json), &back, NULL), 0);
    assert_string_equal(back.name, "w");
    assert_int_equal(back.model_count, 2);
    assert_false(back.models[0].retiring);
    assert_true(back.models[0].is_default);
    assert_true(back.models[1].retiring);
    assert_false(back.models[1].is_default);
    assert_string_equal(back.refused[0].reason, "is broken");
    job_advert_free(&back);
    free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offer_has_the_newest_and_finishes_the_older),
        cmocka_unit_test(offer_takes_the_same_version_from_the_newest),
        cmocka_unit_test(offer_keeps_what_was_refused),
        cmocka_unit_test(offer_keeps_what_explains_a_refused_model),
        cmocka_unit_test(offer_retires_what_was_taken_away),
        cmocka_unit_test(offer_changes_where_something_is_new_or_gone),
        cmocka_unit_test(offer_says_what_ready_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
