/*
 * frames: a ZeroMQ message of several frames, read whole.
 *
 *     zmq_msg_t frame[3];
 *     int count = frames_receive(socket, frame, 3, ZMQ_DONTWAIT);
 *     ...                        3: as expected; what is beyond is lost
 *     frames_close(frame, 3);    in any case
 */
#ifndef CONVOY_FRAMES_H
#define CONVOY_FRAMES_H

#include <zmq.h>

/* All frames of one message, those too many thrown away; how many it had, or
 * -1: there is none. `flags` are those of zmq_msg_recv(). */
int frames_receive(void *socket, zmq_msg_t *frame, int most, int flags);
void frames_close(zmq_msg_t *frame, int most);

#endif
