/* The models that are served. */
#include "common/document.h"
#include "fcgi/problem.h"
#include "fcgi/service.h"

void list_models(struct call *call) {
    json_t *doc = catalogue_list(call->service->catalogue);
    /* Can a client tell the id of an image, and so ask before it uploads? */
    document_set(&doc, "ids",
                 json_string(call->service->id_secret ? "secret" : "sha256"));
    response_json(call->response, 200, doc);
    response_header(call->response, "Cache-Control", "no-cache");
}

void show_model(struct call *call) {
    const char *name = call->request->segment[0];
    json_t *doc = catalogue_describe(call->service->catalogue, name);
    if (!doc) {
        response_problem(call->response, call->request, "unknown-model",
                         "No worker serves a model of that name; "
                         "/api/v1/models lists those that are served.");
        return;
    }
    response_json(call->response, 200, doc);
    response_header(call->response, "Cache-Control", "no-cache");
}
