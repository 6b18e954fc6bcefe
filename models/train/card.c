#include "models/train/card.h"

#include "models/train/architecture.h"
#include "models/train/names.h"
#include "models/train/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the sections are written from. */
struct card {
    FILE *out;
    struct trainer *t;
    const struct settings *settings;
    const struct dataset *train;
    const struct outcome *outcome;
    int held_out;
};

static void put_head(const struct card *c, const char *name) {
    bool photos = c->outcome->photos != NULL;
    fprintf(c->out,
            "---\n"
            "license: %s\n"
            "pipeline_tag: image-classification\n"
            "%s"
            "metrics: [accuracy]\n"
            "---\n\n"
            "# %s\n\n",
            photos ? "other" : "bsd-2-clause",
            photos ? "" : "datasets: [cifar10]\n", name);
}

static void put_classes(const struct card *c) {
    const struct dataset *set = c->train;
    for (int i = 0; i < set->classes; i++) {
        fputs(i == 0 ? "" : i + 1 < set->classes ? ", " : " or ", c->out);
        names_markdown(c->out, set->names[i]);
    }
}

/* What training began with: a network, or the mean of several, whose names have
 * spaces between them. */
static void put_origin(const struct card *c) {
    const char *name = c->settings->from;
    const char *last = strrchr(name, ' ');
    if (last)
        fprintf(c->out, "the mean of the weights of ");
    for (const char *end; (end = strchr(name, ' ')); name = end + 1)
        fprintf(c->out, "%.*s%s", (int)(end - name), name,
                end == last ? " and " : ", ");
    fprintf(c->out, "%s", *name ? name : "nothing");
}

/* Cells of an activation map: what reaches the global average. */
static struct shape map_shape(const struct network *net) {
    for (int i = 0; i < net->layers_count; i++)
        if (net->layers[i].kind == &layer_global_average)
            return net->layers[i].in;
    return (struct shape){0};
}

static void put_summary(const struct card *c) {
    const struct network *net = trainer_network(c->t);
    const struct shape map = map_shape(net);
    fprintf(c->out, "Says of a photograph whether it shows ");
    put_classes(c);
    fprintf(c->out,
            ".\nA convolutional network of %zu parameters that sees %d x %d "
            "pixels. It ends in a\nglobal average and a linear layer, so its "
            "activation maps (%d x %d cells) show\nexactly what each class got "
            "its score from. Trained from ",
            network_parameters(net), net->input.width, net->input.height,
            map.width, map.height);
    put_origin(c);
    fprintf(c->out, " by\n`convoy-model train`.\n\n");
    int done = trainer_epochs_done(c->t), all = c->settings->epochs;
    if (!trainer_finished(c->t))
        fprintf(c->out,
                "**Not finished:** taken after %d of %d epochs, while the "
                "learning rate was still\nhigh. Do not judge the recipe by "
                "it.\n\n",
                done, all);
}

static void put_calibration(const struct card *c) {
    const struct outcome *o = c->outcome;
    if (c->held_out > 0)
        fprintf(c->out,
                "Expected calibration error on the held-out images, 15 bins: "
                "**%.4f**. It was %.4f\nbefore the logits were divided by "
                "%.4g, which is folded into the last layer%s\n"
                "([arXiv 1706.04599](https://arxiv.org/abs/1706.04599)).\n\n",
                o->error, o->error_before, o->temperature,
                o->fitted ? "; fitted\non the same images" : "");
    else if (o->temperature < 1 || o->temperature > 1)
        fprintf(c->out,
                "The logits are divided by %.4g, fitted in another run on "
                "images that this one was\ntrained on.\n\n",
                o->temperature);
    if (o->threshold > 0)
        fprintf(c->out,
                "A best score below %.2f is to be read as \"not sure\": 95 of "
                "100 right answers on\nheld-out images are above it.\n\n",
                o->threshold);
}

/* Which of two networks the numbers are of. */
static void put_statistics(const struct card *c) {
    bool anew;
    const struct epoch_record *settled = trainer_settled(c->t, &anew);
    int epoch = trainer_best_epoch(c->t);
    if (!settled)
        return;
    if (trainer_averaged(c->t) > 1) {
        fprintf(c->out,
                "The network is the mean of those after each of the last %d "
                "epochs. The last of them alone\nnames %.2f %% of the held-out "
                "images right.\n\n",
                trainer_averaged(c->t),
                100 * trainer_epoch(c->t, epoch)->validation_accuracy);
        return;
    }
    fprintf(c->out,
            "The network is that of epoch %d. With its batch normalisation as "
            "training left it,\nit names %.2f %% of the held-out images right "
            "(the list of epochs below); with the\nstatistics measured anew on "
            "the training images as they are, %.2f %%. The %s is\nbetter and "
            "in this folder; the table above is of it.\n\n",
            epoch + 1, 100 * trainer_epoch(c->t, epoch)->validation_accuracy,
            100 * settled->validation_accuracy, anew ? "latter" : "former");
}

static void put_accuracy(const struct card *c) {
    const struct epoch_record *kept = trainer_kept(c->t);
    fprintf(c->out, "## Accuracy\n\n"
                    "| images | number | top-1 | balanced | cross entropy |\n"
                    "| --- | ---: | ---: | ---: | ---: |\n");
    if (c->held_out > 0)
        fprintf(
            c->out,
            "| held out, never trained on, one view each | %d | **%.2f %%** "
            "| %.2f %% | %.4f |\n",
            c->held_out, 100 * kept->validation_accuracy,
            100 * kept->validation_balanced, kept->validation_loss);
    fprintf(c->out,
            "| training, as augmented, epoch %d | %d | %.2f %% | | %.4f |\n\n",
            trainer_best_epoch(c->t) + 1, c->train->count, 100 * kept->accuracy,
            kept->loss);
    put_statistics(c);
    if (c->held_out > 0)
        fprintf(c->out,
                "Balanced is the mean over the classes of what is right of "
                "each.\n");
    fprintf(c->out,
            "The loss on the training images is that of smoothed labels, so "
            "the two do not\ncompare.\n\n");
    if (c->settings->patience > 0 && c->held_out > 0)
        fprintf(c->out,
                "Epoch %d is the best by%s those very held-out images,\nso "
                "expect a little less on new ones.\n\n",
                trainer_best_epoch(c->t) + 1,
                c->settings->balance ? " balanced accuracy on" : "");
    put_calibration(c);
}

static bool all_held_out(const struct card *c) {
    const struct dataset *set = trainer_validation_set(c->t);
    for (int class = 0; class < set->classes; class ++) {
        int i = 0;
        while (i < set->count && set->labels[i] != class)
            i++;
        if (i == set->count)
            return false;
    }
    return true;
}

static void put_photos(const struct card *c) {
    const struct photos *p = c->outcome->photos;
    fprintf(c->out,
            "%d photos, a folder a class: %d to learn from and %d held out, "
            "drawn from every\nclass alike%s.\n\n"
            "| class | photos |\n| --- | ---: |\n",
            p->set.count, c->train->count, c->held_out,
            all_held_out(c) ? "" : " as far as it has enough");
    for (int i = 0; i < p->set.classes; i++) {
        fputs("| ", c->out);
        names_markdown(c->out, p->set.names[i]);
        fprintf(c->out, " | %d |\n", p->class_counts[i]);
    }
    fputc('\n', c->out);
    for (int kind = 0; kind < FINDING_KINDS; kind++) {
        int count = findings_of(&p->found, (enum finding_kind)kind);
        if (count > 0)
            fprintf(c->out, "- %s: %d\n",
                    finding_title((enum finding_kind)kind), count);
    }
    fputc('\n', c->out);
}

static void put_cifar10(const struct card *c) {
    fprintf(c->out,
            "[CIFAR-10](https://www.cs.toronto.edu/~kriz/cifar.html) (Alex "
            "Krizhevsky, *Learning\nMultiple Layers of Features from Tiny "
            "Images*, 2009): its training images, ");
    if (c->held_out > 0)
        fprintf(c->out,
                "%d of\nthem trained on, the last %d of the last file held "
                "out.\n\n",
                c->train->count, c->held_out);
    else
        fprintf(c->out, "all\n%d of them trained on.\n\n", c->train->count);
}

static void put_data(const struct card *c) {
    fprintf(c->out, "## Data\n\n");
    if (c->outcome->photos)
        put_photos(c);
    else
        put_cifar10(c);
}

static void put_augmentation(const struct card *c) {
    const struct augment *a = trainer_augment(c->t);
    FILE *out = c->out;
    fprintf(out,
            "- label smoothing %g; images moved by up to %d pixels with "
            "reflected borders",
            c->settings->smoothing, a->translate);
    if (a->flip)
        fprintf(out, ";\n  horizontal flips that alternate from epoch to "
                     "epoch");
    if (a->zoom > 0)
        fprintf(out, ";\n  every other image larger or smaller by up to %g",
                1 + (double)a->zoom);
    if (a->cutout > 0)
        fprintf(out, ";\n  a square of %d x %d pixels blanked", a->cutout,
                a->cutout);
    if (a->photometric > 0)
        fprintf(out,
                ";\n  %g %% of them with other light, sharpness and "
                "compression",
                100 * (double)a->photometric);
    if (a->outliers > 0)
        fprintf(
            out,
            ";\n  %g %% of them replaced by made-up ones that show nothing, "
            "to be scored evenly\n  (after arXiv 1812.04606)",
            100 * (double)a->outliers);
    fputc('\n', out);
}

static void put_beginning(const struct card *c) {
    const struct settings *s = c->settings;
    if (*s->from) {
        fprintf(c->out,
                s->head ? "- goes on from " : "- begins with the features of ");
        put_origin(c);
        fprintf(c->out,
                s->head ? ", whose classes are the same, in another cycle of "
                          "the\n  learning rate (arXiv 1608.03983), the "
                          "features at %g times it\n"
                        : "; the last layer is first fitted to them as they\n"
                          "  are (linear probe, arXiv 2202.10054), then all "
                          "layers are trained, the features\n  at %g times "
                          "the learning rate\n",
                s->feature_rate);
    }
    if (s->balance)
        fprintf(c->out, "- classes weighted so that all count the same, "
                        "by ten times at most\n");
    if (s->patience > 0)
        fprintf(c->out,
                "- ends after %d epochs without a better one on the held-out "
                "images, and keeps the\n  best\n",
                s->patience);
    if (s->average > 0)
        fprintf(c->out,
                "- keeps the mean of the weights after each of the last %d "
                "epochs (arXiv 1803.05407),\n  the statistics of batch "
                "normalisation measured anew\n",
                s->average);
}

static void put_recipe(const struct card *c) {
    const struct settings *s = c->settings;
    const struct architecture_about *about =
        architecture_about(s->architecture);
    fprintf(c->out,
            "## Recipe\n\n"
            "    %s\n\n"
            "The shape and recipe are those of %s (Keller Jordan, "
            "2024,\n[arXiv 2404.00498](https://arxiv.org/abs/2404.00498)) "
            "with three changes: the last\nblock does not pool and the network "
            "ends in a global average, for the sake of the\nactivation maps; "
            "batches of %d; more epochs.\n\n",
            c->outcome->command, about->published, s->batch);
    fprintf(c->out,
            "- the first convolution (2 x 2) whitens: eigenvectors of the "
            "training images'\n  patches, not trained\n"
            "- %s\n"
            "- stochastic gradient descent with Nesterov momentum %g, peak "
            "learning rate %g\n  per 1024 images, decoupled weight decay %g, "
            "rate rising to the peak over the\n  first 23 %% of the steps and "
            "falling to 7 %% at the end; lookahead\n",
            about->blocks, s->momentum, s->rate, s->weight_decay);
    put_beginning(c);
    put_augmentation(c);
    char time[32];
    progress_time(trainer_seconds(c->t), time);
    fprintf(c->out, "- %d epoch%s, seed %llu; %s of training\n\n", s->epochs,
            s->epochs > 1 ? "s" : "", (unsigned long long)s->seed, time);
}

static void put_limits(const struct card *c) {
    const struct shape input = trainer_network(c->t)->input;
    fprintf(c->out,
            "## What it sees, and limits\n\n"
            "The whole picture is resized to %d x %d pixels (bicubic, "
            "antialiased), whatever its\nshape. What is small in it is lost, "
            "and a panorama is squeezed beyond recognition:\ncut the picture "
            "to its subject.\n\n"
            "- It knows nothing but its %d classes, and names one of them "
            "whatever it is shown%s.\n"
            "- The held-out images come from the same collection as the "
            "training images. On other\n  photographs, and on drawings all the "
            "more, expect less.\n\n",
            input.width, input.height, c->train->classes,
            c->outcome->threshold > 0 ? ", or says that it is not sure" : "");
}

static void put_history(const struct card *c) {
    fprintf(c->out, "## Epoch by epoch\n\n"
                    "| epoch | training loss | training top-1 | held-out loss "
                    "| held-out top-1 |\n"
                    "| ---: | ---: | ---: | ---: | ---: |\n");
    for (int i = 0; i < trainer_epochs_done(c->t); i++) {
        const struct epoch_record *r = trainer_epoch(c->t, i);
        fprintf(c->out, "| %d | %.4f | %.2f %% | %.4f | %.2f %% |\n", i + 1,
                r->loss, 100 * r->accuracy, r->validation_loss,
                100 * r->validation_accuracy);
    }
}

static void put_licence(const struct card *c) {
    fprintf(c->out, "## Licence\n\n");
    if (c->outcome->photos)
        fprintf(c->out, "Yours to say, as far as the photos are yours. They "
                        "are not part of this folder.\n\n");
    else
        fprintf(c->out,
                "The weights and this card: BSD-2-Clause, as Convoy. The "
                "images of CIFAR-10 were\ncollected from the web, carry no "
                "licence, and are not part of this folder.\n\n");
}

char *card_text(struct trainer *t, const char *name,
                const struct outcome *outcome, size_t *size, struct err *err) {
    char *text = NULL;
    const struct card c = {.out = open_memstream(&text, size),
                           .t = t,
                           .settings = trainer_settings(t),
                           .train = trainer_training_set(t),
                           .outcome = outcome,
                           .held_out = trainer_validation_images(t)};
    if (!c.out)
        goto fail;
    put_head(&c, name);
    put_summary(&c);
    put_accuracy(&c);
    put_data(&c);
    put_recipe(&c);
    put_limits(&c);
    put_licence(&c);
    put_history(&c);
    if (fclose(c.out) == 0)
        return text;
fail:
    free(text);
    err_set(err, "no memory for the card of the model");
    return NULL;
}
