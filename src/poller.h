/* poller.h: what libcurl waits for, its sockets and its next time-out, behind one descriptor.
 *
 * A poller is a private epoll set with libcurl's sockets and a timerfd in it, so that a host has
 * one descriptor to look at: it is readable exactly when there is work. The engine embeds one
 * poller and is its only user. Where there is no epoll the descriptor is -1 and waiting is
 * curl_multi_poll's. */
#ifndef AITOEARN_POLLER_H
#define AITOEARN_POLLER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "hidden.h"

HIDDEN_BEGIN

#if defined(__linux__) && !defined(AITOEARN_NO_EPOLL)
#define AITOEARN_EPOLL 1
#else
#define AITOEARN_EPOLL 0
#endif

typedef struct {
  int epoll;
  int timer;
  double due; /* when libcurl wants its next time-out; INFINITY: not at all */
  double armed; /* what the timerfd is set to */
  int tcp_user_timeout_ms; /* TCP_USER_TIMEOUT of every socket; 0: the system's limit */
  int open_sockets; /* how many are ours */
  int first_event; /* which of the next wait's events comes first */
  bool shared; /* a host looks at the descriptor: keep the timerfd armed */
  unsigned char *sockets; /* by descriptor: is it ours, and the events it is registered for */
  size_t socket_count;
} poller;

/* Seconds on the monotonic clock. */
double poller_now(void);

/* Makes a closed one. */
void poller_init(poller *p);

/* False, with everything closed again, where the system has no descriptors left. */
bool poller_open(poller *p);

/* Closes the descriptors and frees the table; call it after curl_multi_cleanup, which may still
 * close sockets. In a forked child it closes the child's copies of libcurl's sockets too. */
void poller_close(poller *p);
void poller_close_sockets(poller *p);

/* Lets libcurl keep `w` up to date; the easy handle's part goes to every easy handle. */
bool poller_attach_multi(poller *p, CURLM *multi);
bool poller_attach_easy(poller *p, CURL *easy);

/* Waits up to `timeout` seconds (INFINITY: until something happens or a signal comes) and lets
 * libcurl do what there is to do, a handful of sockets at a time so that a frame is never held
 * up long. */
CURLMcode poller_wait(poller *p, CURLM *multi, double timeout);

/* Lets libcurl act on a time-out that has come. After a failure of either, libcurl may have lost
 * sight of any transfer. */
CURLMcode poller_run_due(poller *p, CURLM *multi);

/* Sets the timerfd to `due`, if a host looks at the descriptor. */
void poller_arm(poller *p, double due);

HIDDEN_END

#endif
