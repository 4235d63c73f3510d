/* watch.h: what libcurl waits for, its sockets and its next time-out, behind one descriptor.
 *
 * A watch is a private epoll set with libcurl's sockets and a timerfd in it, so that a host has one
 * descriptor to look at: it is readable exactly when there is work. The engine embeds one watch and is
 * its only user. Where there is no epoll the descriptor is -1 and waiting is curl_multi_poll's. */
#ifndef AITOEARN_WATCH_H
#define AITOEARN_WATCH_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "compat.h"

HIDDEN_BEGIN

#if defined(__linux__) && !defined(AITOEARN_NO_EPOLL)
#define AITOEARN_EPOLL 1
#else
#define AITOEARN_EPOLL 0
#endif

typedef struct {
  int epoll;
  int timer;
  double due;             /* when libcurl wants its next time-out; INFINITY: not at all */
  double armed;           /* what the timerfd is set to */
  int unacknowledged_ms;  /* how long a server may leave what we sent unacknowledged; 0: the system's limit */
  int open_sockets;       /* how many are ours */
  int first_event;        /* which of the next wait's events comes first */
  bool shared;            /* a host looks at the descriptor: keep the timerfd armed */
  unsigned char *sockets; /* by descriptor: is it ours, and the events it is registered for */
  size_t socket_count;
} watch;

/* Seconds on the monotonic clock. */
double watch_now(void);

/* False, with everything closed again, where the system has no descriptors left. */
bool watch_open(watch *w);

/* Closes the descriptors and frees the table; call it after curl_multi_cleanup, which may still close
 * sockets. In a forked child it closes the child's copies of libcurl's sockets too. */
void watch_close(watch *w);
void watch_close_sockets(watch *w);

/* Lets libcurl keep `w` up to date; the easy handle's part goes to every easy handle. */
bool watch_attach_multi(watch *w, CURLM *multi);
bool watch_attach_easy(watch *w, CURL *easy);

/* Waits up to `timeout` seconds (INFINITY: until something happens or a signal comes) and lets libcurl
 * do what there is to do, a handful of sockets at a time so that a frame is never held up long. */
CURLMcode watch_wait(watch *w, CURLM *multi, double timeout);

/* Lets libcurl act on a time-out that has come. After a failure of either, libcurl may have lost sight of
 * any transfer. */
CURLMcode watch_run_due(watch *w, CURLM *multi);

/* Sets the timerfd to `due`, if a host looks at the descriptor. */
void watch_arm(watch *w, double due);

HIDDEN_END

#endif
