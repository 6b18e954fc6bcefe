/* Is the process alive, and can it serve? */
#include "fcgi/problem.h"
#include "fcgi/service.h"

void show_health(struct call *call) {
    response_json(call->response, 200, json_pack("{s:s}", "status", "alive"));
    response_header(call->response, "Cache-Control", "no-store");
}

void show_readiness(struct call *call) {
    struct schedule_stats stats = dispatch_stats(call->service->dispatch);
    bool redis = store_ping(call->store, NULL) == 0;
    bool worker = stats.workers > 0;
    if (!redis || !worker) {
        json_t *missing = json_array();
        if (!redis)
            json_array_append_new(missing, json_string("redis"));
        if (!worker)
            json_array_append_new(missing, json_string("worker"));
        response_problem(call->response, call->request, "not-ready", "%s",
                         !redis && !worker
                             ? "Redis does not answer or takes no writes, and "
                               "no worker is ready."
                         : !redis ? "Redis does not answer or takes no writes."
                                  : "No worker is ready.");
        response_problem_member(call->response, "missing", missing);
        return;
    }
    response_json(call->response, 200,
                  json_pack("{s:s, s:i, s:i, s:i}", "status", "ready",
                            "workers", stats.workers, "queued", stats.queued,
                            "in_flight", stats.in_flight));
    response_header(call->response, "Cache-Control", "no-store");
}
