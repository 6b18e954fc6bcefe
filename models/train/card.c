#include "models/train/card.h"

#include <stdio.h>
#include <stdlib.h>

static void put_head(FILE *out, const char *name) {
    fprintf(out,
            "---\n"
            "license: bsd-2-clause\n"
            "pipeline_tag: image-classification\n"
            "datasets: [cifar10]\n"
            "metrics: [accuracy]\n"
            "---\n\n"
            "# %s\n\n",
            name);
}

static void put_classes(FILE *out, const struct dataset *set) {
    for (int i = 0; i < set->classes; i++)
        fprintf(out, "%s%s",
                i == 0                 ? ""
                : i + 1 < set->classes ? ", "
                                       : " or ",
                set->names[i]);
}

/* Cells of an activation map: what reaches the global average. */
static struct shape map_shape(const struct network *net) {
    for (int i = 0; i < net->layers_count; i++)
        if (net->layers[i].kind == &layer_global_average)
            return net->layers[i].in;
    return (struct shape){0};
}

static void put_summary(FILE *out, struct trainer *t) {
    const struct network *net = trainer_network(t);
    const struct shape map = map_shape(net);
    fprintf(out, "Says of a photograph whether it shows ");
    put_classes(out, trainer_training_set(t));
    fprintf(
        out,
        ".\nA convolutional network of %zu parameters that sees %d x %d "
        "pixels. It ends in a\nglobal average and a linear layer, so its "
        "activation maps (%d x %d cells) show\nexactly what each class got "
        "its score from. Trained from nothing by\n`convoy-model train`.\n\n",
        network_parameters(net), net->input.width, net->input.height, map.width,
        map.height);
    int done = trainer_epochs_done(t), all = trainer_settings(t)->epochs;
    if (done < all)
        fprintf(out,
                "**Not finished:** taken after %d of %d epochs, while the "
                "learning rate was still\nhigh. Do not judge the recipe by "
                "it.\n\n",
                done, all);
}

static void put_accuracy(FILE *out, struct trainer *t) {
    const struct epoch_record *last =
        trainer_epoch(t, trainer_epochs_done(t) - 1);
    int held_out = trainer_validation_images(t);
    fprintf(out, "## Accuracy\n\n"
                 "| images | number | top-1 | cross entropy |\n"
                 "| --- | ---: | ---: | ---: |\n");
    if (held_out > 0)
        fprintf(
            out,
            "| held out, never trained on, one view each | %d | **%.2f %%** "
            "| %.4f |\n",
            held_out, 100 * last->validation_accuracy, last->validation_loss);
    fprintf(out,
            "| training, as augmented, last epoch | %d | %.2f %% | %.4f |\n\n",
            trainer_training_set(t)->count, 100 * last->accuracy, last->loss);
    fprintf(out,
            "The loss on the training images is that of smoothed labels, so "
            "the two do not\ncompare.\n\n");
}

static void put_data(FILE *out, struct trainer *t) {
    fprintf(out,
            "## Data\n\n"
            "[CIFAR-10](https://www.cs.toronto.edu/~kriz/cifar.html) (Alex "
            "Krizhevsky, *Learning\nMultiple Layers of Features from Tiny "
            "Images*, 2009): its training images, %d of\nthem trained on, the "
            "last %d of the last file held out.\n\n",
            trainer_training_set(t)->count, trainer_validation_images(t));
}

static void put_recipe(FILE *out, struct trainer *t, const char *command) {
    const struct settings *s = trainer_settings(t);
    fprintf(out,
            "## Recipe\n\n"
            "    %s\n\n"
            "The shape and recipe are those of airbench94 (Keller Jordan, "
            "2024,\n[arXiv 2404.00498](https://arxiv.org/abs/2404.00498)) "
            "with three changes: the last\nblock does not pool and the network "
            "ends in a global average, for the sake of the\nactivation maps; "
            "batches of %d; more epochs.\n\n",
            command, s->batch);
    char cutout[64] = "", zoom[80] = "";
    if (s->zoom > 0)
        snprintf(zoom, sizeof zoom,
                 ";\n  every other image larger or smaller by up to %g",
                 1 + s->zoom);
    if (s->cutout > 0)
        snprintf(cutout, sizeof cutout,
                 ";\n  a square of %d x %d pixels blanked", s->cutout,
                 s->cutout);
    fprintf(out,
            "- the first convolution (2 x 2) whitens: eigenvectors of the "
            "training images'\n  patches, not trained\n"
            "- three blocks of convolution, maximum (not in the last), batch "
            "norm, GELU,\n  convolution, batch norm, GELU\n"
            "- stochastic gradient descent with Nesterov momentum %g, peak "
            "learning rate %g\n  per 1024 images, decoupled weight decay %g, "
            "rate rising to the peak over the\n  first 23 %% of the steps and "
            "falling to 7 %% at the end; lookahead\n"
            "- label smoothing %g; crops moved by up to %d pixels with "
            "reflected borders;\n  horizontal flips that alternate from epoch "
            "to epoch%s%s\n"
            "- %d epochs, seed %llu; %.0f minutes of training\n\n",
            s->momentum, s->rate, s->weight_decay, s->smoothing,
            trainer_augment(t)->translate, zoom, cutout, s->epochs,
            (unsigned long long)s->seed, trainer_seconds(t) / 60);
}

static void put_limits(FILE *out, struct trainer *t) {
    const struct settings *s = trainer_settings(t);
    const struct shape input = trainer_network(t)->input;
    double target =
        1 - s->smoothing + s->smoothing / trainer_training_set(t)->classes;
    fprintf(out,
            "## What it sees, and limits\n\n"
            "The whole picture is resized to %d x %d pixels (bicubic, "
            "antialiased), whatever its\nshape. What is small in it is lost, "
            "and a panorama is squeezed beyond recognition:\ncut the picture "
            "to its subject.\n\n"
            "- It knows nothing but its ten classes, and names one of them "
            "whatever it is shown.\n"
            "- Smoothed labels keep it from being sure: a picture that could "
            "not be clearer gets\n  about %.2f, not 1.\n"
            "- The held-out images come from the same collection as the "
            "training images. On other\n  photographs, and on drawings all the "
            "more, expect less.\n\n",
            input.width, input.height, target);
}

static void put_history(FILE *out, struct trainer *t) {
    fprintf(out, "## Epoch by epoch\n\n"
                 "| epoch | training loss | training top-1 | held-out loss | "
                 "held-out top-1 |\n"
                 "| ---: | ---: | ---: | ---: | ---: |\n");
    for (int i = 0; i < trainer_epochs_done(t); i++) {
        const struct epoch_record *r = trainer_epoch(t, i);
        fprintf(out, "| %d | %.4f | %.2f %% | %.4f | %.2f %% |\n", i + 1,
                r->loss, 100 * r->accuracy, r->validation_loss,
                100 * r->validation_accuracy);
    }
}

static void put_licence(FILE *out) {
    fprintf(out,
            "## Licence\n\n"
            "The weights and this card: BSD-2-Clause, as Convoy. The images of "
            "CIFAR-10 were\ncollected from the web, carry no licence, and are "
            "not part of this folder.\n\n");
}

char *card_text(struct trainer *t, const char *name, const char *command,
                size_t *size, struct err *err) {
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out)
        goto fail;
    put_head(out, name);
    put_summary(out, t);
    put_accuracy(out, t);
    put_data(out, t);
    put_recipe(out, t, command);
    put_limits(out, t);
    put_licence(out);
    put_history(out, t);
    if (fclose(out) == 0)
        return text;
fail:
    free(text);
    err_set(err, "no memory for the card of the model");
    return NULL;
}
