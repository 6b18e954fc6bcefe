#include "fcgi/frames.h"

#include <errno.h>

int frames_receive(void *socket, zmq_msg_t *frame, int most, int flags) {
    zmq_msg_t surplus;
    int count = 0, more = 1;
    for (int i = 0; i < most; i++)
        zmq_msg_init(&frame[i]);
    zmq_msg_init(&surplus);
    while (more) {
        zmq_msg_t *into = count < most ? &frame[count] : &surplus;
        if (zmq_msg_recv(into, socket, flags) < 0) {
            if (errno == EINTR)
                continue;
            count = -1;
            break;
        }
        more = zmq_msg_more(into);
        count++;
    }
    zmq_msg_close(&surplus);
    return count;
}

void frames_close(zmq_msg_t *frame, int most) {
    for (int i = 0; i < most; i++)
        zmq_msg_close(&frame[i]);
}
