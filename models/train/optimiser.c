#include "models/train/optimiser.h"

#include "models/train/simd.h"

#include <math.h>

const struct optimiser_options optimiser_defaults = {
    .rate = 11.5,
    .momentum = 0.85,
    .weight_decay = 0.0153,
};

#define SCHEDULE_START 0.2
#define SCHEDULE_PEAK_AT 0.23
#define SCHEDULE_END 0.07

double optimiser_schedule(long step, long steps) {
    double at = (double)step / (double)steps;
    if (at < SCHEDULE_PEAK_AT)
        return SCHEDULE_START + (1 - SCHEDULE_START) * at / SCHEDULE_PEAK_AT;
    return 1 + (SCHEDULE_END - 1) * (at - SCHEDULE_PEAK_AT) /
                   (1 - SCHEDULE_PEAK_AT);
}

SIMD_CLONES
static void update(float *restrict value, const float *restrict grad,
                   float *restrict velocity, size_t count, float rate,
                   float decay, float momentum) {
    for (size_t i = 0; i < count; i++) {
        float g = grad[i] + decay * value[i];
        float v = momentum * velocity[i] + g;
        velocity[i] = v;
        value[i] -= rate * (g + momentum * v);
    }
}

struct step_job {
    struct network *net;
    double rate, schedule, decay, momentum;
};

static void update_layer(void *arg, int item, int thread) {
    struct step_job *job = arg;
    struct layer *l = &job->net->layers[item];
    (void)thread;
    for (int p = 0; p < l->params_count; p++) {
        struct param *param = &l->params[p];
        if (param->statistic || param->frozen)
            continue;
        double rate = job->rate * (double)param->lr_scale;
        update(param->value, param->grad, param->momentum, param->count,
               (float)(rate * job->schedule), (float)(job->decay / rate),
               (float)job->momentum);
    }
}

void optimiser_step(struct network *net, const struct optimiser_options *o,
                    int batch, long step, long steps) {
    double kilostep = 1024 * (1 + 1 / (1 - o->momentum));
    struct step_job job = {.net = net,
                           .rate = o->rate / kilostep,
                           .schedule = optimiser_schedule(step, steps),
                           .decay = o->weight_decay * batch / kilostep,
                           .momentum = o->momentum};
    team_run(net->team, net->layers_count, update_layer, &job);
}

double optimiser_lookahead_decay(long step, long steps) {
    return pow(0.95, 5) * pow((double)step / (double)steps, 3);
}

void optimiser_lookahead(struct network *net, float *slow, double decay) {
    float keep = (float)decay;
    for (size_t i = 0; i < net->count; i++) {
        slow[i] = keep * slow[i] + (1 - keep) * net->values[i];
        net->values[i] = slow[i];
    }
}
