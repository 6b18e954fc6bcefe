/*
 * plan: a graph for inputs of one size, as steps to run one after another and
 * slots of memory that they read and write.
 *
 *     struct plan *plan = plan_build(graph, ports, batch_max, &err);
 *     if (plan_open(plan, &err) < 0) ...
 *     plan->steps[i].kind->run(...)                       session.c does that
 *     plan_free(plan);
 *
 * Building has four parts:
 *   lower.c    nodes become steps; activations and residual additions go into
 *              the step before; what follows from shapes alone has no step
 *   layout.c   every value gets a slot in the layout that its step wants;
 *              conversions are inserted where the two sides differ
 *   concat.c   inputs of concatenations are placed inside their results
 *   plan.c     shapes of every slot for every batch 1..batch_max
 *   buffers.c  offsets in one arena, by lifetime
 *   stretch.c  stretches of steps that a batch goes through in parts, so that
 *              maps stay in cache from step to step
 *
 * Feature maps lie channels last, as the kernels want them (conv.h), from the
 * first convolution to the pooling at the end. What has no kernel runs by its
 * row of op.h, in any layout where the row can, otherwise plain.
 *
 * A plan refers to its graph, which must outlive it.
 */
#ifndef CONVOY_NN_PLAN_H
#define CONVOY_NN_PLAN_H

#include "models/nn/activation.h"
#include "models/nn/graph.h"
#include "models/nn/shapes.h"

#define PLAN_BATCH_MAX 4096

struct step;

/* The data of step->inputs and step->outputs of one batch are at
 * tensors[slot]. */
struct step_kind {
    const char *name;
    enum { WANTS_PLAIN, WANTS_CHANNELS_LAST, WANTS_ANY } layout;
    int inputs; /* of the node that are read when running; -1: all */
    bool fuses_activation, fuses_residual;
    bool in_place; /* output 0 may lie over an input of the same size */
    /* open() takes the shape of one image: of the dimensions, the first alone
     * may differ between batches. */
    bool per_image;
    bool images_apart; /* as OP_IMAGES_APART has it */
    /* Heeds the pitch of its inputs' tensors, or of its output's. */
    bool pitched_input, pitched_output;
    /* Whether it runs the node, at these shapes (by value->index). */
    bool (*takes)(const struct graph_node *node, const struct tensor *values);
    /* Packs weights; scratch is the bytes that run() needs. NULL: nothing. */
    int (*open)(struct step *step, const struct tensor *tensors,
                struct err *err);
    void (*close)(void *kernel);
    /* Bytes of scratch for these tensors, asked for every batch. NULL: what
     * open() said. */
    size_t (*measure)(const struct step *step, const struct tensor *tensors);
    void (*run)(const struct step *step, struct tensor *tensors, void *scratch);
    const char *(*algorithm)(const struct step *step); /* NULL: "" */
    double (*flops)(const struct step *step, const struct tensor *tensors);
    /* Seconds for these tensors if all of them are in cache; NULL: nothing that
     * would be worth counting. */
    double (*estimate)(const struct step *step, const struct tensor *tensors);
};

extern const struct step_kind step_convert, step_operator; /* steps_op.c */
/* For `flops`: of a step that only moves numbers, and of one that calculates
 * each number that it gives once. */
double step_no_flops(const struct step *step, const struct tensor *tensors);
double step_output_flops(const struct step *step, const struct tensor *tensors);
/* steps_*.c; the first that takes a node runs it. */
extern const struct step_kind *const step_kinds_conv[];
extern const struct step_kind *const step_kinds_pool[];
extern const struct step_kind *const step_kinds_vector[];
extern const struct step_kind *const step_kinds_quantised[];
extern const struct step_kind *const step_kinds_concat[];
extern const struct step_kind step_concat;

struct step {
    const struct step_kind *kind;
    const struct graph_node *node; /* the first of those that it runs */
    int64_t opset;
    const struct value *residual; /* added before the activation, or NULL */
    const struct value *output;   /* of the last node that was fused */
    struct activation activation;
    char label[64]; /* "Conv+Add+Relu" */
    /* Slots; -1: left out. */
    int *inputs, *outputs;
    int input_count, output_count;
    int residual_slot; /* -1: none */
    uint64_t copied;   /* of a concatenation: a bit for each such input */
    void *kernel;      /* what open() made */
    size_t kernel_bytes, scratch;
};

struct slot {
    const struct value *value;
    enum layout layout;
    int root;             /* the slot whose memory it has; itself */
    size_t at;            /* bytes from the start of that memory */
    int64_t pitch;        /* of its tensors */
    const void *constant; /* data that are there from the start */
    bool known;           /* data follow from shapes, one for each batch */
    bool pinned;          /* input, output or features: memory of its own */
    bool whole;           /* of a root: has all images at once, whatever part
                             of the batch the steps run for */
    size_t bytes, offset; /* of the largest batch; in the arena */
    int first, last;      /* steps that use it; of a root, also its views' */
};

/* Steps first..end - 1 run for at most `images` of the batch, then for the next
 * ones, until all have passed. */
struct stretch {
    int first, end, images;
};

struct plan {
    const struct graph *graph;
    struct nn_port ports[GRAPH_PORTS_MAX]; /* concrete, for batch_max */
    int batch_max;
    bool batch_fixed; /* only batch_max itself can run */
    struct step *steps;
    int step_count, step_room;
    struct stretch *stretches;
    int stretch_count;
    struct slot *slots;
    int slot_count, slot_room;
    int (*slot_of)[2]; /* [value->index][layout], -1: none */
    int input_slots[GRAPH_PORTS_MAX], output_slots[GRAPH_PORTS_MAX];
    const struct value *features; /* kept until the next run, or NULL */
    struct tensor *tensors;       /* (batches, slot_count) */
    size_t arena, scratch;        /* bytes to be there at run time */
    struct plan_block *blocks;    /* memory of plan_alloc() */
};

/* ports are concrete, with batch_max as the first dimension where the file
 * leaves that open. `features`: a value whose data must outlast the run. */
struct plan *plan_build(const struct graph *graph, const struct nn_port *ports,
                        int batch_max, const struct value *features,
                        struct err *err);
void plan_free(struct plan *plan);

/* Packs the weights of every kernel; a plan that is only looked at does
 * without. */
int plan_open(struct plan *plan, struct err *err);

/* The tensors of every slot for a batch, or for a part of one. */
struct tensor *plan_tensors(const struct plan *plan, int batch);

/* Whether there are stretches that take a batch in parts. */
bool plan_is_divided(const struct plan *plan);

/* edges.c: nn_session_edges(). */
int plan_edges(const struct plan *plan, struct nn_edge *edges, int max);

/* ---- the parts ---------------------------------------------------------- */

void *plan_alloc(struct plan *plan, size_t size, struct err *err);
struct step *plan_add_step(struct plan *plan, struct err *err);

/* shapes: of batch_max. */
int plan_lower(struct plan *plan, const struct shapes *shapes, struct err *err);
int plan_lay_out(struct plan *plan, const struct shapes *shapes,
                 struct err *err);
int plan_place_concats(struct plan *plan, const struct shapes *shapes,
                       struct err *err);
/* Needs the lives of all slots; sets the stretches. */
int plan_divide(struct plan *plan, struct err *err);
int plan_buffers(struct plan *plan, struct err *err);

#endif
