/*
 * route: which handler answers which request, in one table.
 *
 *     route(&call);      fills call.response, whatever was asked
 *
 * A path of the table may have {} for a whole segment; what stood there is in
 * request.segment, in order. HEAD is GET; who sends the response leaves out
 * its body.
 */
#ifndef CONVOY_ROUTE_H
#define CONVOY_ROUTE_H

#include "fcgi/service.h"

#include <stdbool.h>

void route(struct call *call);

/* Does the path match the pattern? Fills the segments where it does. */
bool route_matches(const char *pattern, const char *path,
                   char segment[HTTP_SEGMENTS][HTTP_ID_MAX + 1]);

#endif
