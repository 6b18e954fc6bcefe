#include "models/nn/graph.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Memory of a graph is a list of blocks, small things side by side. */
#define BLOCK_BYTES 65536
struct block {
    struct block *next;
    size_t used, room;
    _Alignas(16) unsigned char bytes[];
};

struct graph *graph_new(struct err *err) {
    struct graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        err_set(err, "no memory for a network");
    return graph;
}

void graph_free(struct graph *graph) {
    if (!graph)
        return;
    for (int i = 0; i < graph->value_count; i++)
        tensor_free(&graph->values[i]->t);
    for (struct block *block = graph->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(graph->values);
    free(graph->by_name);
    for (int i = 0; i < graph->file_count; i++)
        munmap(graph->files[i].bytes, graph->files[i].size);
    free(graph->files);
    free(graph);
}

void *graph_alloc(struct graph *graph, size_t size, struct err *err) {
    struct block *block = graph->blocks;
    size = (size + 15) & ~(size_t)15;
    if (!block || block->room - block->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = calloc(1, sizeof *block + room);
        if (!block) {
            err_set(err, "no memory for a network (%zu bytes)", room);
            return NULL;
        }
        block->room = room;
        block->next = graph->blocks;
        graph->blocks = block;
    }
    block->used += size;
    return block->bytes + block->used - size;
}

const char *graph_string(struct graph *graph, const void *text, size_t len,
                         struct err *err) {
    char *copy = graph_alloc(graph, len + 1, err);
    if (copy && len > 0)
        memcpy(copy, text, len);
    return copy;
}

/* ---- values by name ----------------------------------------------------- */

static size_t hash(const char *name) { /* FNV-1a */
    uint64_t h = 14695981039346656037u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)h;
}

static struct value **find_place(const struct graph *graph, const char *name) {
    size_t mask = graph->by_name_room - 1;
    size_t i = hash(name) & mask;
    while (graph->by_name[i] && strcmp(graph->by_name[i]->name, name) != 0)
        i = (i + 1) & mask;
    return &graph->by_name[i];
}

/* Room for one more value in the list and, half empty, in the hash table. */
static int make_room(struct graph *graph, struct err *err) {
    if (graph->value_count < graph->value_room)
        return 0;
    int room = graph->value_room ? graph->value_room * 2 : 256;
    struct value **values =
        realloc(graph->values, (size_t)room * sizeof(struct value *));
    if (values)
        graph->values = values;
    struct value **table = calloc((size_t)room * 2, sizeof(struct value *));
    if (!values || !table) {
        free(table);
        return err_set(err, "no memory for %d values", room);
    }
    free(graph->by_name);
    graph->by_name = table;
    graph->by_name_room = (size_t)room * 2;
    graph->value_room = room;
    for (int i = 0; i < graph->value_count; i++)
        if (*values[i]->name)
            *find_place(graph, values[i]->name) = values[i];
    return 0;
}

struct value *graph_find_value(const struct graph *graph, const char *name) {
    return *name && graph->by_name ? *find_place(graph, name) : NULL;
}

struct value *graph_value(struct graph *graph, const char *name,
                          struct err *err) {
    struct value *value = graph_find_value(graph, name);
    if (value)
        return value;
    if (make_room(graph, err) < 0 ||
        !(value = graph_alloc(graph, sizeof *value, err)) ||
        !(value->name = graph_string(graph, name, strlen(name), err)))
        return NULL;
    value->t.rank = -1;
    value->index = graph->value_count;
    graph->values[graph->value_count++] = value;
    if (*name)
        *find_place(graph, name) = value;
    return value;
}

const struct graph_file *graph_own_file(struct graph *graph, const char *name,
                                        void *bytes, size_t size,
                                        struct err *err) {
    const size_t count = (size_t)graph->file_count + 1;
    struct graph_file *files =
        count <= GRAPH_FILES_MAX ? realloc(graph->files, count * sizeof *files)
                                 : NULL;
    const char *copy = name;
    if (files)
        graph->files = files;
    if (!files ||
        (name && !(copy = graph_string(graph, name, strlen(name), err)))) {
        munmap(bytes, size);
        err_set(err, "no room for %zu files", count);
        return NULL;
    }
    graph->files[graph->file_count] = (struct graph_file){copy, bytes, size};
    return &graph->files[graph->file_count++];
}

const struct graph_file *graph_find_file(const struct graph *graph,
                                         const char *name) {
    for (int i = 0; i < graph->file_count; i++)
        if (graph->files[i].name && strcmp(graph->files[i].name, name) == 0)
            return &graph->files[i];
    return NULL;
}

int graph_reserve(struct graph *graph, size_t bytes, struct err *err) {
    if (bytes > GRAPH_CONSTANTS_MAX - graph->constant_bytes)
        return err_set(err,
                       "the network's constants take more than %zu MiB, which "
                       "is the most that is accepted",
                       GRAPH_CONSTANTS_MAX >> 20);
    graph->constant_bytes += bytes;
    return 0;
}

struct value *graph_constant(struct graph *graph, const char *name,
                             enum nn_type type, int rank, const int64_t *dims,
                             struct err *err) {
    struct value *value = graph_value(graph, "", err);
    if (!value || !(value->name = graph_string(graph, name, strlen(name), err)))
        return NULL;
    if (graph_reserve(graph, dims_count(dims, rank) * type_size(type), err) <
            0 ||
        tensor_make(&value->t, type, rank, dims, err) < 0)
        return NULL;
    return value;
}

int graph_copy_in(struct value *value, struct err *err) {
    struct tensor copy, *t = &value->t;
    if (!t->in_file)
        return 0;
    if (tensor_make(&copy, t->type, t->rank, t->dims, err) < 0)
        return err_prefix(err, "%s", value->name);
    memcpy(copy.data, t->data, tensor_bytes(t));
    *t = copy;
    return 0;
}

/* ---- order and tidiness ------------------------------------------------- */

static const struct value *unwritten_input(const struct graph_node *node) {
    for (int i = 0; i < node->input_count; i++) {
        const struct value *value = node->inputs[i];
        if (value && !value->producer && !value->is_input && !value->t.data)
            return value;
    }
    return NULL;
}

/* Kahn's algorithm: a node is ready when all that it waits for are placed. The
 * order of the file is kept where it is right, as exporters see to. */
static int place_nodes(struct graph *graph, struct graph_node **sorted,
                       bool *written) {
    int placed = 0;
    for (bool progress = true; progress && placed < graph->node_count;) {
        progress = false;
        for (int i = 0; i < graph->node_count; i++) {
            struct graph_node *node = graph->nodes[i];
            bool ready = node != NULL;
            for (int k = 0; ready && k < node->input_count; k++)
                if (node->inputs[k] && node->inputs[k]->producer)
                    ready = written[node->inputs[k]->index];
            if (!ready)
                continue;
            for (int k = 0; k < node->output_count; k++)
                written[node->outputs[k]->index] = true;
            sorted[placed++] = node;
            graph->nodes[i] = NULL;
            progress = true;
        }
    }
    return placed;
}

int graph_sort(struct graph *graph, struct err *err) {
    size_t count = (size_t)graph->node_count;
    struct graph_node **sorted =
        graph_alloc(graph, count * sizeof(struct graph_node *), err);
    bool *written = graph_alloc(graph, (size_t)graph->value_count, err);
    if (!sorted || !written)
        return -1;
    for (int i = 0; i < graph->node_count; i++) {
        const struct value *value = unwritten_input(graph->nodes[i]);
        if (value) {
            err_set(err, "reads %s, which nothing in the file writes",
                    value->name);
            return graph_error(graph, graph->nodes[i], err);
        }
    }
    if (place_nodes(graph, sorted, written) < graph->node_count) {
        for (size_t i = 0; i < count; i++)
            if (graph->nodes[i]) {
                err_set(err, "lies on a cycle: it needs its own result");
                return graph_error(graph, graph->nodes[i], err);
            }
    }
    graph->nodes = sorted;
    return 0;
}

static struct value *forwarded(struct value *value) {
    while (value && value->forward)
        value = value->forward;
    return value;
}

struct value *graph_input(const struct graph_node *node, int i) {
    return i < node->input_count ? forwarded(node->inputs[i]) : NULL;
}

bool graph_is_constant(const struct value *value) {
    return value && value->t.data;
}

void graph_forward(struct graph_node *node, struct value *value) {
    node->outputs[0]->forward = value;
    node->op = NULL;
}

static bool anything_used(const struct graph_node *node) {
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i]->uses > 0)
            return true;
    return false;
}

static void count_uses(struct graph *graph) {
    for (int i = 0; i < graph->value_count; i++) {
        graph->values[i]->uses = 0;
        graph->values[i]->producer = NULL;
    }
    for (int i = 0; i < graph->output_count; i++) {
        graph->output_values[i] = forwarded(graph->output_values[i]);
        graph->output_values[i]->uses++;
    }
    /* Backwards, so that what only dead nodes read counts as unused. */
    for (int i = graph->node_count - 1; i >= 0; i--) {
        struct graph_node *node = graph->nodes[i];
        if (node->op && !anything_used(node))
            node->op = NULL;
        for (int k = 0; node->op && k < node->input_count; k++)
            if ((node->inputs[k] = forwarded(node->inputs[k])))
                node->inputs[k]->uses++;
    }
}

void graph_tidy(struct graph *graph) {
    int kept = 0;
    count_uses(graph);
    for (int i = 0; i < graph->node_count; i++) {
        struct graph_node *node = graph->nodes[i];
        if (!node->op)
            continue;
        for (int k = 0; k < node->output_count; k++)
            node->outputs[k]->producer = node;
        graph->nodes[kept++] = node;
    }
    graph->node_count = kept;
    for (int i = 0; i < graph->value_count; i++) {
        struct value *value = graph->values[i];
        if (value->uses == 0 && value->t.data) {
            graph->constant_bytes -= tensor_bytes(&value->t);
            tensor_free(&value->t);
            value->t.rank = -1;
        }
    }
}

struct graph_node *graph_producer(const struct value *value,
                                  const char *op_type) {
    struct graph_node *node = value ? value->producer : NULL;
    if (!node || !node->op || value->uses != 1 ||
        strcmp(node->node.op_type, op_type) != 0)
        return NULL;
    return node;
}

int graph_set_attribute(struct graph *graph, struct graph_node *node,
                        const struct attribute *attribute, struct err *err) {
    int old = node->node.attribute_count, at = 0;
    struct attribute *all =
        graph_alloc(graph, (size_t)(old + 1) * sizeof *all, err);
    if (!all)
        return -1;
    if (old > 0)
        memcpy(all, node->node.attributes, (size_t)old * sizeof *all);
    while (at < old && strcmp(all[at].name, attribute->name) != 0)
        at++;
    all[at] = *attribute;
    node->node.attributes = all;
    node->node.attribute_count = at == old ? old + 1 : old;
    return 0;
}

bool graph_scalar(const struct value *value, float *number) {
    if (!value || !value->t.data || value->t.type != NN_FLOAT32 ||
        tensor_count(&value->t) != 1)
        return false;
    *number = *(const float *)value->t.data;
    return true;
}

bool graph_averages_pixels(const struct graph_node *node) {
    const int64_t *axes;
    if (strcmp(node->node.op_type, "ReduceMean") != 0 ||
        node->input_count != 1 || node_ints(&node->node, "axes", &axes) != 2)
        return false;
    int64_t a = axes[0] < 0 ? axes[0] + 4 : axes[0];
    int64_t b = axes[1] < 0 ? axes[1] + 4 : axes[1];
    return (a == 2 && b == 3) || (a == 3 && b == 2);
}

/* ---- for messages and calls --------------------------------------------- */

const char *graph_label(const struct graph_node *node) {
    if (*node->node.name)
        return node->node.name;
    return node->output_count > 0 ? node->outputs[0]->name : "";
}

int graph_error(const struct graph *graph, const struct graph_node *node,
                struct err *err) {
    return err_prefix(err, "node %s (%s, opset %lld)", graph_label(node),
                      node->node.op_type, (long long)graph->opset);
}

void graph_call(const struct graph *graph, const struct graph_node *node,
                const struct tensor *tensors, struct op_call *call) {
    call->op = node->op;
    call->node = &node->node;
    call->opset = graph->opset;
    call->input_count = node->input_count;
    call->output_count = node->output_count;
    call->scratch = NULL;
    for (int i = 0; i < node->input_count; i++) {
        const struct value *value = graph_input(node, i);
        call->inputs[i] = !value    ? NULL
                          : tensors ? &tensors[value->index]
                                    : &value->t;
    }
    for (int i = node->input_count; i < node->op->inputs_max; i++)
        call->inputs[i] = NULL;
    for (int i = 0; i < node->output_count; i++)
        call->outputs[i] = (struct tensor){0};
}
